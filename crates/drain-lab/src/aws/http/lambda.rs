//! Lambda's REST API: what a function is configured to do, who may invoke it, and its invocation. (AWS Lambda API
//! Reference; the service model `lambda/2015-03-31` of botocore 1.44.)

use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use crate::aws::deployed::{DeployedFunction, document};
use crate::aws::{ApiError, Aws};
use crate::lambda::Outcome;

/// When everything was last changed; nobody asks the lab for it.
const LAST_MODIFIED: &str = "2026-01-01T00:00:00.000+0000";

/// What Lambda says when a function runs as often at once as it may; when calls come too fast, it says so without the
/// capital and the full stop. (alexcasalboni/aws-lambda-power-tuning, issue 133, beside fyoorer/ShadowClone, issue 25.)
const TOO_MANY_RUNS: &str = "Rate Exceeded.";

pub(super) fn answer(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetFunctionConfiguration" => get_function_configuration(aws, call),
        "GetPolicy" => get_policy(aws, call),
        "ListEventSourceMappings" => list_event_source_mappings(aws, call),
        "GetFunctionEventInvokeConfig" => get_function_event_invoke_config(aws, call),
        "GetFunctionConcurrency" => get_function_concurrency(aws, call),
        _ => Err(call.unknown()),
    }
}

/// An error: its type is in the header `x-amzn-errortype`. Whether the text is called `message` or `Message` is a matter
/// of the error's shape.
pub(super) fn error(error: &ApiError) -> String {
    match error.code {
        "TooManyRequestsException" => {
            let reason = if error.message == TOO_MANY_RUNS {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            } else {
                "CallerRateLimitExceeded"
            };
            json!({"Type": "User", "message": error.message, "Reason": reason})
        }
        "InvalidRequestContentException" => json!({"Type": "User", "message": error.message}),
        "AccessDeniedException" => json!({"Message": error.message}),
        _ => json!({"Type": if error.status < 500 { "User" } else { "Service" }, "Message": error.message}),
    }
    .to_string()
}

/// "`GetFunctionConfiguration`".
fn get_function_configuration(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (arn, function) = function(aws, call)?;
    let mut shown = json!({
        "FunctionName": function.name,
        "FunctionArn": arn,
        "Runtime": "provided.al2023",
        "Role": function.role_arn,
        "Handler": "bootstrap",
        "CodeSize": 1_884_136,
        "Description": "",
        "Timeout": function.timeout.as_secs(),
        "MemorySize": function.memory_mb,
        "LastModified": LAST_MODIFIED,
        "CodeSha256": "bGFi",
        "Version": "$LATEST",
        "Environment": {"Variables": function.environment},
        "TracingConfig": {"Mode": "Active"},
        "RevisionId": "7e1a1b5e-4b3f-4f0a-9d53-0a2b6c7d8e9f",
        "State": if function.failed.is_some() { "Failed" } else { "Active" },
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 512},
    });
    if let Some(reason) = &function.failed {
        shown["StateReason"] = reason.clone().into();
    }
    if !function.subnet_ids.is_empty() {
        let groups = ["sg-0123456789abcdef0"];
        shown["VpcConfig"] = json!({"SubnetIds": function.subnet_ids, "SecurityGroupIds": groups, "VpcId": "vpc-0123456789abcdef0"});
    }
    if function.is_sealed {
        let message =
            "Lambda was unable to decrypt your environment variables because the KMS access was denied.";
        shown["Environment"] = json!({"Error": {"ErrorCode": "AccessDeniedException", "Message": message}});
    }
    Ok(shown.to_string())
}

/// "`GetPolicy`": a document in a text. A function without a policy has none, which is an error. Each version and alias has a
/// policy of its own.
fn get_policy(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (_, function) = function(aws, call)?;
    let statements = match call.get("Qualifier") {
        None => function.policy,
        Some(qualifier) => function.qualified.get(qualifier).cloned().unwrap_or_default(),
    };
    let policy =
        document(&statements).ok_or_else(|| not_found("The resource you requested does not exist."))?;
    let revision = "d3b1e1c2-5a0e-4a57-8f0c-1f2e3d4c5b6a";
    Ok(json!({"Policy": policy.to_string(), "RevisionId": revision}).to_string())
}

/// "`GetFunctionConcurrency`": nothing is said of what is not reserved.
fn get_function_concurrency(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (_, function) = function(aws, call)?;
    let reserved = function.reserved_concurrency;
    Ok(reserved.map_or_else(|| json!({}), |most| json!({"ReservedConcurrentExecutions": most})).to_string())
}

/// "`ListEventSourceMappings`", of one function or of one queue. Those of a function's versions and aliases are not those of
/// the function.
fn list_event_source_mappings(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    permit(aws, call, None)?;
    let named = call.get("FunctionName");
    let name = named.map(name_of);
    let qualifier = named.and_then(qualifier_of);
    let source = call.get("EventSourceArn");
    let functions = aws.deployed().functions;
    if let Some(name) = name.filter(|name| !functions.contains_key(*name)) {
        let arn = aws.account().arn("lambda", &format!("function:{name}"));
        return Err(not_found(format!("Function not found: {arn}")));
    }
    let asked = functions.values().filter(|function| name.is_none_or(|name| name == function.name));
    let all = asked.flat_map(|function| function.event_sources.iter().map(move |one| (function, one)));
    let fitting = all.filter(|(_, one)| {
        source.is_none_or(|arn| arn == one.queue_arn)
            && (name.is_none() || one.qualifier.as_deref() == qualifier)
    });
    let mappings: Vec<Value> = fitting
        .map(|(function, one)| {
            let name = match &one.qualifier {
                None => function.name.clone(),
                Some(qualifier) => format!("{}:{qualifier}", function.name),
            };
            let mut shown = json!({
                "UUID": "14e0db71-1c5d-4eb5-b481-8945cf9d10c2",
                "BatchSize": one.batch_size,
                "MaximumBatchingWindowInSeconds": 0,
                "EventSourceArn": one.queue_arn,
                "FunctionArn": aws.account().arn("lambda", &format!("function:{name}")),
                "LastModified": 1_767_225_600.0,
                "State": if one.enabled { "Enabled" } else { "Disabled" },
                "StateTransitionReason": "USER_INITIATED",
                "FunctionResponseTypes": if one.reports_failures { vec!["ReportBatchItemFailures"] } else { vec![] },
            });
            if let Some(pattern) = &one.filter_pattern {
                shown["FilterCriteria"] = json!({"Filters": [{"Pattern": pattern}]});
            }
            shown
        })
        .collect();
    Ok(json!({"EventSourceMappings": mappings}).to_string())
}

/// "`GetFunctionEventInvokeConfig`": what is not configured is an error.
fn get_function_event_invoke_config(aws: &Aws, call: &Call) -> Result<String, ApiError> {
    let (arn, function) = function(aws, call)?;
    let config = function
        .event_invoke_config
        .ok_or_else(|| not_found(format!("The function {arn}:$LATEST doesn't have an EventInvokeConfig")))?;
    let on_failure = config.on_failure.map_or_else(|| json!({}), |arn| json!({"Destination": arn}));
    Ok(json!({
        "LastModified": 1_767_225_600.0,
        "FunctionArn": format!("{arn}:$LATEST"),
        "MaximumRetryAttempts": config.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": config.maximum_event_age.as_secs(),
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": on_failure},
    })
    .to_string())
}

/// "`Invoke`", of a function that the lab hosts.
pub(super) async fn invoke(aws: &Aws, call: &Call) -> Result<Response, ApiError> {
    let (_, function) = function(aws, call)?;
    let payload = match call.get("Payload").unwrap_or_default() {
        "" => Value::Null,
        text => serde_json::from_str(text).map_err(|error| {
            let message = format!("Could not parse request body into json: {error}");
            ApiError::new(400, "InvalidRequestContentException", message)
        })?,
    };
    let kind = call.get("InvocationType").unwrap_or_default();
    if kind == "DryRun" {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let hosted = function.hosted.ok_or_else(|| {
        ApiError::new(500, "ServiceException", "the lab describes this function, and hosts none of this name")
    })?;
    if kind == "Event" {
        let request_id = hosted.invoke_async(payload);
        return Ok((StatusCode::ACCEPTED, [("x-amzn-requestid", request_id)]).into_response());
    }
    let run = hosted.invoke(&payload).await;
    let version = (HeaderName::from_static("x-amz-executed-version"), "$LATEST");
    let request_id = (HeaderName::from_static("x-amzn-requestid"), run.request_id);
    let json = (HeaderName::from_static("content-type"), "application/json");
    match run.outcome {
        Outcome::Succeeded(answer) => Ok(([version, json], [request_id], answer.to_string()).into_response()),
        Outcome::Failed { payload, .. } => {
            let failed = (HeaderName::from_static("x-amz-function-error"), "Unhandled");
            Ok(([version, json, failed], [request_id], payload.to_string()).into_response())
        }
        Outcome::Throttled => Err(ApiError { message: TOO_MANY_RUNS.to_owned(), ..call.service.throttled() }),
    }
}

/// The function that a call names, if the caller may ask and it is there, and its ARN.
fn function(aws: &Aws, call: &Call) -> Result<(String, DeployedFunction), ApiError> {
    let name = name_of(call.get("FunctionName").unwrap_or_default());
    let arn = aws.account().arn("lambda", &format!("function:{name}"));
    permit(aws, call, Some(&arn))?;
    let function = aws.look(|state| state.deployed.functions.get(name).cloned());
    let function = function.ok_or_else(|| not_found(format!("Function not found: {arn}")))?;
    Ok((arn, function))
}

/// The name in an ARN, in a part of one, or the name itself; without a version or an alias.
fn name_of(named: &str) -> &str {
    let rest = named.split_once("function:").map_or(named, |(_, rest)| rest);
    rest.split(':').next().unwrap_or(rest)
}

/// The version or alias in an ARN, or after a name.
fn qualifier_of(named: &str) -> Option<&str> {
    let rest = named.split_once("function:").map_or(named, |(_, rest)| rest);
    rest.split_once(':').map(|(_, qualifier)| qualifier)
}

fn permit(aws: &Aws, call: &Call, resource: Option<&str>) -> Result<(), ApiError> {
    aws.permit(&call.action(), resource).map_err(|message| call.service.denied(message))
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new(404, "ResourceNotFoundException", message)
}
