//! The Runtime API that a function's process talks to: one listener for each execution environment, as in Lambda.

use std::io;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::http_face::{Disconnect, Face, loopback, serve};

/// The largest answer that Lambda takes, in bytes (AWS Lambda Developer Guide, "Lambda quotas").
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// What the process asks of its environment.
#[derive(Debug)]
pub(super) enum Ask {
    /// It wants the next invocation, and waits until there is one.
    Next(oneshot::Sender<Task>),
    /// It has an answer to the invocation with this request id.
    Answer { request_id: String, answer: Answer, accepted: oneshot::Sender<bool> },
    /// It could not initialise.
    InitError(Answer),
}

/// What a process says at the end of an invocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Response(Value),
    Error { error_type: String, payload: Value },
}

/// An invocation, as the process gets it.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) request_id: String,
    /// When the process will be killed, in milliseconds since 1970, real time.
    pub(super) deadline_ms: i64,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) payload: Value,
}

/// Serves the API of one environment. What the process asks arrives at the receiver.
pub(super) async fn open() -> io::Result<(Face, UnboundedReceiver<Ask>)> {
    let (asks, receiver) = unbounded_channel();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(LARGEST_ANSWER))
        .with_state(asks);
    Ok((serve(loopback().await?, router)?, receiver))
}

type Asks = State<UnboundedSender<Ask>>;

async fn next(State(asks): Asks) -> Result<Response, Disconnect> {
    let (sender, task) = oneshot::channel();
    asks.send(Ask::Next(sender)).map_err(|_| Disconnect)?;
    let task = task.await.map_err(|_| Disconnect)?;
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", task.request_id),
        ("Lambda-Runtime-Deadline-Ms", task.deadline_ms.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", task.function_arn),
        ("Lambda-Runtime-Trace-Id", task.trace_id),
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
    ];
    Ok((headers, task.payload.to_string()).into_response())
}

async fn response(
    State(asks): Asks,
    Path(request_id): Path<String>,
    body: Bytes,
) -> Result<Response, Disconnect> {
    answer(&asks, request_id, Answer::Response(read(&body))).await
}

async fn error(
    State(asks): Asks,
    Path(request_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Disconnect> {
    answer(&asks, request_id, read_error(&headers, &body)).await
}

async fn init_error(State(asks): Asks, headers: HeaderMap, body: Bytes) -> Result<Response, Disconnect> {
    asks.send(Ask::InitError(read_error(&headers, &body))).map_err(|_| Disconnect)?;
    Ok(accept())
}

async fn answer(
    asks: &UnboundedSender<Ask>,
    request_id: String,
    answer: Answer,
) -> Result<Response, Disconnect> {
    let (accepted, verdict) = oneshot::channel();
    asks.send(Ask::Answer { request_id, answer, accepted }).map_err(|_| Disconnect)?;
    if verdict.await.map_err(|_| Disconnect)? {
        return Ok(accept());
    }
    let error = json!({"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"});
    Ok((StatusCode::BAD_REQUEST, Json(error)).into_response())
}

fn accept() -> Response {
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)))
}

/// The type of an error stands in its body, and before that arrived whole, in a header.
fn read_error(headers: &HeaderMap, body: &[u8]) -> Answer {
    let payload = read(body);
    let header = headers.get("Lambda-Runtime-Function-Error-Type").and_then(|value| value.to_str().ok());
    let error_type = payload["errorType"].as_str().or(header).unwrap_or("Unhandled").to_owned();
    Answer::Error { error_type, payload }
}
