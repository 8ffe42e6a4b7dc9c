//! Instances that come, come back or have ended. The oracles are written anew, from what the product promises.

use drain_core::decide::{Action, Decision, decide};
use drain_core::observation::{
    ByHand, Cause, DrainDeadline, Ending, Errand, LastDrainStatus, Member, Node, NodeStatus, Observation,
    Origin,
};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::strategies::{moments, other_observations, policies};
use crate::{nodes, plus, world};

fn node<'a>(seen: &'a Observation, id: &drain_core::ids::NodeId) -> &'a Node {
    &nodes(seen).iter().find(|node| node.node.id == *id).unwrap().node
}

/// "Giving a node back" of the design, word by word.
fn may_take_work_again(seen: &Observation, node: &Node, policy: &Policy, now: Timestamp) -> bool {
    let Some(last) = &node.last_drain else { return false };
    let Some(stamp) = last.stamp() else { return false };
    let Some(began) = last.started_at else { return false };
    let Member::InState(state) = &seen.member else { return false };
    let passed = |time: SignedDuration| now >= plus(began, time);
    let ours = stamp.instance == seen.target.instance.as_str();
    let untouched = ours && last.status != LastDrainStatus::Canceled && stamp.was_eligible == Some(true);
    let two_minutes = passed(SignedDuration::from_mins(2));
    let fits = match stamp.cause {
        Some(Cause::WarmPool | Cause::RootVolume) => state.starts_with("Pending") || state == "InService",
        Some(Cause::Rebalance | Cause::ScheduledChange) => {
            state == "InService" && passed(policy.restore_after)
        }
        _ => false,
    };
    // Nomad keeps our stamp on a drain that somebody else posts over ours.
    let goes_on_as_stamped =
        node.drain.as_ref().is_none_or(|running| match (running.deadline, stamp.deadline) {
            (DrainDeadline::At(ends), Some(stamped)) => {
                ends.duration_since(stamped).abs() <= SignedDuration::from_secs(30)
            }
            _ => false,
        });
    untouched && two_minutes && fits && goes_on_as_stamped
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn an_instance_that_does_not_go_is_never_drained(
        seen in other_observations(), policy in policies(), now in moments(),
    ) {
        let decision = decide(&seen, &policy, now);
        let disturbs = matches!(decision, Decision::Act(Action::Drain(_) | Action::MakeIneligible(_)));
        prop_assert!(!disturbs, "{decision:?}");
        if decision == Decision::Act(Action::Heartbeat) {
            prop_assert!(policy.pause || seen.hold.is_some_and(|hold| hold.paused));
        }
    }

    #[test]
    fn a_node_is_given_back_only_by_the_design(
        seen in other_observations(), policy in policies(), now in moments(),
    ) {
        if let Decision::Act(Action::GiveBack { node: id, ends_drain }) = decide(&seen, &policy, now) {
            let node = node(&seen, &id);
            prop_assert!(may_take_work_again(&seen, node, &policy, now));
            prop_assert!(node.status.reports() && !node.eligible && node.drain.is_some() == ends_drain);
            prop_assert!(!matches!(seen.target.errand, Errand::Purge(_)));
            let ended = node.last_drain.as_ref().unwrap();
            if let (LastDrainStatus::Complete, Some(updated), Some(changed)) =
                (ended.status, ended.updated_at, node.by_hand.changed_at)
            {
                prop_assert!(changed <= plus(updated, SignedDuration::from_secs(1)));
            }
            let after = world::applied(&seen, &Action::GiveBack { node: id.clone(), ends_drain }, now);
            let again = matches!(decide(&after, &policy, plus(now, SignedDuration::from_secs(5))),
                Decision::Act(Action::GiveBack { node, .. }) if node == id);
            prop_assert!(!again);
        }
    }

    #[test]
    fn a_node_that_may_take_work_again_gets_it(
        seen in other_observations(), policy in policies(), now in moments(),
    ) {
        let policy = Policy { pause: false, dry_run: false, ..policy };
        let mut seen = seen;
        seen.target.errand = Errand::GiveBack;
        let decision = decide(&seen, &policy, now);
        let untouched = |node: &Node| node.by_hand == ByHand::default();
        let due = |node: &Node| {
            node.status.reports()
                && !node.eligible
                && untouched(node)
                && may_take_work_again(&seen, node, &policy, now)
        };
        if nodes(&seen).iter().any(|seen| due(&seen.node)) {
            prop_assert!(matches!(decision, Decision::Act(Action::GiveBack { .. })), "{decision:?}");
        }
    }

    #[test]
    fn only_a_node_that_is_down_is_purged(seen in other_observations(), policy in policies(), now in moments()) {
        if let Decision::Act(Action::Purge(id)) = decide(&seen, &policy, now) {
            let node = node(&seen, &id);
            prop_assert!(policy.purge_nodes && matches!(node.status, NodeStatus::Down(_)));
            prop_assert!(seen.target.errand != Errand::Purge(Ending::Stopped) || seen.member == Member::OfNoGroup);
            if seen.target.origin == Origin::Sweep {
                prop_assert_eq!(seen.member.clone(), Member::OfNoGroup);
                let stamp = node.last_drain.as_ref().and_then(drain_core::observation::LastDrain::stamp).unwrap();
                prop_assert_eq!(stamp.cause, Some(Cause::Terminate));
            }
        }
    }

    #[test]
    fn a_launch_hook_is_completed_only_for_a_node_that_takes_work(
        seen in other_observations(), policy in policies(), now in moments(),
    ) {
        if let Decision::Act(Action::Complete { reason, .. }) = decide(&seen, &policy, now) {
            prop_assert_eq!((seen.target.errand, reason), (Errand::Admit, Reason::NodeReady));
            let takes_work = |node: &Node| node.status == NodeStatus::Ready && node.eligible;
            prop_assert!(nodes(&seen).iter().any(|seen| takes_work(&seen.node)));
        }
    }
}
