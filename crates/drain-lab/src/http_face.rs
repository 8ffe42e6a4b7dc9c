//! What every HTTP face of the lab shares: a server on loopback that can drop a connection without an answer, and
//! the translation of a [`Fault`] into what the client sees.
//!
//! A handler answers `Result<Response, Disconnect>`: [`with_fault`] makes one from the fault that waits for the call
//! and the future that would have answered it.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::authority::ServerTls;
use crate::faults::Fault;

/// An HTTP server of the lab. Dropping it closes its socket and every connection.
#[derive(Debug)]
pub struct Face {
    address: SocketAddr,
    scheme: &'static str,
    accepting: JoinHandle<()>,
}

impl Face {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a path or a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What happens to a connection that a client has just opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// It is served.
    Serve,
    /// It is closed at once.
    Close,
    /// It gets these bytes, before it has asked anything, and is closed.
    Say(&'static str),
}

/// The connection is to be closed without an answer. Answered by a handler, it reaches the client as exactly that.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the lab closes this connection without an answer")]
pub(crate) struct Disconnect;

impl IntoResponse for Disconnect {
    /// A response is only the carrier: [`Face`] looks for the mark and never sends it.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

/// A socket on a free port of 127.0.0.1.
pub(crate) async fn loopback() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Serves `router` to every client of `listener` until the face is dropped.
pub(crate) fn serve(listener: TcpListener, router: Router) -> io::Result<Face> {
    serve_with(listener, router, None, |_| Admission::Serve)
}

/// Serves `router` to those clients of `listener` whom `admit` lets in, over TLS if there is some; it is told how many
/// connections are open already.
pub(crate) fn serve_with(
    listener: TcpListener,
    router: Router,
    tls: Option<ServerTls>,
    admit: impl Fn(usize) -> Admission + Send + 'static,
) -> io::Result<Face> {
    let address = listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let accepting = tokio::spawn(accept(listener, router, tls, admit));
    Ok(Face { address, scheme, accepting })
}

/// Answers a call as `fault` says, or with what `run` answers. `throttled` is the system's own "slow down".
pub(crate) async fn with_fault(
    fault: Option<Fault>,
    throttled: impl FnOnce() -> Response,
    run: impl Future<Output = Response>,
) -> Result<Response, Disconnect> {
    match fault {
        None => Ok(run.await),
        Some(Fault::Throttled) => Ok(throttled()),
        Some(Fault::Status(status, body)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok((status, body).into_response())
        }
        Some(Fault::Hang) => pending().await,
        Some(Fault::Reset) => Err(Disconnect),
        Some(Fault::ResetAfterEffect) => {
            run.await;
            Err(Disconnect)
        }
        Some(Fault::Delay(by)) => {
            tokio::time::sleep(by).await;
            Ok(run.await)
        }
        Some(Fault::Truncate) => truncate(run.await).await,
        Some(Fault::Garbage) => Ok("<html><body>It works!</body></html>".into_response()),
    }
}

/// The same answer, announced in its full length and cut off half way.
async fn truncate(response: Response) -> Result<Response, Disconnect> {
    let (mut head, body) = response.into_parts();
    let whole = body.collect().await.map_err(|_| Disconnect)?.to_bytes();
    head.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let half = whole.slice(..whole.len() / 2);
    Ok(Response::from_parts(head, Body::new(CutOff { left: Some(half), flushed: false })))
}

/// A body that ends in the middle.
struct CutOff {
    left: Option<Bytes>,
    flushed: bool,
}

impl hyper::body::Body for CutOff {
    type Data = Bytes;
    type Error = Disconnect;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Disconnect>>> {
        if let Some(half) = self.left.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.flushed {
            // hyper drops what it has not sent yet when a body fails: give it one turn to send.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Disconnect)))
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    tls: Option<ServerTls>,
    admit: impl Fn(usize) -> Admission,
) {
    let tls = tls.map(|ServerTls(config)| TlsAcceptor::from(config));
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // As AWS and Nomad do. Otherwise an answer waits 40 ms for the client's acknowledgement of the handshake's last words.
        _ = stream.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        match admit(connections.len()) {
            Admission::Serve => {
                let (tls, router) = (tls.clone(), router.clone());
                connections.spawn(async move {
                    match tls {
                        None => talk(stream, router).await,
                        Some(tls) => {
                            // A handshake that fails is the client's to tell of.
                            let Ok(stream) = tls.accept(stream).await else { return };
                            talk(stream, router).await;
                        }
                    }
                });
            }
            Admission::Close => drop(stream),
            Admission::Say(words) => {
                connections.spawn(say(stream, words));
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let response: Response = answer.await.unwrap_or_else(|never: Infallible| match never {});
            match response.extensions().get::<Disconnect>() {
                Some(disconnect) => Err(*disconnect),
                None => Ok(response),
            }
        }
    });
    // An error here is a client that left, or a disconnection that was asked for: there is nobody to tell.
    _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn say(mut stream: TcpStream, words: &'static str) {
    // The client may have gone already.
    _ = stream.write_all(words.as_bytes()).await;
    _ = stream.shutdown().await;
    // A socket that is closed on words it has not read resets the connection, and the client may never see its answer.
    _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Everything that the server at `address` answers to `request` until it closes the connection.
    pub(crate) async fn exchange(address: SocketAddr, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end too, and what came before it counts.
        _ = stream.read_to_end(&mut answer).await;
        answer
    }

    async fn ask(fault: Option<Fault>) -> (String, Arc<std::sync::atomic::AtomicBool>) {
        let ran = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let handler = {
            let ran = Arc::clone(&ran);
            move || async move {
                let run = async {
                    ran.store(true, std::sync::atomic::Ordering::SeqCst);
                    "the right answer".into_response()
                };
                with_fault(fault, || StatusCode::TOO_MANY_REQUESTS.into_response(), run).await
            }
        };
        let face = serve(loopback().await.unwrap(), Router::new().route("/", get(handler))).unwrap();
        let answer =
            exchange(face.address(), "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").await;
        (String::from_utf8(answer).unwrap(), ran)
    }

    fn happened(ran: &std::sync::atomic::AtomicBool) -> bool {
        ran.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[tokio::test]
    async fn without_a_fault_the_call_is_answered() {
        let (answer, _) = ask(None).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("the right answer"), "{answer}");
    }

    #[tokio::test]
    async fn a_reset_closes_the_connection_before_any_effect() {
        let (answer, ran) = ask(Some(Fault::Reset)).await;
        assert_eq!(answer, "");
        assert!(!happened(&ran));
    }

    #[tokio::test]
    async fn a_reset_after_the_effect_says_nothing_either() {
        let (answer, ran) = ask(Some(Fault::ResetAfterEffect)).await;
        assert_eq!(answer, "");
        assert!(happened(&ran));
    }

    #[tokio::test]
    async fn a_truncated_answer_announces_more_than_it_sends() {
        let (answer, _) = ask(Some(Fault::Truncate)).await;
        assert!(answer.to_lowercase().contains("content-length: 16"), "{answer}");
        assert!(answer.ends_with("the righ"), "{answer}");
    }

    #[tokio::test]
    async fn faults_with_a_status_are_answered_as_they_say() {
        let (answer, _) = ask(Some(Fault::Status(503, "later".to_owned()))).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("later"), "{answer}");
        let (answer, _) = ask(Some(Fault::Throttled)).await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        let (answer, _) = ask(Some(Fault::Garbage)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("<html>"), "{answer}");
    }

    #[tokio::test]
    async fn a_hanging_call_ends_when_the_face_is_dropped() {
        let handler =
            || async { with_fault(Some(Fault::Hang), || unreachable!(), async { unreachable!() }).await };
        let face = serve(loopback().await.unwrap(), Router::new().route("/", get(handler))).unwrap();
        let mut stream = TcpStream::connect(face.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
        tokio::task::yield_now().await;
        drop(face);
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }

    #[tokio::test]
    async fn a_connection_that_is_not_admitted_hears_only_the_words_at_the_door() {
        let face =
            serve_with(loopback().await.unwrap(), Router::new(), None, |_| Admission::Say("full")).unwrap();
        let mut answer = String::new();
        TcpStream::connect(face.address()).await.unwrap().read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "full");

        let face = serve_with(loopback().await.unwrap(), Router::new(), None, |_| Admission::Close).unwrap();
        let mut answer = Vec::new();
        _ = TcpStream::connect(face.address()).await.unwrap().read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }
}
