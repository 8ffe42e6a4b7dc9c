//! The JSON 1.1 protocol: SSM and Secrets Manager speak it.

use std::time::Duration;

use drain_http::Limits;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Aws, AwsError, LARGEST_ANSWER, Service};

/// Sends `body` to the operation that `target` names, and reads the answer, which holds a secret: neither the answer nor a
/// parser's complaint about it is quoted. `operation` names the call in errors, as in `ssm:GetParameter`.
pub(super) async fn call<T: DeserializeOwned>(
    aws: &Aws,
    service: Service,
    operation: &str,
    target: &str,
    body: &serde_json::Value,
    timeout: Duration,
) -> Result<T, AwsError> {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = aws.post(service, operation, &headers, body.to_string(), limits).await?;
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(|_| AwsError::Unreadable {
            operation: operation.to_owned(),
            source: "it does not hold what was asked for".into(),
        });
    }
    let refusal: Refusal = serde_json::from_slice(answer.body()).unwrap_or_default();
    // The code may come with its namespace: `com.amazonaws.ssm#ParameterNotFound`.
    let code = refusal.code.rsplit('#').next().unwrap_or_default();
    Err(AwsError::refused(operation, answer.status().as_u16(), code, &refusal.message))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}
