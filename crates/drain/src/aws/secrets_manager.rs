//! Secrets Manager.

use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Aws, AwsError, Service, json};

const OPERATION: &str = "secretsmanager:GetSecretValue";

/// The code with which Secrets Manager says that there is no such secret, or no such version of it.
pub const NOT_FOUND: &str = "ResourceNotFoundException";

/// Reads a secret: its text in the version that is current. IAM: `secretsmanager:GetSecretValue` on the secret, and
/// `kms:Decrypt` on its key if that is not the account's default key for Secrets Manager.
pub async fn get_secret_value(aws: &Aws, id: &str, timeout: Duration) -> Result<Zeroizing<String>, AwsError> {
    let body = serde_json::json!({ "SecretId": id });
    let target = "secretsmanager.GetSecretValue";
    let answer: Answer = json::call(aws, Service::SecretsManager, OPERATION, target, &body, timeout).await?;
    answer.secret_string.ok_or_else(|| AwsError::Unreadable {
        operation: OPERATION.to_owned(),
        source: "the secret is binary, not text".into(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    secret_string: Option<Zeroizing<String>>,
}
