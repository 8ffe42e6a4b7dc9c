//! A Nomad client that shares nothing with the one under test.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::timeout;

/// No call to a server on this machine takes longer.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// Speaks with one server.
#[derive(Debug)]
pub(super) struct Api {
    url: String,
    token: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Api {
    /// `tls` is how to speak with a server that wants it.
    pub(super) fn new(url: String, token: String, tls: Option<ClientConfig>) -> Self {
        let tls = tls.unwrap_or_else(nobody_trusted);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.wrap_connector(tcp));
        Self { url, token, client }
    }

    /// Where the server is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The same without a token, for those who bring their own.
    pub(super) fn anonymous(&self) -> Self {
        Self { url: self.url.clone(), token: String::new(), client: self.client.clone() }
    }

    /// Hands a request over as it is, and gives the whole answer.
    pub(super) async fn forward(&self, head: Parts, body: Bytes) -> io::Result<Response<Bytes>> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::from(body));
        *request.uri_mut() = format!("{}{path}", self.url).parse().map_err(io::Error::other)?;
        *request.method_mut() = head.method;
        *request.headers_mut() = head.headers;
        request.headers_mut().remove(HOST);
        let (mut head, body) = self.client.request(request).await.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        // It goes on in one piece.
        head.headers.remove(TRANSFER_ENCODING);
        Ok(Response::from_parts(head, body))
    }

    /// The answer; everything but success is an error that says what the server said.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let about = |error: &dyn std::fmt::Display| io::Error::other(format!("{method} {path}: {error}"));
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("X-Nomad-Token", &self.token)
            .body(Full::from(body))
            .map_err(|error| about(&error))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| about(&error))?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| about(&error))?.to_bytes();
            io::Result::Ok((status, body))
        };
        let (status, body) = timeout(LONGEST_CALL, exchange).await.map_err(|error| about(&error))??;
        if !status.is_success() {
            return Err(about(&format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        // Some changes are answered with nothing.
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| about(&error))
    }
}

/// For those who speak with nobody over TLS.
fn nobody_trusted() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore::empty();
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap_or_else(|error| unreachable!("ring speaks TLS 1.3: {error}"))
        .with_root_certificates(roots)
        .with_no_client_auth()
}
