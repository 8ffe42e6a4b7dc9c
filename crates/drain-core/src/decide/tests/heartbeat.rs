//! The memoryless schedule of heartbeats.

use super::scene::*;
use crate::ids::InstanceId;

/// Allocations run, and no heartbeat was sent in this invocation.
fn waiting(timeout: SignedDuration) -> Scene {
    let settings = HookSettings { heartbeat_timeout: timeout, global_timeout: HOUR * 48 };
    let scene = held().unheard().hold(|hold| hold.settings = Some(settings));
    scene.drains(DrainDeadline::At(at(HOUR))).runs([running()])
}

fn is_due(scene: &Scene) -> bool {
    let decision = scene.decide();
    let waits = matches!(decision, Decision::Wait { why: Reason::AllocationsRunning, .. });
    assert!(waits || decision == Decision::Act(Action::Heartbeat), "{decision:?}");
    !waits
}

/// The minutes of the next hour in which a heartbeat is due.
fn minutes(scene: &Scene) -> Vec<i64> {
    (0..60).filter(|minute| is_due(&scene.clone().after(mins(*minute)))).collect()
}

#[test]
fn a_heartbeat_is_due_in_every_kth_minute_k_being_a_third_of_the_timeout() {
    for (timeout, k) in [(300, 1), (359, 1), (360, 2), (539, 2), (540, 3), (1_800, 10), (3_600, 20)] {
        let due = minutes(&waiting(secs(timeout)));
        assert_eq!(due.len(), usize::try_from(60 / k).unwrap(), "{timeout}: {due:?}");
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == k), "{timeout}: {due:?}");
        assert!(2 * k * 60 < timeout, "a missed one leaves a third");
    }
}

#[test]
fn a_whole_minute_is_due_or_not() {
    let scene = waiting(mins(6));
    for minute in minutes(&scene) {
        assert!(is_due(&scene.clone().after(mins(minute) + secs(59))));
    }
}

#[test]
fn instances_take_turns() {
    let ids = (0..40).map(|number| InstanceId::parse(&format!("i-{number:017x}")).unwrap());
    let scenes = ids.map(|id| waiting(mins(30)).target(|target| target.instance = id));
    let mut firsts: Vec<i64> = scenes.map(|scene| minutes(&scene)[0]).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() >= 8, "{firsts:?}");
}

#[test]
fn one_is_sent_in_a_minute() {
    let scene = waiting(mins(5)).hold(|hold| hold.last_heartbeat = Some(at(mins(3) + secs(1))));
    assert!(!is_due(&scene.clone().after(mins(3) + secs(59))));
    assert!(is_due(&scene.after(mins(4))));
}

#[test]
fn below_300_seconds_every_look_sends_one() {
    for timeout in [30, 299] {
        let scene = waiting(secs(timeout));
        for seconds in 0..120 {
            let scene = scene.clone().after(secs(seconds));
            assert!(is_due(&scene));
            let sent = |ago| scene.clone().hold(|hold| hold.last_heartbeat = Some(at(secs(seconds) - ago)));
            assert!(is_due(&sent(SECOND)));
            assert!(!is_due(&sent(SignedDuration::from_millis(999))));
        }
    }
}

#[test]
fn without_the_hooks_settings_every_minute_has_one() {
    let scene = waiting(HOUR).hold(|hold| hold.settings = None);
    assert_eq!(minutes(&scene).len(), 60);
}

#[test]
fn an_outage_is_a_reason_to_hold_the_instance() {
    let scene = held().unheard().hold(|hold| hold.settings = None);
    scene.clone().nodes(Nodes::Unknown(Obstacle::Unreachable)).heartbeats();
    let scene = scene.drains(DrainDeadline::At(at(HOUR)));
    scene.allocations(Allocations::Unknown(Obstacle::NoLeader)).heartbeats();
}

#[test]
fn heartbeats_that_are_refused_are_not_tried_again() {
    assert!(!is_due(&waiting(mins(5)).hold(|hold| hold.heartbeats_denied = true)));
}

#[test]
fn without_a_sweep_heartbeats_come_once_the_drain_has_begun() {
    let scene = plain().drains(DrainDeadline::At(at(HOUR))).runs([running()]).after(mins(1));
    assert!(!is_due(&scene));
    assert!(is_due(&scene.hold(|hold| hold.drain_begun = true)));
}

#[test]
fn what_is_to_be_done_comes_before_the_heartbeat() {
    held().unheard().hold(|hold| hold.settings = None).posts();
    held()
        .unheard()
        .hold(|hold| hold.settings = None)
        .drained(SECOND)
        .after(mins(1))
        .completes(Reason::Drained);
}

#[test]
fn past_max_hold_the_hooks_default_decides() {
    let scene = waiting(mins(5)).policy(|policy| policy.max_hold = mins(30));
    assert!(is_due(&scene.clone().after(mins(29))));
    scene.clone().after(mins(30)).waits(Reason::MaxHoldReached);
    scene.clone().after(HOUR).waits(Reason::MaxHoldReached);
    let unreadable = scene.nodes(Nodes::Unknown(Obstacle::Unreachable));
    unreadable.after(mins(30)).waits(Reason::MaxHoldReached);
}

#[test]
fn max_hold_is_never_beyond_the_hooks_global_limit() {
    let scene = waiting(mins(5)).hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(62));
    assert!(is_due(&scene.clone().after(mins(61))));
    let scene = scene.drains(DrainDeadline::Untold).runs([running()]);
    scene.after(mins(62)).waits(Reason::MaxHoldReached);
}

#[test]
fn past_max_hold_an_instance_is_still_drained_and_completed() {
    held().after(mins(121)).posts();
    held().drained(mins(119)).after(mins(121)).completes(Reason::Drained);
}

#[test]
fn past_max_hold_no_heartbeat_proves_anything_either() {
    let scene = held().unheard().target(|target| target.origin = Origin::Sweep);
    scene.clone().after(mins(119)).heartbeats();
    scene.after(mins(120)).waits(Reason::MaxHoldReached);
}

#[test]
fn every_second_turn_comes_first_and_leaves_a_third_of_the_timeout() {
    for timeout in [300, 359, 900, 3_600, 7_200] {
        let scene = waiting(secs(timeout));
        let urgency = |minute: i64| {
            let scene = scene.clone().after(mins(minute));
            urgency(&scene.seen, scene.seen.hold.as_ref().unwrap(), scene.now)
        };
        let first: Vec<i64> = (0..480).filter(|minute| urgency(*minute) == Urgency::First).collect();
        let spare = (0..480).filter(|minute| urgency(*minute) == Urgency::Spare).count();
        assert!(first.len().abs_diff(spare) <= 1, "{timeout}: {first:?}");
        for pair in first.windows(2) {
            assert!((pair[1] - pair[0]) * 60 * 3 <= timeout * 2, "{timeout}: {first:?}");
        }
    }
}

#[test]
fn a_hook_that_is_too_short_for_turns_comes_first_at_every_look() {
    let scene = waiting(secs(120));
    for minute in 0..4 {
        let scene = scene.clone().after(mins(minute));
        assert_eq!(urgency(&scene.seen, scene.seen.hold.as_ref().unwrap(), scene.now), Urgency::First);
    }
}
