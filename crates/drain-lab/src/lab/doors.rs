//! The doors through which anybody may bring an event: Lambda's `Invoke`, SQS's `SendMessage` and `SendMessageBatch`, SNS's
//! `Publish`, and the way into a function on a developer's machine (Lambda Runtime Interface Emulator).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::route::Route;
use super::wiring::Wiring;
use super::{Lab, TOPIC};
use crate::aws::ids::Ids;
use crate::aws::{Aws, Letter};
use crate::http_face::{Face, loopback, serve};
use crate::lambda::{Lambda, Outcome};

/// What stands behind the doors.
#[derive(Clone)]
struct Behind {
    aws: Aws,
    wiring: Arc<Wiring>,
}

impl Lab {
    /// Opens them at one address until the face is dropped. Calls to AWS have to be signed. What is published to the lab's
    /// topic takes the route of [`Lab::deliver_by`]; else it invokes the function.
    pub async fn open_doors(&self) -> io::Result<Face> {
        let behind = Behind { aws: self.aws.clone(), wiring: Arc::clone(&self.wiring) };
        let router = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .fallback(query_or_json)
            .with_state(behind);
        serve(loopback().await?, router)
    }
}

/// Lambda's `Invoke` (AWS Lambda API Reference). The emulator calls every function `function` and checks no signature
/// (AWS Lambda Developer Guide, "Testing Lambda functions locally").
async fn invoke(State(behind): State<Behind>, Path(name): Path<String>, request: Request) -> Response {
    let Ok((head, body)) = read(request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let is_local = name == "function";
    if !is_local && let Err(refusal) = behind.aws.is_signed("lambda", &head, &body) {
        return refuse(StatusCode::FORBIDDEN, "InvalidSignatureException", &refusal);
    }
    let named = |lambda: &&Lambda| {
        let arn = lambda.function_arn();
        is_local || name == arn || arn.rsplit(':').next() == Some(name.as_str())
    };
    let deployed = [behind.wiring.function.get(), behind.wiring.sweep.get()];
    let Some(lambda) = deployed.into_iter().flatten().find(named) else {
        let message = format!("Function not found: {name}");
        return refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
    };
    let Ok(payload) = serde_json::from_slice::<Value>(&body) else {
        let message = "Could not parse request body into json";
        return refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message);
    };
    let kind = head.headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
    if kind == Some("Event") {
        lambda.invoke_async(payload);
        return StatusCode::ACCEPTED.into_response();
    }
    match lambda.invoke(&payload).await.outcome {
        Outcome::Succeeded(answer) => answer.to_string().into_response(),
        Outcome::Failed { payload, .. } => {
            ([("x-amz-function-error", "Unhandled")], payload.to_string()).into_response()
        }
        Outcome::Throttled => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.")
        }
    }
}

/// SQS, which speaks JSON and names its operation in a header, or SNS, which does so in a form.
async fn query_or_json(State(behind): State<Behind>, request: Request) -> Response {
    let Ok((head, body)) = read(request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let operation = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    match operation.and_then(|target| target.strip_prefix("AmazonSQS.")) {
        Some(operation) => match behind.aws.is_signed("sqs", &head, &body) {
            Ok(()) => send(&behind, operation, &body),
            Err(refusal) => refuse(StatusCode::FORBIDDEN, "InvalidSignatureException", &refusal),
        },
        None => match behind.aws.is_signed("sns", &head, &body) {
            Ok(()) => publish(&behind, &body),
            Err(refusal) => refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", &refusal),
        },
    }
}

/// `SendMessage` and `SendMessageBatch`, of at most ten messages (Amazon SQS API Reference).
fn send(behind: &Behind, operation: &str, body: &[u8]) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = asked["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let queue = behind.wiring.queue.get().map(|(queue, _)| queue);
    let Some(queue) = queue.filter(|queue| queue.arn().rsplit(':').next() == Some(name)) else {
        let code = "com.amazonaws.sqs#QueueDoesNotExist";
        return refuse(StatusCode::BAD_REQUEST, code, "The specified queue does not exist.");
    };
    let text = |message: &Value| message["MessageBody"].as_str().unwrap_or_default().to_owned();
    match (operation, asked["Entries"].as_array()) {
        ("SendMessage", _) => axum::Json(json!({"MessageId": queue.send(text(&asked))})).into_response(),
        ("SendMessageBatch", Some(entries)) if (1..=10).contains(&entries.len()) => {
            let sent =
                entries.iter().map(|entry| json!({"Id": entry["Id"], "MessageId": queue.send(text(entry))}));
            axum::Json(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []})).into_response()
        }
        ("SendMessageBatch", _) => {
            let code = "com.amazonaws.sqs#TooManyEntriesInBatchRequest";
            refuse(StatusCode::BAD_REQUEST, code, "The batch holds no message, or more than ten.")
        }
        _ => refuse(StatusCode::BAD_REQUEST, "UnknownOperationException", operation),
    }
}

/// `Publish` (Amazon SNS API Reference).
fn publish(behind: &Behind, body: &[u8]) -> Response {
    let form: BTreeMap<String, String> = form(body);
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (topic, id) = (get("TopicArn"), Ids::seeded(fastrand::u64(..)).uuid());
    if get("Action") != "Publish" || topic != TOPIC {
        let error = "<ErrorResponse><Error><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>";
        return (StatusCode::NOT_FOUND, error).into_response();
    }
    let (account, at) = (behind.aws.account(), behind.aws.now());
    let letter = Letter { account, id: &id, at, subject: get("Subject"), message: get("Message") };
    let route = *behind.wiring.route.lock().unwrap_or_else(PoisonError::into_inner);
    match (route, behind.wiring.queue.get(), behind.wiring.function.get()) {
        (Some(Route::TopicToQueue), Some((queue, _)), _) => {
            queue.send(letter.sns_document(&topic).to_string());
        }
        (Some(Route::TopicToQueueRaw), Some((queue, _)), _) => {
            queue.send(letter.message);
        }
        (_, _, Some(function)) => {
            function.invoke_async(letter.sns_event(&topic));
        }
        // Nobody is subscribed.
        _ => {}
    }
    format!(
        "<PublishResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{id}</MessageId>\
         </PublishResult></PublishResponse>"
    )
    .into_response()
}

async fn read(request: Request) -> Result<(Parts, Vec<u8>), axum::Error> {
    let (head, body): (Parts, Body) = request.into_parts();
    Ok((head, body.collect().await?.to_bytes().to_vec()))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"__type": code, "message": message}).to_string();
    (status, [("x-amzn-errortype", code)], body).into_response()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}
