//! A webhook that remembers what it was told, as Slack's incoming webhooks and their imitations take it.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;

use crate::http_face::{Face, loopback, serve};

/// It listens until it is dropped.
#[derive(Debug)]
pub struct Webhook {
    face: Face,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    told: Mutex<Vec<String>>,
    status: AtomicU16,
}

impl Inner {
    fn told(&self) -> MutexGuard<'_, Vec<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of an address that nobody may learn.
pub const SECRET_PATH: &str = "services-T0000-B0000-XXXXXXXXXXXXXXXX";

/// With this in place of a status it never answers.
const NEVER: u16 = 0;

impl Webhook {
    /// Starts one on loopback that answers 200.
    pub async fn start() -> io::Result<Self> {
        let inner = Arc::new(Inner { told: Mutex::default(), status: AtomicU16::new(200) });
        let router =
            Router::new().route(&format!("/{SECRET_PATH}"), post(answer)).with_state(Arc::clone(&inner));
        Ok(Self { face: serve(loopback().await?, router)?, inner })
    }

    /// Its address, which is a secret.
    pub fn address(&self) -> String {
        format!("{}/{SECRET_PATH}", self.face.url())
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16) {
        self.inner.status.store(status, Ordering::Relaxed);
    }

    /// Answers nobody from now on.
    pub fn hang(&self) {
        self.answer_with(NEVER);
    }

    /// The bodies that it was sent, in order.
    pub fn told(&self) -> Vec<String> {
        self.inner.told().clone()
    }
}

async fn answer(State(inner): State<Arc<Inner>>, body: String) -> StatusCode {
    inner.told().push(body);
    let status = inner.status.load(Ordering::Relaxed);
    if status == NEVER {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
