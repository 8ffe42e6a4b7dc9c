//! Instances that have ended, and the nodes that they leave behind.

use super::scene::*;

const DOWN: NodeStatus = NodeStatus::Down(Timestamp::UNIX_EPOCH);

fn ended(ending: Ending) -> Scene {
    let scene = held().drained(mins(1)).announced_to_all().errand(Errand::Purge(ending)).after(HOUR);
    scene.status(DOWN).policy(|policy| policy.purge_nodes = true)
}

#[test]
fn the_node_of_a_terminated_instance_is_purged_once_it_is_down() {
    let terminated = ended(Ending::Terminated);
    terminated.clone().purges(0);
    for status in [NodeStatus::Ready, NodeStatus::Initializing, NodeStatus::Disconnected(at(mins(2)))] {
        terminated.clone().status(status).waits(Reason::NodeNotDown);
    }
    terminated.clone().nodes(Nodes::Absent).finishes(Reason::InstanceEnded);
    terminated.nodes(Nodes::Unknown(Obstacle::Unreachable)).waits(Reason::NomadUnreachable);
}

#[test]
fn of_several_nodes_those_that_are_down_go_and_the_others_stay() {
    let scene = ended(Ending::Terminated).status(NodeStatus::Ready);
    scene.and_older(|older| older.node.status = DOWN).purges(1);
}

#[test]
fn a_stopped_instance_of_a_warm_pool_keeps_its_node() {
    ended(Ending::Stopped).member(Member::OfNoGroup).purges(0);
    ended(Ending::Stopped).state("Warmed:Stopped").finishes(Reason::InstanceEnded);
    ended(Ending::Stopped).member(Member::Unknown).finishes(Reason::InstanceEnded);
}

#[test]
fn a_sweep_purges_only_what_we_drained_for_a_termination_and_auto_scaling_has_forgotten() {
    let found = || ended(Ending::Terminated).target(|target| target.origin = Origin::Sweep);
    found().member(Member::OfNoGroup).purges(0);
    found().state("Terminating:Wait").finishes(Reason::InstanceEnded);
    found().member(Member::Unknown).finishes(Reason::InstanceEnded);
    let forgotten = || found().member(Member::OfNoGroup);
    for cause in Cause::ALL {
        let scene =
            forgotten().last_drain(|last| _ = last.meta.insert("cause".into(), cause.as_str().into()));
        if cause == Cause::Terminate {
            scene.purges(0);
        } else {
            scene.finishes(Reason::InstanceEnded);
        }
    }
    forgotten().last_drain(|last| last.meta.clear()).finishes(Reason::InstanceEnded);
    forgotten().status(NodeStatus::Ready).waits(Reason::NodeNotDown);
}

#[test]
fn nothing_is_purged_unless_it_was_asked_for() {
    ended(Ending::Terminated).policy(|policy| policy.purge_nodes = false).finishes(Reason::InstanceEnded);
    ended(Ending::Terminated).policy(|policy| policy.pause = true).finishes(Reason::InstanceEnded);
}

#[test]
fn auto_scalings_silence_says_nothing_of_other_regions() {
    let of_zone = |scene: Scene, zone: &str| {
        scene.node(|node| node.availability_zone = Some(zone.to_owned())).policy(|policy| {
            policy.aws_region = Some("us-east-1".to_owned());
        })
    };
    let found =
        || ended(Ending::Terminated).target(|target| target.origin = Origin::Sweep).member(Member::OfNoGroup);
    let stopped = || ended(Ending::Stopped).member(Member::OfNoGroup);
    for scene in [found, stopped] {
        for ours in ["us-east-1a", "us-east-1-bos-1a"] {
            of_zone(scene(), ours).purges(0);
        }
        for theirs in ["us-west-2a", "us-east-12a", "eu-central-1b"] {
            of_zone(scene(), theirs).finishes(Reason::InstanceEnded);
        }
    }
    // EC2 itself says that it is gone.
    of_zone(ended(Ending::Terminated), "us-west-2a").purges(0);
}
