//! Who answers at which address, and what becomes of connections.

use super::*;

#[tokio::test]
async fn an_agent_knows_its_node_until_its_machine_ends() {
    let (lab, id) = Lab::with_node().await;
    let agent = lab.nomad.serve_agent(&id).await.unwrap();
    let own = lab.send(&agent, "GET", "/v1/agent/self", "", "").await.json();
    assert_eq!(own["stats"]["client"]["node_id"], id.as_str());
    assert_eq!(lab.get("/v1/agent/self").await.json()["stats"].get("client"), None);
    let call = lab.journal.entries().into_iter().find(|entry| entry.system == System::Agent).unwrap();
    assert_eq!((call.what.as_str(), call.subject), ("GET /v1/agent/self", id.clone()));
    lab.nomad.kill_client(&id).unwrap();
    let request = "GET /v1/agent/self HTTP/1.1\r\nHost: lab\r\n\r\n";
    assert_eq!(exchange(agent.address(), request).await, b"");
    lab.clock.advance(Duration::from_secs(20));
    assert_eq!(exchange(agent.address(), request).await, b"", "that its node is down does not wake it");
}

#[tokio::test]
async fn a_proxy_may_expect_a_prefix() {
    let (lab, _) = Lab::with_node().await;
    let face = lab.nomad.serve_under("/nomad/").await.unwrap();
    assert_eq!(lab.send(&face, "GET", "/nomad/v1/nodes", "", "").await.status, 200);
    assert_eq!(lab.send(&face, "GET", "/v1/nodes", "", "").await.status, 404);
}

#[tokio::test]
async fn faults_strike_the_operation_that_they_name() {
    let (lab, id) = Lab::with_node().await;
    let (operation, path) = ("POST /v1/node/:id/drain", format!("/v1/node/{id}/drain"));
    let body = r#"{"DrainSpec":{"Deadline":-1000000000}}"#;
    lab.faults.inject(operation, &Fault::Throttled, 1);
    assert_eq!(lab.put(&path, body).await.status, 429);
    assert_eq!(lab.nomad.node(&id).unwrap().last_drain, None);
    lab.faults.inject(operation, &Fault::ResetAfterEffect, 1);
    let request = format!("PUT {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(exchange(lab.face.address(), &request).await, b"");
    assert!(lab.nomad.node(&id).unwrap().last_drain.is_some());
}

#[tokio::test]
async fn one_connection_too_many_hears_429_and_an_unreachable_server_says_nothing() {
    let (lab, _) = Lab::with_node().await;
    lab.nomad.set_connection_limit(Some(0));
    let answer = lab.get("/v1/nodes").await;
    assert_eq!(answer.status, 429);
    assert!(answer.text().starts_with("Your IP is issuing too many concurrent connections"));
    assert_eq!(lab.nomad.connections(), Connections { most: 0, turned_away: 1 });
    lab.nomad.set_connection_limit(None);
    lab.nomad.set_unreachable(true);
    assert_eq!(exchange(lab.face.address(), "GET /v1/nodes HTTP/1.1\r\nHost: lab\r\n\r\n").await, b"");
    assert_eq!(lab.journal.calls(System::Nomad).len(), 0);
}
