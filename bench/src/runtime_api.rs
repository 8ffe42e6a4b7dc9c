//! Lambda's Runtime API, as a process sees it: it asks for an event, and says what became of it. Plain HTTP, as in Lambda.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a run may take, as the process is told.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(60);

/// What a process says.
#[derive(Debug)]
pub(crate) enum Said {
    /// It wants an event, and waits for it.
    Next(Poll),
    /// What became of the event, or of the process's own start.
    Answer {
        /// Whether it failed.
        failed: bool,
        /// In its words.
        text: String,
    },
}

/// A process waits for an event.
#[derive(Debug)]
pub(crate) struct Poll {
    /// Since when.
    pub(crate) at: Timestamp,
    give: oneshot::Sender<Value>,
}

impl Poll {
    /// Gives it one.
    pub(crate) fn give(self, event: Value) {
        // A process that has gone is noticed by whoever waits for it.
        _ = self.give.send(event);
    }
}

/// The Runtime API of one process. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    said: UnboundedReceiver<Said>,
    serving: JoinHandle<()>,
}

impl RuntimeApi {
    /// Opens one on a free port.
    pub(crate) async fn open() -> io::Result<Self> {
        let (sender, said) = unbounded_channel();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(sender);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // An error says that the process has gone already.
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        let serving = tokio::spawn(async move { _ = axum::serve(listener, router).await });
        Ok(Self { address, said, serving })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the process wants an event; what it said of earlier ones is read. An error says that one of them
    /// failed, or that too much time has passed.
    pub(crate) async fn poll(&mut self, patience: Duration) -> anyhow::Result<Poll> {
        let polled = async {
            loop {
                match self.said.recv().await {
                    Some(Said::Next(poll)) => return Ok(poll),
                    Some(Said::Answer { failed: false, .. }) => {}
                    Some(Said::Answer { failed: true, text }) => anyhow::bail!("the function failed: {text}"),
                    None => anyhow::bail!("the Runtime API has ended"),
                }
            }
        };
        match tokio::time::timeout(patience, polled).await {
            Ok(polled) => polled,
            Err(_) => anyhow::bail!("the function asked for no event within {patience:?}"),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Sender = State<UnboundedSender<Said>>;

async fn next(State(said): Sender) -> Response {
    let (give, event) = oneshot::channel();
    // Only a run that has ended hears nothing, and answers nothing.
    _ = said.send(Said::Next(Poll { at: Timestamp::now(), give }));
    let Ok(event) = event.await else { return StatusCode::GONE.into_response() };
    let deadline = Timestamp::now().saturating_add(TIMEOUT).unwrap_or(Timestamp::MAX);
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", deadline.as_millisecond().to_string()),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:nomad-drain".to_owned(),
        ),
        (
            "Lambda-Runtime-Trace-Id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
        ),
        ("Content-Type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn response(said: Sender, Path(_): Path<String>, body: Bytes) -> StatusCode {
    answer(&said, false, &body)
}

async fn error(said: Sender, Path(_): Path<String>, body: Bytes) -> StatusCode {
    answer(&said, true, &body)
}

async fn init_error(said: Sender, body: Bytes) -> StatusCode {
    answer(&said, true, &body)
}

fn answer(State(said): &Sender, failed: bool, body: &[u8]) -> StatusCode {
    _ = said.send(Said::Answer { failed, text: String::from_utf8_lossy(body).into_owned() });
    StatusCode::ACCEPTED
}
