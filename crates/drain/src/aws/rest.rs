//! The REST-JSON protocol: what is asked is in the path. Lambda speaks it.

use std::time::Duration;

use bytes::Bytes;
use drain_http::Limits;
use http::{Method, Response};
use serde::de::DeserializeOwned;

use super::{Aws, AwsError, LARGEST_ANSWER, Service, json};

/// Sends a request, and gives the answer if the service did what it was asked. `path` begins with a slash and may have a
/// query; its parts are percent-encoded. `operation` names the call in errors, as in `lambda:GetPolicy`.
#[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
pub async fn send(
    aws: &Aws,
    service: Service,
    operation: &str,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: String,
    timeout: Duration,
) -> Result<Response<Bytes>, AwsError> {
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = aws.send(service, operation, method, path, headers, body, limits).await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    // The code may come with the place of its definition: `ResourceNotFoundException:http://…`.
    let named = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let named = named.and_then(|value| value.split(':').next());
    Err(json::refusal(operation, &answer, named))
}

/// Asks for what is at `path`. Neither the answer nor a parser's complaint about it is quoted.
pub async fn get<T: DeserializeOwned>(
    aws: &Aws,
    service: Service,
    operation: &str,
    path: &str,
    timeout: Duration,
) -> Result<T, AwsError> {
    let answer = send(aws, service, operation, Method::GET, path, &[], String::new(), timeout).await?;
    serde_json::from_slice(answer.body()).map_err(|_| AwsError::Unreadable {
        operation: operation.to_owned(),
        source: "it does not hold what was asked for".into(),
    })
}
