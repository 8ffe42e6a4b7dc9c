//! What stands between a function and a real cluster: it records every call, and can be cut.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http_body_util::BodyExt as _;

use super::Cluster;
use super::api::Api;
use crate::http_face::{self, Admission, Disconnect, Face};
use crate::journal::{Journal, System};
use crate::nomad::describe_call;

/// The way to a cluster's servers, by which a function is to come.
#[derive(Debug)]
pub struct Front {
    face: Face,
    is_cut: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Way {
    servers: Api,
    journal: Journal,
    is_cut: Arc<AtomicBool>,
}

impl Cluster {
    /// Opens a way to the servers, for clusters that do not speak TLS. Every call goes into the journal, as those to the
    /// lab's own cluster do.
    pub async fn front(&self, journal: Journal) -> io::Result<Front> {
        let is_cut = Arc::<AtomicBool>::default();
        let way = Way { servers: self.api.anonymous(), journal, is_cut: Arc::clone(&is_cut) };
        let router = Router::new().fallback(forward).with_state(Arc::new(way));
        let admit = {
            let is_cut = Arc::clone(&is_cut);
            move |_| if is_cut.load(Ordering::SeqCst) { Admission::Close } else { Admission::Serve }
        };
        let face = http_face::serve_with(http_face::loopback().await?, router, None, admit)?;
        Ok(Front { face, is_cut })
    }
}

impl Front {
    /// Where it begins.
    pub fn url(&self) -> String {
        self.face.url()
    }

    /// Cuts it: every connection is closed without a word. Or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

async fn forward(State(way): State<Arc<Way>>, request: Request) -> Result<Response, Disconnect> {
    if way.is_cut.load(Ordering::SeqCst) {
        return Err(Disconnect);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Disconnect)?.to_bytes();
    if let Some((operation, subject, detail)) = describe_call(&head.method, &head.uri, &body) {
        way.journal.call(System::Nomad, operation, subject, detail);
    }
    let answer = way.servers.forward(head, body).await.map_err(|_| Disconnect)?;
    if way.is_cut.load(Ordering::SeqCst) {
        return Err(Disconnect);
    }
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, Body::from(body)))
}
