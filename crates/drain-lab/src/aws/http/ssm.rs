//! Parameter Store over AWS JSON 1.1.

use jiff::Timestamp;
use serde_json::json;

use super::call::Call;
use crate::aws::parameter::{self, ParameterType};
use crate::aws::{Account, ApiError, Aws};

/// Parameters say when they were last modified; nobody asks the lab for it.
const LAST_MODIFIED: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetParameter" => get_parameter(aws, call),
        _ => Err(call.unknown()),
    }
}

fn get_parameter(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let Some(asked) = call.get("Name") else {
        return Err(ApiError::new(
            400,
            "ValidationException",
            "Value null at 'name' failed to satisfy constraint",
        ));
    };
    let Account { id, region, .. } = aws.account();
    let prefix = format!("arn:aws:ssm:{region}:{id}:parameter");
    let name = asked.strip_prefix(&prefix).unwrap_or(asked);
    let arn = format!("{prefix}/{}", name.trim_start_matches('/'));
    let denied = |message| call.service.denied(message);
    aws.permit(&call.action(), Some(&arn)).map_err(denied)?;

    let parameter = aws.look(|state| state.parameters.get(name).cloned());
    let parameter = parameter.ok_or_else(|| parameter::not_found(name))?;
    let value = match (parameter.kind, call.get("WithDecryption")) {
        (ParameterType::String, _) => parameter.value,
        (ParameterType::SecureString, Some("true")) => {
            let key = format!("arn:aws:kms:{region}:{id}:key/5c9a6f0e-1ab0-4d0f-8f39-3f0b7a7f0001");
            aws.permit("kms:Decrypt", Some(&key)).map_err(denied)?;
            parameter.value
        }
        (ParameterType::SecureString, _) => "AQICAHhlbmNyeXB0ZWQ=".to_owned(),
    };
    Ok(json!({"Parameter": {
        "ARN": arn,
        "DataType": "text",
        "LastModifiedDate": LAST_MODIFIED.as_second(),
        "Name": name,
        "Type": parameter.kind.as_str(),
        "Value": value,
        "Version": parameter.version,
    }})
    .to_string())
}
