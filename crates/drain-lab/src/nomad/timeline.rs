//! Catching up: everything that has become due is applied in order, each at its own moment, so that an hour in one
//! step ends like an hour in many.

use jiff::Timestamp;

use super::cluster::{Alloc, Cluster};
use super::view::{ClientStatus, JobKind, NodeStatus};

/// Something that will happen by itself. Of what is due at the same moment, the first comes first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due<Id> {
    Registration(usize),
    Alloc { create_index: u64, id: Id, step: Step },
    HeartbeatMissed(Id),
    Batch,
    Deadline(Id),
}

impl Due<&str> {
    /// The same, without a hold on the cluster.
    fn detached(self) -> Due<String> {
        match self {
            Self::Registration(number) => Due::Registration(number),
            Self::Alloc { create_index, id, step } => Due::Alloc { create_index, id: id.to_owned(), step },
            Self::HeartbeatMissed(id) => Due::HeartbeatMissed(id.to_owned()),
            Self::Batch => Due::Batch,
            Self::Deadline(id) => Due::Deadline(id.to_owned()),
        }
    }
}

/// What an allocation does next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Step {
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
            match due.detached() {
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

    fn next(&self) -> Option<(Timestamp, Due<&str>)> {
        let joining =
            self.joining.iter().enumerate().map(|(number, joining)| (joining.at, Due::Registration(number)));
        let nodes = self.nodes.values().flat_map(|node| {
            let missed = node.missed_at.map(|at| (at, Due::HeartbeatMissed(node.id.as_str())));
            let deadline = Self::force_due(node).map(|at| (at, Due::Deadline(node.id.as_str())));
            missed.into_iter().chain(deadline)
        });
        let batch = self.batch.iter().map(|batch| (batch.due, Due::Batch));
        let others = joining
            .chain(nodes)
            .chain(batch)
            .filter_map(|(at, due)| Some((self.leadership.earliest(at)?, due)))
            .min();
        self.allocs.values().fold(others, |first, alloc| {
            let Some((at, step)) = self.next_step(alloc) else { return first };
            let due = Due::Alloc { create_index: alloc.create_index, id: alloc.id.as_str(), step };
            // There may be thousands: of those that are too late already nobody needs to know more.
            if first.as_ref().is_some_and(|first| *first < (at, due.clone())) {
                return first;
            }
            let heard = self.heard_at(alloc, at).map(|at| (at, due));
            first.into_iter().chain(heard).min()
        })
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
