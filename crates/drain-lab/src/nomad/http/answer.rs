//! What goes back over the wire: JSON with Nomad's headers, or an error in plain text.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// What a client hears that opens one connection too many.
pub(super) const TOO_MANY_CONNECTIONS: &str = "HTTP/1.1 429 Too Many Requests\r\n\
    Content-Type: text/plain\r\n\
    Connection: close\r\n\
    Content-Length: 81\r\n\
    \r\n\
    Your IP is issuing too many concurrent connections, please rate limit your calls\n";

/// Answers that are shorter are not worth compressing.
const GZIP_FROM_BYTES: usize = 1400;

/// An error as Nomad tells it: a status and plain text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    status: u16,
    text: String,
    /// It comes from the servers, and not from the agent that was asked.
    is_rpc: bool,
}

impl Failure {
    /// An error of the agent that was asked: it could not even read the request.
    pub(super) fn local(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), is_rpc: false }
    }

    /// An error of the servers.
    pub(super) fn rpc(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), is_rpc: true }
    }

    pub(super) fn denied() -> Self {
        Self::rpc(403, "Permission denied")
    }

    pub(super) fn expired() -> Self {
        Self::rpc(500, "ACL token expired")
    }

    pub(super) fn acl_disabled() -> Self {
        Self::rpc(400, "ACL support disabled")
    }

    pub(super) fn no_leader() -> Self {
        Self::rpc(500, "No cluster leader")
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// The index of the last change of it.
    pub(super) index: u64,
    /// What it is; that something is not there has an index too.
    pub(super) body: Result<Value, Failure>,
    /// Where a list goes on that was not answered to its end.
    pub(super) next_token: Option<String>,
}

impl Read {
    pub(super) fn new(index: u64, body: Value) -> Self {
        Self { index, body: Ok(body), next_token: None }
    }

    /// It is not there.
    pub(super) fn absent(index: u64, failure: Failure) -> Self {
        Self { index, body: Err(failure), next_token: None }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    body: Result<Value, Failure>,
    index: Option<u64>,
    known_leader: Option<bool>,
    next_token: Option<String>,
}

impl Outcome {
    /// What the agent knows by itself.
    pub(super) fn local(body: Value) -> Self {
        Self { body: Ok(body), index: None, known_leader: None, next_token: None }
    }

    /// What was read from the servers.
    pub(super) fn read(read: Read, known_leader: bool) -> Self {
        let Read { index, body, next_token } = read;
        Self { body, index: Some(index), known_leader: Some(known_leader), next_token }
    }

    /// What was written by the servers at an index.
    pub(super) fn written(index: u64, body: Value) -> Self {
        Self { body: Ok(body), index: Some(index), known_leader: None, next_token: None }
    }

    pub(super) fn index(&self) -> Option<u64> {
        self.index
    }
}

/// The HTTP response. Failures of the servers that another agent forwards have a prefix.
pub(super) fn respond(outcome: Result<Outcome, Failure>, forwarded: bool, gzip: bool) -> Response {
    let outcome = outcome.unwrap_or_else(|failure| Outcome {
        body: Err(failure),
        index: None,
        known_leader: None,
        next_token: None,
    });
    let (status, content_type, body) = match outcome.body {
        Ok(body) => (StatusCode::OK, "application/json", body.to_string()),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            // Those with a status of their own, such as refusals, cross the agents as they are.
            let prefix =
                if forwarded && failure.is_rpc && status.is_server_error() { "rpc error: " } else { "" };
            (status, "text/plain; charset=utf-8", format!("{prefix}{}", failure.text))
        }
    };
    let (encoding, body) = match gzip.then(|| compress(body.as_bytes())).flatten() {
        Some(compressed) => (Some(HeaderValue::from_static("gzip")), compressed),
        None => (None, body.into_bytes()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, encoding);
    }
    if let Some(index) = outcome.index {
        headers.insert("X-Nomad-Index", index.into());
    }
    if let Some(known) = outcome.known_leader {
        let known = if known { "true" } else { "false" };
        headers.insert("X-Nomad-KnownLeader", HeaderValue::from_static(known));
        headers.insert("X-Nomad-LastContact", HeaderValue::from_static("0"));
    }
    if let Some(token) = outcome.next_token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        headers.insert("X-Nomad-NextToken", token);
    }
    response
}

/// The answer to a path that Nomad does not know.
pub(super) fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

/// The answer to a request that is throttled.
pub(super) fn throttled() -> Response {
    let (_, text) = TOO_MANY_CONNECTIONS.split_once("\r\n\r\n").unwrap_or_default();
    (StatusCode::TOO_MANY_REQUESTS, [(header::CONNECTION, "close")], text).into_response()
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < GZIP_FROM_BYTES {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
