//! A drain that somebody has cancelled.

use super::scene::*;

#[test]
fn a_cancelled_drain_is_begun_again_after_five_minutes() {
    let scene = held().cancelled(mins(10)).runs([running()]);
    for after in [mins(10), mins(12), mins(15) - SECOND] {
        assert_eq!(scene.clone().after(after).waits(Reason::DrainCancelled), at(mins(15)));
    }
    scene.after(mins(15)).posts_because(Reason::DrainPosted);
}

#[test]
fn it_ends_no_later_than_the_first_one_of_this_action() {
    let scene = held().cancelled(mins(10));
    let request = scene.clone().after(mins(15)).posts();
    assert_eq!(request.spec.deadline, mins(45));
    assert_eq!(request.meta.unwrap()["deadline"], at(HOUR).to_string());
    let late = scene.last_drain(|last| last.updated_at = Some(at(mins(56)))).after(mins(61));
    assert_eq!(late.posts().spec.deadline, DrainSpec::FORCE);
}

#[test]
fn it_says_whether_the_node_takes_work_now_and_when_the_hook_began() {
    let scene = held().cancelled(mins(10)).after(mins(15));
    assert_eq!(scene.posts().meta.unwrap()["was-eligible"], "true");
    let kept = scene.target(|target| target.hook_started_at = None).posts().meta.unwrap();
    assert_eq!(kept["hook-started-at"], at(SignedDuration::ZERO).to_string());
}

#[test]
fn the_respite_is_for_everybodys_drain_if_it_was_cancelled_since_the_hook_began() {
    let theirs = held().cancelled(mins(1)).last_drain(|last| last.meta.clear());
    theirs.clone().after(mins(2)).waits(Reason::DrainCancelled);
    theirs.target(|target| target.hook_started_at = None).after(mins(2)).posts();
    let ours = held().cancelled(mins(1)).target(|target| target.hook_started_at = None);
    ours.after(mins(2)).waits(Reason::DrainCancelled);
}

#[test]
fn one_that_was_cancelled_before_the_hook_began_is_history() {
    held().cancelled(secs(-6)).posts();
    held().cancelled(secs(-5)).waits(Reason::DrainCancelled);
    held().cancelled(-HOUR).posts();
}

#[test]
fn one_that_nobody_dates_gets_no_respite() {
    held().cancelled(mins(1)).last_drain(|last| last.updated_at = None).after(mins(2)).posts();
}

#[test]
fn a_node_that_stays_ineligible_after_the_cancel_has_the_same_respite_while_anything_runs() {
    let scene = held().cancelled(mins(10)).ineligible().after(mins(12));
    assert_eq!(scene.clone().runs([running()]).waits(Reason::DrainCancelled), at(mins(15)));
    scene.clone().runs([running()]).after(mins(15)).posts_because(Reason::DrainPosted);
    scene.completes(Reason::Drained);
}

#[test]
fn a_drain_that_runs_again_is_looked_at_as_it_is() {
    let scene = held().adopts(DrainDeadline::At(at(HOUR))).runs([running()]);
    let scene = scene.last_drain(|last| last.status = LastDrainStatus::Canceled);
    scene.after(mins(1)).waits(Reason::AllocationsRunning);
}

#[test]
fn the_hook_is_kept_alive_during_the_respite() {
    let scene = held().cancelled(mins(10)).unheard().hold(|hold| hold.settings = None);
    scene.after(mins(12)).heartbeats();
}

#[test]
fn a_node_that_stayed_ineligible_after_the_cancel_is_not_given_back_as_eligible() {
    let scene = held().cancelled(mins(1)).ineligible().runs([running()]).after(mins(6));
    assert_eq!(scene.posts().meta.unwrap()["was-eligible"], "false");
}
