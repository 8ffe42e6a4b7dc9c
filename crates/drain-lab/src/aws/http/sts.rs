//! STS's query protocol.

use jiff::{SignedDuration, Timestamp};

use super::call::Call;
use super::xml;
use crate::aws::{ApiError, Aws};

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetCallerIdentity" => Ok(get_caller_identity(aws, call, request_id)),
        "GetWebIdentityToken" => get_web_identity_token(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

/// Needs no permission, and none can be denied. (AWS STS API Reference, "`GetCallerIdentity`".)
fn get_caller_identity(aws: &Aws, call: &Call, request_id: &str) -> String {
    xml::response(call, request_id, |xml| {
        xml.text("Arn", aws.caller.caller());
        xml.text("UserId", format!("AROALABEXAMPLEROLE00:{}", aws.caller.role));
        xml.text("Account", &aws.caller.id);
    })
}

fn get_web_identity_token(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    aws.permit(&call.action(), None).map_err(|message| call.service.denied(message))?;
    let audience = call.list("Audience.member");
    let lasts = call.get("DurationSeconds").map_or(Ok(300), str::parse::<i64>);
    let lasts = lasts.ok().filter(|seconds| (60..=3600).contains(seconds));
    let (Some(seconds), Some("RS256"), false) = (lasts, call.get("SigningAlgorithm"), audience.is_empty())
    else {
        return Err(ApiError::validation("1 validation error detected".to_owned()));
    };
    // The clock of those who check it is the real one.
    let (now, lasts) = (Timestamp::now(), SignedDuration::from_secs(seconds));
    let token = aws.identity_provider().token(&aws.caller.role_arn(), &audience, now, lasts);
    Ok(xml::response(call, request_id, |xml| {
        xml.text("WebIdentityToken", token);
        xml.text("Expiration", now + lasts);
    }))
}
