//! Nodes and their allocations: found, read, drained and purged.

use super::*;

const GUARDED: &str = "Attributes%20contains%20%22unique.platform.aws.instance-id%22%20and%20Attributes%5B%22unique.\
                       platform.aws.instance-id%22%5D%20%3D%3D%20%22i-0abc%22";
const UNGUARDED: &str = "Attributes%5B%22unique.platform.aws.instance-id%22%5D+%3D%3D+%22i-0abc%22";

#[tokio::test]
async fn a_node_is_found_by_the_attribute_of_its_instance() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.add_node(NodeSpec::new("n2"));
    for filter in [GUARDED, UNGUARDED] {
        let list = lab.get(&format!("/v1/nodes?filter={filter}")).await.json();
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!((list[0]["ID"].as_str(), list[0]["Address"].as_str()), (Some(&*id), Some("10.0.0.5")));
        assert!(list[0].get("Attributes").is_none() && list[0]["Drain"] == false);
    }
    let node = lab.get(&format!("/v1/node/{id}")).await.json();
    assert_eq!(node["Attributes"]["unique.platform.aws.instance-id"], "i-0abc");
    assert_eq!((&node["DrainStrategy"], &node["Drain"]), (&Value::Null, &Value::Bool(false)));
    let calls = lab.journal.calls(System::Nomad);
    assert_eq!(calls, ["GET /v1/nodes", "GET /v1/nodes", "GET /v1/node/:id"]);
}

#[tokio::test]
async fn old_releases_filter_badly_or_not_at_all() {
    let (lab, _) = Lab::with_node().await;
    lab.nomad.add_node(NodeSpec::new("n2"));
    lab.nomad.set_quirks(Quirks { filtering: Filtering::V0_1_11, ..Quirks::default() });
    let refused = lab.get(&format!("/v1/nodes?filter={UNGUARDED}")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().starts_with("failed to read result page: error finding value in datum: "));
    assert_eq!(lab.get(&format!("/v1/nodes?filter={GUARDED}")).await.json().as_array().unwrap().len(), 1);
    lab.nomad.set_quirks(Quirks { filtering: Filtering::Ignored, ..Quirks::default() });
    assert_eq!(lab.get("/v1/nodes?filter=rubbish(").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_drain_is_put_or_posted_and_answers_its_index() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.add_job(JobSpec::batch("etl", 1));
    let path = format!("/v1/node/{id}/drain");
    let body = r#"{"drainspec":{"DEADLINE":3600000000000},"MarkEligible":false,"Meta":{"message":"m"}}"#;
    let answer = lab.put(&path, body).await;
    let index = lab.nomad.index();
    assert_eq!(answer.header("X-Nomad-Index"), Some(index.to_string().as_str()));
    assert_eq!(answer.json()["NodeModifyIndex"], index);
    let node = lab.get(&format!("/v1/node/{id}")).await.json();
    assert_eq!(
        node["DrainStrategy"],
        serde_json::json!({"Deadline": 3_600_000_000_000_u64, "IgnoreSystemJobs": false,
            "ForceDeadline": "2026-01-01T01:00:00Z", "StartedAt": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(
        node["LastDrain"],
        serde_json::json!({"StartedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
            "Status": "draining", "AccessorID": "token:acls-disabled", "Meta": {"message": "m"}})
    );
    assert_eq!(node["SchedulingEligibility"], "ineligible");
    let cancel = lab.send(&lab.face, "POST", &path, "", r#"{"MarkEligible":true}"#).await;
    assert_eq!(cancel.status, 200);
    assert_eq!(lab.nomad.node(&id).unwrap().last_drain.unwrap().status, DrainStatus::Canceled);
    assert!(lab.nomad.node(&id).unwrap().eligible);
    let entry =
        lab.journal.entries().into_iter().find(|entry| entry.what == "POST /v1/node/:id/drain").unwrap();
    assert_eq!((entry.subject, entry.detail), (id, body.to_owned()));
}

#[tokio::test]
async fn allocations_are_full_objects_and_leave_out_what_is_empty() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.add_job(JobSpec::service("web", 1));
    lab.clock.advance(Duration::from_mins(1));
    let allocs = lab.get(&format!("/v1/node/{id}/allocations")).await.json();
    assert_eq!(
        (&allocs[0]["Job"]["Type"], &allocs[0]["ClientStatus"]),
        (&"service".into(), &"running".into())
    );
    assert!(allocs[0].get("DesiredTransition").is_none());
    lab.nomad.drain(&id, DrainRequest::with_deadline(SignedDuration::from_secs(-1))).unwrap();
    lab.clock.advance(Duration::from_secs(1));
    let allocs = lab.get(&format!("/v1/node/{id}/allocations")).await.json();
    assert_eq!(
        (&allocs[0]["DesiredStatus"], &allocs[0]["DesiredTransition"]["Migrate"]),
        (&"stop".into(), &true.into())
    );
    let filter = format!("NodeID%20%3D%3D%20%22{id}%22");
    let stubs = lab.get(&format!("/v1/allocations?namespace=*&filter={filter}")).await.json();
    assert_eq!((&stubs[0]["JobType"], &stubs[0]["NodeID"]), (&"service".into(), &id.into()));
}

#[tokio::test]
async fn nodes_that_were_left_ineligible_can_be_found_and_the_list_tells_who_drained_them() {
    let (lab, drained) = Lab::with_node().await;
    let other = lab.nomad.add_node(NodeSpec::new("n2"));
    let body = r#"{"DrainSpec":{"Deadline":3600000000000},"Meta":{"by":"me"}}"#;
    lab.put(&format!("/v1/node/{drained}/drain"), body).await.json();
    let ineligible = "/v1/nodes?filter=SchedulingEligibility%20%3D%3D%20%22ineligible%22";
    let found = lab.get(ineligible).await.json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["ID"]), (1, &json!(drained)));
    let last = &found[0]["LastDrain"];
    assert_eq!((&last["Status"], &last["Meta"]), (&json!("complete"), &json!({"by": "me"})));
    let gone = format!("{ineligible}%20and%20Status%20%3D%3D%20%22down%22");
    assert_eq!(lab.get(&gone).await.json(), json!([]));
    for node in [&drained, &other] {
        lab.nomad.set_status(node, NodeStatus::Down).unwrap();
    }
    let found = lab.get(&gone).await.json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["ID"]), (1, &json!(drained)));
}

#[tokio::test]
async fn an_eligibility_that_is_so_already_is_neither_written_nor_remembered() {
    let (lab, id) = Lab::with_node().await;
    let (index, before) = (lab.nomad.index(), lab.nomad.node(&id));
    let answer = lab.put(&format!("/v1/node/{id}/eligibility"), r#"{"Eligibility":"eligible"}"#).await;
    assert_eq!(answer.json()["Index"], 0);
    assert_eq!((lab.nomad.index(), lab.nomad.node(&id)), (index, before));
}

#[tokio::test]
async fn a_node_is_purged_and_its_living_client_registers_again() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.set_eligibility(&id, false).unwrap();
    let purged = lab.put(&format!("/v1/node/{id}/purge"), "").await.json();
    assert_eq!(purged["NodeModifyIndex"], lab.nomad.index());
    assert_eq!(lab.get(&format!("/v1/node/{id}")).await.refusal(), (404, "node not found"));
    lab.clock.advance(Duration::from_secs(10));
    let node = lab.get(&format!("/v1/node/{id}")).await.json();
    assert_eq!((&node["SchedulingEligibility"], &node["LastDrain"]), (&json!("eligible"), &json!(null)));
    assert_eq!(node["Events"][0]["Message"], "Node registered");
}

/// Sends one request after the other over one connection, and counts the answers whose body contains `expected`.
async fn ask_all(face: &Face, paths: &[String], expected: &str) -> usize {
    let mut found = 0;
    for path in paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: nomad\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(exchange(face.address(), &request).await).unwrap();
        found += usize::from(answer.starts_with("HTTP/1.1 200") && answer.contains(expected));
    }
    found
}

#[tokio::test]
async fn a_thousand_nodes_are_found_by_a_hundred_instances_at_a_time_and_read_one_by_one() {
    let lab = Lab::new().await;
    let instance = |number: usize| format!("i-{number:017x}");
    let specs = (0..1000).map(|number| NodeSpec::new(format!("n{number}")).instance_id(&instance(number)));
    let nodes = lab.nomad.add_nodes(specs);
    let numbers: Vec<usize> = (0..1000).collect();
    for hundred in numbers.chunks(100) {
        let one = |number: &usize| {
            let attribute = "Attributes[%22unique.platform.aws.instance-id%22]";
            format!("{attribute}%20==%20%22{}%22", instance(*number))
        };
        let filter = hundred.iter().map(one).collect::<Vec<_>>().join("%20or%20");
        let found = lab.get(&format!("/v1/nodes?filter={filter}")).await.json();
        let found: std::collections::BTreeSet<&str> =
            found.as_array().unwrap().iter().map(|node| node["ID"].as_str().unwrap()).collect();
        assert_eq!(found, hundred.iter().map(|number| nodes[*number].as_str()).collect());
    }
    let paths: Vec<String> = nodes.iter().map(|id| format!("/v1/node/{id}")).collect();
    assert_eq!(ask_all(&lab.face, &paths, "\"SchedulingEligibility\":\"eligible\"").await, 1000);
}
