//! Instances and their nodes.

use drain_lab::nomad::{NodeSpec, NodeStatus};

use super::Clinic;
use crate::stage::GROUP;

#[tokio::test]
async fn an_instance_without_a_node_is_an_error() {
    let clinic = Clinic::open().await;
    let instance = clinic.stage.aws.add_instance(GROUP, Some([127, 0, 1, 9].into())).unwrap();
    let examined = clinic.examine().await;
    examined.complains_of(&["instance-without-node"], 1);
    assert!(examined.said("instance-without-node").contains(&instance), "{examined:?}");
}

#[tokio::test]
async fn a_node_that_does_not_name_its_instance_is_found_by_its_address() {
    let clinic = Clinic::open().await;
    let worker = clinic.stage.add_worker_as(GROUP, 3, |_, node| node).unwrap();
    let examined = clinic.examine().await;
    examined.complains_of(&["node-without-attribute"], 0);
    assert!(examined.said("node-without-attribute").contains(&worker.instance_id), "{examined:?}");
    clinic.deployment.set_variable("NODE_LOOKUP", "server");
    clinic.examine().await.complains_of(&["instance-without-node"], 1);
}

#[tokio::test]
async fn two_nodes_of_one_instance_and_nodes_that_are_down_are_told() {
    let clinic = Clinic::open().await;
    let worker = clinic.stage.add_worker(GROUP, 3).unwrap();
    let again = NodeSpec::new("worker-3").instance_id(&worker.instance_id).address("127.0.1.3");
    clinic.stage.nomad.add_node(again);
    clinic.examine().await.complains_of(&["several-nodes"], 0);
    // One that is down is what an agent leaves that has lost its data directory.
    clinic.stage.nomad.set_status(&worker.node_id, NodeStatus::Down).unwrap();
    clinic.examine().await.complains_of(&[], 0);
    let lost = clinic.stage.add_worker(GROUP, 4).unwrap();
    clinic.stage.nomad.set_status(&lost.node_id, NodeStatus::Down).unwrap();
    clinic.examine().await.complains_of(&["node-down"], 0);
}
