//! `/v1/node/:id/allocations` and `/v1/allocations`.

use serde_json::Value;

use super::super::acl::Access;
use super::super::caller::SEE;
use super::super::cluster::Alloc;
use super::super::json;
use super::Call;
use super::answer::{Failure, Outcome, Read};
use super::nodes::{filter, list};

impl Call {
    /// Allocations in namespaces that the caller may not see are left out, without a word.
    pub(super) async fn node_allocations(&self, id: &str) -> Result<Outcome, Failure> {
        self.read(|cluster, rights| {
            if !rights.node(Access::Read) {
                return Err(Failure::denied());
            }
            let index = cluster.on_node(id).map(|alloc| alloc.modify_index).max();
            let visible = cluster.on_node(id).filter(|alloc| rights.namespace(&alloc.job.0, SEE));
            let allocs: Vec<Value> = visible.filter_map(|alloc| json::alloc(cluster, alloc)).collect();
            Ok(Read::new(index.unwrap_or(cluster.allocs_index), allocs.into()))
        })
        .await
    }

    pub(super) async fn list_allocations(&self) -> Result<Outcome, Failure> {
        let page = self.query.page()?;
        let namespace = self.query.get("namespace").filter(|name| !name.is_empty()).unwrap_or("default");
        self.read(|cluster, rights| {
            let permitted =
                if namespace == "*" { rights.any_namespace(SEE) } else { rights.namespace(namespace, SEE) };
            if !permitted {
                return Err(Failure::denied());
            }
            let allocs = cluster
                .allocs
                .values()
                .filter(|alloc| namespace == "*" || alloc.job.0 == namespace)
                .filter(|alloc| rights.namespace(&alloc.job.0, SEE))
                .map(|alloc| (alloc.id.as_str(), alloc));
            let filter = filter(cluster, self.query.get("filter"))?;
            // The stub has every field that somebody would filter by.
            let stub = |alloc: &&Alloc| json::alloc_stub(cluster, alloc).unwrap_or_default();
            list(cluster, cluster.allocs_index, filter.as_ref(), page, allocs, stub, stub)
        })
        .await
    }
}
