//! Signature version 4, from the side that checks it: a client that signs wrongly is refused as AWS would refuse it.

use axum::http::request::Parts;
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::service::{Protocol, Service};
use crate::aws::{Account, ApiError};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far the client's clock may be off.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Headers that have to be signed if they are there.
const ALWAYS_SIGNED: [&str; 4] = ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"];

/// What is not escaped in a canonical query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is not escaped in a canonical path.
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// Why a request is not authentic.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody signed it.
    #[error("not signed")]
    Missing,
    /// The header cannot be read.
    #[error("incomplete signature: {0}")]
    Incomplete(String),
    /// The access key or the session token is not the lab's.
    #[error("unknown credentials")]
    UnknownCredentials,
    /// It was signed for something else, at another time, or differently.
    #[error("wrong signature: {0}")]
    Wrong(String),
}

impl Refusal {
    /// What the service answers. Each has its own names for the same.
    pub(super) fn answer(&self, service: Service) -> ApiError {
        let json = [
            "MissingAuthenticationTokenException",
            "IncompleteSignatureException",
            "UnrecognizedClientException",
            "InvalidSignatureException",
        ];
        let (status, codes) = match service.protocol() {
            Protocol::Json => (400, json),
            Protocol::Rest => (403, json),
            Protocol::Query => (
                403,
                [
                    "MissingAuthenticationToken",
                    "IncompleteSignature",
                    "InvalidClientTokenId",
                    "SignatureDoesNotMatch",
                ],
            ),
            Protocol::Ec2 => {
                (401, ["MissingAuthenticationToken", "IncompleteSignature", "AuthFailure", "AuthFailure"])
            }
        };
        match self {
            Self::Missing => ApiError::new(status, codes[0], "Request is missing Authentication Token"),
            Self::Incomplete(what) => ApiError::new(status, codes[1], what),
            Self::UnknownCredentials => {
                ApiError::new(status, codes[2], "The security token included in the request is invalid.")
            }
            Self::Wrong(what) => ApiError::new(status, codes[3], what),
        }
    }
}

/// Checks that `account`'s role signed this request for a region and a service, around `now`: the real time, as clients
/// know no other.
pub(super) fn verify(
    account: &Account,
    (region, service): (&str, &str),
    head: &Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Refusal> {
    let authorization = header(head, "authorization").ok_or(Refusal::Missing)?;
    let signature = Signature::read(&authorization)?;
    let token = header(head, "x-amz-security-token").unwrap_or_default();
    if signature.access_key_id != account.access_key_id || token != account.session_token {
        return Err(Refusal::UnknownCredentials);
    }
    let date = header(head, "x-amz-date").ok_or_else(|| Refusal::Incomplete("no X-Amz-Date".to_owned()))?;
    check_date(&date, now)?;
    let scope = format!("{}/{region}/{service}/aws4_request", date.get(..8).unwrap_or_default());
    if signature.scope != scope {
        return Err(Refusal::Wrong(format!(
            "Credential should be scoped to {scope}, not {}.",
            signature.scope
        )));
    }
    let unsigned =
        |name: &&&str| head.headers.contains_key(**name) && !signature.signed_headers.contains(name);
    if let Some(name) = ALWAYS_SIGNED.iter().find(unsigned) {
        return Err(Refusal::Wrong(format!("'{name}' must be a signed header in the Authorization header")));
    }
    let request = canonical_request(head, &signature.signed_headers, body);
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(&request)));
    if hex::encode(hmac(&signing_key(account, &scope), &to_sign)) == signature.value {
        Ok(())
    } else {
        Err(Refusal::Wrong(format!(
            "The request signature we calculated does not match the signature you provided. The Canonical String for \
             this request should have been '{}'",
            // The session token is one of the headers.
            request.replace(&account.session_token, "***")
        )))
    }
}

/// The parts of an `Authorization` header.
struct Signature<'a> {
    access_key_id: &'a str,
    scope: &'a str,
    signed_headers: Vec<&'a str>,
    value: &'a str,
}

impl<'a> Signature<'a> {
    fn read(authorization: &'a str) -> Result<Self, Refusal> {
        let incomplete = |what: &str| Refusal::Incomplete(what.to_owned());
        let fields = authorization
            .strip_prefix(ALGORITHM)
            .ok_or_else(|| incomplete("Authorization does not begin with AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('=')).ok_or_else(
                || Refusal::Incomplete(format!("Authorization header requires '{name}' parameter.")),
            )
        };
        let (access_key_id, scope) =
            field("Credential")?.split_once('/').ok_or_else(|| incomplete("Credential has no scope"))?;
        let signed_headers = field("SignedHeaders")?.split(';').collect();
        Ok(Self { access_key_id, scope, signed_headers, value: field("Signature")? })
    }
}

fn check_date(date: &str, now: Timestamp) -> Result<(), Refusal> {
    let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|date| date.to_zoned(TimeZone::UTC))
        .map_err(|_| Refusal::Incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{date}'.")))?
        .timestamp();
    if signed_at.duration_since(now).abs() > SKEW {
        return Err(Refusal::Wrong(format!("Signature expired: {signed_at} is not within 5 min. of {now}")));
    }
    Ok(())
}

fn canonical_request(head: &Parts, signed_headers: &[&str], body: &[u8]) -> String {
    let path = utf8_percent_encode(head.uri.path(), ESCAPED_IN_PATH);
    let mut query: Vec<String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}={}", escape(name), escape(value))
        })
        .collect();
    query.sort();
    let mut headers = String::new();
    for name in signed_headers {
        headers.extend([name, ":", &header(head, name).unwrap_or_default(), "\n"]);
    }
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{}",
        head.method,
        query.join("&"),
        signed_headers.join(";"),
        hex::encode(Sha256::digest(body))
    )
}

/// Brings an escaped part of a query into its canonical form.
fn escape(text: &str) -> String {
    let plain = percent_decode_str(text).decode_utf8_lossy();
    utf8_percent_encode(&plain, ESCAPED).to_string()
}

/// All values of a header, with single spaces.
fn header(head: &Parts, name: &str) -> Option<String> {
    let values: Vec<String> = head
        .headers
        .get_all(name)
        .iter()
        .map(|value| {
            String::from_utf8_lossy(value.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The key that is good for this scope only: each part of it goes in, one after the other.
fn signing_key(account: &Account, scope: &str) -> Vec<u8> {
    let secret = format!("AWS4{}", account.secret_access_key).into_bytes();
    scope.split('/').fold(secret, |key, part| hmac(&key, part))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// "get-vanilla" of AWS's own test suite for the algorithm.
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

    fn account() -> Account {
        Account {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: String::new(),
            ..Account::default()
        }
    }

    fn get_vanilla(authorization: Option<&str>) -> Parts {
        let mut request = Request::get("http://example.amazonaws.com/")
            .header("Host", "example.amazonaws.com")
            .header("X-Amz-Date", "20150830T123600Z");
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn check(authorization: Option<&str>, service: &str, body: &[u8], now: &str) -> Result<(), Refusal> {
        verify(&account(), ("us-east-1", service), &get_vanilla(authorization), body, at(now))
    }

    #[test]
    fn the_signature_of_awss_own_test_suite_is_accepted() {
        assert_eq!(check(Some(AUTHORIZATION), "service", b"", "2015-08-30T12:40:59Z"), Ok(()));
    }

    #[test]
    fn a_request_that_nobody_signed_is_refused() {
        assert_eq!(check(None, "service", b"", "2015-08-30T12:36:00Z"), Err(Refusal::Missing));
    }

    #[test]
    fn another_body_another_service_or_another_time_does_not_fit_the_signature() {
        for (service, body, now) in [
            ("service", "x", "2015-08-30T12:36:00Z"),
            ("ssm", "", "2015-08-30T12:36:00Z"),
            ("service", "", "2015-08-30T12:41:01Z"),
            ("service", "", "2015-08-30T12:30:59Z"),
        ] {
            let verdict = check(Some(AUTHORIZATION), service, body.as_bytes(), now);
            assert!(matches!(verdict, Err(Refusal::Wrong(_))), "{service} {body} {now}: {verdict:?}");
        }
    }

    #[test]
    fn the_lab_knows_one_access_key_only() {
        let other = AUTHORIZATION.replace("AKIDEXAMPLE", "AKIDANOTHER");
        let verdict = check(Some(&other), "service", b"", "2015-08-30T12:36:00Z");
        assert_eq!(verdict, Err(Refusal::UnknownCredentials));
    }

    #[test]
    fn a_header_that_matters_has_to_be_signed() {
        let other = AUTHORIZATION.replace("host;x-amz-date", "host");
        let verdict = check(Some(&other), "service", b"", "2015-08-30T12:36:00Z");
        assert!(matches!(verdict, Err(Refusal::Wrong(what)) if what.contains("x-amz-date")));
    }
}
