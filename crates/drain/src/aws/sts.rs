//! STS: the identity of the function's role, signed by AWS.

use std::time::Duration;

use drain_http::Limits;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::query::{self, Form};
use super::{Aws, AwsError, LARGEST_ANSWER, Service};

const OPERATION: &str = "sts:GetWebIdentityToken";

/// For how long an identity may be used, in seconds: it is shown once, at once.
const LASTS: u32 = 300;

/// What Nomad's JWT auth methods accept unless they say otherwise.
const ALGORITHM: &str = "RS256";

/// A JWT that says who our role is, for this audience. IAM: `sts:GetWebIdentityToken` on `*`; the account's outbound
/// identity federation has to be enabled.
pub async fn get_web_identity_token(
    aws: &Aws,
    audience: &str,
    timeout: Duration,
) -> Result<Zeroizing<String>, AwsError> {
    let form = Form::new("GetWebIdentityToken", "2011-06-15")
        .with_list("Audience.member", [audience])
        .with("SigningAlgorithm", ALGORITHM)
        .with("DurationSeconds", LASTS);
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = query::send(aws, Service::Sts, OPERATION, form, limits).await?;
    // The answer holds a secret: neither it nor a parser's complaint about it may be quoted.
    let answer: Option<Answer> = quick_xml::de::from_str(&String::from_utf8_lossy(&answer)).ok();
    answer
        .map(|answer| answer.result.token)
        .ok_or_else(|| query::unreadable(OPERATION, "it holds no WebIdentityToken"))
}

/// The answer holds something else than a JWT. Nothing of it is quoted.
pub fn unusable(problem: impl std::error::Error + Send + Sync + 'static) -> AwsError {
    query::unreadable(OPERATION, problem)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "GetWebIdentityTokenResult")]
    result: Identity,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "WebIdentityToken")]
    token: Zeroizing<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_read_from_where_sts_puts_it() {
        let xml = r#"<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <GetWebIdentityTokenResult>
                <WebIdentityToken>eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl</WebIdentityToken>
                <Expiration>2026-03-01T12:05:00Z</Expiration>
            </GetWebIdentityTokenResult>
            <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
        </GetWebIdentityTokenResponse>"#;
        let answer: Answer = quick_xml::de::from_str(xml).unwrap();
        assert_eq!(answer.result.token.as_str(), "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl");
    }
}
