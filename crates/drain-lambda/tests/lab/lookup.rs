//! Finding the node, on every route.

use std::net::{Ipv4Addr, TcpListener};

use drain_lab::Face;
use drain_lab::lab::{Lab, Worker};
use drain_lab::nomad::{Filtering, NodeSpec, NodeStatus, Quirks};

use crate::harness::{GROUP, calls, deploy, failure, invoke, lab, posts, result};

/// Serves a worker's agent, and gives the variables that lead to it.
async fn agent(lab: &Lab, worker: &Worker) -> (Face, String) {
    let port = free_port(worker);
    (lab.serve_agent(worker, port).await.unwrap(), format!("http://{{ip}}:{port}"))
}

fn free_port(worker: &Worker) -> u16 {
    TcpListener::bind((worker.private_ip, 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn by_agent_is_token_address_agent_node_drain() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let (_agent, url) = agent(&lab, &worker).await;
    let run = invoke(deploy(&lab, &[("NODE_LOOKUP", "agent"), ("NOMAD_AGENT_URL", &url)]), &worker).await;
    assert_eq!(result(&run)["node_id"], worker.node_id);
    assert_eq!(
        calls(&lab),
        [
            "GetParameter",
            "DescribeInstances",
            "GET /v1/agent/self",
            "GET /v1/node/:id",
            "POST /v1/node/:id/drain"
        ]
    );
}

#[tokio::test]
async fn auto_finds_a_node_without_the_attribute_by_its_address() {
    let lab = lab().await;
    let worker = lab.add_worker_as(GROUP, 1, |_, node| node).unwrap();
    // A node that has inherited the address, and says that it is another instance.
    let address = worker.private_ip.to_string();
    lab.nomad.add_node(NodeSpec::new("heir").address(address).instance_id("i-00000000000000abc"));
    lab.nomad.add_node(NodeSpec::new("elsewhere").address("10.99.0.1"));
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["node_id"], worker.node_id);
    assert_eq!(posts(&lab), 1);
    let read = calls(&lab).into_iter().filter(|what| what == "GET /v1/node/:id").count();
    assert_eq!(read, 2, "only the nodes at the address are read");
}

#[tokio::test]
async fn auto_asks_the_agent_when_neither_attribute_nor_address_is_known() {
    let lab = lab().await;
    let worker = lab.add_worker_as(GROUP, 1, |_, node| node.address("10.99.0.1")).unwrap();
    let (_agent, url) = agent(&lab, &worker).await;
    let run = invoke(deploy(&lab, &[("NOMAD_AGENT_URL", &url)]), &worker).await;
    // The agent names a node that says nothing of an instance, at an address that is not the instance's.
    assert_eq!(failure(&run).0, "WrongNode");
    assert_eq!(posts(&lab), 0);
    assert!(calls(&lab).contains(&"GET /v1/agent/self".to_owned()));
}

#[tokio::test]
async fn auto_says_not_found_with_the_agents_address_when_the_agent_does_not_answer() {
    let lab = lab().await;
    let instance_id = lab.aws.add_instance(GROUP, Some(Ipv4Addr::new(127, 0, 1, 77))).unwrap();
    let worker = Worker {
        instance_id,
        node_id: String::new(),
        name: String::new(),
        private_ip: Ipv4Addr::new(127, 0, 1, 77),
    };
    let url = format!("http://{{ip}}:{}", free_port(&worker));
    let run = invoke(deploy(&lab, &[("NOMAD_AGENT_URL", &url)]), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NodeNotFound");
    assert!(message.contains(&url.replace("{ip}", "127.0.1.77")), "{message}");
}

#[tokio::test]
async fn of_two_nodes_of_one_instance_the_one_that_is_down_is_left_alone() {
    let lab = lab().await;
    let worker =
        lab.add_worker_as(GROUP, 1, |id, node| node.instance_id(id).status(NodeStatus::Down)).unwrap();
    let newer = lab.nomad.add_node(NodeSpec::new("worker-1").instance_id(&worker.instance_id));
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["node_id"], newer);
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_node_that_is_down_is_drained_if_the_instance_has_no_other() {
    let lab = lab().await;
    let worker =
        lab.add_worker_as(GROUP, 1, |id, node| node.instance_id(id).status(NodeStatus::Down)).unwrap();
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["outcome"], "drain_started");
}

#[tokio::test]
async fn servers_that_ignore_the_filter_make_us_drain_nothing() {
    for strangers in [1, 30] {
        let lab = lab().await;
        let worker = lab.add_worker(GROUP, 1).unwrap();
        for number in 0..strangers {
            lab.nomad.add_node(NodeSpec::new(format!("other-{number}")).attribute("nomad.version", "1.2.6"));
        }
        lab.nomad.set_quirks(Quirks { filtering: Filtering::Ignored, ..Quirks::default() });
        let run = invoke(deploy(&lab, &[("NODE_LOOKUP", "server")]), &worker).await;
        let (error_type, message) = failure(&run);
        assert_eq!(error_type, "FilterIgnored");
        assert!(message.contains("1.2.6"), "{message}");
        assert_eq!(posts(&lab), 0);
    }
}

#[tokio::test]
async fn servers_that_trip_over_a_missing_attribute_are_asked_with_a_guard() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_node(NodeSpec::new("without"));
    lab.nomad.set_quirks(Quirks { filtering: Filtering::V0_1_11, ..Quirks::default() });
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["outcome"], "drain_started");
}
