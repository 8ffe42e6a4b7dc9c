//! What one invocation knows of one instance. It is forgotten at the end, and losing it at any line is safe.

use std::collections::BTreeMap;

use drain_core::decide::{Decision, DrainRequest};
use drain_core::ids::NodeId;
use drain_core::observation::{Errand, Hold, Member, Node, Nodes, Observation, Obstacle, Sight, Target};
use drain_core::policy::Policy;
use jiff::Timestamp;

use super::words::{self, Tense};
use super::{Rules, note};
use crate::by_hand::Seen;
use crate::error::Error;
use crate::world::World;

/// An instance, and what is known of it before the first look.
#[derive(Debug)]
pub struct Subject {
    /// What is to be done for whom.
    pub target: Target,
    /// The hook that holds it.
    pub hold: Option<Hold>,
    /// What Auto Scaling says of it, where that was asked.
    pub member: Member,
    /// When that was asked, at the latest.
    pub member_at: Timestamp,
    /// What came of looking for its nodes together with others.
    pub found: Found,
    /// What decisions about it depend on, if that is something else than the rules say.
    pub policy: Option<Policy>,
}

/// What came of looking for an instance's nodes.
#[derive(Debug)]
pub enum Found {
    /// These carry its id; they were read at this moment.
    Nodes(Vec<Node>, Timestamp),
    /// No node carries its id.
    Nothing,
    /// The list of nodes has shown these.
    Listed(Vec<NodeId>),
    /// Looking failed, and so would looking again.
    Failed(Obstacle),
}

/// One instance in one invocation.
#[expect(clippy::struct_excessive_bools, reason = "each is something that is done once")]
pub(super) struct Case<'a, W> {
    pub(super) world: &'a W,
    pub(super) rules: &'a Rules<'a>,
    /// What is asked for this instance, if that is something else than the rules say.
    own_policy: Option<Policy>,
    pub(super) seen: Observation,
    /// What the lookup for all instances together found, until the first look takes it.
    pub(super) found: Option<Found>,
    /// When the nodes were read.
    pub(super) read_at: Timestamp,
    /// Whether they were read once more because they had been read too long before the next step.
    pub(super) read_again: bool,
    /// When the state of the instance was asked.
    pub(super) member_at: Timestamp,
    /// When the servers were last asked which nodes the instance has.
    pub(super) listed_at: Timestamp,
    /// The nodes that this invocation has seen.
    pub(super) known: Vec<NodeId>,
    /// Whether what was seen is good for one more decision.
    pub(super) fresh: bool,
    /// The raft index of our own newest write to each node: an answer that is older is not believed.
    pub(super) written: BTreeMap<NodeId, u64>,
    /// A drain whose answer did not come.
    pub(super) unanswered: Option<DrainRequest>,
    /// What we have begun in this invocation.
    pub(super) begun: Option<DrainRequest>,
    /// Whether a node of it was purged in this invocation.
    pub(super) purged: bool,
    /// Whether a drain of one of its nodes was seen or posted, or a node that takes no work.
    pub(super) drain_seen: bool,
    /// The newest decision that was written down.
    pub(super) recorded: Option<Decision>,
    /// Failed attempts in a row.
    pub(super) failures: u32,
    /// Why the newest look showed nothing.
    pub(super) failure: Option<Error>,
    /// Whether the ways to a node without the attribute were tried in this invocation: they cost many calls.
    pub(super) tried_elsewhere: bool,
    /// Whether the hook's settings were asked for.
    pub(super) asked_settings: bool,
    /// Whether the hook's start was asked for.
    pub(super) asked_start: bool,
}

impl<'a, W: World> Case<'a, W> {
    pub(super) fn new(world: &'a W, rules: &'a Rules<'a>, subject: Subject) -> Self {
        let now = world.now();
        let Subject { target, hold, member, member_at, found, policy } = subject;
        let asked_settings = hold.as_ref().is_some_and(|hold| hold.settings.is_some()) || rules.policy.sweep;
        let seen = Observation {
            target,
            hold,
            nodes: Nodes::Unknown(Obstacle::Unreachable),
            sight: Sight::Unknown,
            member,
            first_look: now,
        };
        Self {
            world,
            rules,
            own_policy: policy,
            seen,
            found: Some(found),
            read_at: now,
            member_at,
            listed_at: now,
            read_again: false,
            known: Vec::new(),
            fresh: false,
            written: BTreeMap::new(),
            unanswered: None,
            begun: None,
            purged: false,
            drain_seen: false,
            recorded: None,
            failures: 0,
            failure: None,
            tried_elsewhere: false,
            asked_settings,
            asked_start: false,
        }
    }

    /// A missing permission is one warning, and the function does what it still can.
    pub(super) fn warn_if_denied(&self, error: &Error) -> bool {
        let Some(warning) = words::missing_permission(error) else { return false };
        self.rules.looks.warned.once(&warning);
        true
    }

    /// A failure in the log, while the loop goes on. Whoever looks on is told of it with the look: in the log they would have it
    /// once more at every look of an outage.
    pub(super) fn note(&self, error: &Error, doing: &str) {
        if self.rules.looks.by_hand.is_none() {
            note(error, doing);
        }
    }

    /// What somebody at a terminal is shown of this look.
    pub(super) fn shown(&self, decision: Decision, tense: Tense) -> Seen {
        let now = self.world.now();
        let why = words::decided(&self.seen, &decision, self.failure.as_ref(), self.policy(), tense);
        Seen {
            cluster: self.rules.cluster.map(str::to_owned),
            observation: self.seen.clone(),
            policy: self.policy().clone(),
            decision,
            why,
            at: now,
        }
    }

    /// What is asked for this instance.
    pub(super) fn policy(&self) -> &Policy {
        self.own_policy.as_ref().unwrap_or(self.rules.policy)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.policy().pause || self.seen.hold.as_ref().is_some_and(|hold| hold.paused)
    }

    /// Whether the newest step has failed, and is tried again: others are not kept waiting for that.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_some() || self.drain_seen || self.purged
    }

    /// Whether its work has to move: of everything else, nobody asks what runs.
    pub(super) fn is_departure(&self) -> bool {
        self.seen.target.cause().is_some()
    }

    /// Until when this invocation looks at the instance: an outage is waited for as long as there is time, so that no
    /// event is lost. A node that has not joined yet is left to the sweep, if there is one.
    pub(super) fn time_left(&self) -> Timestamp {
        let left_to_the_sweep = match self.seen.target.errand {
            Errand::Drain(_) => self.policy().sweep && self.seen.nodes == Nodes::Absent,
            Errand::Admit => self.policy().sweep,
            Errand::GiveBack | Errand::Purge(_) => true,
        };
        if self.has_begun() || self.rules.looks.sweeping || left_to_the_sweep {
            self.rules.looks.linger_until
        } else {
            self.rules.looks.ends
        }
    }
}
