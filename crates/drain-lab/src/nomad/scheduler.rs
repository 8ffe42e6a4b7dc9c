//! Where allocations go: a simple spread over the nodes that take any.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::cluster::{Alloc, Cluster, JobKey, Node, Placement};
use super::spec::JobSpec;
use super::view::{ClientStatus, DesiredStatus, JobKind};

/// Nomad's words for an allocation that a drain moves away.
pub(super) const MIGRATED: &str = "alloc is being migrated";
/// Nomad's words for an allocation of a system job on a node that is drained.
pub(super) const TAINTED: &str = "alloc not needed as node is tainted";
/// Nomad's words for an allocation on a node that is down.
pub(super) const LOST: &str = "alloc is lost since its node is down";
/// Nomad's words for an allocation whose job was stopped.
pub(super) const NOT_NEEDED: &str = "alloc not needed due to job update";

impl Cluster {
    /// Registers a job and places its allocations, as far as there are nodes for them.
    pub(super) fn add_job(&mut self, at: Timestamp, job: JobSpec) {
        self.bump();
        let key: JobKey = (job.namespace.clone(), job.id.clone());
        if !job.kind.is_per_node() {
            self.queue.extend((0..job.count).map(|number| Placement {
                job: key.clone(),
                name: alloc_name(&key, number),
                previous: None,
            }));
        }
        // An allocation of an earlier version of the job may have other times now, and there may be room for more.
        self.agenda.allocs.extend(self.allocs_of_job.get(&key).into_iter().flatten().cloned());
        self.unsettled.extend(self.nodes.keys().cloned());
        self.jobs.insert(key, job);
        self.place(at);
    }

    /// Places whatever waits for a node and can have one now.
    pub(super) fn place(&mut self, at: Timestamp) {
        // A cluster of thousands of nodes is asked after every write: only what has changed is looked at.
        let unsettled = std::mem::take(&mut self.unsettled);
        for id in &unsettled {
            if self.nodes.get(id).is_some_and(Node::takes_allocations) {
                self.takers.insert(id.clone());
            } else {
                self.takers.remove(id);
            }
        }
        if self.takers.is_empty() {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        let mut loads = if queue.is_empty() { Vec::new() } else { self.loads() };
        for placement in queue {
            match loads.iter_mut().min_by_key(|load| load.rank(&placement.job)) {
                Some(best) => {
                    best.add(&placement.job);
                    let node = best.node.clone();
                    self.start(at, &node, placement);
                }
                None => self.queue.push(placement),
            }
        }
        let missing: Vec<(String, JobKey)> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.kind.is_per_node())
            .flat_map(|(key, job)| {
                self.nodes_without(&unsettled, key, job.kind).map(|node| (node, key.clone()))
            })
            .collect();
        for (node, job) in missing {
            let name = alloc_name(&job, 0);
            self.start(at, &node, Placement { job, name, previous: None });
        }
    }

    /// Tells an allocation to stop. Its client will need its time.
    pub(super) fn stop(&mut self, at: Timestamp, id: &str, why: &'static str) {
        let Some(alloc) = self.allocs.get(id).filter(|alloc| !alloc.is_terminal()) else { return };
        let Some(lag) = self.jobs.get(&alloc.job).map(JobSpec::stop_lag) else { return };
        let (node, name) = (alloc.node.clone(), alloc.name.clone());
        self.write_alloc(at, id, |alloc| {
            alloc.desired = DesiredStatus::Stop;
            alloc.desired_description = why;
            // What has not started has nothing to stop.
            let lag = if alloc.started_at.is_some() { lag } else { std::time::Duration::ZERO };
            alloc.stops_at = Some(at + lag);
        });
        self.note(at, "allocation stopping", &node, format!("{name} {id}"));
    }

    /// Stops an allocation and places another in its stead, if its job is one that asks for it.
    pub(super) fn migrate(&mut self, at: Timestamp, id: &str) {
        let Some(alloc) = self.allocs.get(id).filter(|alloc| !alloc.is_terminal()) else { return };
        let Some(kind) = self.jobs.get(&alloc.job).map(|job| job.kind) else { return };
        let placement =
            Placement { job: alloc.job.clone(), name: alloc.name.clone(), previous: Some(id.to_owned()) };
        self.write_alloc(at, id, |alloc| alloc.migrate = true);
        self.stop(at, id, if kind.is_per_node() { TAINTED } else { MIGRATED });
        let replaced = match kind {
            JobKind::Service => true,
            JobKind::Batch => self.quirks.replaces_batch,
            JobKind::System | JobKind::Sysbatch => false,
        };
        if replaced {
            self.queue.push(placement);
        }
    }

    /// Its client, or the loss of its node, has ended an allocation.
    pub(super) fn end(&mut self, at: Timestamp, id: &str, status: ClientStatus) {
        let Some(node) = self.write_alloc(at, id, |alloc| {
            alloc.client = status;
            alloc.ended_at = Some(at);
            alloc.node.clone()
        }) else {
            return;
        };
        let name = self.allocs.get(id).map(|alloc| alloc.name.clone()).unwrap_or_default();
        self.note(at, "allocation stopped", &node, format!("{name} {id} {}", status.as_str()));
        self.drainer_sees_end(at, id);
    }

    /// Gives up the allocations of a node that is down or gone: they are lost, and placed elsewhere.
    pub(super) fn lose_allocs(&mut self, at: Timestamp, node: &str) {
        let live: Vec<String> = self
            .on_node(node)
            .filter(|alloc| !alloc.client.is_terminal())
            .map(|alloc| alloc.id.clone())
            .collect();
        for id in live {
            let replacement = self.allocs.get(&id).filter(|alloc| !alloc.is_terminal()).and_then(|alloc| {
                let kind = self.jobs.get(&alloc.job)?.kind;
                (!kind.is_per_node()).then(|| Placement {
                    job: alloc.job.clone(),
                    name: alloc.name.clone(),
                    previous: Some(id.clone()),
                })
            });
            self.queue.extend(replacement);
            self.write_alloc(at, &id, |alloc| {
                alloc.desired = DesiredStatus::Stop;
                alloc.desired_description = LOST;
            });
            self.end(at, &id, ClientStatus::Lost);
        }
    }

    /// Stops a job and all its allocations.
    pub(super) fn stop_job(&mut self, at: Timestamp, job: &JobKey) {
        self.queue.retain(|placement| placement.job != *job);
        let live: Vec<String> = self.of_job(job).map(|alloc| alloc.id.clone()).collect();
        for id in live {
            self.stop(at, &id, NOT_NEEDED);
        }
        if let Some(job) = self.jobs.get_mut(job) {
            // Nothing of it is to be placed again; it stays known because its allocations are.
            job.count = 0;
            self.index += 1;
        }
    }

    fn start(&mut self, at: Timestamp, node: &str, placement: Placement) {
        let (id, eval_id) = (self.new_id(), self.new_id());
        let index = self.bump();
        self.allocs_index = index;
        self.note(at, "allocation placed", node, format!("{} {id}", placement.name));
        self.allocs_of_job.entry(placement.job.clone()).or_default().push(id.clone());
        self.allocs_on_node.entry(node.to_owned()).or_default().push(id.clone());
        self.touched.insert(placement.job.clone());
        self.agenda.allocs.insert(id.clone());
        self.replaced_by.extend(placement.previous.iter().map(|previous| (previous.clone(), id.clone())));
        let alloc = Alloc {
            id: id.clone(),
            eval_id,
            job: placement.job,
            name: placement.name,
            node: node.to_owned(),
            desired: DesiredStatus::Run,
            desired_description: "",
            client: ClientStatus::Pending,
            migrate: false,
            healthy: None,
            healthy_index: 0,
            previous: placement.previous,
            created_at: at,
            modified_at: at,
            started_at: None,
            stops_at: None,
            ended_at: None,
            create_index: index,
            modify_index: index,
        };
        self.allocs.insert(id, alloc);
    }

    /// What runs on the nodes that take more.
    fn loads(&self) -> Vec<Load> {
        let takers = self.takers.iter().filter_map(|id| self.nodes.get(id));
        takers
            .map(|node| {
                let (id, create_index) = (node.id.clone(), node.create_index);
                let mut load = Load { node: id, create_index, allocs: 0, of_job: BTreeMap::new() };
                for alloc in self.on_node(&node.id).filter(|alloc| !alloc.is_terminal()) {
                    load.add(&alloc.job);
                }
                load
            })
            .collect()
    }

    /// Those of `nodes` that a job has still to come to.
    fn nodes_without(
        &self,
        nodes: &BTreeSet<String>,
        job: &JobKey,
        kind: JobKind,
    ) -> impl Iterator<Item = String> {
        nodes
            .iter()
            .filter_map(|id| self.nodes.get(id))
            .filter(|_| self.jobs.get(job).is_some_and(|job| job.count > 0))
            .filter(|node| node.takes_allocations())
            .filter(move |node| {
                let mut allocs = self.on_node(&node.id).filter(|alloc| alloc.job == *job);
                // What ended by itself has done its work there.
                !allocs
                    .any(|alloc| !alloc.is_terminal() || (kind.ends() && alloc.desired == DesiredStatus::Run))
            })
            .map(|node| node.id.clone())
    }
}

/// How much runs on a node. It is counted once for a whole queue, which may be as long as the cluster is large.
struct Load {
    node: String,
    create_index: u64,
    allocs: usize,
    of_job: BTreeMap<JobKey, usize>,
}

impl Load {
    /// The less of the job runs on it, and of these the less at all, the better.
    fn rank(&self, job: &JobKey) -> (usize, usize, u64) {
        (self.of_job.get(job).copied().unwrap_or_default(), self.allocs, self.create_index)
    }

    fn add(&mut self, job: &JobKey) {
        self.allocs += 1;
        *self.of_job.entry(job.clone()).or_default() += 1;
    }
}

fn alloc_name((_, job): &JobKey, number: usize) -> String {
    format!("{job}.{}[{number}]", super::TASK_GROUP)
}
