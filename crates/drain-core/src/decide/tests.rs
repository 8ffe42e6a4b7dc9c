//! The rules, one test each.

use super::*;
use crate::ids::{GroupName, HookName, InstanceId};
use crate::observation::{Cause, LastDrain, Node, Target};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy { drain_deadline: HOUR, ..Policy::default() }
}

/// An eligible node that never drained, on an instance that Auto Scaling began to terminate a second ago.
fn seen() -> Observation {
    Observation {
        target: Target {
            instance: InstanceId::parse("i-0123456789abcdef0").unwrap(),
            group: Some(GroupName::parse("workers").unwrap()),
            hook: Some(HookName::parse("nomad-drain-hook").unwrap()),
            cause: Cause::Terminate,
            hook_started_at: Some("2026-03-01T11:59:59.5Z".parse().unwrap()),
        },
        node: Node {
            id: NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").unwrap(),
            name: "worker-1".to_owned(),
            eligible: true,
            drain: None,
            last_drain: None,
        },
    }
}

fn draining(mut seen: Observation, drain: RunningDrain) -> Observation {
    seen.node.eligible = false;
    seen.node.drain = Some(drain);
    seen.node.last_drain = Some(LastDrain { status: LastDrainStatus::Draining, meta: BTreeMap::new() });
    seen
}

/// The node after we drained it for the event in `seen`, with the drain in this state.
fn drained_by_us(mut seen: Observation, status: LastDrainStatus) -> Observation {
    let meta = stamp::write(&seen.target, None, seen.node.eligible, now() + HOUR);
    seen.node.eligible = false;
    seen.node.last_drain = Some(LastDrain { status, meta });
    seen
}

fn request(seen: &Observation, policy: &Policy) -> DrainRequest {
    match decide(seen, policy, now()) {
        Decision::Act(Action::Drain(request)) => request,
        Decision::Finish(reason) => panic!("finished with {reason:?} instead of draining"),
    }
}

#[track_caller]
fn finishes(seen: &Observation, reason: Reason) {
    assert_eq!(decide(seen, &policy(), now()), Decision::Finish(reason));
}

#[test]
fn a_node_that_is_not_draining_gets_our_drain() {
    let request = request(&seen(), &policy());
    assert_eq!(request.spec, DrainSpec { deadline: HOUR, ignore_system_jobs: false });
    assert_eq!(request.reason, Reason::DrainPosted);
}

#[test]
fn every_drain_that_we_begin_carries_the_whole_stamp() {
    let meta = request(&seen(), &policy()).meta.unwrap();
    let lines: Vec<String> = meta.iter().map(|(key, value)| format!("{key}={value}")).collect();
    insta::assert_snapshot!(lines.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
    auto-scaling-group=workers
    cause=terminate
    deadline=2026-03-01T13:00:00Z
    hook-started-at=2026-03-01T11:59:59.5Z
    instance-id=i-0123456789abcdef0
    lifecycle-hook=nomad-drain-hook
    managed-by=nomad-drain
    message=Auto Scaling is terminating i-0123456789abcdef0 (group workers)
    version=VERSION
    was-eligible=true
    ");
}

#[test]
fn the_stamp_says_when_an_operator_had_made_the_node_ineligible_before() {
    let mut seen = seen();
    seen.node.eligible = false;
    assert_eq!(request(&seen, &policy()).meta.unwrap()["was-eligible"], "false");
}

#[test]
fn system_jobs_stay_if_the_policy_says_so() {
    let policy = Policy { ignore_system_jobs: true, ..policy() };
    assert!(request(&seen(), &policy).spec.ignore_system_jobs);
}

#[test]
fn a_deadline_of_less_than_a_second_is_sent_as_force_and_never_as_zero() {
    let policy = Policy { drain_deadline: SignedDuration::from_millis(200), ..policy() };
    assert_eq!(request(&seen(), &policy).spec.deadline, SignedDuration::from_secs(-1));
}

#[test]
fn a_running_drain_with_a_deadline_that_will_do_is_left_alone() {
    for offset in [-3_000, 0, 4, 5] {
        let theirs = now() + HOUR + SignedDuration::from_secs(offset);
        finishes(&draining(seen(), RunningDrain::Until(theirs)), Reason::AlreadyDraining);
    }
}

#[test]
fn a_forced_drain_is_left_alone() {
    finishes(&draining(seen(), RunningDrain::Forced), Reason::AlreadyDraining);
}

#[test]
fn a_running_drain_is_brought_nearer_if_ours_is_nearer_by_more_than_the_tolerance() {
    let theirs = now() + HOUR + SignedDuration::from_secs(6);
    for drain in [RunningDrain::Until(theirs), RunningDrain::NoDeadline] {
        assert_eq!(request(&draining(seen(), drain), &policy()).reason, Reason::DeadlineBroughtNearer);
    }
}

#[test]
fn a_drain_that_somebody_else_began_keeps_its_meta() {
    assert_eq!(request(&draining(seen(), RunningDrain::NoDeadline), &policy()).meta, None);
}

#[test]
fn a_drain_of_ours_that_is_brought_nearer_remembers_what_the_first_stamp_saw() {
    let mut again = drained_by_us(seen(), LastDrainStatus::Draining);
    again.node.drain = Some(RunningDrain::Until(now() + HOUR + HOUR));
    again.target.hook_started_at = None;
    let meta = request(&again, &policy()).meta.unwrap();
    assert_eq!(meta["was-eligible"], "true");
    assert_eq!(meta["hook-started-at"], "2026-03-01T11:59:59.5Z");
}

#[test]
fn a_second_drain_after_ours_has_ended_still_knows_that_the_node_was_eligible() {
    let mut later_action = drained_by_us(seen(), LastDrainStatus::Complete);
    later_action.target.hook_started_at = Some(now());
    let meta = request(&later_action, &policy()).meta.unwrap();
    assert_eq!(
        (meta["was-eligible"].as_str(), meta["hook-started-at"].as_str()),
        ("true", "2026-03-01T12:00:00Z")
    );

    let mut cancelled = drained_by_us(seen(), LastDrainStatus::Canceled);
    cancelled.node.eligible = false;
    assert_eq!(request(&cancelled, &policy()).meta.unwrap()["was-eligible"], "false");
}

#[test]
fn a_duplicate_event_after_our_drain_has_ended_posts_nothing() {
    finishes(&drained_by_us(seen(), LastDrainStatus::Complete), Reason::AlreadyDrained);
}

#[test]
fn an_earlier_drain_proves_nothing_about_this_lifecycle_action() {
    let mut later_action = drained_by_us(seen(), LastDrainStatus::Complete);
    later_action.target.hook_started_at = Some(now());
    request(&later_action, &policy());

    let mut eligible_again = drained_by_us(seen(), LastDrainStatus::Complete);
    eligible_again.node.eligible = true;
    request(&eligible_again, &policy());

    let mut somebody_elses = drained_by_us(seen(), LastDrainStatus::Complete);
    somebody_elses.node.last_drain.as_mut().unwrap().meta.remove("managed-by");
    request(&somebody_elses, &policy());

    let mut without_a_time = drained_by_us(seen(), LastDrainStatus::Complete);
    without_a_time.target.hook_started_at = None;
    request(&without_a_time, &policy());

    request(&drained_by_us(seen(), LastDrainStatus::Canceled), &policy());
}

#[test]
fn a_dry_run_posts_nothing_and_still_tells_a_running_drain() {
    let policy = Policy { dry_run: true, ..policy() };
    assert_eq!(decide(&seen(), &policy, now()), Decision::Finish(Reason::DryRun));
    let running = draining(seen(), RunningDrain::Forced);
    assert_eq!(decide(&running, &policy, now()), Decision::Finish(Reason::AlreadyDraining));
}

#[test]
fn deciding_again_on_the_effect_of_a_decision_does_nothing_more() {
    let posted = request(&seen(), &policy());
    let mut after = seen();
    after.node.eligible = false;
    after.node.drain = Some(RunningDrain::Until(now() + posted.spec.deadline));
    after.node.last_drain = Some(LastDrain { status: LastDrainStatus::Draining, meta: posted.meta.unwrap() });
    finishes(&after, Reason::AlreadyDraining);
}
