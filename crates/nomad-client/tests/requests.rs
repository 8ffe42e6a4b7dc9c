//! What goes over the wire, and what is made of the answers, against a server that gives one prepared answer.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::time::Duration;

use drain_http::{HttpClient, Tls, Trust};
use nomad_client::{BaseUrl, NomadClient, NomadError, PolicyRules, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const TIMEOUT: Duration = Duration::from_secs(10);
const ID: &str = "f7476465-4d6e-c0de-26d0-e383c49be941";

/// A client of a server that gives `answer` to one request, and the request that it was sent.
async fn nomad(answer: &str) -> (NomadClient, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut buffer = [0; 4096];
        while !is_whole(&request) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{request}");
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let http = HttpClient::new(&Tls::new(Trust::web())).unwrap();
    (NomadClient::new(http, BaseUrl::parse(&base).unwrap(), None, None), request)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

/// The request's first line without the version, and its body.
fn asked(request: &str) -> (&str, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.split_once(" HTTP/1.1").unwrap().0, body)
}

#[tokio::test]
async fn the_allocations_of_a_node_are_asked_for() {
    let (client, request) = nomad(&ok(r#"[{"ID":"a","Job":{"Type":"batch"}},{"ID":"b"}]"#)).await;
    let allocations = client.allocations(ID, TIMEOUT).await.unwrap();
    assert_eq!(allocations.iter().map(|allocation| allocation.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(asked(&request.await.unwrap()), (format!("GET /v1/node/{ID}/allocations").as_str(), ""));
}

#[tokio::test]
async fn no_list_is_no_allocation() {
    let (client, _request) = nomad(&ok("null")).await;
    assert_eq!(client.allocations(ID, TIMEOUT).await.unwrap(), []);
}

#[tokio::test]
async fn ineligibility_is_asked_for_without_a_node_id_in_the_body() {
    let body = r#"{"EvalCreateIndex":0,"EvalIDs":null,"Index":19,"NodeModifyIndex":0}"#;
    let (client, request) = nomad(&ok(body)).await;
    client.make_ineligible(ID, TIMEOUT).await.unwrap();
    let expected = format!("POST /v1/node/{ID}/eligibility");
    assert_eq!(asked(&request.await.unwrap()), (expected.as_str(), r#"{"Eligibility":"ineligible"}"#));
}

#[tokio::test]
async fn names_are_parts_of_a_path_and_nothing_else() {
    let (client, request) = nomad(&ok(r#"{"Name":"a/../b?c"}"#)).await;
    client.acl_policy("a/../b?c", TIMEOUT).await.unwrap();
    assert_eq!(asked(&request.await.unwrap()).0, "GET /v1/acl/policy/a%2F..%2Fb%3Fc");
}

#[tokio::test]
async fn a_policy_or_a_role_that_does_not_exist_grants_nothing() {
    let (client, _request) = nomad(&answer("404 Not Found", "", "ACL policy not found")).await;
    assert_eq!(client.acl_policy("gone", TIMEOUT).await.unwrap().rules, PolicyRules::default());
    let (client, _request) = nomad(&answer("404 Not Found", "", "ACL role not found")).await;
    assert_eq!(client.acl_role("gone", TIMEOUT).await.unwrap(), Role::default());
    let (client, _request) = nomad(&answer("404 Not Found", "", "404 page not found")).await;
    client.acl_role("gone", TIMEOUT).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_is_behind_is_not_believed() {
    let cases = [
        ("200 OK", "X-Nomad-KnownLeader: false\r\nX-Nomad-LastContact: 0\r\n", Some(0)),
        ("200 OK", "X-Nomad-KnownLeader: true\r\nX-Nomad-LastContact: 7\r\n", Some(7)),
        ("404 Not Found", "X-Nomad-KnownLeader: true\r\nX-Nomad-LastContact: 7\r\n", Some(7)),
        ("200 OK", "X-Nomad-KnownLeader: true\r\nX-Nomad-LastContact: 0\r\n", None),
        ("200 OK", "", None),
    ];
    for (status, headers, expected) in cases {
        let (client, _request) = nomad(&answer(status, headers, r#"{"ID":"x"}"#)).await;
        let node = client.node(ID, TIMEOUT).await.map(drop);
        let (client, _request) = nomad(&answer(status, headers, "[]")).await;
        let allocations = client.allocations(ID, TIMEOUT).await.map(drop);
        for outcome in [node, allocations] {
            let contact = match &outcome {
                Err(NomadError::Stale { last_contact_ms, .. }) => Some(*last_contact_ms),
                Ok(()) | Err(_) => None,
            };
            assert_eq!(contact, expected, "{outcome:?}");
            assert_eq!(outcome.as_ref().is_err_and(NomadError::is_transient), expected.is_some());
        }
    }
}
