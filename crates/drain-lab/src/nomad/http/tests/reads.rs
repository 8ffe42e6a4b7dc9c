//! Reads that block, that are stale, and that come in pages or compressed.

use std::io::Read as _;

use super::*;

#[tokio::test]
async fn a_blocking_read_answers_when_what_it_reads_has_changed() {
    let (lab, id) = Lab::with_node().await;
    let path = format!("/v1/node/{id}");
    let index: u64 = lab.get(&path).await.header("X-Nomad-Index").unwrap().parse().unwrap();
    let blocked = format!("{path}?index={index}&wait=30s");
    let (answer, ()) = tokio::join!(lab.get(&blocked), async {
        while lab.journal.calls(System::Nomad).len() < 2 {
            tokio::task::yield_now().await;
        }
        // Another node's change is none of this reader's business.
        lab.nomad.add_node(NodeSpec::new("n2"));
        tokio::task::yield_now().await;
        lab.nomad.set_eligibility(&id, false).unwrap();
    });
    assert_eq!(answer.json()["SchedulingEligibility"], "ineligible");
    assert_eq!(answer.header("X-Nomad-KnownLeader"), Some("true"));
}

#[tokio::test]
async fn a_blocking_read_answers_what_it_knows_when_its_time_is_up() {
    let (lab, id) = Lab::with_node().await;
    let path = format!("/v1/node/{id}?index=999&wait=30s");
    let (answer, ()) = tokio::join!(lab.get(&path), async {
        while lab.journal.calls(System::Nomad).is_empty() {
            tokio::task::yield_now().await;
        }
        lab.clock.advance(Duration::from_secs(30));
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_follower_that_lags_answers_stale_reads_from_the_past() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.freeze_follower();
    lab.nomad.drain(&id, DrainRequest::with_deadline(SignedDuration::from_hours(1))).unwrap();
    let path = format!("/v1/node/{id}");
    assert_eq!(lab.get(&format!("{path}?stale")).await.json()["LastDrain"], Value::Null);
    assert_eq!(lab.get(&path).await.json()["LastDrain"]["Status"], "complete");
    lab.nomad.thaw_follower();
    assert_eq!(lab.get(&format!("{path}?stale")).await.json()["LastDrain"]["Status"], "complete");
}

#[tokio::test]
async fn without_a_leader_only_stale_reads_are_answered() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.lose_leader(None);
    assert_eq!(lab.get("/v1/nodes").await.refusal(), (500, "No cluster leader"));
    assert_eq!(lab.put(&format!("/v1/node/{id}/drain"), "{}").await.refusal(), (500, "No cluster leader"));
    assert_eq!(lab.get("/v1/nodes?stale").await.header("X-Nomad-KnownLeader"), Some("false"));
    assert_eq!(lab.get("/v1/status/leader").await.text(), "\"\"");
    assert_eq!(lab.get("/v1/agent/health").await.status, 500);
    lab.nomad.elect_leader();
    assert_eq!(lab.get("/v1/nodes").await.status, 200);
}

#[tokio::test]
async fn a_list_is_answered_in_pages() {
    let lab = Lab::new().await;
    for number in 0..5 {
        lab.nomad.add_node(NodeSpec::new(format!("n{number}")));
    }
    let (mut seen, mut next) = (Vec::new(), Some(String::new()));
    while let Some(token) = next {
        let page = lab.get(&format!("/v1/nodes?per_page=2&next_token={token}")).await;
        next = page.header("X-Nomad-NextToken").map(str::to_owned);
        seen.extend(
            page.json().as_array().unwrap().iter().map(|node| node["ID"].as_str().unwrap().to_owned()),
        );
    }
    let all: Vec<String> = lab.nomad.nodes().into_iter().map(|node| node.id).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn long_answers_are_compressed_if_the_client_can_read_that() {
    let lab = Lab::new().await;
    for number in 0..5 {
        lab.nomad.add_node(NodeSpec::new(format!("n{number}")));
    }
    let answer = lab.send(&lab.face, "GET", "/v1/nodes", "Accept-Encoding: br, gzip\r\n", "").await;
    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, lab.get("/v1/nodes").await.text());
}
