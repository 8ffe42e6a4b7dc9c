//! How Nomad, or something before it, says no.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Response};

/// How Nomad says no. Its errors are plain text, and any hop through another agent prefixes `rpc error: `, so the
/// texts are looked for, not compared (hashicorp/nomad, command/agent/http.go).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text} (HTTP {status})")]
pub struct Refusal {
    /// What it means.
    pub kind: RefusalKind,
    /// The answer's status.
    pub status: u16,
    /// The first line of Nomad's text, shortened; in our words what came instead of it.
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
    /// The servers know no region of the name that was asked for.
    NoPathToRegion,
    /// The cluster has no ACLs, so that there is no policy and no role. Nomad before 1.11 has no token then either.
    AclsDisabled,
    /// Something before Nomad points to another address. It is not followed: the token would go there.
    Redirected,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Sorts an answer whose status is not 2xx. A proxy may answer with the request that it refuses: `redact` takes the
    /// token out of a text, before anything is cut off from it.
    pub(crate) fn from_answer(answer: &Response<Bytes>, redact: impl Fn(&str) -> String) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers());
        let body = &redact(&String::from_utf8_lossy(answer.body()));
        if (300..400).contains(&status) {
            let location =
                headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            let text = format!("a redirect to {}, which is not followed", destination(&redact(location)));
            return Self { kind: RefusalKind::Redirected, status, text };
        }
        if is_html(headers, body) {
            // Nomad's errors are no pages: what a page says about permissions or nodes is not about ours.
            let kind = if status == 429 { RefusalKind::TooManyConnections } else { RefusalKind::Other };
            return Self { kind, status, text: page(body) };
        }
        let text = readable(body, 300);
        let text = if text.is_empty() { "no text".to_owned() } else { text };
        Self { kind: RefusalKind::of(status, &text), status, text }
    }

    /// Whether the same request may be granted a moment later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            RefusalKind::NoLeader | RefusalKind::TooManyConnections => true,
            RefusalKind::Token
            | RefusalKind::NodeNotFound
            | RefusalKind::NoPathToRegion
            | RefusalKind::AclsDisabled
            | RefusalKind::Redirected => false,
            // Bodies of errors that Nomad gives the status 500 although asking again cannot help.
            RefusalKind::Other => {
                const FINAL: [&str; 3] = ["node lookup failed", "Invalid UUID", "invalid scheduling"];
                self.status >= 500 && !FINAL.iter().any(|body| self.text.contains(body))
            }
        }
    }
}

impl RefusalKind {
    /// What Nomad means by a text.
    fn of(status: u16, text: &str) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|known| text.contains(known));
        // The status alone proves nothing: a firewall before Nomad says 403 as well, and has not seen the token.
        if says(&["ACL token expired", "ACL token not found"])
            || (status == 403 && says(&["Permission denied", "ACL token"]))
        {
            Self::Token
        } else if says(&["No cluster leader", "Not ready to serve consistent reads"]) {
            Self::NoLeader
        } else if says(&["node not found"]) {
            Self::NodeNotFound
        } else if says(&["No path to region"]) {
            Self::NoPathToRegion
        } else if says(&["ACL support disabled"]) {
            Self::AclsDisabled
        } else if status == 429 {
            Self::TooManyConnections
        } else {
            Self::Other
        }
    }
}

/// Where a redirect leads, without its query, which may hold anything.
fn destination(location: &str) -> String {
    let location = readable(location.split(['?', '#']).next().unwrap_or_default(), 100);
    if location.is_empty() { "nowhere".to_owned() } else { location }
}

fn is_html(headers: &HeaderMap, body: &str) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let start: String = body.trim_start().chars().take(16).collect::<String>().to_ascii_lowercase();
    declared.is_some_and(|kind| kind.trim_start().starts_with("text/html"))
        || ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag))
}

/// A page of HTML in a few words: whole, it would fill the log.
fn page(body: &str) -> String {
    // As long as the body in bytes: only ASCII letters change.
    let folded = body.to_ascii_lowercase();
    let title = || {
        let tag = folded.find("<title")?;
        let start = tag + folded.get(tag..)?.find('>')? + 1;
        let end = start + folded.get(start..)?.find("</title")?;
        body.get(start..end)
    };
    match title().map(|title| readable(title, 80)) {
        Some(title) if !title.is_empty() => format!("an HTML page titled {title:?}, which is not Nomad's"),
        Some(_) | None => "an HTML page, which is not Nomad's".to_owned(),
    }
}

/// The first line of a text, as far as it is fit for an error message, up to `longest` characters.
fn readable(text: &str, longest: usize) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, header: Option<(http::HeaderName, &str)>, body: &str) -> Refusal {
        let mut answer = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
        answer.headers_mut().extend(header.map(|(name, value)| (name, value.parse().unwrap())));
        Refusal::from_answer(&answer, |text| text.replace("hunter2", "(the token)"))
    }

    #[test]
    fn refusals_are_sorted_by_what_nomad_says_and_told_as_it_says_them() {
        let cases = [
            (403, "Permission denied", RefusalKind::Token, false),
            (403, "rpc error: Permission denied", RefusalKind::Token, false),
            (403, "ACL token not found", RefusalKind::Token, false),
            (403, "Missing ACL token", RefusalKind::Token, false),
            (500, "ACL token expired", RefusalKind::Token, false),
            (403, r#"{"message":"Forbidden"}"#, RefusalKind::Other, false),
            (403, "", RefusalKind::Other, false),
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
            (502, "bad gateway", RefusalKind::Other, true),
            (500, "No path to region", RefusalKind::NoPathToRegion, false),
            (500, "rpc error: No path to region", RefusalKind::NoPathToRegion, false),
            (400, "ACL support disabled", RefusalKind::AclsDisabled, false),
            (500, "node lookup failed: index error: UUID must be 36 characters", RefusalKind::Other, false),
            (400, "failed to read result page", RefusalKind::Other, false),
        ];
        for (status, body, kind, transient) in cases {
            let refusal = refusal(status, None, body);
            assert_eq!(refusal.kind, kind, "{status} {body}");
            assert_eq!(refusal.is_transient(), transient, "{status} {body}");
            assert!(refusal.to_string().contains(body) && refusal.to_string().contains(&status.to_string()));
        }
    }

    #[test]
    fn a_long_text_does_not_fill_the_log() {
        assert!(refusal(502, None, &"x".repeat(1_000_000)).to_string().len() < 400);
    }

    #[test]
    fn a_page_is_told_by_its_title_and_says_nothing_about_the_token() {
        let titled = "<HTML>\r\n<head><Title lang=en>403 Forbidden\n</title></head>Permission denied</html>";
        let cases = [
            (403, titled, "an HTML page titled \"403 Forbidden\", which is not Nomad's (HTTP 403)", false),
            (404, "<!DOCTYPE html>node not found", "an HTML page, which is not Nomad's (HTTP 404)", false),
            (502, "<html><title>", "an HTML page, which is not Nomad's (HTTP 502)", true),
            (503, "<html><title></title>", "an HTML page, which is not Nomad's (HTTP 503)", true),
        ];
        for (status, body, expected, transient) in cases {
            let refusal = refusal(status, None, body);
            assert_eq!(
                (refusal.to_string().as_str(), refusal.kind),
                (expected, RefusalKind::Other),
                "{body}"
            );
            assert_eq!(refusal.is_transient(), transient, "{body}");
        }
        let declared =
            refusal(403, Some((CONTENT_TYPE, "text/html; charset=utf-8")), "<!-- --> Permission denied");
        assert_eq!(declared.kind, RefusalKind::Other);
    }

    #[test]
    fn a_redirect_is_told_by_where_it_leads() {
        assert!(refusal(301, None, "").to_string().contains("to nowhere"));
        let location = (LOCATION, "https://login.example/start?state=s3cret");
        let refusal = refusal(302, Some(location), "<html>Found</html>");
        assert_eq!(
            refusal.to_string(),
            "a redirect to https://login.example/start, which is not followed (HTTP 302)"
        );
        assert_eq!((refusal.kind, refusal.is_transient()), (RefusalKind::Redirected, false));
    }

    #[test]
    fn a_token_that_comes_back_is_not_told_whole_or_in_part() {
        let location = (LOCATION, "https://login.example/hunter2");
        let body = format!("{}hunter2", "x".repeat(297));
        for refusal in [
            refusal(302, Some(location), ""),
            refusal(400, None, &body),
            refusal(400, None, "<html><title>hunter2</title>"),
        ] {
            assert!(!refusal.to_string().contains("hun"), "{refusal}");
        }
    }
}
