//! What happens to a node: what operators do with it, and what becomes of its machine and its agent.

use drain_lab::aws::Ec2State;
use drain_lab::nomad::{DrainRequest, NodeStatus, NodeView};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::ground::{Ground, node_of};
use crate::ledger::later;

/// What happens to the newest node of an instance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Cancelled {
        eligible: bool,
    },
    Eligible(bool),
    /// Somebody posts a drain of his own: without a deadline if it is 0, at once if it is negative.
    Drained {
        seconds: i64,
        ignores_system_jobs: bool,
    },
    Dies,
    /// Nobody hears from it, and its allocations count as lost, while its client runs them.
    SeemsDown,
    Disconnects,
    Reconnects,
    /// Its agent loses its data directory, and registers as another node.
    StartsAfresh,
    Purged,
    Joins,
}

/// Random fates.
pub(crate) fn fates() -> impl Strategy<Value = Fate> {
    let seconds = prop_oneof![2 => Just(0_i64), 1 => Just(-1_i64), 3 => 10_i64..600, 2 => 600_i64..100_000];
    prop_oneof![
        4 => any::<bool>().prop_map(|eligible| Fate::Cancelled { eligible }),
        4 => any::<bool>().prop_map(Fate::Eligible),
        6 => (seconds, any::<bool>())
            .prop_map(|(seconds, ignores_system_jobs)| Fate::Drained { seconds, ignores_system_jobs }),
        2 => Just(Fate::Dies),
        2 => Just(Fate::SeemsDown),
        3 => Just(Fate::Disconnects),
        3 => Just(Fate::Reconnects),
        2 => Just(Fate::StartsAfresh),
        1 => Just(Fate::Purged),
        1 => Just(Fate::Joins),
    ]
}

impl Fate {
    /// Its name in the tally.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "cancel",
            Self::Eligible(_) => "eligibility",
            Self::Drained { .. } => "others drain",
            Self::Dies => "client dies",
            Self::SeemsDown => "seems down",
            Self::Disconnects => "disconnect",
            Self::Reconnects => "reconnect",
            Self::StartsAfresh => "agent starts afresh",
            Self::Purged => "purge",
            Self::Joins => "node joins",
        }
    }

    /// Lets it happen, if it can.
    pub(crate) fn happen(self, ground: &Ground, instance: &str) {
        // Nobody writes without a leader.
        if ground.leaderless_until.get() > ground.now() {
            return;
        }
        let runs = ground.instance(instance).ec2_state == Ec2State::Running;
        let node = ground.nodes_of(instance).into_iter().next();
        match (node, self) {
            (Some(node), _) => self.meets(ground, instance, &node, runs),
            // One whose node is on its way does not get a second one.
            (None, Self::Joins) if runs && !ground.awaits_node(instance) => {
                _ = ground.nomad.add_node(node_of(instance));
            }
            (None, _) => {}
        }
    }

    fn meets(self, ground: &Ground, instance: &str, node: &NodeView, runs: bool) {
        let (nomad, now) = (&ground.nomad, ground.now());
        let lives = !ground.dead.borrow().contains(&node.id);
        let silent = matches!(node.status, NodeStatus::Disconnected | NodeStatus::Down);
        match self {
            Self::Cancelled { eligible } if node.drain.is_some() => {
                ground.ledger.borrow_mut().others_drain(now, node, None);
                _ = nomad.drain(&node.id, DrainRequest::cancel(eligible));
            }
            Self::Eligible(eligible) => {
                ground.ledger.borrow_mut().meddles(node, eligible);
                _ = nomad.set_eligibility(&node.id, eligible);
            }
            Self::Drained { seconds, ignores_system_jobs } => {
                let deadline = SignedDuration::from_secs(seconds);
                ground.ledger.borrow_mut().others_drain(now, node, Some(deadline));
                let request = DrainRequest::with_deadline(deadline).meta("by", "an operator");
                let request = if ignores_system_jobs { request.ignoring_system_jobs() } else { request };
                _ = nomad.drain(&node.id, request);
            }
            Self::Dies => ground.end_machine(instance),
            Self::SeemsDown if node.status == NodeStatus::Ready && lives => {
                _ = nomad.set_status(&node.id, NodeStatus::Down);
            }
            Self::Disconnects if node.status == NodeStatus::Ready && lives => {
                _ = nomad.set_status(&node.id, NodeStatus::Disconnected);
            }
            Self::Reconnects if silent && lives => _ = nomad.set_status(&node.id, NodeStatus::Ready),
            Self::StartsAfresh if lives && runs => {
                ground.dead.borrow_mut().insert(node.id.clone());
                _ = nomad.kill_client(&node.id);
                nomad.add_node_at(later(now, SignedDuration::from_secs(5)), node_of(instance));
            }
            Self::Purged if !lives || silent => _ = nomad.purge(&node.id),
            Self::Cancelled { .. }
            | Self::SeemsDown
            | Self::Disconnects
            | Self::Reconnects
            | Self::StartsAfresh
            | Self::Purged
            | Self::Joins => {}
        }
    }
}
