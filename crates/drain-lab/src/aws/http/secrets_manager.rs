//! Secrets Manager over AWS JSON 1.1.

use serde_json::json;

use super::call::Call;
use crate::aws::{Account, ApiError, Aws};

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetSecretValue" => get_secret_value(aws, call),
        _ => Err(call.unknown()),
    }
}

/// A secret's ARN ends in six characters that AWS makes up; the lab's always in these.
const SUFFIX: &str = "-AbCdEf";

fn get_secret_value(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let Some(asked) = call.get("SecretId") else {
        return Err(ApiError::new(400, "InvalidParameterException", "You must provide a SecretId."));
    };
    let Account { id, region, .. } = aws.account();
    let prefix = format!("arn:aws:secretsmanager:{region}:{id}:secret:");
    let name = asked.strip_prefix(&prefix).map_or(asked, |name| name.strip_suffix(SUFFIX).unwrap_or(name));
    let arn = format!("{prefix}{name}{SUFFIX}");
    aws.permit(&call.action(), Some(&arn)).map_err(|message| call.service.denied(message))?;
    let secret = aws.look(|state| state.secrets.get(name).cloned());
    let text = secret.ok_or_else(|| {
        let message = "Secrets Manager can't find the specified secret.";
        ApiError::new(400, "ResourceNotFoundException", message)
    })?;
    Ok(json!({
        "ARN": arn, "Name": name, "SecretString": text, "VersionId": "EXAMPLE1-90ab-cdef-fedc-ba987SECRET1",
        "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_523_477_145.713,
    })
    .to_string())
}
