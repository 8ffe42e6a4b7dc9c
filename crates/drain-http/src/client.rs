//! One request, one whole answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::HttpError;
use crate::tls::Tls;

/// How long a connection may take to come up. A host that is there answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an idle connection is kept. Short, because a Lambda sandbox is frozen between invocations while load
/// balancers drop what is idle: a connection that died in the meantime costs a time-out.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How every request names its sender.
const OURS: &str = concat!("lambda-nomad-drain/", env!("CARGO_PKG_VERSION"));

/// The bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the start of the request, connecting included, to the end of its answer.
    pub timeout: Duration,
    /// The largest body that is accepted, in bytes.
    pub body: usize,
}

/// An HTTP/1.1 client with a pool of connections. Cloning it shares the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Whether servers that ask for a certificate are shown one.
    shows_certificate: bool,
}

impl HttpClient {
    /// A client that speaks TLS like this. Plain `http` URLs work as well.
    pub fn new(tls: &Tls) -> Result<Self, rustls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls.client_config()?).https_or_http();
        let connector = match tls.server_name() {
            Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => connector,
        };
        let connector = connector.enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self { client, shows_certificate: tls.shows_certificate() })
    }

    /// Sends `request` and reads the whole answer, whatever its status.
    pub async fn send(
        &self,
        mut request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpError> {
        let address = address(request.uri());
        // CloudTrail and access logs show it: operators can tell our calls from others.
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(OURS));
        match tokio::time::timeout(limits.timeout, self.exchange(request, limits.body, &address)).await {
            Ok(answer) => answer.map_err(|error| error.knowing(self.shows_certificate)),
            Err(_) => Err(HttpError::TimedOut { address, after: limits.timeout }),
        }
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        limit: usize,
        address: &str,
    ) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.request(request.map(Full::new)).await.map_err(|error| {
            if error.is_connect() {
                HttpError::connecting(error, address.to_owned(), CONNECT_TIMEOUT)
            } else {
                HttpError::disconnected(Box::new(error), address.to_owned())
            }
        })?;
        let (head, body) = response.into_parts();
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
        let mut body = Limited::new(body, limit);
        // Put together in one place: a page of groups with thousands of members is held once, not in pieces and as a whole.
        let mut whole = Vec::with_capacity(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| {
                if source.is::<LengthLimitError>() {
                    HttpError::TooLarge { address: address.to_owned(), limit }
                } else {
                    HttpError::disconnected(source, address.to_owned())
                }
            })?;
            if let Some(data) = frame.data_ref() {
                whole.extend_from_slice(data);
            }
        }
        // The task that owns the connection gives it back to the pool when it runs next. Without this the following
        // request would often find the pool empty and open another connection, which servers count.
        tokio::task::yield_now().await;
        Ok(Response::from_parts(head, Bytes::from(whole)))
    }
}

fn address(uri: &http::Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    format!("{host}:{}", uri.port_u16().unwrap_or(default))
}
