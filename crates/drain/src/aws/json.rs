//! The JSON protocols 1.0 and 1.1: SSM and Secrets Manager speak it, `EventBridge` and SQS too.

use std::time::Duration;

use bytes::Bytes;
use drain_http::Limits;
use http::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Aws, AwsError, LARGEST_ANSWER, Service};

/// Sends `body` to the operation that `target` names, and reads the answer, which may hold a secret: neither the answer nor a
/// parser's complaint about it is quoted. `operation` names the call in errors, as in `ssm:GetParameter`.
pub async fn call<T: DeserializeOwned>(
    aws: &Aws,
    service: Service,
    operation: &str,
    target: &str,
    body: &serde_json::Value,
    timeout: Duration,
) -> Result<T, AwsError> {
    let content_type = format!("application/x-amz-json-{}", service.json_version());
    let headers = [("content-type", content_type.as_str()), ("x-amz-target", target)];
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = aws.post(service, operation, &headers, body.to_string(), limits).await?;
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(|_| AwsError::Unreadable {
            operation: operation.to_owned(),
            source: "it does not hold what was asked for".into(),
        });
    }
    Err(refusal(operation, &answer, None))
}

/// The error in an answer. `named` is its code, if the protocol tells that elsewhere.
pub(super) fn refusal(operation: &str, answer: &Response<Bytes>, named: Option<&str>) -> AwsError {
    let refusal: Refusal = serde_json::from_slice(answer.body()).unwrap_or_default();
    // The code may come with its namespace: `com.amazonaws.ssm#ParameterNotFound`.
    let code = named.unwrap_or(&refusal.code).rsplit('#').next().unwrap_or_default();
    AwsError::refused(operation, answer.status().as_u16(), code, &refusal.message)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}
