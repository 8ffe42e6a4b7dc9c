//! A drain that runs already, whoever began it.

use super::scene::*;

#[test]
fn with_a_sweep_an_adopted_drain_keeps_a_deadline_that_the_hook_can_wait_for() {
    // The hook can hold for 48 hours, 2 minutes of which are for tasks that are still stopping.
    let limit = at(SignedDuration::from_hours(48) - mins(2));
    for deadline in [at(-HOUR), at(mins(1)), at(HOUR * 40), limit, limit + DEADLINE_TOLERANCE] {
        let scene = held().adopts(DrainDeadline::At(deadline)).runs([running()]);
        assert!(matches!(scene.decide(), Decision::Wait { .. } | Decision::Act(Action::Complete { .. })));
    }
    let scene = held().adopts(DrainDeadline::At(limit + DEADLINE_TOLERANCE + SECOND)).runs([running()]);
    let request = scene.posts_because(Reason::DeadlineBroughtNearer);
    assert_eq!(at(request.spec.deadline), limit);
}

#[test]
fn without_a_sweep_it_is_brought_nearer_than_the_drain_deadline() {
    for seconds in [-3_000, 0, 5] {
        let scene = plain().adopts(DrainDeadline::At(at(HOUR + secs(seconds)))).runs([running()]);
        assert!(matches!(scene.decide(), Decision::Wait { .. }));
    }
    let scene = plain().adopts(DrainDeadline::At(at(HOUR + secs(6)))).runs([running()]);
    assert_eq!(scene.posts_because(Reason::DeadlineBroughtNearer).spec.deadline, HOUR);
}

#[test]
fn a_drain_without_a_deadline_gets_ours() {
    for scene in [held(), plain()] {
        let request = scene.adopts(DrainDeadline::Never).runs([running()]).posts();
        assert_eq!((request.reason, request.spec.deadline), (Reason::DeadlineBroughtNearer, HOUR));
    }
}

#[test]
fn a_drain_without_a_deadline_is_cut_to_the_hook_as_well() {
    let scene = held().hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(50));
    let scene = scene.adopts(DrainDeadline::Never).runs([running()]);
    assert_eq!(scene.after(mins(10)).posts().spec.deadline, mins(38));
}

#[test]
fn a_drain_that_is_forced_or_does_not_tell_its_deadline_is_left_alone() {
    for deadline in [DrainDeadline::Forced, DrainDeadline::Untold] {
        for scene in [held(), plain()] {
            let scene = scene.adopts(deadline).runs([running()]);
            assert!(matches!(scene.decide(), Decision::Wait { .. }), "{deadline:?}");
        }
    }
}

#[test]
fn what_somebody_else_wrote_on_a_drain_stays_and_so_does_its_scope() {
    let scene = held().adopts(DrainDeadline::Never).policy(|policy| policy.ignore_system_jobs = true);
    let request = scene.posts();
    assert_eq!((request.meta, request.spec.ignore_system_jobs), (None, false));
    let scene = held().adopts(DrainDeadline::Never);
    let request = scene.node(|node| node.drain.as_mut().unwrap().ignore_system_jobs = true).posts();
    assert!(request.spec.ignore_system_jobs);
}

#[test]
fn our_own_drain_is_brought_nearer_as_well_and_remembers_what_its_first_stamp_saw() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).target(|target| target.hook_started_at = None);
    let scene = scene.hold(|hold| hold.settings.as_mut().unwrap().global_timeout = mins(50));
    let meta = scene.posts_because(Reason::DeadlineBroughtNearer).meta.unwrap();
    assert_eq!(meta["was-eligible"], "true");
    assert_eq!(meta["hook-started-at"], at(SignedDuration::ZERO).to_string());
    assert_eq!(meta["deadline"], at(mins(48)).to_string());
}

#[test]
fn a_stamp_under_a_drain_that_is_not_the_running_one_makes_it_not_ours() {
    let scene =
        held().drains(DrainDeadline::Never).last_drain(|last| last.status = LastDrainStatus::Complete);
    assert_eq!(scene.posts().meta, None);
}

#[test]
fn an_adopted_drain_that_ends_with_nothing_left_completes_as_ours_does() {
    let scene = held().drained(mins(10)).last_drain(|last| last.meta.clear());
    scene.after(mins(11)).completes(Reason::Drained);
}
