//! Systems Manager Parameter Store.

use std::time::Duration;

use drain_http::Limits;
use serde::Deserialize;

use super::{Aws, AwsError, LARGEST_ANSWER, Service};

const OPERATION: &str = "ssm:GetParameter";

/// Reads a parameter, decrypted. IAM: `ssm:GetParameter` on the parameter, and `kms:Decrypt` on its key if that is not
/// the account's default key for SSM.
pub async fn get_parameter(aws: &Aws, name: &str, timeout: Duration) -> Result<String, AwsError> {
    let headers =
        [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
    let body = serde_json::json!({ "Name": name, "WithDecryption": true }).to_string();
    let limits = Limits { timeout, body: LARGEST_ANSWER };
    let answer = aws.post(Service::Ssm, OPERATION, &headers, body, limits).await?;
    if answer.status().is_success() {
        // The answer holds the secret: neither it nor a parser's complaint about it may be quoted.
        let answer: Option<Answer> = serde_json::from_slice(answer.body()).ok();
        return match answer {
            Some(answer) => Ok(answer.parameter.value),
            None => Err(AwsError::Unreadable {
                operation: OPERATION.to_owned(),
                source: "it holds no Parameter with a Value".into(),
            }),
        };
    }
    let refusal: Refusal = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = refusal.code.rsplit('#').next().unwrap_or_default();
    Err(AwsError::refused(OPERATION, answer.status().as_u16(), code, &refusal.message))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

/// The code may come with its namespace: `com.amazonaws.ssm#ParameterNotFound`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}
