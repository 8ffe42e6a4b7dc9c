//! What holds for every observation, every policy and every moment.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod errands;
mod extremes;
mod justified;
mod records;
mod strategies;
mod world;

use std::collections::BTreeMap;

use drain_core::decide::{Action, Decision, DrainRequest, decide};
use drain_core::observation::{Cause, DrainDeadline, NodeStatus, Nodes, Observation, Origin, SeenNode};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use strategies::{delays, moments, observations, policies};

/// Four times as many cases as `PROPTEST_CASES` says, or 1024; no file of regressions: a case that was found becomes a
/// test among the rules.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    // The same cases in every run, so that a change of the code is the only thing that can break a test. CONTRIBUTING tells
    // how to search elsewhere.
    let rng_seed = match usual.rng_seed {
        RngSeed::Random => RngSeed::Fixed(4),
        chosen @ RngSeed::Fixed(_) => chosen,
    };
    ProptestConfig { cases: usual.cases * 4, failure_persistence: None, rng_seed, ..usual }
}

fn cause_of(meta: Option<&BTreeMap<String, String>>) -> Option<&String> {
    meta.and_then(|meta| meta.get("cause"))
}

fn cause_before(node: &SeenNode) -> Option<&String> {
    cause_of(node.node.last_drain.as_ref().map(|last| &last.meta))
}

fn posted(decision: &Decision) -> Option<&DrainRequest> {
    let Decision::Act(Action::Drain(request)) = decision else { return None };
    Some(request)
}

fn nodes(seen: &Observation) -> &[SeenNode] {
    let Nodes::Known(nodes) = &seen.nodes else { return &[] };
    nodes
}

fn node<'a>(seen: &'a Observation, request: &DrainRequest) -> &'a SeenNode {
    nodes(seen).iter().find(|node| node.node.id == request.node).unwrap()
}

fn plus(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_running_drain_is_never_pushed_out(seen in observations(), policy in policies(), now in moments()) {
        let decision = decide(&seen, &policy, now);
        if let Some((request, running)) = posted(&decision).and_then(|request| Some((request, node(&seen, request).node.drain?))) {
            let ends = plus(now, request.spec.deadline.max(SignedDuration::ZERO));
            match running.deadline {
                // One that takes over the drain of another cause may be content with its deadline.
                DrainDeadline::At(theirs) => prop_assert!(
                    ends < theirs
                        || request.spec.deadline.is_negative()
                        || ends == theirs && cause_of(request.meta.as_ref()) != cause_before(node(&seen, request))
                ),
                DrainDeadline::Forced => prop_assert!(false, "nothing is nearer than now"),
                DrainDeadline::Untold => prop_assert!(request.spec.deadline.is_negative()),
                DrainDeadline::Never => {}
            }
        }
    }

    #[test]
    fn a_deadline_is_never_zero(seen in observations(), policy in policies(), now in moments()) {
        if let Some(request) = posted(&decide(&seen, &policy, now)) {
            let deadline = request.spec.deadline;
            prop_assert!(deadline == SignedDuration::from_secs(-1) || deadline >= SignedDuration::from_secs(1));
        }
    }

    #[test]
    fn a_drain_of_ours_lasts_no_longer_than_its_policy_and_the_first_one_of_its_action(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        let decision = decide(&seen, &policy, now);
        if let Some(request) = posted(&decision).filter(|request| node(&seen, request).node.drain.is_none()) {
            prop_assert!(request.spec.deadline <= policy.drain_deadline.max(SignedDuration::from_secs(1)));
            let last = node(&seen, request).node.last_drain.as_ref();
            let stamp = last.and_then(drain_core::observation::LastDrain::stamp);
            let same = |stamp: &drain_core::stamp::Stamp| {
                stamp.instance == seen.target.instance.as_str()
                    && stamp.hook_started_at.is_some()
                    && stamp.hook_started_at == seen.target.hook_started_at
                    // What EC2 announced and did not do gave no time that would bind the hook.
                    && !stamp.cause.is_some_and(Cause::is_announced)
            };
            if let Some(first) = stamp.filter(same).and_then(|stamp| stamp.deadline) {
                prop_assert!(request.spec.deadline.is_negative() || plus(now, request.spec.deadline) <= first);
            }
        }
    }

    #[test]
    fn a_decision_is_content_with_its_own_effect(
        seen in observations(), policy in policies(), now in moments(), later in delays(),
    ) {
        let Decision::Act(action) = decide(&seen, &policy, now) else { return Ok(()) };
        let after = world::applied(&seen, &action, now);
        let later = plus(now, later);
        prop_assert_ne!(decide(&after, &policy, now), Decision::Act(action.clone()));
        match action {
            Action::Drain(first) => if let Some(second) = posted(&decide(&after, &policy, later)).filter(|second| second.node == first.node) {
                // Nothing ran any more, and Nomad has not ended it.
                prop_assert_eq!(second.reason, Reason::StuckDrainEnded);
                prop_assert!(later.duration_since(now) >= SignedDuration::from_secs(15));
                let forced = world::applied(&after, &Action::Drain(second.clone()), later);
                prop_assert!(posted(&decide(&forced, &policy, plus(later, SignedDuration::from_hours(1)))).is_none_or(|third| third.node != first.node));
            }
            Action::MakeIneligible(_) => prop_assert_ne!(decide(&after, &policy, later), Decision::Act(action)),
            Action::Complete { .. } => prop_assert_eq!(decide(&after, &policy, later), Decision::Finish(Reason::NoActiveAction)),
            Action::Heartbeat => {}
            Action::GiveBack { .. } | Action::Purge(_) => prop_assert!(false, "an instance that goes"),
        }
    }

    #[test]
    fn what_somebody_else_wrote_on_a_running_drain_is_never_replaced(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        let decision = decide(&seen, &policy, now);
        if let Some(request) = posted(&decision).filter(|request| node(&seen, request).node.drain.is_some()) {
            let last = node(&seen, request).node.last_drain.as_ref();
            let ours = last.and_then(drain_core::observation::LastDrain::stamp);
            let ours = ours.is_some_and(|stamp| stamp.instance == seen.target.instance.as_str());
            prop_assert!(ours || request.meta.is_none());
        } else if let Some(request) = posted(&decision) {
            prop_assert!(request.meta.is_some(), "a drain that we begin is stamped");
        }
    }

    #[test]
    fn an_ended_action_always_finishes(seen in observations(), policy in policies(), now in moments()) {
        let mut seen = seen;
        if let Some(hold) = &mut seen.hold {
            hold.ended = true;
            prop_assert_eq!(decide(&seen, &policy, now), Decision::Finish(Reason::NoActiveAction));
        }
    }

    #[test]
    fn a_dry_run_never_acts(seen in observations(), policy in policies(), now in moments()) {
        let policy = Policy { dry_run: true, ..policy };
        prop_assert!(!matches!(decide(&seen, &policy, now), Decision::Act(_)));
    }

    #[test]
    fn a_pause_sends_heartbeats_and_does_nothing_else(
        seen in observations(), policy in policies(), now in moments(), by_tag in any::<bool>(),
    ) {
        let mut seen = seen;
        let policy = Policy { pause: !by_tag, ..policy };
        if let Some(hold) = &mut seen.hold {
            hold.paused |= by_tag;
        } else if by_tag {
            return Ok(());
        }
        let decision = decide(&seen, &policy, now);
        let kept_alive = decision == Decision::Act(Action::Heartbeat);
        prop_assert!(kept_alive || !matches!(decision, Decision::Act(_)));
    }

    #[test]
    fn no_heartbeat_is_sent_past_max_hold_or_against_a_refusal(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        if decide(&seen, &policy, now) == Decision::Act(Action::Heartbeat) {
            let hold = seen.hold.as_ref().unwrap();
            prop_assert!(!hold.heartbeats_denied);
            if let Some(started) = seen.target.hook_started_at {
                let global = hold.settings.map_or(SignedDuration::MAX, |hook| hook.global_timeout);
                prop_assert!(now < plus(started, policy.max_hold.min(global)));
            }
        }
    }

    #[test]
    fn without_a_sweep_no_hook_call_comes_before_the_drain(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        let mut seen = seen;
        let policy = Policy { sweep: false, pause: false, ..policy };
        seen.target.origin = Origin::Event;
        if let Some(hold) = &mut seen.hold {
            (hold.drain_begun, hold.paused) = (false, false);
        }
        prop_assert_ne!(decide(&seen, &policy, now), Decision::Act(Action::Heartbeat));
    }

    #[test]
    fn before_a_sweep_begins_a_drain_something_proves_that_our_hook_holds(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        let mut seen = seen;
        seen.target.origin = Origin::Sweep;
        let Some(hold) = &seen.hold else { return Ok(()) };
        if hold.last_heartbeat.is_none() && !hold.heartbeats_denied && let Some(_) = posted(&decide(&seen, &policy, now)) {
            let stamps = nodes(&seen).iter().filter_map(|node| node.node.last_drain.as_ref()?.stamp());
            let mut ours = stamps.filter(|stamp| stamp.instance == seen.target.instance.as_str());
            prop_assert!(ours.next().is_some());
        }
    }

    #[test]
    fn without_a_hook_nothing_is_done_to_one(seen in observations(), policy in policies(), now in moments()) {
        let seen = Observation { hold: None, ..seen };
        let decision = decide(&seen, &policy, now);
        let touches = matches!(decision, Decision::Act(Action::Heartbeat | Action::Complete { .. }));
        prop_assert!(!touches);
    }

    #[test]
    fn a_wait_ends_later_than_now(seen in observations(), policy in policies(), now in moments()) {
        if let Decision::Wait { until, .. } = decide(&seen, &policy, now) {
            prop_assert!(until > now);
        }
    }

    #[test]
    fn what_could_be_completed_is_not_drained_later(
        seen in observations(), policy in policies(), now in moments(), later in delays(),
    ) {
        let completes = matches!(decide(&seen, &policy, now), Decision::Act(Action::Complete { .. }));
        // One that is out of reach may still be in the respite after a cancel, or somebody's drain of it has just ended.
        let out_of_reach = |seen: &SeenNode| matches!(seen.node.status, NodeStatus::Disconnected(_));
        let is_any_out_of_reach = nodes(&seen).iter().any(out_of_reach);
        // Without a start, a drain of ours is in the end too old to be of this action.
        if completes && !is_any_out_of_reach && seen.target.hook_started_at.is_some() {
            let decision = decide(&seen, &policy, plus(now, later));
            let begins = matches!(decision, Decision::Act(Action::Drain(_) | Action::MakeIneligible(_)));
            prop_assert!(!begins, "{:?}", decision);
        }
    }
}
