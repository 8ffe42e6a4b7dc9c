//! The rules of the HTTP API, told over real sockets.

use std::io::Read as _;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::*;
use crate::Face;
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::http_face::tests::exchange;
use crate::journal::{Journal, System};

const GUARDED: &str = "Attributes%20contains%20%22unique.platform.aws.instance-id%22%20and%20Attributes%5B%22unique.\
                       platform.aws.instance-id%22%5D%20%3D%3D%20%22i-0abc%22";
const UNGUARDED: &str = "Attributes%5B%22unique.platform.aws.instance-id%22%5D+%3D%3D+%22i-0abc%22";
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
async fn a_token_reads_its_own_policies_and_roles_as_nomad_2_0_5_shows_them() {
    let lab = Lab::new().await;
    lab.nomad.enable_acl();
    lab.nomad.add_policy("p", Policy::minimal());
    lab.nomad.add_policy("q", Policy::minimal());
    let (role, other) = (lab.nomad.add_role("r", &["p"]), lab.nomad.add_role("other", &["q"]));
    lab.nomad.add_token(Token::client("t", &[]).role(&role));

    let token = lab.get_as("t", "/v1/acl/token/self").await.json();
    assert_eq!((&token["Policies"], &token["Roles"]), (&json!([]), &json!([{"ID": role, "Name": "r"}])));
    let shown = lab.get_as("t", &format!("/v1/acl/role/{role}")).await.json();
    assert_eq!((&shown["Name"], &shown["Policies"]), (&json!("r"), &json!([{"Name": "p"}])));
    let rules = lab.get_as("t", "/v1/acl/policy/p").await.json()["RulesJSON"].clone();
    assert_eq!(
        rules["Namespaces"],
        json!([{"Name": "*", "Policy": "", "Capabilities": ["read-job"], "Variables": null}])
    );
    assert_eq!((&rules["Node"], &rules["Agent"]), (&json!({"Policy": "write"}), &Value::Null));
    for path in [format!("/v1/acl/role/{other}"), "/v1/acl/policy/q".to_owned()] {
        assert_eq!(lab.get_as("t", &path).await.refusal(), (403, "Permission denied"));
    }
}

#[tokio::test]
async fn a_weak_token_sees_no_allocations_and_is_not_told_so() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.add_job(JobSpec::batch("etl", 1));
    lab.nomad.enable_acl();
    lab.nomad.add_policy("nodes", Policy::default().node(Access::Write));
    lab.nomad.add_policy("minimal", Policy::minimal());
    lab.nomad.add_token(Token::client("weak", &["nodes"]));
    lab.nomad.add_token(Token::client("good", &["minimal"]));
    let path = format!("/v1/node/{id}/allocations");
    assert_eq!(lab.get_as("weak", &path).await.json().as_array().unwrap().len(), 0);
    assert_eq!(lab.get_as("good", &path).await.json().as_array().unwrap().len(), 1);
    let denied = (403, "Permission denied");
    assert_eq!(lab.get_as("weak", "/v1/allocations?namespace=*").await.refusal(), denied);
    assert_eq!(lab.get_as("good", "/v1/allocations?namespace=*").await.json().as_array().unwrap().len(), 1);
    for (token, path) in
        [("nobody", "/v1/nodes"), ("weak", "/v1/agent/self"), ("good", "/v1/acl/policy/nodes")]
    {
        assert_eq!(lab.get_as(token, path).await.refusal(), denied);
    }
    assert_eq!(lab.get("/v1/nodes").await.refusal(), denied);
    assert!(
        lab.get_as("good", "/v1/acl/policy/minimal").await.json()["Rules"]
            .as_str()
            .unwrap()
            .contains("read-job")
    );
    let bearer = lab.send(&lab.face, "GET", "/v1/nodes", "Authorization: Bearer good\r\n", "").await;
    assert_eq!(bearer.status, 200);
    let journal = format!("{:?}", lab.journal.entries());
    assert!(!journal.contains("good") && !journal.contains("weak"), "no token in the journal");
}

#[tokio::test]
async fn expired_tokens_are_denied_in_the_words_of_their_release() {
    let (lab, _) = Lab::with_node().await;
    lab.nomad.enable_acl();
    lab.nomad.add_token(Token::management("t").expires(lab.clock.now()));
    assert_eq!(lab.get_as("t", "/v1/nodes").await.refusal(), (403, "Permission denied"));
    assert_eq!(lab.get_as("t", "/v1/acl/token/self").await.refusal(), (500, "ACL token expired"));
    lab.nomad.set_quirks(Quirks { old_token_errors: true, ..Quirks::default() });
    assert_eq!(lab.get_as("t", "/v1/nodes").await.refusal(), (500, "ACL token expired"));
    assert_eq!(lab.get_as("x", "/v1/nodes").await.refusal(), (403, "ACL token not found"));
    assert_eq!(lab.get_as("x", "/v1/acl/token/self").await.refusal(), (404, "ACL token not found"));
    assert_eq!(lab.get_as("t", "/v1/acl/token/self").await.status, 200);
}

#[tokio::test]
async fn a_jwt_is_exchanged_for_a_token_that_says_what_it_is() {
    let (lab, _) = Lab::with_node().await;
    let login = r#"{"AuthMethodName":"aws","LoginToken":"jwt"}"#;
    assert_eq!(lab.put("/v1/acl/login", login).await.refusal(), (400, "ACL support disabled"));
    lab.nomad.enable_acl();
    assert_eq!(lab.put("/v1/acl/login", login).await.refusal(), (400, "auth-method \"aws\" not found"));
    lab.nomad.add_policy("minimal", Policy::minimal());
    let method = AuthMethod::new(SignedDuration::from_mins(15)).accepts("jwt", &["minimal"]);
    lab.nomad.add_auth_method("aws", method);
    let token = lab.put("/v1/acl/login", login).await.json();
    assert_eq!(token["ExpirationTime"], "2026-01-01T00:15:00Z");
    let secret = token["SecretID"].as_str().unwrap();
    assert_eq!(lab.get_as(secret, "/v1/acl/token/self").await.json()["Policies"][0], "minimal");
    assert_eq!(lab.get_as(secret, "/v1/nodes").await.status, 200);
    assert_eq!(
        lab.put("/v1/acl/login", "{}").await.refusal(),
        (
            400,
            "invalid login request: 2 errors occurred:\n\t* missing auth method name\n\t* missing login token\n\n"
        )
    );
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
