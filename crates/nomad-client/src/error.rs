//! What can go wrong with a request to Nomad, sorted by what an operator or a caller does about it.

use std::error::Error;

use drain_http::HttpError;

/// A request that did not give what it was for. `operation` reads as in "GET /v1/node/…"; `server` is the base URL.
#[derive(Debug, thiserror::Error)]
pub enum NomadError {
    /// No whole answer came.
    #[error("{operation} on {server} got no answer")]
    NoAnswer {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// What went wrong on the way.
        #[source]
        source: HttpError,
    },
    /// Nomad answered, and said no.
    #[error("{operation} on {server} was refused: {refusal}")]
    Refused {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// What it said.
        refusal: Refusal,
    },
    /// The answer is not what this endpoint gives.
    #[error("the answer of {server} to {operation} cannot be read; is it really Nomad?")]
    Unreadable {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// Where it stops making sense.
        #[source]
        source: Misfit,
    },
    /// The request could not be put together.
    #[error("{operation} on {server} is not a valid request")]
    InvalidRequest {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Where an answer stops being what was expected. Nothing of it is quoted: it might repeat the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} at line {line} column {column}", if *.cut_off { "it ends too early" } else { "it is something else" })]
pub struct Misfit {
    /// Whether it is only cut off.
    pub cut_off: bool,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl From<&serde_json::Error> for Misfit {
    fn from(error: &serde_json::Error) -> Self {
        Self { cut_off: error.is_eof(), line: error.line(), column: error.column() }
    }
}

/// How Nomad says no. Its errors are plain text, and any hop through another agent prefixes `rpc error: `, so the
/// texts are looked for, not compared (hashicorp/nomad, command/agent/http.go).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text} (HTTP {status})")]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// The answer's status.
    pub status: u16,
    /// The first line of Nomad's text, shortened.
    pub text: String,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusalKind {
    /// The token is missing, unknown, expired, or lacks a capability; Nomad does not say which.
    Token,
    /// The cluster has no leader at the moment.
    NoLeader,
    /// There is no such node.
    NodeNotFound,
    /// More connections from this address than Nomad's `http_max_conns_per_client` allows.
    TooManyConnections,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Sorts an answer whose status is not 2xx.
    pub(crate) fn from_answer(status: u16, body: &[u8]) -> Self {
        let text = readable(body);
        let kind = if status == 403
            || text.contains("ACL token expired")
            || text.contains("ACL token not found")
        {
            RefusalKind::Token
        } else if text.contains("No cluster leader") || text.contains("Not ready to serve consistent reads") {
            RefusalKind::NoLeader
        } else if text.contains("node not found") {
            RefusalKind::NodeNotFound
        } else if status == 429 {
            RefusalKind::TooManyConnections
        } else {
            RefusalKind::Other
        };
        Self { kind, status, text }
    }

    /// Whether the same request may be granted a moment later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            RefusalKind::NoLeader | RefusalKind::TooManyConnections => true,
            RefusalKind::Token | RefusalKind::NodeNotFound => false,
            // Bodies of errors that Nomad gives the status 500 although asking again cannot help.
            RefusalKind::Other => {
                const FINAL: [&str; 4] =
                    ["node lookup failed", "Invalid UUID", "invalid scheduling", "No path to region"];
                self.status >= 500 && !FINAL.iter().any(|body| self.text.contains(body))
            }
        }
    }
}

impl NomadError {
    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => source.is_transient(),
            Self::Refused { refusal, .. } => refusal.is_transient(),
            // An answer that is cut off inside a valid length, or a proxy's page: another try may meet a healthy one.
            Self::Unreadable { source, .. } => source.cut_off,
            Self::InvalidRequest { .. } => false,
        }
    }

    /// What Nomad said, if it answered with a refusal.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NoAnswer { .. } | Self::Unreadable { .. } | Self::InvalidRequest { .. } => None,
        }
    }
}

/// The first line of a body, as far as it is fit for an error message.
fn readable(body: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    if line.is_empty() { "no text".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_what_nomad_says_and_told_as_it_says_them() {
        let cases = [
            (403, "Permission denied", RefusalKind::Token, false),
            (403, "rpc error: Permission denied", RefusalKind::Token, false),
            (403, "ACL token not found", RefusalKind::Token, false),
            (500, "ACL token expired", RefusalKind::Token, false),
            (500, "rpc error: No cluster leader", RefusalKind::NoLeader, true),
            (500, "Not ready to serve consistent reads", RefusalKind::NoLeader, true),
            (404, "node not found", RefusalKind::NodeNotFound, false),
            (500, "node not found", RefusalKind::NodeNotFound, false),
            (
                429,
                "Your IP is issuing too many concurrent connections",
                RefusalKind::TooManyConnections,
                true,
            ),
            (500, "leadership lost while committing log", RefusalKind::Other, true),
            (502, "<html>bad gateway</html>", RefusalKind::Other, true),
            (500, "No path to region", RefusalKind::Other, false),
            (500, "node lookup failed: index error: UUID must be 36 characters", RefusalKind::Other, false),
            (400, "failed to read result page", RefusalKind::Other, false),
            (301, "", RefusalKind::Other, false),
        ];
        for (status, body, kind, transient) in cases {
            let refusal = Refusal::from_answer(status, body.as_bytes());
            assert_eq!(refusal.kind, kind, "{status} {body}");
            assert_eq!(refusal.is_transient(), transient, "{status} {body}");
            assert!(refusal.to_string().contains(body) && refusal.to_string().contains(&status.to_string()));
        }
    }

    #[test]
    fn a_page_of_html_does_not_fill_the_log() {
        let refusal = Refusal::from_answer(502, "x".repeat(1_000_000).as_bytes());
        assert!(refusal.to_string().len() < 400);
    }
}
