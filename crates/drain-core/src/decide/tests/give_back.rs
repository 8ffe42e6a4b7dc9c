//! Nodes of instances that have come back, or were never taken.

use super::scene::*;
use crate::policy::Policy;

/// Our drain for this cause began at noon and was over a minute later.
fn drained_for(cause: Cause) -> Scene {
    held().because(cause).drained(mins(1)).without_hook().errand(Errand::GiveBack).after(HOUR)
}

/// The states of an instance in its group: every one in which a hook, a pool or a load balancer may have it.
const STATES: [&str; 12] = [
    "InService",
    "Pending",
    "Pending:Wait",
    "Pending:Proceed",
    "Terminating:Wait",
    "Terminating:Retained",
    "Standby",
    "Warmed:Pending:Wait",
    "Warmed:Stopped",
    "Warmed:Running",
    "Warmed:Terminating:Wait",
    "ReplacingRootVolume:Wait",
];

#[test]
fn every_cause_and_every_state() {
    for cause in Cause::ALL {
        let allowed: &[&str] = match cause {
            Cause::WarmPool | Cause::RootVolume => &STATES[..4],
            Cause::Rebalance | Cause::ScheduledChange => &STATES[..1],
            Cause::Terminate | Cause::Spot | Cause::StateChange | Cause::Manual => &[],
        };
        for state in STATES {
            let scene = drained_for(cause).state(state);
            if allowed.contains(&state) {
                scene.gives_back(false);
            } else {
                scene.finishes(Reason::NotGivenBack);
            }
        }
        for member in [Member::Unknown, Member::OfNoGroup] {
            drained_for(cause).member(member).finishes(Reason::NotGivenBack);
        }
    }
}

#[test]
fn one_that_comes_back_waits_two_minutes_and_one_that_survives_longer() {
    let waits = |cause: Cause, time: SignedDuration| {
        let scene = drained_for(cause).state("InService");
        scene.clone().after(time - SECOND).finishes(Reason::NotGivenBack);
        scene.after(time).gives_back(false);
    };
    waits(Cause::WarmPool, mins(2));
    waits(Cause::RootVolume, mins(2));
    waits(Cause::Rebalance, mins(30));
    waits(Cause::ScheduledChange, mins(30));
    let impatient = drained_for(Cause::Rebalance).policy(|policy| policy.restore_after = secs(10));
    impatient.clone().state("InService").after(mins(2) - SECOND).finishes(Reason::NotGivenBack);
    impatient.state("InService").after(mins(2)).gives_back(false);
}

#[test]
fn a_drain_that_still_runs_ends_with_it() {
    let scene = held().because(Cause::WarmPool).drains(DrainDeadline::At(at(HOUR)));
    scene.without_hook().errand(Errand::GiveBack).state("InService").after(mins(2)).gives_back(true);
}

#[test]
fn somebody_elses_drain_on_which_nomad_has_kept_our_stamp_goes_on() {
    let running = |deadline| {
        let scene = held().because(Cause::Rebalance).drains(deadline).without_hook();
        scene.errand(Errand::GiveBack).state("InService").after(mins(40))
    };
    running(DrainDeadline::At(at(HOUR + secs(30)))).gives_back(true);
    running(DrainDeadline::At(at(HOUR - secs(30)))).gives_back(true);
    for theirs in
        [DrainDeadline::At(at(HOUR + secs(31))), DrainDeadline::At(at(mins(50))), DrainDeadline::Never]
    {
        running(theirs).finishes(Reason::NotGivenBack);
    }
    // It is over in a moment, and given back then.
    running(DrainDeadline::Forced).finishes(Reason::NotGivenBack);
}

#[test]
fn what_an_operator_has_decided_stands() {
    let back = || drained_for(Cause::WarmPool).state("InService");
    // Ineligible before our drain.
    let refused = |scene: Scene| scene.finishes(Reason::NotGivenBack);
    refused(back().last_drain(|last| _ = last.meta.insert("was-eligible".into(), "false".into())));
    refused(back().last_drain(|last| _ = last.meta.remove("was-eligible")));
    // Cancelled.
    refused(back().last_drain(|last| last.status = LastDrainStatus::Canceled));
    // Changed by hand since our drain was over: given back once, and disabled by an operator later.
    refused(back().touched(mins(30)));
    refused(back().touched(mins(1) + SECOND + secs(1)));
    back().touched(mins(1)).gives_back(false);
    back().touched(secs(-5)).gives_back(false);
    // Nomad keeps ten events of a node: it may have been changed, and nobody knows any more.
    refused(back().node(|node| node.by_hand.known_since = Some(at(mins(30)))));
    back().node(|node| node.by_hand.known_since = Some(at(secs(-5)))).gives_back(false);
}

#[test]
fn a_second_drain_after_an_operators_hand_remembers_his_will() {
    let again = |scene: Scene| scene.runs([running()]).after(mins(5)).posts().meta.unwrap();
    let drained = || held().because(Cause::WarmPool).drained(mins(1));
    assert_eq!(again(drained())["was-eligible"], "true");
    assert_eq!(again(drained().touched(mins(2)))["was-eligible"], "false");
}

#[test]
fn somebody_elses_drain_is_theirs() {
    let back = || drained_for(Cause::WarmPool).state("InService");
    back().last_drain(|last| last.meta.clear()).finishes(Reason::NotGivenBack);
    let other = "i-00000000000000abc".to_owned();
    back()
        .last_drain(|last| _ = last.meta.insert("instance-id".into(), other))
        .finishes(Reason::NotGivenBack);
    back().node(|node| node.last_drain = None).finishes(Reason::NotGivenBack);
    back().last_drain(|last| last.started_at = None).finishes(Reason::NotGivenBack);
}

#[test]
fn a_cause_that_a_later_version_wrote_gives_nothing_back() {
    let back = drained_for(Cause::WarmPool).state("InService");
    back.last_drain(|last| _ = last.meta.insert("cause".into(), "eclipse".into()))
        .finishes(Reason::NotGivenBack);
}

#[test]
fn a_node_that_is_silent_or_takes_work_already_is_left_alone() {
    let back = || drained_for(Cause::WarmPool).state("InService");
    for status in [NodeStatus::Down(at(mins(2))), NodeStatus::Disconnected(at(mins(2)))] {
        back().status(status).finishes(Reason::NotGivenBack);
    }
    back().status(NodeStatus::Initializing).gives_back(false);
    back().node(|node| node.eligible = true).finishes(Reason::NotGivenBack);
    back().nodes(Nodes::Gone).finishes(Reason::NotGivenBack);
    back().nodes(Nodes::Unknown(Obstacle::Unreachable)).waits(Reason::NomadUnreachable);
    back().policy(|policy| policy.pause = true).finishes(Reason::Paused);
}

#[test]
fn asking_about_a_node_is_worth_it_only_if_the_rest_may_be_right() {
    let worth = |cause: Cause, after_noon: SignedDuration| {
        let Nodes::Known(nodes) = drained_for(cause).seen.nodes else { panic!("no node") };
        may_come_back(nodes[0].node.last_drain.as_ref().unwrap(), &Policy::default(), at(after_noon))
    };
    assert!(worth(Cause::WarmPool, mins(2)) && !worth(Cause::WarmPool, mins(2) - SECOND));
    assert!(worth(Cause::Rebalance, mins(30)) && !worth(Cause::Rebalance, mins(29)));
    assert!(!worth(Cause::Terminate, HOUR) && !worth(Cause::Spot, HOUR));
}
