//! The part of Nomad's leader that drains nodes: whom it marks for migration, when, and when it calls a drain
//! complete.
//!
//! The traps of the original are here on purpose. A drain is over when nothing but system jobs is left, or at its
//! deadline, and in both cases tasks may still be ending. Allocations of a sysbatch job, and those that were stopping
//! already when the drain began, keep a drain from being over, yet their end makes nobody look again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Alloc, Cluster, JobKey, Node};
use super::view::{DrainStatus, JobKind};

/// Migrations that are written together, a moment after the first of them was decided.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// When it is written.
    pub(super) due: Timestamp,
    marks: BTreeSet<String>,
    /// Drains that are complete once it is written, and whether their deadline made them so.
    completes: BTreeMap<String, bool>,
}

impl Cluster {
    /// A node's drain was set or changed.
    pub(super) fn drain_changed(&mut self, at: Timestamp, id: &str) {
        let Some(strategy) = self.nodes.get(id).and_then(|node| node.drain.clone()) else { return };
        let jobs: Vec<JobKey> = self
            .on_node(id)
            .filter(|alloc| !alloc.is_terminal())
            .filter(|alloc| matches!(self.kind_of(alloc), Some(JobKind::Service | JobKind::Batch)))
            .map(|alloc| alloc.job.clone())
            .collect();
        self.watched.extend(jobs.iter().cloned());
        self.touched.extend(jobs);
        self.complete_if_done(at, id);
        if strategy.deadline < SignedDuration::ZERO {
            self.force(at, id);
        }
    }

    /// When a node's drain forces what is left, if that lies ahead.
    pub(super) fn force_due(node: &Node) -> Option<Timestamp> {
        node.drain.as_ref().filter(|_| !node.forced)?.force_deadline
    }

    /// A drain's deadline has come: everything that is left goes, and then the drain is complete.
    pub(super) fn force(&mut self, at: Timestamp, id: &str) {
        let Some(node) = self.node_mut(id) else { return };
        let Some(ignore_system_jobs) = node.drain.as_ref().map(|drain| drain.ignore_system_jobs) else {
            return;
        };
        node.forced = true;
        let left = self.left_on(id, ignore_system_jobs);
        let batch = self.batch_at(at);
        batch.marks.extend(left);
        batch.completes.insert(id.to_owned(), true);
    }

    /// An allocation has become terminal in the eyes of the drainer.
    pub(super) fn drainer_sees_end(&mut self, at: Timestamp, id: &str) {
        let Some(alloc) = self.allocs.get(id) else { return };
        // Jobs that are not watched tell nobody: system, sysbatch, and what was stopping before the drain began.
        if self.watched.contains(&alloc.job) {
            let node = alloc.node.clone();
            self.complete_if_done(at, &node);
        }
    }

    /// Marks as many allocations as their jobs permit, of the jobs that changed since the last time.
    pub(super) fn pace(&mut self, at: Timestamp) {
        for key in std::mem::take(&mut self.touched) {
            if !self.watched.contains(&key) {
                continue;
            }
            if !self.of_job(&key).any(|alloc| !alloc.client.is_terminal() && self.is_draining(&alloc.node)) {
                self.watched.remove(&key);
                continue;
            }
            let marks = self.next_marks(&key);
            if !marks.is_empty() {
                self.batch_at(at).marks.extend(marks);
            }
        }
    }

    /// Writes the batch that is due.
    pub(super) fn write_batch(&mut self, at: Timestamp) {
        let Some(batch) = self.batch.take() else { return };
        for id in &batch.marks {
            self.migrate(at, id);
        }
        self.place(at);
        for (node, forced) in &batch.completes {
            self.complete(at, node, *forced);
        }
        if self.quirks.completes_when_told {
            for id in &batch.marks {
                self.drainer_sees_end(at, id);
            }
        }
    }

    /// The allocations of a service that may migrate now: as many as keep `count - max_parallel` healthy.
    fn next_marks(&self, key: &JobKey) -> Vec<String> {
        let Some(job) = self.jobs.get(key).filter(|job| job.kind == JobKind::Service) else {
            return Vec::new();
        };
        let staying = || self.of_job(key).filter(|alloc| !alloc.is_terminal() && !self.is_marked(&alloc.id));
        let healthy = staying().filter(|alloc| alloc.healthy.is_some()).count();
        let permitted = healthy.saturating_sub(job.count.saturating_sub(job.max_parallel));
        let drainable = staying().filter(|alloc| self.is_draining(&alloc.node));
        drainable.take(permitted).map(|alloc| alloc.id.clone()).collect()
    }

    fn complete_if_done(&mut self, at: Timestamp, id: &str) {
        let Some(strategy) = self.nodes.get(id).and_then(|node| node.drain.as_ref()) else { return };
        let completing = self.batch.as_ref().is_some_and(|batch| batch.completes.contains_key(id));
        if completing || !self.is_done(id) {
            return;
        }
        let left = self.left_on(id, strategy.ignore_system_jobs);
        if left.is_empty() {
            self.complete(at, id, false);
        } else {
            let batch = self.batch_at(at);
            batch.marks.extend(left);
            batch.completes.insert(id.to_owned(), false);
        }
    }

    /// Whether nothing but system jobs is left on a node.
    fn is_done(&self, node: &str) -> bool {
        self.on_node(node).filter(|alloc| self.kind_of(alloc) != Some(JobKind::System)).all(|alloc| {
            alloc.client.is_terminal() || (self.quirks.completes_when_told && alloc.is_terminal())
        })
    }

    /// What has not been told to stop yet.
    fn left_on(&self, node: &str, ignore_system_jobs: bool) -> Vec<String> {
        self.on_node(node)
            .filter(|alloc| !alloc.is_terminal())
            .filter(|alloc| !(ignore_system_jobs && self.kind_of(alloc) == Some(JobKind::System)))
            .map(|alloc| alloc.id.clone())
            .collect()
    }

    fn complete(&mut self, at: Timestamp, id: &str, forced: bool) {
        if !self.is_draining(id) {
            return;
        }
        self.write_node(id, |node| {
            node.status_updated_at = at;
            node.drain = None;
            if let Some(last) = &mut node.last_drain {
                last.status = DrainStatus::Complete;
                last.updated_at = whole_second(at);
            }
            let details = forced.then(|| ("deadline_reached".to_owned(), "true".to_owned()));
            node.remember_details(at, "Drain", "Node drain complete", details.into_iter().collect());
        });
        self.note(at, "drain complete", id, if forced { "deadline reached" } else { "" });
    }

    fn batch_at(&mut self, at: Timestamp) -> &mut Batch {
        let due = at + self.batch_interval;
        self.batch.get_or_insert_with(|| Batch { due, marks: BTreeSet::new(), completes: BTreeMap::new() })
    }

    fn is_marked(&self, alloc: &str) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.marks.contains(alloc))
    }

    fn is_draining(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|node| node.drain.is_some())
    }

    fn kind_of(&self, alloc: &Alloc) -> Option<JobKind> {
        self.jobs.get(&alloc.job).map(|job| job.kind)
    }
}

/// The times of `LastDrain` have no fractions.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_nanos(i64::from(at.subsec_nanosecond()))
}
