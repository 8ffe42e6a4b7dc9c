//! Request bodies, read as Go's decoder reads them: keys in any case, unknown ones ignored, types strict.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::super::spec::{DrainRequest, DrainSpec};
use super::answer::Failure;

/// `{"NodeID": …, "Eligibility": …}`.
#[derive(Debug)]
pub(super) struct EligibilityRequest {
    /// If it is there, it wins over the id in the path.
    pub(super) node_id: Option<String>,
    pub(super) eligibility: String,
}

/// `{"AuthMethodName": …, "LoginToken": …}`.
pub(super) struct LoginRequest {
    pub(super) method: String,
    pub(super) jwt: String,
}

/// The body of a drain. Without a `DrainSpec` it cancels the drain that runs.
pub(super) fn drain_request(body: &[u8]) -> Result<DrainRequest, Failure> {
    const NAME: &str = "NodeUpdateDrainRequest";
    let request = object(body, "api.NodeUpdateDrainRequest")?;
    let spec = match field(&request, "DrainSpec") {
        None => None,
        Some(Value::Object(spec)) => Some(drain_spec(spec)?),
        Some(other) => return Err(mismatch(other, "NodeUpdateDrainRequest.DrainSpec", "api.DrainSpec")),
    };
    let meta = match field(&request, "Meta") {
        None => BTreeMap::new(),
        Some(Value::Object(meta)) => meta
            .iter()
            .map(|(key, value)| {
                let text =
                    value.as_str().ok_or_else(|| mismatch(value, "NodeUpdateDrainRequest.Meta", "string"))?;
                Ok((key.clone(), text.to_owned()))
            })
            .collect::<Result<_, Failure>>()?,
        Some(other) => return Err(mismatch(other, "NodeUpdateDrainRequest.Meta", "map[string]string")),
    };
    Ok(DrainRequest { spec, mark_eligible: boolean(&request, NAME, "MarkEligible")?, meta })
}

pub(super) fn eligibility_request(body: &[u8]) -> Result<EligibilityRequest, Failure> {
    let request = object(body, "structs.NodeUpdateEligibilityRequest")?;
    let text = |name| string(&request, "NodeUpdateEligibilityRequest", name);
    let node_id = text("NodeID")?;
    Ok(EligibilityRequest {
        node_id: (!node_id.is_empty()).then_some(node_id),
        eligibility: text("Eligibility")?,
    })
}

pub(super) fn login_request(body: &[u8]) -> Result<LoginRequest, Failure> {
    let request = object(body, "structs.ACLLoginRequest")?;
    let text = |name| string(&request, "ACLLoginRequest", name);
    Ok(LoginRequest { method: text("AuthMethodName")?, jwt: text("LoginToken")? })
}

fn drain_spec(spec: &Map<String, Value>) -> Result<DrainSpec, Failure> {
    const NAME: &str = "DrainSpec.DrainSpec";
    let deadline = match field(spec, "Deadline") {
        None => 0,
        // Nanoseconds, and nothing else: "1h" is not a number.
        Some(given) => {
            given.as_i64().ok_or_else(|| mismatch(given, &format!("{NAME}.Deadline"), "time.Duration"))?
        }
    };
    Ok(DrainSpec {
        deadline: SignedDuration::from_nanos(deadline),
        ignore_system_jobs: boolean(spec, NAME, "IgnoreSystemJobs")?,
    })
}

fn object(body: &[u8], go_type: &str) -> Result<Map<String, Value>, Failure> {
    if body.is_empty() {
        return Err(Failure::local(400, "Request body is empty"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => {
            let kind = kind(&other);
            Err(Failure::local(400, format!("json: cannot unmarshal {kind} into Go value of type {go_type}")))
        }
        Err(error) if error.is_eof() => Err(Failure::local(400, "unexpected EOF")),
        Err(error) => {
            let wrong = body.get(error.column().saturating_sub(1)).map_or(' ', |byte| char::from(*byte));
            Err(Failure::local(400, format!("invalid character '{wrong}' looking for beginning of value")))
        }
    }
}

/// A field under its name in any case; null is as good as nothing.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields
        .iter()
        .find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null())
        .map(|(_, value)| value)
}

fn boolean(fields: &Map<String, Value>, of: &str, name: &str) -> Result<bool, Failure> {
    match field(fields, name) {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(other) => Err(mismatch(other, &format!("{of}.{name}"), "bool")),
    }
}

fn string(fields: &Map<String, Value>, of: &str, name: &str) -> Result<String, Failure> {
    match field(fields, name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(mismatch(other, &format!("{of}.{name}"), "string")),
    }
}

fn mismatch(given: &Value, field: &str, go_type: &str) -> Failure {
    // Go quotes a number only where another number would have been right.
    let given = if given.is_number() && go_type == "time.Duration" {
        format!("number {given}")
    } else {
        kind(given).to_owned()
    };
    Failure::local(
        400,
        format!("json: cannot unmarshal {given} into Go struct field {field} of type {go_type}"),
    )
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
