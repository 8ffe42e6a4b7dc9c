//! When the hook began to hold the instance, if no event says it.

use super::scene::*;

/// Found by a sweep; the stamp on our running drain says that the hook began at noon.
fn swept() -> Scene {
    held().drains(DrainDeadline::Untold).runs([running()]).found_by_the_sweep().unheard()
}

/// A minute in which a heartbeat is due.
fn due(scene: Scene) -> Scene {
    scene.hold(|hold| hold.settings = None)
}

#[test]
fn our_stamp_says_it() {
    due(swept()).after(mins(119)).heartbeats();
    due(swept()).after(mins(120)).waits(Reason::MaxHoldReached);
}

#[test]
fn else_the_beginning_of_our_drain_does() {
    let scene = due(swept()).last_drain(|last| {
        last.meta.remove("hook-started-at");
        last.started_at = Some(at(mins(10)));
    });
    scene.clone().after(mins(129)).heartbeats();
    scene.after(mins(130)).waits(Reason::MaxHoldReached);
}

#[test]
fn a_drain_of_somebody_else_does_not_say_it() {
    let scene = due(swept()).adopts(DrainDeadline::Untold);
    scene.after(HOUR * 5).heartbeats();
}

#[test]
fn the_event_knows_better_than_the_stamp() {
    let scene = due(swept()).target(|target| target.hook_started_at = Some(at(mins(30))));
    scene.after(mins(149)).heartbeats();
}

#[test]
fn of_several_stamps_the_newest_does() {
    let stamped = swept().seen;
    let Nodes::Known(nodes) = stamped.nodes else { unreachable!() };
    let scene = due(swept()).and_older(|older| {
        older.allocations = Allocations::Listed(vec![running()]);
        older.node = Node { id: older.node.id.clone(), ..nodes[0].node.clone() };
        let last = older.node.last_drain.as_mut().unwrap();
        last.meta.insert("hook-started-at".to_owned(), at(mins(30)).to_string());
    });
    scene.clone().after(mins(149)).heartbeats();
    scene.after(mins(150)).waits(Reason::MaxHoldReached);
}

/// The node drained for another end of the instance, an hour before noon, and takes work again: the instance was in a
/// warm pool.
fn came_back() -> Scene {
    let scene = held().drained(-HOUR).found_by_the_sweep().node(|node| node.eligible = true);
    scene.last_drain(|last| {
        last.started_at = Some(at(-HOUR));
        last.meta.insert("hook-started-at".to_owned(), at(-HOUR).to_string());
        last.meta.insert("deadline".to_owned(), at(SignedDuration::ZERO).to_string());
    })
}

#[test]
fn a_node_that_came_back_has_its_whole_deadline_again() {
    came_back().heartbeats();
    let proven = came_back().hold(|hold| hold.last_heartbeat = Some(at(SECOND))).after(SECOND);
    let request = proven.posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, HOUR);
    assert!(!request.meta.unwrap().contains_key("hook-started-at"));
}

#[test]
fn a_drain_of_ours_that_runs_is_of_this_action_however_old() {
    due(swept()).after(HOUR * 24 * 7).waits(Reason::MaxHoldReached);
}

#[test]
fn one_that_is_over_is_of_this_action_while_its_hook_can_hold() {
    let scene = held().drained(mins(10)).found_by_the_sweep().runs([running()]);
    scene.clone().after(HOUR * 48).completes(Reason::DrainTimeout);
    scene.after(HOUR * 48 + SECOND).heartbeats();
}

#[test]
fn the_cut_counts_from_the_stamped_start() {
    let scene = swept().drains(DrainDeadline::At(at(HOUR))).runs([running()]).after(mins(10));
    let scene = scene.last_drain(|last| {
        last.meta.insert("hook-started-at".to_owned(), at(mins(-10)).to_string());
    });
    let scene = scene.hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(60));
    let request = scene.posts_because(Reason::DeadlineBroughtNearer);
    assert_eq!(request.spec.deadline, mins(38));
}

#[test]
fn a_node_that_came_back_is_not_held_for_too_long_already() {
    let scene = came_back().after(mins(90));
    scene.heartbeats();
}

#[test]
fn a_stamp_from_before_any_hook_can_hold_says_nothing() {
    let week = HOUR * 24 * 7;
    let again = due(held().drained(SECOND).found_by_the_sweep()).runs([running()]).after(week);
    let again = again.hold(|hold| hold.last_heartbeat = Some(at(week)));
    let request = again.posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, HOUR);
    assert!(!request.meta.unwrap().contains_key("hook-started-at"));
}
