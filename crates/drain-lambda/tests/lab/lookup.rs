//! Finding the node, on every route.

use std::net::Ipv4Addr;
use std::time::Duration;

use drain_lab::Face;
use drain_lab::lab::{Lab, Worker};
use drain_lab::nomad::{Filtering, NodeSpec, NodeStatus, Quirks};

use crate::harness::{
    ClosedPort, GROUP, POST, became, calls, count, deploy, ending, failure, function, invoke, is_held, lab,
    posts, response, result, terminate,
};

/// Serves a worker's agent, and gives the variables that lead to it.
async fn agent(lab: &Lab, worker: &Worker) -> (Face, String) {
    let agent = lab.serve_agent(worker).await.unwrap();
    let url = format!("http://{{ip}}:{}", agent.address().port());
    (agent, url)
}

#[tokio::test]
async fn by_agent_is_token_address_agent_node_drain() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let (_agent, url) = agent(&lab, &worker).await;
    let run =
        invoke(&lab, deploy(&lab, &[("NODE_LOOKUP", "agent"), ("NOMAD_AGENT_URL", &url)]), &worker).await;
    assert_eq!(result(&run)["node_id"], worker.node_id);
    assert_eq!(
        calls(&lab)[..5],
        [
            "DescribeInstances",
            "GetParameter",
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
    terminate(&lab, &worker);
    // A node that has inherited the address, and says that it is another instance.
    let address = worker.private_ip.to_string();
    lab.nomad.add_node(NodeSpec::new("heir").address(address).instance_id("i-00000000000000abc"));
    lab.nomad.add_node(NodeSpec::new("elsewhere").address("10.99.0.1"));
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["node_id"], worker.node_id);
    assert_eq!(posts(&lab), 1);
    let posted = calls(&lab).iter().position(|what| what == POST).unwrap();
    let read = calls(&lab)[..posted].iter().filter(|what| *what == "GET /v1/node/:id").count();
    assert_eq!(read, 2, "only the nodes at the address are read");
    assert_eq!(became(&run), ("completed", "drained"));
}

#[tokio::test]
async fn auto_asks_the_agent_when_neither_attribute_nor_address_is_known() {
    let lab = lab().await;
    let worker = lab.add_worker_as(GROUP, 1, |_, node| node.address("10.99.0.1")).unwrap();
    terminate(&lab, &worker);
    let (_agent, url) = agent(&lab, &worker).await;
    let run = invoke(&lab, deploy(&lab, &[("NOMAD_AGENT_URL", &url)]), &worker).await;
    // The agent names a node that says nothing of an instance, at an address that is not the instance's.
    assert_eq!(failure(&run).0, "WrongNode");
    assert_eq!(posts(&lab), 0);
    assert!(calls(&lab).contains(&"GET /v1/agent/self".to_owned()));
}

#[tokio::test]
async fn auto_says_not_found_with_the_agents_address_when_the_agent_does_not_answer() {
    let lab = lab().await;
    let private_ip = Ipv4Addr::new(127, 0, 1, 77);
    let instance_id = lab.aws.add_instance(GROUP, Some(private_ip)).unwrap();
    let worker = Worker { instance_id, node_id: String::new(), name: String::new(), private_ip };
    terminate(&lab, &worker);
    let closed = ClosedPort::at(private_ip);
    let url = format!("http://{{ip}}:{}", closed.number());
    let mut settings = function(&lab, &[("NOMAD_AGENT_URL", &url)]);
    settings.timeout = Duration::from_secs(3);
    let run = invoke(&lab, lab.deploy(settings), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NodeNotFound");
    assert!(message.contains(&url.replace("{ip}", "127.0.1.77")), "{message}");
    assert!(is_held(&lab, &worker), "it may be about to join");
}

#[tokio::test]
async fn of_two_nodes_of_one_instance_the_one_that_is_down_is_made_ineligible_and_the_other_is_drained() {
    let lab = lab().await;
    let worker =
        lab.add_worker_as(GROUP, 1, |id, node| node.instance_id(id).status(NodeStatus::Down)).unwrap();
    terminate(&lab, &worker);
    let newer = lab.nomad.add_node(NodeSpec::new("worker-1").instance_id(&worker.instance_id));
    let lambda = deploy(&lab, &[("EVENT_LINGER", "200ms")]);
    let run = invoke(&lab, lambda, &worker).await;
    let results = response(&run)["results"].as_array().unwrap();
    let nodes: Vec<&str> = results.iter().map(|result| result["node_id"].as_str().unwrap()).collect();
    assert_eq!(nodes, [&newer, &worker.node_id], "the newest first");
    assert_eq!((posts(&lab), count(&lab, "POST /v1/node/:id/eligibility")), (1, 1));
    assert!(!lab.node(&worker).unwrap().eligible && lab.node(&worker).unwrap().last_drain.is_none());
    assert!(lab.nomad.node(&newer).unwrap().last_drain.is_some());
}

#[tokio::test]
async fn a_node_that_is_down_is_made_ineligible_and_not_drained() {
    let lab = lab().await;
    let worker =
        lab.add_worker_as(GROUP, 1, |id, node| node.instance_id(id).status(NodeStatus::Down)).unwrap();
    terminate(&lab, &worker);
    let run = invoke(&lab, deploy(&lab, &[("EVENT_LINGER", "200ms")]), &worker).await;
    assert_eq!(became(&run).0, "left_to_hook");
    assert!(!lab.node(&worker).unwrap().eligible);
    assert_eq!(posts(&lab), 0);
}

#[tokio::test]
async fn servers_that_ignore_the_filter_make_us_drain_nothing() {
    for strangers in [1, 30] {
        let lab = lab().await;
        let worker = ending(&lab, 1);
        for number in 0..strangers {
            lab.nomad.add_node(NodeSpec::new(format!("other-{number}")).attribute("nomad.version", "1.2.6"));
        }
        lab.nomad.set_quirks(Quirks { filtering: Filtering::Ignored, ..Quirks::default() });
        let run = invoke(&lab, deploy(&lab, &[("NODE_LOOKUP", "server")]), &worker).await;
        let (error_type, message) = failure(&run);
        assert_eq!(error_type, "FilterIgnored");
        assert!(message.contains("1.2.6"), "{message}");
        assert_eq!(posts(&lab), 0);
    }
}

#[tokio::test]
async fn servers_that_trip_over_a_missing_attribute_are_asked_with_a_guard() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.nomad.add_node(NodeSpec::new("without"));
    lab.nomad.set_quirks(Quirks { filtering: Filtering::V0_1_11, ..Quirks::default() });
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
}
