//! The requests.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use drain_http::{HttpClient, Limits};
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{NomadError, Refusal};
use crate::filter;
use crate::token::Token;
use crate::wire::{AgentSelf, DrainRequest, Node, NodeStub};

/// The largest answer that is read: the list of some 20,000 nodes.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// Everything but the characters that a query's value may hold as they are (RFC 3986, unreserved).
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a Nomad server, agent or load balancer is: scheme, host, port and perhaps a path prefix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseUrl(String);

/// The text is not the address of a Nomad API.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an address: {problem}")]
pub struct InvalidUrl {
    text: String,
    problem: &'static str,
}

impl BaseUrl {
    /// Takes `http(s)://host[:port][/prefix]`.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.contains(['@', '?', '#']) {
            // Not quoted: a password or a token may stand there.
            let text = "http(s)://…".to_owned();
            let problem = "it may hold scheme, host, port and path; no user, no password, no ? and no #";
            return Err(InvalidUrl { text, problem });
        }
        let invalid = |problem| InvalidUrl { text: text.to_owned(), problem };
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(invalid("it has to begin with http:// or https://"));
        }
        let uri: http::Uri = text.parse().map_err(|_| invalid("it is not a URL"))?;
        let (authority, host) =
            (uri.authority().map_or("", http::uri::Authority::as_str), uri.host().unwrap_or(""));
        if host.is_empty() {
            return Err(invalid("it names no host"));
        }
        // What follows the host is a port, and one that cannot be would silently become the scheme's default.
        if authority != host && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(invalid("its port has to be a number from 1 to 65535"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The address as text, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client of one Nomad API.
#[derive(Clone, Debug)]
pub struct NomadClient {
    http: HttpClient,
    base: BaseUrl,
    region: Option<String>,
    token: Option<Token>,
}

impl NomadClient {
    /// A client of the API at `base`. `region` is Nomad's; without it the agent's own region answers.
    pub fn new(http: HttpClient, base: BaseUrl, region: Option<String>, token: Option<Token>) -> Self {
        Self { http, base, region, token }
    }

    /// Where the requests go.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// The nodes that a filter of [`crate::filter`] matches; without one, every node. Servers before Nomad 1.3 ignore
    /// the filter and list every node: the caller checks what came.
    pub async fn nodes(&self, filter: Option<&str>, timeout: Duration) -> Result<Vec<NodeStub>, NomadError> {
        let call = self.get("/v1/nodes", filter.map(|filter| ("filter", filter)));
        let nodes: Option<Vec<NodeStub>> = self.read(call, timeout).await?;
        Ok(nodes.unwrap_or_default())
    }

    /// How many bytes of a percent-encoded filter fit into the URL of a node list.
    pub fn filter_room(&self) -> usize {
        let call = self.get("/v1/nodes", Some(("filter", "")));
        filter::MAX_URL.saturating_sub(self.url(&call).len())
    }

    /// One node. `id` goes into the path: it has to be a node id, nothing else.
    pub async fn node(&self, id: &str, timeout: Duration) -> Result<Node, NomadError> {
        self.read(self.get(&format!("/v1/node/{id}"), None), timeout).await
    }

    /// What the agent at this address says of itself.
    pub async fn agent_self(&self, timeout: Duration) -> Result<AgentSelf, NomadError> {
        self.read(self.get("/v1/agent/self", None), timeout).await
    }

    /// Starts a drain, or changes the one that runs. Not safe to repeat blindly: a second one moves the deadline.
    /// Gives the raft index of the change.
    pub async fn drain(
        &self,
        id: &str,
        request: &DrainRequest,
        timeout: Duration,
    ) -> Result<u64, NomadError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Accepted {
            #[serde(default)]
            node_modify_index: u64,
        }
        let path = format!("/v1/node/{id}/drain");
        let mut call = Call { method: Method::POST, ..self.get(&path, None) };
        call.body = serde_json::to_vec(request).map_err(|source| self.invalid(&call, source))?;
        let accepted: Accepted = self.read(call, timeout).await?;
        Ok(accepted.node_modify_index)
    }

    fn get(&self, path: &str, parameter: Option<(&'static str, &str)>) -> Call {
        let region = self.region.as_deref().map(|region| ("region", region));
        let query =
            parameter.into_iter().chain(region).map(|(key, value)| format!("{key}={}", encoded(value)));
        let query = query.collect::<Vec<_>>().join("&");
        Call { method: Method::GET, path: path.to_owned(), query, body: Vec::new() }
    }

    fn url(&self, call: &Call) -> String {
        let Self { base, .. } = self;
        if call.query.is_empty() {
            format!("{base}{}", call.path)
        } else {
            format!("{base}{}?{}", call.path, call.query)
        }
    }

    fn invalid(&self, call: &Call, source: impl Error + Send + Sync + 'static) -> NomadError {
        let source = Box::new(source);
        NomadError::InvalidRequest { operation: call.operation(), server: self.base.to_string(), source }
    }

    async fn read<T: DeserializeOwned>(&self, call: Call, timeout: Duration) -> Result<T, NomadError> {
        let operation = call.operation();
        let server = self.base.to_string();
        let mut request = Request::builder().method(call.method.clone()).uri(self.url(&call));
        if let Some(token) = &self.token {
            let token = token.header().map_err(|source| self.invalid(&call, source))?;
            request = request.header("x-nomad-token", token);
        }
        if !call.body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let body = Bytes::copy_from_slice(&call.body);
        let request = request.body(body).map_err(|source| self.invalid(&call, source))?;
        let answer = match self.http.send(request, Limits { timeout, body: LARGEST_ANSWER }).await {
            Ok(answer) => answer,
            Err(source) => return Err(NomadError::NoAnswer { operation, server, source }),
        };
        if !answer.status().is_success() {
            // A proxy may answer with the request that it refuses.
            let text = String::from_utf8_lossy(answer.body());
            let text = self.token.as_ref().map_or_else(|| text.to_string(), |token| token.redact(&text));
            let refusal = Refusal::from_answer(answer.status().as_u16(), text.as_bytes());
            return Err(NomadError::Refused { operation, server, refusal });
        }
        serde_json::from_slice(answer.body()).map_err(|error| NomadError::Unreadable {
            operation,
            server,
            source: (&error).into(),
        })
    }
}

struct Call {
    method: Method,
    path: String,
    query: String,
    body: Vec<u8>,
}

impl Call {
    fn operation(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A query's value, percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, QUERY_VALUE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_keeps_its_path_prefix() {
        let base = BaseUrl::parse("https://lb.example:8443/nomad/").unwrap();
        assert_eq!(base.as_str(), "https://lb.example:8443/nomad");
        BaseUrl::parse("http://[::1]:4646").unwrap();
        for bad in [
            "nomad.example:4646",
            "ftp://x",
            "https://",
            "https://x/?a=b",
            "https://x/#y",
            "https:// x",
            "http://x:99999",
            "http://x:0",
            "http://x:",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in [
            "https://user:hunter2@x",
            "user:hunter2@x",
            "https://user:hun ter2@x",
            "https://x/?token=hunter2",
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
    }

    #[test]
    fn a_filter_is_encoded_so_that_every_proxy_passes_it_on() {
        assert_eq!(encoded(r#"A["b.c"] == "i-1 2""#), "A%5B%22b.c%22%5D%20%3D%3D%20%22i-1%202%22");
    }
}
