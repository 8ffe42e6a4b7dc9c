//! What a test sees: an instance, its nodes, and the moment. Built by what differs from the usual case.

pub(super) use crate::decide::*;
use crate::ids::{GroupName, HookName, InstanceId};
pub(super) use crate::observation::*;
use crate::stamp;

pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);
pub(super) const SECOND: SignedDuration = SignedDuration::from_secs(1);
pub(super) const IDS: [&str; 2] =
    ["f7476465-4d6e-c0de-26d0-e383c49be941", "0aaaaaaa-4d6e-c0de-26d0-e383c49be942"];

pub(super) fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

pub(super) fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// So long after the hook began to hold the instance, which it does at noon.
pub(super) fn at(after_noon: SignedDuration) -> Timestamp {
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    noon + after_noon
}

/// What is seen, by whom, and when.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) seen: Observation,
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
    /// The heartbeat of this minute has been sent, so that a test sees what else there is to do.
    pub(super) heard: bool,
}

/// A sweep is deployed. At noon an event named an instance; its node takes work and never drained.
pub(super) fn held() -> Scene {
    let hold = Hold {
        settings: Some(HookSettings {
            heartbeat_timeout: mins(30),
            global_timeout: SignedDuration::from_hours(48),
        }),
        ..Hold::default()
    };
    let target = Target {
        instance: InstanceId::parse("i-0123456789abcdef0").unwrap(),
        group: Some(GroupName::parse("workers").unwrap()),
        hook: Some(HookName::parse("nomad-drain-hook").unwrap()),
        token: None,
        errand: Errand::Drain(Cause::Terminate),
        told_at: Some(at(SignedDuration::ZERO)),
        hook_started_at: Some(at(SignedDuration::ZERO)),
        origin: Origin::Event,
    };
    let seen = Observation {
        target,
        hold: Some(hold),
        nodes: Nodes::Known(vec![node(0)]),
        sight: Sight::Everything,
        member: Member::Unknown,
        first_look: at(SignedDuration::ZERO),
    };
    let policy = Policy { sweep: true, ..Policy::default() };
    Scene { seen, policy, now: at(SignedDuration::ZERO), heard: true }
}

/// The drop-in: no sweep, and no permission but to read the hook's event.
pub(super) fn plain() -> Scene {
    let mut scene = held().policy(|policy| policy.sweep = false).hold(|hold| hold.settings = None);
    scene.heard = false;
    scene
}

fn node(which: usize) -> SeenNode {
    let node = Node {
        id: NodeId::parse(IDS[which]).unwrap(),
        name: format!("worker-{which}"),
        status: NodeStatus::Ready,
        eligible: true,
        drain: None,
        last_drain: None,
        by_hand: ByHand::default(),
        availability_zone: None,
        modify_index: 1,
    };
    SeenNode { node, allocations: Allocations::Listed(Vec::new()) }
}

impl Scene {
    pub(super) fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub(super) fn hold(mut self, change: impl FnOnce(&mut Hold)) -> Self {
        change(self.seen.hold.as_mut().unwrap());
        self
    }

    pub(super) fn target(mut self, change: impl FnOnce(&mut Target)) -> Self {
        change(&mut self.seen.target);
        self
    }

    pub(super) fn because(self, cause: Cause) -> Self {
        self.target(|target| target.errand = Errand::Drain(cause))
    }

    pub(super) fn errand(self, errand: Errand) -> Self {
        self.target(|target| target.errand = errand)
    }

    /// What Auto Scaling says of the instance.
    pub(super) fn state(mut self, state: &str) -> Self {
        self.seen.member = Member::InState(state.to_owned());
        self
    }

    pub(super) fn member(mut self, member: Member) -> Self {
        self.seen.member = member;
        self
    }

    /// EC2 told everybody of the instance, at noon; nobody knows a hook.
    pub(super) fn announced_to_all(self) -> Self {
        self.without_hook().target(|target| {
            target.origin = Origin::Broadcast;
            target.hook_started_at = None;
            (target.group, target.hook) = (None, None);
        })
    }

    /// Somebody has changed the node's eligibility by hand.
    pub(super) fn touched(self, when: SignedDuration) -> Self {
        self.node(|node| node.by_hand.changed_at = Some(at(when)))
    }

    /// Changes the newest node.
    pub(super) fn node(mut self, change: impl FnOnce(&mut Node)) -> Self {
        change(&mut self.newest().node);
        self
    }

    pub(super) fn nodes(mut self, nodes: Nodes) -> Self {
        self.seen.nodes = nodes;
        self
    }

    pub(super) fn sight(mut self, sight: Sight) -> Self {
        self.seen.sight = sight;
        self
    }

    pub(super) fn after(mut self, after_noon: SignedDuration) -> Self {
        self.now = at(after_noon);
        self
    }

    /// No heartbeat was sent in this invocation.
    pub(super) fn unheard(mut self) -> Self {
        self.heard = false;
        self
    }

    /// The sweep found the instance, and nothing says since when it has been held.
    pub(super) fn found_by_the_sweep(self) -> Self {
        self.unheard().target(|target| {
            target.origin = Origin::Sweep;
            target.hook_started_at = None;
        })
    }

    pub(super) fn without_hook(mut self) -> Self {
        self.seen.hold = None;
        self
    }

    /// An older node of the same instance.
    pub(super) fn and_older(mut self, change: impl FnOnce(&mut SeenNode)) -> Self {
        let mut older = node(1);
        change(&mut older);
        let Nodes::Known(nodes) = &mut self.seen.nodes else { panic!("no node is known") };
        nodes.push(older);
        self
    }

    pub(super) fn runs(mut self, allocations: impl IntoIterator<Item = Allocation>) -> Self {
        self.newest().allocations = Allocations::Listed(allocations.into_iter().collect());
        self
    }

    pub(super) fn allocations(mut self, allocations: Allocations) -> Self {
        self.newest().allocations = allocations;
        self
    }

    pub(super) fn status(self, status: NodeStatus) -> Self {
        self.node(|node| node.status = status)
    }

    pub(super) fn ineligible(self) -> Self {
        self.node(|node| node.eligible = false)
    }

    /// An operator's drain runs, since noon.
    pub(super) fn adopts(self, deadline: DrainDeadline) -> Self {
        let meta = BTreeMap::from([("message".to_owned(), "by hand".to_owned())]);
        self.runs_drain(deadline, meta)
    }

    /// Our drain runs, since noon, and was to end within an hour.
    pub(super) fn drains(self, deadline: DrainDeadline) -> Self {
        let meta = self.stamp();
        self.runs_drain(deadline, meta)
    }

    /// Our drain, which was to end within an hour, has ended.
    pub(super) fn drained(self, ended: SignedDuration) -> Self {
        self.was_drained(LastDrainStatus::Complete, ended).ineligible()
    }

    /// Somebody has cancelled our drain, which makes the node eligible again.
    pub(super) fn cancelled(self, when: SignedDuration) -> Self {
        self.was_drained(LastDrainStatus::Canceled, when)
    }

    fn was_drained(self, status: LastDrainStatus, updated: SignedDuration) -> Self {
        let meta = self.stamp();
        self.node(|node| {
            node.drain = None;
            node.last_drain = Some(LastDrain {
                status,
                started_at: Some(at(SignedDuration::ZERO)),
                updated_at: Some(at(updated)),
                meta,
            });
        })
    }

    fn runs_drain(self, deadline: DrainDeadline, meta: BTreeMap<String, String>) -> Self {
        let started_at = Some(at(SignedDuration::ZERO));
        self.ineligible().node(|node| {
            node.drain = Some(RunningDrain { deadline, ignore_system_jobs: false, started_at });
            node.last_drain = Some(LastDrain {
                status: LastDrainStatus::Draining,
                started_at,
                updated_at: started_at,
                meta,
            });
        })
    }

    fn stamp(&self) -> BTreeMap<String, String> {
        let entry = stamp::Entry {
            cause: self.seen.target.cause().unwrap(),
            was_eligible: true,
            hook_started_at: self.seen.target.hook_started_at,
            deadline: at(HOUR),
            earlier: None,
        };
        stamp::write(&self.seen.target, entry)
    }

    /// Changes what the newest node says of its newest drain.
    pub(super) fn last_drain(self, change: impl FnOnce(&mut LastDrain)) -> Self {
        self.node(|node| change(node.last_drain.as_mut().unwrap()))
    }

    fn newest(&mut self) -> &mut SeenNode {
        let Nodes::Known(nodes) = &mut self.seen.nodes else { panic!("no node is known") };
        &mut nodes[0]
    }
}

/// An allocation that runs, and that the servers want.
pub(super) fn running() -> Allocation {
    Allocation {
        job: "web".to_owned(),
        namespace: "default".to_owned(),
        system: false,
        wanted: true,
        client: ClientStatus::Live,
        modified_at: None,
        lost_at: None,
    }
}

/// One that was told to stop and has not yet.
pub(super) fn stopping() -> Allocation {
    Allocation { wanted: false, ..running() }
}

pub(super) fn system() -> Allocation {
    Allocation { system: true, ..running() }
}

/// One whose client is out of reach.
pub(super) fn unknown() -> Allocation {
    Allocation { client: ClientStatus::Unknown, ..running() }
}

/// One that stopped then.
pub(super) fn stopped(when: SignedDuration) -> Allocation {
    Allocation { client: ClientStatus::Terminal, modified_at: Some(at(when)), ..stopping() }
}
