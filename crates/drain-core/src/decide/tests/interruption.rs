//! What EC2 and AWS Health tell everybody: interruptions, recommendations, changes of state.

use super::scene::*;

fn told(cause: Cause) -> Scene {
    plain().because(cause).announced_to_all()
}

#[test]
fn an_interruption_has_two_minutes_less_its_age_and_a_margin() {
    let deadline = |age: SignedDuration| {
        let scene = told(Cause::Spot).after(age);
        let mut scene = scene;
        scene.seen.first_look = scene.now;
        scene.posts_because(Reason::DrainPosted).spec.deadline
    };
    assert_eq!(deadline(secs(0)), secs(110));
    assert_eq!(deadline(secs(39)), secs(71));
    assert_eq!(deadline(secs(110)), DrainSpec::FORCE);
    assert_eq!(deadline(secs(120)), DrainSpec::FORCE);
    told(Cause::Spot).after(secs(121)).finishes(Reason::TooLate);
}

#[test]
fn one_that_does_not_say_when_it_was_sent_is_new() {
    let scene = told(Cause::Spot).target(|target| target.told_at = None);
    assert_eq!(scene.posts().spec.deadline, secs(110));
    let future = told(Cause::Spot).target(|target| target.told_at = Some(at(HOUR)));
    assert_eq!(future.posts().spec.deadline, secs(110));
}

#[test]
fn a_shorter_deadline_of_the_operators_stands() {
    let scene = told(Cause::Spot).policy(|policy| policy.drain_deadline = secs(30));
    assert_eq!(scene.posts().spec.deadline, secs(30));
}

#[test]
fn the_hooks_limit_holds_for_an_interruption_as_well() {
    let scene = held().because(Cause::Spot).hold(|hold| {
        let settings = hold.settings.as_mut().unwrap();
        settings.global_timeout = mins(3);
    });
    assert_eq!(scene.posts().spec.deadline, mins(1), "KILL_GRACE before the hook's end");
    assert_eq!(held().because(Cause::Spot).posts().spec.deadline, secs(110));
}

#[test]
fn a_running_drain_is_brought_nearer() {
    let long = DrainDeadline::At(at(HOUR));
    let ours = held().because(Cause::Rebalance).drains(long).announced_to_all().because(Cause::Spot);
    let request = ours.posts_because(Reason::DeadlineBroughtNearer);
    assert_eq!(request.spec.deadline, secs(110));
    assert_eq!(request.meta.unwrap()["cause"], "spot");
    let theirs = told(Cause::Spot).adopts(long).posts_because(Reason::DeadlineBroughtNearer);
    assert_eq!((theirs.spec.deadline, theirs.meta), (secs(110), None));
    told(Cause::Spot).adopts(DrainDeadline::Never).posts_because(Reason::DeadlineBroughtNearer);
    for near in [DrainDeadline::At(at(secs(114))), DrainDeadline::Forced] {
        told(Cause::Spot).adopts(near).finishes(Reason::AlreadyDraining);
    }
}

#[test]
fn a_drain_of_which_the_instance_may_come_back_becomes_that_of_the_interruption() {
    // Else the node would be given back, with the instance in service until it is dead.
    for cause in [Cause::Rebalance, Cause::ScheduledChange, Cause::WarmPool, Cause::RootVolume] {
        let over = held().because(cause).drained(mins(1)).announced_to_all().because(Cause::Spot);
        let meta = over.posts_because(Reason::DrainPosted).meta.unwrap();
        assert_eq!((&*meta["cause"], &*meta["was-eligible"]), ("spot", "true"));
        let near = held().because(cause).drains(DrainDeadline::At(at(secs(60)))).announced_to_all();
        let request = near.because(Cause::Spot).posts_because(Reason::DeadlineBroughtNearer);
        assert_eq!((request.spec.deadline, &*request.meta.unwrap()["cause"]), (secs(60), "spot"));
    }
    for cause in [Cause::Terminate, Cause::Spot, Cause::StateChange, Cause::Manual] {
        let over = held().because(cause).drained(mins(1)).announced_to_all();
        over.because(Cause::Spot).finishes(Reason::AlreadyDrained);
    }
    let touched = held().because(Cause::Rebalance).drained(mins(1)).touched(mins(2)).announced_to_all();
    touched.because(Cause::Spot).finishes(Reason::AlreadyDrained);
}

#[test]
fn a_drain_of_which_the_instance_may_stay_becomes_that_of_the_way_to_the_pool() {
    // Else a launch hook would wait for it to be in service, to which it does not come without the launch hook.
    for (earlier, now) in [
        (Cause::Rebalance, Cause::WarmPool),
        (Cause::ScheduledChange, Cause::WarmPool),
        (Cause::ScheduledChange, Cause::RootVolume),
    ] {
        let meta = held().because(earlier).drained(mins(1)).because(now).posts().meta.unwrap();
        assert_eq!((&*meta["cause"], &*meta["was-eligible"]), (now.as_str(), "true"));
        held().because(now).drained(mins(1)).completes(Reason::Drained);
    }
    held().because(Cause::Rebalance).drained(mins(1)).completes(Reason::Drained);
}

#[test]
fn what_the_hook_needs_to_know_survives_an_interruption() {
    let scene = held().drains(DrainDeadline::At(at(HOUR))).announced_to_all().because(Cause::Spot);
    let meta = scene.posts().meta.unwrap();
    assert_eq!(meta["lifecycle-hook"], "nomad-drain-hook");
    assert_eq!(meta["auto-scaling-group"], "workers");
    assert_eq!(meta["hook-started-at"], at(SignedDuration::ZERO).to_string());
    assert_eq!(meta["was-eligible"], "true");
    assert_eq!(
        meta["message"],
        "EC2 is taking i-0123456789abcdef0 back (interruption warning) (group workers)"
    );
}

#[test]
fn a_drain_that_was_cancelled_is_begun_again_at_once_when_the_instance_ends_by_itself() {
    for cause in [Cause::Spot, Cause::StateChange] {
        let scene = held().because(Cause::Rebalance).cancelled(secs(30)).announced_to_all();
        scene.because(cause).after(mins(1)).posts_because(Reason::DrainPosted);
    }
}

#[test]
fn a_drain_that_was_cancelled_and_left_the_node_ineligible_is_begun_again_too() {
    for cause in [Cause::Spot, Cause::StateChange] {
        let scene = held().because(Cause::Rebalance).cancelled(secs(30)).ineligible().announced_to_all();
        scene.because(cause).after(mins(1)).posts_because(Reason::DrainPosted);
    }
    let again = held().because(Cause::Rebalance).cancelled(secs(30)).ineligible().announced_to_all();
    again.clone().because(Cause::Rebalance).after(mins(1)).waits(Reason::DrainCancelled);
    again.because(Cause::Rebalance).after(mins(6)).posts_because(Reason::DrainPosted);
}

#[test]
fn an_interruption_that_did_not_come_does_not_bind_the_hook() {
    // Its drain was cancelled, and the instance has outlived it: what runs now has the time that the hook has.
    let scene = held().because(Cause::Spot).cancelled(mins(1)).because(Cause::Terminate);
    let scene = scene.last_drain(|last| _ = last.meta.insert("deadline".into(), at(secs(110)).to_string()));
    assert_eq!(scene.clone().after(mins(6)).posts().spec.deadline, HOUR);
    let own = scene.last_drain(|last| _ = last.meta.insert("cause".into(), "terminate".into()));
    assert_eq!(own.after(mins(6)).posts().spec.deadline, DrainSpec::FORCE);
}

#[test]
fn an_instance_that_is_being_stopped_is_drained_with_force() {
    assert_eq!(told(Cause::StateChange).posts_because(Reason::DrainPosted).spec.deadline, DrainSpec::FORCE);
    let running = held().because(Cause::WarmPool).drains(DrainDeadline::At(at(HOUR)));
    let request = running.announced_to_all().because(Cause::StateChange).posts();
    assert_eq!(request.spec.deadline, DrainSpec::FORCE);
    // Every instance that goes is stopped or shut down in the end: that is not why it goes.
    assert_eq!(request.meta.unwrap()["cause"], "warm-pool");
    let done = held().because(Cause::WarmPool).drained(mins(1)).announced_to_all();
    done.because(Cause::StateChange).after(mins(2)).finishes(Reason::AlreadyDrained);
}

#[test]
fn an_instance_that_may_survive_is_drained_and_a_drain_that_runs_is_left_alone() {
    for cause in [Cause::Rebalance, Cause::ScheduledChange] {
        let request = told(cause).posts_because(Reason::DrainPosted);
        assert_eq!((request.spec.deadline, request.meta.unwrap()["was-eligible"].as_str()), (HOUR, "true"));
        for deadline in [DrainDeadline::Never, DrainDeadline::At(at(HOUR * 9)), DrainDeadline::Forced] {
            told(cause).adopts(deadline).finishes(Reason::AlreadyDraining);
        }
    }
}

#[test]
fn an_instance_without_a_node_of_ours_is_not_ours() {
    for cause in [Cause::Spot, Cause::Rebalance, Cause::ScheduledChange, Cause::StateChange] {
        told(cause).nodes(Nodes::Absent).finishes(Reason::NotOurInstance);
        told(cause).nodes(Nodes::Unknown(Obstacle::NoLeader)).waits(Reason::NoClusterLeader);
    }
}

#[test]
fn a_node_that_is_down_is_made_ineligible_and_not_drained() {
    told(Cause::StateChange).status(NodeStatus::Down(at(-HOUR))).makes_ineligible(0);
}

#[test]
fn a_drain_for_a_recommendation_is_somebody_elses_to_the_hook_that_follows() {
    // The event of the hook comes an hour later: what was drained then has nothing left to stop.
    let scene = held().because(Cause::Rebalance).drained(mins(1)).because(Cause::Terminate).after(HOUR);
    let held_now = scene.target(|target| target.hook_started_at = Some(at(HOUR)));
    held_now.clone().completes(Reason::Drained);
    held_now.runs([running()]).posts_because(Reason::DrainPosted);
}

#[test]
fn an_instance_that_is_stopped_for_its_warm_pool_is_drained_as_one_that_comes_back() {
    for state in ["Warmed:Pending:Proceed", "Warmed:Pending", "Warmed:Stopped"] {
        let stopped = told(Cause::StateChange).state(state);
        let request = stopped.posts_because(Reason::DrainPosted);
        assert_eq!(
            (request.spec.deadline, &*request.meta.unwrap()["cause"]),
            (DrainSpec::FORCE, "warm-pool")
        );
        stopped.status(NodeStatus::Down(at(secs(0)))).finishes(Reason::AlreadyDrained);
        let recommended = held().because(Cause::Rebalance).drained(mins(1)).announced_to_all();
        let meta = recommended.because(Cause::StateChange).state(state).posts().meta.unwrap();
        assert_eq!(meta["cause"], "warm-pool");
    }
    for state in ["InService", "Terminating:Wait", "Warmed:Terminating:Wait", "Warmed:Terminated"] {
        let meta = told(Cause::StateChange).state(state).posts().meta.unwrap();
        assert_eq!(meta["cause"], "state-change");
    }
}
