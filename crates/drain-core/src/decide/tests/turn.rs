//! `MAX_DRAINS_PER_GROUP`: others of the group drain first.

use super::scene::*;

fn queued() -> Scene {
    held().policy(|policy| policy.max_drains_per_group = Some(1)).hold(|hold| hold.queued = true)
}

#[test]
fn a_node_that_waits_for_its_turn_takes_no_more_work_and_is_kept_alive() {
    queued().runs([running()]).makes_ineligible(0);
    let waiting = queued().ineligible().runs([running()]);
    assert_eq!(waiting.clone().waits(Reason::WaitingForTurn), at(mins(58)));
    waiting.unheard().hold(|hold| hold.settings = None).heartbeats();
}

#[test]
fn nobody_waits_for_longer_than_leaves_time_for_the_drain() {
    // MAX_HOLD is two hours, DRAIN_DEADLINE one, KILL_GRACE two minutes.
    let waiting = queued().ineligible().runs([running()]);
    waiting.clone().after(mins(58) - SECOND).waits(Reason::WaitingForTurn);
    waiting.clone().after(mins(58)).posts_because(Reason::DrainPosted);
    // The hook holds for less than that: a third of it is for waiting.
    let short = waiting.clone().hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(60));
    short.clone().after(mins(20) - SECOND).waits(Reason::WaitingForTurn);
    short.after(mins(20)).posts_because(Reason::DrainPosted);
    let unknown = waiting.target(|target| target.hook_started_at = None).after(HOUR);
    assert_eq!(unknown.waits(Reason::WaitingForTurn), Timestamp::MAX, "MAX_HOLD has no beginning either");
}

#[test]
fn one_that_comes_back_takes_work_while_it_waits_and_is_drained_even_if_nothing_runs() {
    for cause in [Cause::WarmPool, Cause::RootVolume] {
        let waiting = queued().because(cause);
        waiting.clone().waits(Reason::WaitingForTurn);
        waiting.clone().runs([running()]).waits(Reason::WaitingForTurn);
        let turn = waiting.clone().hold(|hold| hold.queued = false);
        assert_eq!(turn.posts().meta.unwrap()["was-eligible"], "true");
        // An operator's hand stays what it is.
        waiting.clone().ineligible().completes(Reason::Drained);
        let turn = waiting.ineligible().runs([running()]).hold(|hold| hold.queued = false);
        assert_eq!(turn.posts().meta.unwrap()["was-eligible"], "false");
    }
}

#[test]
fn a_node_on_which_nothing_runs_need_not_wait() {
    queued().ineligible().completes(Reason::Drained);
}

#[test]
fn a_drain_that_runs_goes_on() {
    queued().drains(DrainDeadline::At(at(HOUR))).runs([running()]).waits(Reason::AllocationsRunning);
    queued().adopts(DrainDeadline::Never).runs([running()]).posts_because(Reason::DeadlineBroughtNearer);
}

#[test]
fn before_a_sweep_touches_a_waiting_node_a_heartbeat_proves_that_our_hook_holds_it() {
    queued().found_by_the_sweep().runs([running()]).heartbeats();
}

#[test]
fn a_node_that_is_drained_takes_no_place() {
    let drained = |scene: Scene| {
        let Nodes::Known(nodes) = &scene.seen.nodes else { panic!("no node") };
        is_drained_for(&scene.seen.target.instance, &nodes[0].node)
    };
    assert!(drained(held().drained(mins(1))));
    assert!(!drained(held()));
    assert!(!drained(held().ineligible()));
    assert!(!drained(held().drains(DrainDeadline::At(at(HOUR)))));
    assert!(!drained(held().cancelled(mins(1))));
    assert!(!drained(held().drained(mins(1)).touched(mins(2))), "it has been given back since, or disabled");
    let other =
        held().drained(mins(1)).last_drain(|last| _ = last.meta.insert("instance-id".into(), "i-1".into()));
    assert!(!drained(other));
}
