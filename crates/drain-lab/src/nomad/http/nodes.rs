//! `/v1/nodes` and `/v1/node/:id…`, but for allocations.

use serde_json::{Value, json};

use super::super::acl::Access;
use super::super::cluster::{Cluster, Node};
use super::super::filter::Filter;
use super::super::json;
use super::super::membership::{EligibilityError, NodeNotFound};
use super::super::spec::Filtering;
use super::answer::{Failure, Outcome, Read};
use super::query::Page;
use super::{Call, body};

impl Call {
    pub(super) async fn list_nodes(&self) -> Result<Outcome, Failure> {
        let page = self.query.page()?;
        let (with_os, with_resources) = (self.query.flag("os")?, self.query.flag("resources")?);
        self.read(|cluster, rights| {
            if !rights.node(Access::Read) {
                return Err(Failure::denied());
            }
            check_prefix(page.prefix)?;
            let filter = filter(cluster, self.query.get("filter"))?;
            // An expression that asks for instances is not tried on thousands of nodes of others.
            let nodes: Vec<&Node> = match filter.as_ref().and_then(Filter::instances) {
                None => cluster.nodes.values().collect(),
                Some(instances) => cluster.nodes_on_any(&instances),
            };
            let nodes = nodes.into_iter().map(|node| (node.id.as_str(), node));
            let stub = |node: &&Node| json::node_stub(node, with_os, with_resources);
            list(cluster, cluster.nodes_index, filter.as_ref(), page, nodes, |node| json::node(node), stub)
        })
        .await
    }

    pub(super) async fn read_node(&self, id: &str) -> Result<Outcome, Failure> {
        self.read(|cluster, rights| {
            check_id(id)?;
            if !rights.node(Access::Read) {
                return Err(Failure::denied());
            }
            Ok(match cluster.nodes.get(id) {
                Some(node) => Read::new(node.modify_index, json::with_legacy_drain(json::node(node))),
                None => Read::absent(cluster.nodes_index, Failure::local(404, "node not found")),
            })
        })
        .await
    }

    pub(super) fn drain(&self, id: &str) -> Result<Outcome, Failure> {
        let request = body::drain_request(&self.body)?;
        self.write_nodes(|cluster, now, accessor| {
            check_id(id)?;
            let index = cluster.update_drain(now, id, request, accessor)?;
            Ok(Outcome::written(index, written(index, index)))
        })
    }

    pub(super) fn eligibility(&self, id: &str) -> Result<Outcome, Failure> {
        let request = body::eligibility_request(&self.body)?;
        let id = request.node_id.as_deref().unwrap_or(id);
        self.write_nodes(|cluster, now, _| {
            let eligible = match request.eligibility.as_str() {
                "eligible" => true,
                "ineligible" => false,
                other => {
                    return Err(Failure::rpc(500, format!("invalid scheduling eligibility \"{other}\"")));
                }
            };
            check_id(id)?;
            let index = cluster.set_eligibility(now, id, eligible)?;
            Ok(Outcome::written(index, written(index, 0)))
        })
    }

    pub(super) fn purge(&self, id: &str) -> Result<Outcome, Failure> {
        self.write_nodes(|cluster, now, _| {
            check_id(id)?;
            let index = cluster.purge(now, id)?;
            Ok(Outcome::written(index, written(index, index)))
        })
    }

    pub(super) fn evaluate(&self, id: &str) -> Result<Outcome, Failure> {
        self.write_nodes(|cluster, now, _| {
            check_id(id)?;
            if !cluster.nodes.contains_key(id) {
                return Err(NodeNotFound.into());
            }
            cluster.place(now);
            Ok(Outcome::written(0, written(0, 0)))
        })
    }
}

/// Reads the expression that a list is asked with, if it is heeded.
pub(super) fn filter(cluster: &Cluster, text: Option<&str>) -> Result<Option<Filter>, Failure> {
    let text = text.filter(|text| !text.is_empty() && cluster.quirks.filtering != Filtering::Ignored);
    text.map(Filter::parse).transpose().map_err(|text| Failure::rpc(400, text))
}

/// One page of a list: what fits the filter, as stubs. `full` makes the object that the filter sees, `stub` that of the
/// list.
pub(super) fn list<'a, T: 'a>(
    cluster: &Cluster,
    index: u64,
    filter: Option<&Filter>,
    page: Page<'_>,
    items: impl Iterator<Item = (&'a str, T)>,
    full: impl Fn(&T) -> Value,
    stub: impl Fn(&T) -> Value,
) -> Result<Read, Failure> {
    let filtering = cluster.quirks.filtering;
    let mut stubs = Vec::new();
    for (id, item) in items.filter(|(id, _)| id.starts_with(page.prefix) && *id >= page.from) {
        let fits = match filter {
            Some(filter) => {
                filter.matches(&full(&item), filtering).map_err(|text| Failure::rpc(400, text))?
            }
            None => true,
        };
        if !fits {
            continue;
        }
        if page.size == Some(stubs.len()) {
            return Ok(Read { next_token: Some(id.to_owned()), ..Read::new(index, stubs.into()) });
        }
        stubs.push(stub(&item));
    }
    Ok(Read::new(index, stubs.into()))
}

impl From<NodeNotFound> for Failure {
    fn from(error: NodeNotFound) -> Self {
        Self::rpc(500, error.to_string())
    }
}

impl From<EligibilityError> for Failure {
    fn from(error: EligibilityError) -> Self {
        Self::rpc(500, error.to_string())
    }
}

fn written(index: u64, node_modify_index: u64) -> Value {
    json!({"EvalIDs": null, "EvalCreateIndex": 0, "NodeModifyIndex": node_modify_index, "Index": index})
}

/// Complains about what cannot be a node's id.
fn check_id(id: &str) -> Result<(), Failure> {
    if id.len() != 36 {
        return Err(Failure::rpc(500, "node lookup failed: index error: UUID must be 36 characters"));
    }
    check_hex(id)
}

/// Complains about what no node's id can begin with.
fn check_prefix(prefix: &str) -> Result<(), Failure> {
    if prefix.chars().filter(|c| *c != '-').count() % 2 == 1 {
        return Err(Failure::rpc(
            500,
            "node lookup failed: index error: Input (without hyphens) must be even length",
        ));
    }
    check_hex(prefix)
}

fn check_hex(id: &str) -> Result<(), Failure> {
    match id.chars().find(|c| !c.is_ascii_hexdigit() && *c != '-') {
        None => Ok(()),
        Some(c) => Err(Failure::rpc(
            500,
            format!(
                "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+{:04X} '{c}'",
                u32::from(c)
            ),
        )),
    }
}
