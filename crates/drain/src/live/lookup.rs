//! Finding the node of an instance. The contract is "Node lookup" in docs/BEHAVIOR.md.

use std::collections::BTreeMap;

use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::Node;
use futures_util::future::try_join_all;
use nomad_client::{AgentSelf, BaseUrl, NodeStub, NomadClient, NomadError, RefusalKind, filter};

use super::{Live, Patience, nomad, retry};
use crate::aws::ec2;
use crate::config::{ConfigurationError, NodeLookup};
use crate::error::{Causes, Error};
use crate::world::Census;

/// Nodes as the servers showed them.
type Nodes = Vec<nomad_client::Node>;

/// Asks the servers which nodes carry the instances' ids, and reads each.
pub(super) async fn by_attribute(
    live: &Live<'_>,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
    if live.config.node_lookup == NodeLookup::Agent {
        return Ok(BTreeMap::new());
    }
    let found = live.by_attribute(instances).await?;
    found.into_iter().map(|(instance, nodes)| Ok((instance, ours(&nodes)?))).collect()
}

/// Counts the nodes that carry the instances' ids. Nothing is done to any of them, so that none is read.
pub(super) async fn census(live: &Live<'_>, instances: &[InstanceId]) -> Result<Census, Error> {
    let ids: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
    let room = live.nomad().await?.servers.filter_room();
    let pieces = filter::pieces(&ids, room);
    let counts = pieces.iter().map(async |piece| {
        let filter = filter::on_instances(piece.iter().copied());
        let stubs =
            live.ask_nomad(async |servers, timeout| servers.nodes(Some(&filter), timeout).await).await?;
        Ok::<_, Error>(Census {
            nodes: stubs.len(),
            down: stubs.iter().filter(|stub| stub.status == "down").count(),
        })
    });
    let counts = try_join_all(counts).await?.into_iter();
    Ok(counts.fold(Census::default(), |all, some| Census {
        nodes: all.nodes + some.nodes,
        down: all.down + some.down,
    }))
}

/// For an instance whose id no node carries, or whose agent is to be asked in any case.
pub(super) async fn elsewhere(live: &Live<'_>, instance: &InstanceId) -> Result<Vec<Node>, Error> {
    ours(&live.without_attribute(instance).await?)
}

/// Reads a node that was found for the instance before; `None` if it is gone.
pub(super) async fn known_node(
    live: &Live<'_>,
    instance: &InstanceId,
    id: &NodeId,
) -> Result<Option<Node>, Error> {
    let Some(node) = live.read(id.as_str()).await? else { return Ok(None) };
    of_this_instance(instance, &node)?;
    if node.instance_id().is_none() {
        live.must_be_at_its_address(instance, &node).await?;
    }
    nomad::node(&node).map(Some)
}

/// A node as somebody at a terminal names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedNode {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The instance that it says it runs on; `None` if it says nothing of one.
    pub instance: Option<InstanceId>,
}

/// The nodes whose id begins with this text, or whose name it is: no more than a few are read.
pub(super) async fn named(live: &Live<'_>, text: &str) -> Result<Vec<NamedNode>, Error> {
    const A_FEW: usize = 5;
    let all = live.ask_nomad(async |servers, timeout| servers.nodes(None, timeout).await).await?;
    let matching = all.iter().filter(|stub| stub.id.starts_with(text) || stub.name == text).take(A_FEW);
    let read = matching.map(|stub| live.read(&stub.id));
    let nodes = try_join_all(read).await?.into_iter().flatten();
    let named = nodes.map(|node| {
        Ok(NamedNode {
            id: NodeId::parse(&node.id).map_err(Error::InvalidNodeId)?,
            name: node.name.clone(),
            instance: node.instance_id().and_then(|id| InstanceId::parse(id).ok()),
        })
    });
    named.collect()
}

fn ours(nodes: &Nodes) -> Result<Vec<Node>, Error> {
    nodes.iter().map(nomad::node).collect()
}

impl Live<'_> {
    /// The list does not show the attribute, and servers before Nomad 1.3 ignore the filter and list every node: each
    /// node is read before anything is done to it. An instance has one node, or several if its agent lost its data
    /// directory: the newest comes first.
    async fn by_attribute(&self, instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, Nodes>, Error> {
        let ids: Vec<&str> = instances.iter().map(InstanceId::as_str).collect();
        let room = self.nomad().await?.servers.filter_room();
        let pieces = filter::pieces(&ids, room);
        let read = pieces.iter().map(|piece| self.piece_by_attribute(piece));
        let mut found: BTreeMap<InstanceId, Nodes> = BTreeMap::new();
        for (instance, node) in try_join_all(read).await?.into_iter().flatten() {
            found.entry(instance).or_default().push(node);
        }
        Ok(found)
    }

    async fn piece_by_attribute(
        &self,
        piece: &[&str],
    ) -> Result<Vec<(InstanceId, nomad_client::Node)>, Error> {
        let filter = filter::on_instances(piece.iter().copied());
        let mut stubs =
            self.ask_nomad(async |servers, timeout| servers.nodes(Some(&filter), timeout).await).await?;
        stubs.sort_by_key(|stub| std::cmp::Reverse(stub.create_index));
        let mut found = Vec::new();
        // One that was not asked for shows at once that the filter was ignored: then the others are not read.
        if let Some((first, rest)) = stubs.split_first() {
            found.extend(self.read_listed(first, piece, stubs.len()).await?);
            let rest = rest.iter().map(|stub| self.read_listed(stub, piece, stubs.len()));
            found.extend(try_join_all(rest).await?.into_iter().flatten());
        }
        Ok(found)
    }

    async fn read_listed(
        &self,
        stub: &NodeStub,
        piece: &[&str],
        listed: usize,
    ) -> Result<Option<(InstanceId, nomad_client::Node)>, Error> {
        let Some(node) = self.read(&stub.id).await? else { return Ok(None) };
        let instance = node.instance_id().filter(|id| piece.contains(id)).map(InstanceId::parse);
        let Some(Ok(instance)) = instance else {
            return Err(Error::FilterIgnored {
                listed,
                asked: piece.len(),
                stranger: describe(&node),
                version: stub.version.clone(),
            });
        };
        Ok(Some((instance, node)))
    }

    async fn without_attribute(&self, instance: &InstanceId) -> Result<Nodes, Error> {
        const NO_ATTRIBUTE: &str = "no node's attribute unique.platform.aws.instance-id holds its id";
        let fallback = match self.config.node_lookup {
            NodeLookup::Server => {
                return Err(Error::NodeNotFound {
                    instance: instance.clone(),
                    searched: NO_ATTRIBUTE.to_owned(),
                });
            }
            NodeLookup::Auto => true,
            NodeLookup::Agent => false,
        };
        let ip = self.private_ip(instance).await?;
        if !fallback {
            return Ok(vec![self.by_agent(instance, &ip, Patience::Tries(3)).await?]);
        }
        let nodes = self.by_address(&ip).await?;
        if !nodes.is_empty() {
            return Ok(nodes);
        }
        match self.by_agent(instance, &ip, Patience::Tries(2)).await {
            Ok(node) => Ok(vec![node]),
            // An instance that never booted is the commonest cause of a termination: its agent does not answer. One that
            // answers something else is there, and so may be a node with work on it.
            Err(error) if error.is_agent_silence() => Err(Error::NodeNotFound {
                instance: instance.clone(),
                searched: format!(
                    "{NO_ATTRIBUTE}; no node without that attribute has its address {ip}; {}",
                    Causes(&error)
                ),
            }),
            Err(error) => Err(error),
        }
    }

    /// Refuses a node that says nothing of an instance, unless it has the address that EC2 gave this one.
    async fn must_be_at_its_address(
        &self,
        instance: &InstanceId,
        node: &nomad_client::Node,
    ) -> Result<(), Error> {
        let silent = format!("it has no attribute {}", filter::INSTANCE_ID);
        let contradiction = match self.config.node_lookup {
            NodeLookup::Server => silent,
            NodeLookup::Auto | NodeLookup::Agent => {
                let ip = self.private_ip(instance).await?;
                if node.address() == ip {
                    return Ok(());
                }
                format!("{silent}, and its address is {}, not {ip}", node.address())
            }
        };
        let node = NodeId::parse(&node.id).map_err(Error::InvalidNodeId)?;
        Err(Error::WrongNode { instance: instance.clone(), node, contradiction })
    }

    /// Asked once in an invocation.
    async fn private_ip(&self, instance: &InstanceId) -> Result<String, Error> {
        let known = self.addresses.borrow().get(instance).cloned();
        if let Some(ip) = known {
            return Ok(ip);
        }
        let ip = self.ask_for_private_ip(instance).await?;
        self.addresses.borrow_mut().insert(instance.clone(), ip.clone());
        Ok(ip)
    }

    async fn ask_for_private_ip(&self, instance: &InstanceId) -> Result<String, Error> {
        let region = self.account.aws.region();
        let described = self
            .account
            .ask(Patience::Briefly, async |timeout| {
                ec2::describe_instance(&self.account.aws, instance, timeout)
                    .await
                    .map_err(|error| Error::ec2(instance, region, error))
            })
            .await?;
        let Some(described) = described else {
            return Err(Error::InstanceNotFound { instance: instance.clone(), region: region.to_owned() });
        };
        let ec2::Instance { private_ip, state } = described;
        // It becomes part of a URL.
        match private_ip.filter(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()) {
            Some(ip) => Ok(ip),
            None => Err(Error::NoPrivateIp { instance: instance.clone(), state }),
        }
    }

    /// The nodes at this address that do not say which instance they are: their agents could not read the instance's
    /// metadata when they started. A node that names another instance has only inherited the address.
    async fn by_address(&self, ip: &str) -> Result<Nodes, Error> {
        let mut stubs = self.ask_nomad(async |servers, timeout| servers.nodes(None, timeout).await).await?;
        stubs.retain(|stub| stub.address == ip);
        stubs.sort_by_key(|stub: &NodeStub| std::cmp::Reverse(stub.create_index));
        let mut nodes = Nodes::new();
        for stub in stubs {
            if let Some(node) = self.read(&stub.id).await?
                && node.instance_id().is_none()
                && node.address() == ip
            {
                nodes.push(node);
            }
        }
        keep_the_living(&mut nodes);
        Ok(nodes)
    }

    /// Asks the agent on the instance for its node, and the servers for that node.
    async fn by_agent(
        &self,
        instance: &InstanceId,
        ip: &str,
        patience: Patience,
    ) -> Result<nomad_client::Node, Error> {
        let address = self.config.agent_url.template.replace("{ip}", ip);
        let base = BaseUrl::parse(&address)
            .map_err(|error| ConfigurationError::of(vec![format!("NOMAD_AGENT_URL {error}")]))?;
        let agent = self.ask_agent(instance, &base, patience).await?;
        let Some(id) = agent.node_id() else {
            return Err(Error::AgentIsNoClient { instance: instance.clone(), address });
        };
        let id = NodeId::parse(id).map_err(Error::InvalidNodeId)?;
        let Some(node) = self.read(id.as_str()).await? else {
            let contradiction = "the servers do not know it".to_owned();
            return Err(Error::WrongNode { instance: instance.clone(), node: id, contradiction });
        };
        of_this_instance(instance, &node)?;
        if node.instance_id().is_some() || node.address() == ip {
            return Ok(node);
        }
        let contradiction = format!(
            "its agent at {address} named it, but it says nothing of an instance and its address is {}, not {ip}",
            node.address()
        );
        Err(Error::WrongNode { instance: instance.clone(), node: id, contradiction })
    }

    /// With https servers the agent is asked without the token first: many agents answer anyone, and the token is not
    /// thrown at whatever holds the address by now. It goes over plain http only if an operator chose that way.
    async fn ask_agent(
        &self,
        instance: &InstanceId,
        base: &BaseUrl,
        patience: Patience,
    ) -> Result<AgentSelf, Error> {
        let connection = self.nomad().await?;
        let ask = async |token| {
            let agent = NomadClient::new(connection.clients.agents.clone(), base.clone(), None, token);
            retry::retrying(self.account.budget(), &self.nomad_calls, patience, async |timeout| {
                let answer = agent.agent_self(timeout).await;
                answer.map_err(|source| Error::agent(instance, base.to_string(), source))
            })
            .await
        };
        let token = connection.token();
        if !self.config.nomad_addr.is_https() {
            return ask(token).await;
        }
        let answer = ask(None).await;
        let wants_token = matches!(&answer, Err(Error::AgentTokenRefused { .. }));
        if !wants_token || token.is_none() {
            return answer;
        }
        if base.is_https() || self.config.agent_url.chosen {
            return ask(token).await;
        }
        Err(Error::AgentNeedsToken { instance: instance.clone(), address: base.to_string() })
    }

    /// Reads a node; `None` if there is none of that id (any more).
    async fn read(&self, id: &str) -> Result<Option<nomad_client::Node>, Error> {
        let id = NodeId::parse(id).map_err(Error::InvalidNodeId)?;
        let read = self
            .ask_nomad(async |servers, timeout| match servers.node(id.as_str(), timeout).await {
                Ok(node) => Ok(Some(node)),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(error),
            })
            .await?;
        match read {
            Some(node) if node.id != id.as_str() => {
                Err(Error::AnotherNode { asked: id, given: format!("{:.64}", node.id) })
            }
            read => Ok(read),
        }
    }
}

/// Refuses a node that names another instance.
fn of_this_instance(instance: &InstanceId, node: &nomad_client::Node) -> Result<(), Error> {
    match node.instance_id() {
        Some(other) if other != instance.as_str() => Err(Error::WrongNode {
            instance: instance.clone(),
            node: NodeId::parse(&node.id).map_err(Error::InvalidNodeId)?,
            contradiction: format!("its attribute {} is {other:.64}", filter::INSTANCE_ID),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Of the nodes that once had an address, all that are not down, or else the newest.
fn keep_the_living(nodes: &mut Nodes) {
    if nodes.iter().any(|node| node.status != "down") {
        nodes.retain(|node| node.status != "down");
    } else {
        nodes.truncate(1);
    }
}

fn describe(node: &nomad_client::Node) -> String {
    match node.instance_id() {
        Some(instance) => format!("node {} of {instance:.64}", node.id),
        None => format!("node {} without an instance id", node.id),
    }
}

fn is_not_found(error: &NomadError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.kind == RefusalKind::NodeNotFound)
}
