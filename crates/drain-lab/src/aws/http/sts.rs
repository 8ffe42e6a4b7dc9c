//! STS's query protocol.

use jiff::{SignedDuration, Timestamp};

use super::call::Call;
use super::xml::Xml;
use crate::aws::{ApiError, Aws};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetWebIdentityToken" => get_web_identity_token(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

fn get_web_identity_token(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    aws.permit(&call.action(), None).map_err(|message| ApiError::new(403, "AccessDenied", message))?;
    let audience = call.list("Audience.member");
    let lasts = call.get("DurationSeconds").map_or(Ok(300), str::parse::<i64>);
    let lasts = lasts.ok().filter(|seconds| (60..=3600).contains(seconds));
    let (Some(seconds), Some("RS256"), false) = (lasts, call.get("SigningAlgorithm"), audience.is_empty())
    else {
        return Err(ApiError::validation("1 validation error detected".to_owned()));
    };
    // The clock of those who check it is the real one.
    let (now, lasts) = (Timestamp::now(), SignedDuration::from_secs(seconds));
    let token = aws.identity_provider().token(&aws.account().role_arn(), &audience, now, lasts);
    Ok(Xml::document("GetWebIdentityTokenResponse", NAMESPACE, |xml| {
        xml.element("GetWebIdentityTokenResult", |xml| {
            xml.text("WebIdentityToken", token);
            xml.text("Expiration", now + lasts);
        });
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    }))
}
