//! `PAUSE`, and the group's tag: heartbeats only.

use super::scene::*;

fn by_variable(scene: Scene) -> Scene {
    scene.policy(|policy| policy.pause = true)
}

fn by_tag(scene: Scene) -> Scene {
    scene.hold(|hold| hold.paused = true)
}

#[test]
fn a_pause_drains_nothing_and_completes_nothing() {
    for paused in [by_variable, by_tag] {
        for scene in [
            held(),
            held().found_by_the_sweep(),
            held().ineligible(),
            held().drained(mins(1)).after(mins(2)),
            held().adopts(DrainDeadline::Never),
            held().nodes(Nodes::Gone),
            held().nodes(Nodes::Absent).after(mins(10)),
            held().status(NodeStatus::Down(at(-HOUR))),
        ] {
            let heard = scene.hold(|hold| hold.last_heartbeat = Some(at(mins(10))));
            assert_eq!(paused(heard).waits(Reason::Paused), Timestamp::MAX);
        }
    }
}

#[test]
fn a_pause_sends_heartbeats_with_and_without_a_sweep() {
    for paused in [by_variable, by_tag] {
        for scene in [held().unheard().hold(|hold| hold.settings = None), plain()] {
            paused(scene).after(mins(1)).heartbeats();
        }
    }
}

#[test]
fn a_pause_does_not_outlast_max_hold() {
    for paused in [by_variable, by_tag] {
        paused(held()).unheard().after(mins(120)).waits(Reason::MaxHoldReached);
    }
}

#[test]
fn a_pause_without_a_hook_is_the_end() {
    held().without_hook().policy(|policy| policy.pause = true).finishes(Reason::Paused);
}
