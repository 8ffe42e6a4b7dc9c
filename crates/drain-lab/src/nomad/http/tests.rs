//! The rules of the HTTP API, told over real sockets.

mod connections;
mod nodes;
mod reads;
mod tokens;

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::*;
use crate::Face;
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::http_face::tests::exchange;
use crate::journal::{Journal, System};

const NOBODY: &str = "ffffffff-2460-446b-3cd1-b350e0258835";

struct Lab {
    clock: Clock,
    journal: Journal,
    faults: Faults,
    nomad: Nomad,
    face: Face,
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn refusal(&self) -> (u16, &str) {
        (self.status, self.text())
    }
}

impl Lab {
    async fn new() -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let (journal, faults) = (Journal::new(clock.clone()), Faults::default());
        let nomad = Nomad::new(clock.clone(), journal.clone(), faults.clone());
        let face = nomad.serve().await.unwrap();
        Self { clock, journal, faults, nomad, face }
    }

    async fn with_node() -> (Self, String) {
        let lab = Self::new().await;
        let id = lab.nomad.add_node(NodeSpec::new("n1").instance_id("i-0abc").address("10.0.0.5"));
        (lab, id)
    }

    async fn send(&self, face: &Face, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n\
             {body}"
        );
        let answer = exchange(face.address(), &request).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&self.face, "GET", path, "", "").await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(&self.face, "GET", path, &format!("X-Nomad-Token: {token}\r\n"), "").await
    }

    async fn put(&self, path: &str, body: &str) -> Answer {
        self.send(&self.face, "PUT", path, "", body).await
    }
}

#[tokio::test]
async fn bodies_that_go_would_not_decode_are_refused() {
    let (lab, id) = Lab::with_node().await;
    let path = format!("/v1/node/{id}/drain");
    for (body, text) in [
        ("", "Request body is empty"),
        (
            r#"{"DrainSpec":{"Deadline":"1h"}}"#,
            "json: cannot unmarshal string into Go struct field DrainSpec.DrainSpec.Deadline of type time.Duration",
        ),
        (
            r#"{"DrainSpec":{"Deadline":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field DrainSpec.DrainSpec.Deadline of type time.Duration",
        ),
        (
            r#"{"DrainSpec":5}"#,
            "json: cannot unmarshal number into Go struct field NodeUpdateDrainRequest.DrainSpec of type api.DrainSpec",
        ),
        (
            r#"{"Meta":{"a":1}}"#,
            "json: cannot unmarshal number into Go struct field NodeUpdateDrainRequest.Meta of type string",
        ),
        ("[]", "json: cannot unmarshal array into Go value of type api.NodeUpdateDrainRequest"),
        (r#"{"a":"#, "unexpected EOF"),
    ] {
        assert_eq!(lab.put(&path, body).await.refusal(), (400, text), "{body}");
    }
}

#[tokio::test]
async fn errors_are_plain_text_in_nomads_words() {
    let (lab, id) = Lab::with_node().await;
    let drain = r#"{"DrainSpec":{"Deadline":-1000000000}}"#;
    assert_eq!(lab.get(&format!("/v1/node/{NOBODY}")).await.refusal(), (404, "node not found"));
    for endpoint in ["drain", "purge", "evaluate"] {
        let answer = lab.put(&format!("/v1/node/{NOBODY}/{endpoint}"), drain).await;
        assert_eq!(answer.refusal(), (500, "node not found"));
    }
    let short = (500, "node lookup failed: index error: UUID must be 36 characters");
    assert_eq!(lab.get("/v1/node/xx").await.refusal(), short);
    assert_eq!(lab.put("/v1/node/xx/drain", drain).await.refusal(), short);
    assert_eq!(lab.get(&format!("/v1/node/{id}/drain")).await.refusal(), (405, "Invalid method"));
    assert_eq!(lab.get("/v1/nodes?region=mars").await.refusal(), (500, "No path to region"));
    assert_eq!(lab.get("/v1/nodes?wait=x").await.refusal(), (400, "Invalid wait time"));
    assert_eq!(
        lab.get("/v1/nodes?prefix=abc").await.refusal(),
        (500, "node lookup failed: index error: Input (without hyphens) must be even length")
    );
    assert_eq!(lab.get("/v1/nope").await.refusal(), (404, ""));
    assert_eq!(lab.get("/v1/node/xx/allocations").await.text(), "[]");
    let eligibility = format!("/v1/node/{id}/eligibility");
    assert_eq!(
        lab.put(&eligibility, r#"{"Eligibility":"x"}"#).await.refusal(),
        (500, "invalid scheduling eligibility \"x\"")
    );
    assert_eq!(lab.put(&eligibility, r#"{"Eligibility":"eligible"}"#).await.json()["Index"], 0);
    lab.nomad.set_forwarding(true);
    let answer = lab.get("/v1/nodes?region=mars").await;
    assert_eq!(answer.refusal(), (500, "rpc error: No path to region"));
    lab.nomad.enable_acl();
    assert_eq!(lab.get("/v1/nodes").await.refusal(), (403, "Permission denied"));
}
