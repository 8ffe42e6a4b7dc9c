//! Completion means stopped.

use super::scene::*;

/// Our drain has ended a moment ago, a minute after noon.
fn drained() -> Scene {
    held().drained(mins(1)).after(mins(1) + secs(10))
}

#[test]
fn an_ineligible_node_that_does_not_drain_and_runs_nothing_is_drained() {
    drained().completes(Reason::Drained);
    drained().runs([stopped(mins(1))]).completes(Reason::Drained);
    held().ineligible().completes(Reason::Drained);
}

#[test]
fn whatever_may_still_run_on_the_client_keeps_the_instance() {
    for allocation in [running(), stopping(), system(), unknown()] {
        drained().runs([stopped(mins(1)), allocation]).waits(Reason::AllocationsRunning);
    }
}

#[test]
fn system_jobs_count_unless_they_are_to_stay() {
    drained().runs([system()]).waits(Reason::AllocationsRunning);
    let stays = drained().policy(|policy| policy.ignore_system_jobs = true);
    stays.clone().runs([system()]).completes(Reason::Drained);
    stays.runs([system(), running()]).waits(Reason::AllocationsRunning);
}

#[test]
fn nothing_runs_and_the_drain_goes_on_is_not_yet_drained() {
    held().drains(DrainDeadline::At(at(HOUR))).after(secs(3)).waits(Reason::DrainEnding);
}

#[test]
fn a_drain_that_runs_waits_for_its_allocations_until_its_end_and_the_grace_after_it() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).runs([running()]);
    assert_eq!(scene.after(mins(1)).waits(Reason::AllocationsRunning), at(mins(62)));
    let scene = held().adopts(DrainDeadline::Untold).runs([running()]);
    assert_eq!(scene.after(mins(1)).waits(Reason::AllocationsRunning), Timestamp::MAX);
}

#[test]
fn a_drain_that_finished_last_week_on_a_node_that_takes_work_again_proves_nothing() {
    let week = SignedDuration::from_hours(24 * 7);
    let last_week = |scene: Scene| {
        scene.last_drain(|last| {
            last.started_at = Some(at(-week));
            last.updated_at = Some(at(mins(5) - week));
            last.meta.insert("hook-started-at".to_owned(), at(-week).to_string());
            last.meta.insert("deadline".to_owned(), at(HOUR - week).to_string());
        })
    };
    let again = last_week(held().drained(SECOND)).node(|node| node.eligible = true);
    let request = again.posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, HOUR);
    // And on one that is not eligible, but runs something.
    let request = last_week(held().drained(SECOND)).runs([running()]).posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, HOUR);
    // A week ago it was eligible, and only that drain made it ineligible.
    assert_eq!(request.meta.unwrap()["was-eligible"], "true");
}

#[test]
fn the_end_of_somebody_elses_drain_proves_nothing() {
    let theirs = |scene: Scene| scene.last_drain(|last| last.meta.clear());
    theirs(drained()).node(|node| node.eligible = true).posts();
    theirs(drained()).runs([running()]).posts();
    theirs(drained()).completes(Reason::Drained);
}

#[test]
fn a_drain_of_ours_for_another_instance_is_somebody_elses() {
    let scene = drained().runs([running()]).last_drain(|last| {
        last.meta.insert("instance-id".to_owned(), "i-00000000000000abc".to_owned());
    });
    scene.posts();
}

#[test]
fn after_our_drain_tasks_that_are_still_stopping_are_waited_for() {
    let scene = drained().runs([stopping()]);
    assert_eq!(scene.waits(Reason::AllocationsRunning), at(mins(62)));
    scene.after(mins(30)).waits(Reason::AllocationsRunning);
}

#[test]
fn what_is_still_wanted_half_a_minute_after_our_drain_was_no_part_of_it_and_is_drained_until_the_same_deadline()
 {
    let scene = held().drained(mins(10)).runs([running()]);
    scene.clone().after(mins(10) + secs(29)).waits(Reason::AllocationsRunning);
    let request = scene.clone().after(mins(10) + secs(30)).posts_because(Reason::DrainPosted);
    assert_eq!(request.spec.deadline, mins(49) + secs(30));
    assert_eq!(request.meta.unwrap()["was-eligible"], "true");
    // Not when its deadline has passed: what runs then was told to stop.
    scene.clone().after(HOUR).waits(Reason::AllocationsRunning);
    scene.after(mins(61)).waits(Reason::AllocationsRunning);
}

#[test]
fn a_second_drain_of_one_action_never_ends_later_than_the_first() {
    let scene = held().drained(mins(10)).node(|node| node.eligible = true).after(mins(40));
    assert_eq!(scene.clone().posts().spec.deadline, mins(20));
    assert_eq!(scene.after(mins(61)).posts().spec.deadline, DrainSpec::FORCE);
}

#[test]
fn a_drain_is_of_this_action_if_its_stamp_says_so_or_if_it_began_since() {
    let scene = held().drained(mins(10)).node(|node| node.eligible = true).after(mins(40));
    let stamped = |scene: Scene, began, hook: Option<SignedDuration>| {
        scene.last_drain(|last| {
            last.started_at = Some(at(began));
            last.meta.remove("hook-started-at");
            let hook = hook.map(|hook| ("hook-started-at".to_owned(), at(hook).to_string()));
            last.meta.extend(hook);
        })
    };
    let same = [(secs(-60), Some(SignedDuration::ZERO)), (secs(-5), None), (SECOND, Some(-HOUR))];
    for (began, hook) in same {
        assert_eq!(stamped(scene.clone(), began, hook).posts().spec.deadline, mins(20), "{began} {hook:?}");
    }
    for (began, hook) in [(secs(-6), None), (secs(-6), Some(secs(-6)))] {
        assert_eq!(stamped(scene.clone(), began, hook).posts().spec.deadline, HOUR, "{began} {hook:?}");
    }
}

#[test]
fn after_everything_has_stopped_the_settle_delay_passes_first() {
    let scene = held().drained(mins(1)).policy(|policy| policy.settle_delay = secs(30));
    let settling = scene.clone().runs([stopped(mins(2))]).after(mins(2) + secs(29));
    assert_eq!(settling.waits(Reason::Settling), at(mins(2) + secs(30)));
    scene.clone().runs([stopped(mins(2))]).after(mins(2) + secs(30)).completes(Reason::Drained);
    // The drain's end counts as well, and the latest of several nodes.
    scene.clone().runs([stopped(secs(1))]).after(mins(1) + secs(29)).waits(Reason::Settling);
    let older = |older: &mut SeenNode| {
        older.node.eligible = false;
        older.allocations = Allocations::Listed(vec![stopped(mins(5))]);
    };
    scene.and_older(older).after(mins(5)).waits(Reason::Settling);
}

#[test]
fn a_node_on_which_nothing_is_known_to_have_run_has_settled() {
    let scene = held().ineligible().policy(|policy| policy.settle_delay = secs(30));
    scene.completes(Reason::Drained);
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_an_empty_node() {
    drained().runs([stopped(HOUR)]).completes(Reason::Drained);
}

#[test]
fn every_node_has_to_stop() {
    let runs = |older: &mut SeenNode| {
        older.node.eligible = false;
        older.node.drain = Some(RunningDrain {
            deadline: DrainDeadline::At(at(HOUR)),
            ignore_system_jobs: false,
            started_at: None,
        });
        older.allocations = Allocations::Listed(vec![running()]);
    };
    drained().and_older(runs).waits(Reason::AllocationsRunning);
}

#[test]
fn a_node_that_was_seen_and_is_gone_is_done() {
    held().nodes(Nodes::Gone).completes(Reason::NodeGone);
    plain().nodes(Nodes::Gone).completes(Reason::NodeGone);
}

#[test]
fn a_stamp_is_ours_by_its_maker_and_not_by_its_form() {
    let by = |maker: &str| {
        let maker = maker.to_owned();
        let scene = drained().runs([running()]);
        scene.last_drain(|last| last.meta.insert("managed-by".to_owned(), maker).map_or((), drop))
    };
    by("nomad-drain").waits(Reason::AllocationsRunning);
    by("nomad-autoscaler").posts();
}

#[test]
fn a_node_that_takes_work_again_was_eligible_whatever_an_old_stamp_says() {
    let scene = held().drained(mins(1)).last_drain(|last| {
        last.meta.insert("was-eligible".to_owned(), "false".to_owned());
    });
    let again = scene.clone().node(|node| node.eligible = true).after(mins(2)).posts();
    assert_eq!(again.meta.unwrap()["was-eligible"], "true");
    // A record that says "draining" where nothing drains is not the story of this node either.
    let odd = scene.last_drain(|last| {
        last.status = LastDrainStatus::Draining;
        last.meta.insert("was-eligible".to_owned(), "true".to_owned());
    });
    assert_eq!(odd.runs([running()]).after(mins(2)).posts().meta.unwrap()["was-eligible"], "false");
}

#[test]
fn what_runs_is_asked_for_where_it_decides() {
    let asks = |scene: Scene| match scene.seen.nodes {
        Nodes::Known(nodes) => nodes[0].node.asks_for_allocations(),
        Nodes::Unknown(_) | Nodes::Absent | Nodes::Gone => panic!("no node is known"),
    };
    assert!(!asks(held()));
    assert!(asks(held().ineligible()));
    assert!(asks(held().adopts(DrainDeadline::Never)));
    assert!(asks(held().adopts(DrainDeadline::Never).node(|node| node.eligible = true)));
}
