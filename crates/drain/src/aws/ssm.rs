//! Systems Manager Parameter Store.

use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Aws, AwsError, Service, json};

const OPERATION: &str = "ssm:GetParameter";

/// The codes with which SSM says that there is no such parameter, or no such version of it.
pub const NOT_FOUND: [&str; 2] = ["ParameterNotFound", "ParameterVersionNotFound"];

/// Reads a parameter, decrypted. IAM: `ssm:GetParameter` on the parameter, and `kms:Decrypt` on its key if that is not
/// the account's default key for SSM.
pub async fn get_parameter(aws: &Aws, name: &str, timeout: Duration) -> Result<Zeroizing<String>, AwsError> {
    let body = serde_json::json!({ "Name": name, "WithDecryption": true });
    let answer: Answer =
        json::call(aws, Service::Ssm, OPERATION, "AmazonSSM.GetParameter", &body, timeout).await?;
    Ok(answer.parameter.value)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: Zeroizing<String>,
}
