//! The way into a function on a developer's machine, as AWS's Lambda Runtime Interface Emulator opens it.

use std::io;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::{Lambda, Outcome};
use crate::http_face::{Face, loopback, serve};

impl Lambda {
    /// Opens it on a free port, until the face is dropped. Whoever comes needs no credentials, and every function is called
    /// `function`. (AWS Lambda Developer Guide, "Testing Lambda functions locally".)
    pub async fn emulate_locally(&self) -> io::Result<Face> {
        let path = "/2015-03-31/functions/function/invocations";
        serve(loopback().await?, Router::new().route(path, post(invoke)).with_state(self.clone()))
    }
}

/// Answers what the function does, and nothing beside it: a failure has no header, and can only be told by its fields.
/// (aws/aws-lambda-runtime-interface-emulator, `cmd/aws-lambda-rie/handlers.go`, `InvokeHandler`.)
async fn invoke(State(lambda): State<Lambda>, payload: Bytes) -> Response {
    let Ok(payload) = serde_json::from_slice(&payload) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match lambda.invoke(&payload).await.outcome {
        Outcome::Succeeded(answer) | Outcome::Failed { payload: answer, .. } => {
            answer.to_string().into_response()
        }
        Outcome::Throttled => StatusCode::BAD_REQUEST.into_response(),
    }
}
