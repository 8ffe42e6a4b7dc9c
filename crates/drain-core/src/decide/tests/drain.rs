//! When a drain is posted, and what it says.

use super::scene::*;
use crate::policy::ActionResult;

#[test]
fn a_node_that_takes_work_gets_our_drain_whatever_runs_on_it() {
    for allocations in [Allocations::NotRead, Allocations::Unknown(Obstacle::Unreachable)] {
        let request = held().allocations(allocations).posts_because(Reason::DrainPosted);
        assert_eq!(request.spec, DrainSpec { deadline: HOUR, ignore_system_jobs: false });
    }
    held().sight(Sight::NotEverything).posts();
    plain().posts();
}

#[test]
fn every_drain_that_we_begin_carries_the_whole_stamp() {
    let meta = held().posts().meta.unwrap();
    let lines: Vec<String> = meta.iter().map(|(key, value)| format!("{key}={value}")).collect();
    insta::assert_snapshot!(lines.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r"
    auto-scaling-group=workers
    cause=terminate
    deadline=2026-03-01T13:00:00Z
    hook-started-at=2026-03-01T12:00:00Z
    instance-id=i-0123456789abcdef0
    lifecycle-hook=nomad-drain-hook
    managed-by=nomad-drain
    message=Auto Scaling is terminating i-0123456789abcdef0 (group workers)
    version=VERSION
    was-eligible=true
    ");
}

#[test]
fn the_stamp_says_why_the_instance_goes() {
    for cause in Cause::ALL {
        let meta = held().because(cause).posts().meta.unwrap();
        assert_eq!(meta["cause"], cause.as_str());
        assert_eq!(crate::stamp::Stamp::from_meta(&meta).unwrap().cause, Some(cause));
    }
}

#[test]
fn the_stamp_says_when_an_operator_had_made_the_node_ineligible_before() {
    let meta = held().ineligible().runs([running()]).posts().meta.unwrap();
    assert_eq!(meta["was-eligible"], "false");
}

#[test]
fn system_jobs_stay_if_the_policy_says_so() {
    assert!(held().policy(|policy| policy.ignore_system_jobs = true).posts().spec.ignore_system_jobs);
}

#[test]
fn a_deadline_of_less_than_a_second_is_sent_as_force_and_never_as_zero() {
    for millis in [1, 200, 999] {
        let scene = plain().policy(|policy| policy.drain_deadline = SignedDuration::from_millis(millis));
        assert_eq!(scene.posts().spec.deadline, secs(-1));
    }
    assert_eq!(plain().policy(|policy| policy.drain_deadline = SECOND).posts().spec.deadline, SECOND);
}

#[test]
fn a_node_that_is_ineligible_and_not_draining_and_still_runs_something_gets_our_drain() {
    held().ineligible().runs([running()]).posts_because(Reason::DrainPosted);
    held().ineligible().runs([system()]).posts_because(Reason::DrainPosted);
    held().ineligible().runs([unknown()]).posts_because(Reason::DrainPosted);
}

#[test]
fn with_a_sweep_the_deadline_is_cut_to_what_the_hook_can_still_be_held() {
    let hook = |scene: Scene| scene.hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(50));
    // 50 minutes, of which 10 have passed and 2 are for tasks that are still stopping.
    let request = hook(held()).after(mins(10)).posts();
    assert_eq!(request.spec.deadline, mins(38));
    assert_eq!(request.meta.unwrap()["deadline"], at(mins(48)).to_string());
    // Nothing is left: now.
    assert_eq!(hook(held()).after(mins(49)).posts().spec.deadline, DrainSpec::FORCE);
    // It should be gone by now and is not: the start is not what we think.
    assert_eq!(hook(held()).after(mins(50)).posts().spec.deadline, HOUR);
}

#[test]
fn the_cut_needs_no_start_to_keep_a_drain_within_a_short_hook() {
    let scene = held().found_by_the_sweep().hold(|hold| {
        hold.settings.as_mut().unwrap().global_timeout = mins(50);
        hold.last_heartbeat = Some(at(SECOND));
    });
    assert_eq!(scene.after(SECOND).posts().spec.deadline, mins(48));
}

#[test]
fn without_a_sweep_or_the_hooks_settings_the_deadline_is_not_cut() {
    let short = HookSettings { heartbeat_timeout: mins(5), global_timeout: mins(10) };
    let scene = plain().hold(|hold| hold.settings = Some(short)).after(mins(5));
    assert_eq!(scene.posts().spec.deadline, HOUR);
    assert_eq!(held().hold(|hold| hold.settings = None).posts().spec.deadline, HOUR);
}

#[test]
fn before_a_sweep_starts_a_drain_that_no_event_asked_for_a_heartbeat_proves_that_our_hook_holds() {
    let scene = held().found_by_the_sweep();
    scene.heartbeats();
    scene.clone().ineligible().runs([running()]).heartbeats();
    scene.clone().adopts(DrainDeadline::Never).heartbeats();
    scene.clone().status(NodeStatus::Down(at(secs(-30)))).heartbeats();
    scene.clone().hold(|hold| hold.last_heartbeat = Some(at(SECOND))).posts();
    // An agent that starts afresh is another node, and may do so because the instance has come back.
    scene.clone().hold(|hold| hold.last_heartbeat = Some(at(SECOND))).after(secs(20)).heartbeats();
    // Refused for want of a permission: the drain matters more.
    scene.clone().hold(|hold| hold.heartbeats_denied = true).posts();
    // And the answer may be that another hook holds it.
    scene.hold(|hold| hold.ended = true).finishes(Reason::NoActiveAction);
}

#[test]
fn a_drain_of_ours_proves_that_our_hook_holds() {
    held().cancelled(mins(1)).target(|target| target.origin = Origin::Sweep).unheard().after(mins(6)).posts();
}

#[test]
fn an_event_needs_no_proof() {
    held().unheard().posts();
}

#[test]
fn without_a_sweep_no_hook_call_comes_before_the_drain() {
    plain().posts();
    let minutes = (0..90).map(mins);
    for scene in minutes.map(|minute| plain().after(minute)) {
        let waits = |nodes| assert!(matches!(scene.clone().nodes(nodes).decide(), Decision::Wait { .. }));
        waits(Nodes::Unknown(Obstacle::Unreachable));
        if scene.now < at(mins(5)) {
            waits(Nodes::Absent);
        }
    }
}

#[test]
fn of_several_nodes_every_one_is_drained_the_newest_first_and_the_down_ones_are_made_ineligible() {
    let newest = held().seen.nodes;
    let Nodes::Known(newest) = newest else { unreachable!() };
    let scene = held().and_older(|_| {});
    assert_eq!(scene.posts().node, newest[0].node.id);
    let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
    assert_ne!(scene.clone().and_older(|_| {}).posts().node, newest[0].node.id);
    scene.and_older(|older| older.node.status = NodeStatus::Down(at(-HOUR))).makes_ineligible(1);
}

#[test]
fn one_node_that_cannot_be_read_does_not_keep_another_from_its_drain() {
    let scene = held().drains(DrainDeadline::At(at(HOUR)));
    scene.allocations(Allocations::Unknown(Obstacle::Unreachable)).and_older(|_| {}).posts();
}

#[test]
fn deciding_again_on_the_effect_of_a_decision_does_nothing_more() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
    for seconds in [0, 1, 5, 60, 3_000] {
        scene.clone().after(secs(seconds)).waits(Reason::AllocationsRunning);
    }
}

#[test]
fn a_dry_run_acts_never_and_still_tells_what_it_waits_for() {
    let dry = |scene: Scene| scene.policy(|policy| policy.dry_run = true);
    dry(held()).finishes(Reason::DryRun);
    dry(held().ineligible()).finishes(Reason::DryRun);
    dry(held().found_by_the_sweep()).finishes(Reason::DryRun);
    dry(held().status(NodeStatus::Down(at(-HOUR)))).finishes(Reason::DryRun);
    dry(held().drains(DrainDeadline::At(at(HOUR))).runs([running()])).waits(Reason::AllocationsRunning);
    let would = plan(&held().seen, &held().policy, at(SECOND));
    assert!(matches!(would, Decision::Act(Action::Drain(_))), "the plan is the same");
}

#[test]
fn a_lifecycle_action_that_is_over_ends_everything() {
    for scene in [held(), plain(), held().ineligible(), held().drains(DrainDeadline::Never)] {
        scene.clone().hold(|hold| hold.ended = true).finishes(Reason::NoActiveAction);
        scene
            .hold(|hold| {
                hold.ended = true;
                hold.paused = true;
            })
            .finishes(Reason::NoActiveAction);
    }
}

#[test]
fn a_completion_that_is_refused_leaves_it_to_the_hook() {
    let denied = |scene: Scene| scene.hold(|hold| hold.completion_denied = true);
    denied(held().drained(mins(1)).after(mins(2))).finishes(Reason::CompletionDenied);
    denied(held().nodes(Nodes::Gone)).finishes(Reason::CompletionDenied);
    // And only then.
    denied(held()).posts();
    held().drained(mins(1)).after(mins(2)).completes_with(ActionResult::Continue, Reason::Drained);
}
