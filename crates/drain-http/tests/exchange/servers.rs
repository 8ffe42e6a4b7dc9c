//! Servers on loopback, and how an operator reads their failures.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use drain_http::{HttpClient, HttpError, Limits, Tls, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body: 1024 };

/// Serves every connection with `serve` until the test ends.
pub(crate) async fn server<F, S>(serve: S) -> u16
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Reads the request's head, then writes `answer` and closes.
pub(crate) async fn answer(mut stream: TcpStream, answer: &'static [u8]) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer).await;
    let _ = stream.write_all(answer).await;
}

pub(crate) async fn get(client: &HttpClient, url: String, limits: Limits) -> Result<Bytes, HttpError> {
    let request = http::Request::get(url).body(Bytes::new()).unwrap();
    client.send(request, limits).await.map(http::Response::into_body)
}

pub(crate) async fn failure(url: String, limits: Limits) -> HttpError {
    get(&HttpClient::new(&Tls::new(Trust::web())).unwrap(), url, limits).await.unwrap_err()
}

/// The error and its causes on one line, as an operator reads them.
pub(crate) fn told(error: &HttpError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
