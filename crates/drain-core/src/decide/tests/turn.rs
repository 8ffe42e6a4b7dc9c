//! `MAX_DRAINS_PER_GROUP`: others of the group drain first.

use super::scene::*;

fn queued() -> Scene {
    held().policy(|policy| policy.max_drains_per_group = Some(1)).hold(|hold| hold.queued = true)
}

#[test]
fn a_node_that_waits_for_its_turn_takes_no_more_work_and_is_kept_alive() {
    queued().runs([running()]).makes_ineligible(0);
    let waiting = queued().ineligible().runs([running()]);
    assert_eq!(waiting.clone().waits(Reason::WaitingForTurn), Timestamp::MAX);
    waiting.unheard().hold(|hold| hold.settings = None).heartbeats();
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
fn when_its_turn_comes_the_stamp_knows_that_it_took_work_before() {
    let turn = |scene: Scene| scene.hold(|hold| hold.queued = false).after(mins(5)).posts().meta.unwrap();
    let ours = queued().ineligible().touched(secs(3)).runs([running()]);
    assert_eq!(turn(ours.clone())["was-eligible"], "true");
    assert_eq!(turn(ours.clone().touched(secs(-3)))["was-eligible"], "false");
    // Of an instance on its way to the warm pool nobody may say when its hook began.
    let unknown = |scene: Scene| turn(scene.target(|target| target.hook_started_at = None));
    assert_eq!(unknown(ours.clone())["was-eligible"], "true");
    assert_eq!(unknown(ours.clone().touched(-HOUR * 5))["was-eligible"], "false");
    let unlimited = queued().ineligible().touched(secs(3)).runs([running()]);
    let unlimited = unlimited.policy(|policy| policy.max_drains_per_group = None);
    assert_eq!(turn(unlimited)["was-eligible"], "false", "then it was not we who did it");
}

#[test]
fn before_a_sweep_touches_a_waiting_node_a_heartbeat_proves_that_our_hook_holds_it() {
    queued().found_by_the_sweep().runs([running()]).heartbeats();
}
