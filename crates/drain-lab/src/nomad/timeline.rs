//! Catching up: everything that has become due is applied in order, each at its own moment, so that an hour in one
//! step ends like an hour in many.

use jiff::Timestamp;

use super::cluster::{Alloc, Cluster, Node};
use super::view::{ClientStatus, JobKind, NodeStatus};

/// Something that will happen by itself. Of what is due at the same moment, the first comes first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Due {
    Registration(usize),
    Alloc { create_index: u64, id: String, step: Step },
    HeartbeatMissed(String),
    Batch,
    Deadline(String),
}

/// What an allocation does next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    Start,
    BecomeHealthy,
    End,
}

impl Cluster {
    /// Applies everything that is due at `now` or before, and answers when the next thing happens by itself.
    pub(super) fn catch_up(&mut self, now: Timestamp) -> Option<Timestamp> {
        loop {
            let (at, due) = self.next()?;
            if at > now {
                return Some(at);
            }
            match due {
                Due::Registration(number) => {
                    let joining = self.joining.remove(number);
                    self.register(at, &joining.id, joining.spec);
                }
                Due::Alloc { id, step, .. } => self.step(at, &id, step),
                Due::HeartbeatMissed(id) => {
                    // It is there: the moment was read from it.
                    _ = self.set_status(at, &id, NodeStatus::Down);
                }
                Due::Batch => self.write_batch(at),
                Due::Deadline(id) => self.force(at, &id),
            }
            self.pace(at);
        }
    }

    fn next(&mut self) -> Option<(Timestamp, Due)> {
        self.reckon();
        let joining =
            self.joining.iter().enumerate().map(|(number, joining)| (joining.at, Due::Registration(number)));
        let batch = self.batch.iter().map(|batch| (batch.due, Due::Batch));
        let others = joining.chain(batch).filter_map(|(at, due)| Some((self.leadership.earliest(at)?, due)));
        others.chain(self.agenda.first().cloned()).min()
    }

    /// Reckons anew what is due for the nodes and allocations that have changed.
    fn reckon(&mut self) {
        if self.agenda.leadership != self.leadership {
            self.agenda.leadership = self.leadership;
            self.agenda.nodes.extend(self.nodes.keys().cloned());
        }
        for id in std::mem::take(&mut self.agenda.nodes) {
            // Since when a node is heard decides what is heard of its allocations.
            self.agenda.allocs.extend(self.allocs_on_node.get(&id).into_iter().flatten().cloned());
            let due = self.nodes.get(&id).map(|node| self.due_for_node(node)).unwrap_or_default();
            self.agenda.put(&id, due);
        }
        for id in std::mem::take(&mut self.agenda.allocs) {
            let due = self.allocs.get(&id).and_then(|alloc| self.due_for_alloc(alloc));
            self.agenda.put(&id, due.into_iter().collect());
        }
    }

    fn due_for_node(&self, node: &Node) -> Vec<(Timestamp, Due)> {
        let missed = node.missed_at.map(|at| (at, Due::HeartbeatMissed(node.id.clone())));
        let deadline = Self::force_due(node).map(|at| (at, Due::Deadline(node.id.clone())));
        let due = missed.into_iter().chain(deadline);
        due.filter_map(|(at, due)| Some((self.leadership.earliest(at)?, due))).collect()
    }

    fn due_for_alloc(&self, alloc: &Alloc) -> Option<(Timestamp, Due)> {
        let (at, step) = self.next_step(alloc)?;
        let at = self.heard_at(alloc, at)?;
        Some((at, Due::Alloc { create_index: alloc.create_index, id: alloc.id.clone(), step }))
    }

    /// When the servers hear of what happens to an allocation at a moment: never before that.
    fn heard_at(&self, alloc: &Alloc, at: Timestamp) -> Option<Timestamp> {
        let heard_since = self.nodes.get(&alloc.node)?.heard_since?;
        self.leadership.earliest(at.max(heard_since))
    }

    /// What an allocation does next, and when.
    fn next_step(&self, alloc: &Alloc) -> Option<(Timestamp, Step)> {
        let (at, step) = match alloc.client {
            ClientStatus::Complete | ClientStatus::Lost | ClientStatus::Unknown => return None,
            ClientStatus::Pending => match alloc.stops_at {
                Some(at) => (at, Step::End),
                None => (self.may_start_at(alloc)?, Step::Start),
            },
            ClientStatus::Running => {
                let job = self.jobs.get(&alloc.job)?;
                let started = alloc.started_at?;
                let by_itself = job.runs_for.filter(|_| job.kind.ends()).map(|time| started + time);
                let ends = alloc.stops_at.into_iter().chain(by_itself).min().map(|at| (at, Step::End));
                let verdict = (job.kind == JobKind::Service && alloc.healthy.is_none())
                    .then(|| (started + job.min_healthy_time, Step::BecomeHealthy));
                ends.into_iter().chain(verdict).min()?
            }
        };
        Some((at, step))
    }

    /// A replacement waits until what it replaces has ended.
    fn may_start_at(&self, alloc: &Alloc) -> Option<Timestamp> {
        let previous = alloc.previous.as_ref().and_then(|id| self.allocs.get(id));
        previous.map_or(Some(alloc.created_at), |previous| {
            previous.ended_at.map(|ended| ended.max(alloc.created_at))
        })
    }

    fn step(&mut self, at: Timestamp, id: &str, step: Step) {
        match step {
            Step::Start => {
                self.write_alloc(at, id, |alloc| {
                    alloc.client = ClientStatus::Running;
                    alloc.started_at = Some(at);
                });
            }
            Step::BecomeHealthy => {
                let index = self.index + 1;
                self.write_alloc(at, id, |alloc| {
                    alloc.healthy = Some(true);
                    alloc.healthy_index = index;
                });
            }
            Step::End => self.end(at, id, ClientStatus::Complete),
        }
    }
}
