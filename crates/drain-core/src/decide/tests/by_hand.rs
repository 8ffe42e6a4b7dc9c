//! What somebody at a terminal sees through: the same, but for the hook.

use super::scene::*;

fn by_hand() -> Scene {
    let mut scene = held().because(Cause::Manual).hold(|hold| {
        hold.by_hand = true;
        hold.settings = None;
    });
    scene.heard = false;
    scene.target(|target| {
        target.hook_started_at = None;
        target.hook = None;
    })
}

#[test]
fn the_drain_is_posted_without_a_heartbeat_before_it() {
    for origin in [Origin::Event, Origin::Sweep] {
        let request = by_hand().target(|target| target.origin = origin).posts();
        assert_eq!(request.meta.unwrap()["cause"], "manual");
    }
}

#[test]
fn the_end_is_told_and_nothing_is_completed() {
    by_hand().drained(mins(1)).after(mins(2)).finishes(Reason::Drained);
    by_hand().drained(mins(1)).after(mins(2)).runs([stopping()]).waits(Reason::AllocationsRunning);
    let too_long = by_hand().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
    too_long.after(mins(62)).finishes(Reason::DrainTimeout);
}

#[test]
fn no_heartbeat_is_sent_however_long_it_takes() {
    for minutes in 0..62 {
        let scene = by_hand().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
        scene.after(mins(minutes)).waits(Reason::AllocationsRunning);
    }
}

#[test]
fn an_instance_without_a_node_is_no_reason_to_wait() {
    by_hand().nodes(Nodes::Absent).finishes(Reason::NodeNotFound);
    by_hand().nodes(Nodes::Unknown(Obstacle::Unreachable)).waits(Reason::NomadUnreachable);
}

#[test]
fn the_next_heartbeat_is_the_next_minute_in_which_one_is_due() {
    for timeout in [60, 300, 900, 3600, 7200] {
        let scene = held().hold(|hold| {
            hold.settings = Some(HookSettings {
                heartbeat_timeout: secs(timeout),
                global_timeout: SignedDuration::from_hours(48),
            });
        });
        let Scene { seen, now, .. } = scene;
        let hold = seen.hold.as_ref().unwrap();
        let next = next_due(&seen, hold, now);
        let mut moment = now;
        while !heartbeat::is_due(&seen, hold, moment) {
            moment += SECOND;
        }
        assert_eq!(next, moment, "{timeout}");
    }
}
