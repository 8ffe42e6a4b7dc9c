//! The requests.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use drain_http::{HttpClient, Limits};
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::acl::{
    Login, LoginOnTheWire, MembersOnTheWire, Policy, PolicyRules, Role, ServerMember, TokenSelf,
};
use crate::allocation::Allocation;
use crate::base_url::BaseUrl;
use crate::error::{Misfit, NomadError};
use crate::filter;
use crate::refusal::Refusal;
use crate::token::Token;
use crate::wire::{AgentSelf, DrainRequest, Node, NodeStub};

/// The largest answer that is read: the list of some 20,000 nodes.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// Everything but the characters that may stand anywhere in a URL (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
        self.read(self.get(&format!("/v1/node/{id}"), None).fresh(), timeout).await
    }

    /// The allocations of a node that the token may see, ended ones included: those of a namespace in which it lacks
    /// `read-job` are left out without a word ([`crate::visibility`]). A node that is not known is no error: one that was
    /// purged still lists what it ran. `id` has to be a node id, nothing else.
    pub async fn allocations(&self, id: &str, timeout: Duration) -> Result<Vec<Allocation>, NomadError> {
        let call = self.get(&format!("/v1/node/{id}/allocations"), None).fresh();
        let allocations: Option<Vec<Allocation>> = self.read(call, timeout).await?;
        Ok(allocations.unwrap_or_default())
    }

    /// Keeps new allocations off a node. Safe to repeat.
    pub async fn make_ineligible(&self, id: &str, timeout: Duration) -> Result<(), NomadError> {
        self.change(id, "eligibility", br#"{"Eligibility":"ineligible"}"#, timeout).await
    }

    /// Lets new allocations be placed on a node on which no drain runs. Safe to repeat.
    pub async fn make_eligible(&self, id: &str, timeout: Duration) -> Result<(), NomadError> {
        self.change(id, "eligibility", br#"{"Eligibility":"eligible"}"#, timeout).await
    }

    /// Ends the drain that runs on a node, and lets new allocations be placed on it. Safe to repeat.
    pub async fn end_drain(&self, id: &str, timeout: Duration) -> Result<(), NomadError> {
        self.change(id, "drain", br#"{"DrainSpec":null,"MarkEligible":true}"#, timeout).await
    }

    /// Removes a node from the cluster. The client of one that lives registers again, as a node that takes work.
    pub async fn purge(&self, id: &str, timeout: Duration) -> Result<(), NomadError> {
        self.change(id, "purge", b"{}", timeout).await
    }

    async fn change(&self, id: &str, what: &str, body: &[u8], timeout: Duration) -> Result<(), NomadError> {
        // Without a NodeID, which would override the one in the path.
        let call = self.get(&format!("/v1/node/{id}/{what}"), None).post(body.to_vec());
        self.read::<IgnoredAny>(call, timeout).await.map(drop)
    }

    /// The token that we are to Nomad, which may be none.
    pub async fn token_self(&self, timeout: Duration) -> Result<TokenSelf, NomadError> {
        self.read(self.get("/v1/acl/token/self", None), timeout).await
    }

    /// Logs in with a signed identity, which the auth method `method` has to accept, and gives the token for it. Each
    /// login is a write: Nomad makes a token. The identity goes nowhere else, and into no error.
    pub async fn login(
        &self,
        method: &str,
        identity: &Token,
        timeout: Duration,
    ) -> Result<Login, NomadError> {
        let body = serde_json::json!({ "AuthMethodName": method, "LoginToken": identity.expose() });
        let call = self.get("/v1/acl/login", None).post(body.to_string().into_bytes());
        // A proxy may answer with the request that it refuses.
        let LoginOnTheWire { secret_id, create_time, expiration_time } =
            self.read_without(call, timeout, &[identity]).await?;
        let unreadable = |_| NomadError::Unreadable {
            operation: "POST /v1/acl/login".to_owned(),
            server: self.base.to_string(),
            source: Misfit { cut_off: false, line: 1, column: 1 },
        };
        let token = Token::parse(secret_id.as_str().to_owned()).map_err(unreadable)?;
        // Between two moments of the same clock, which need not be ours.
        let lifetime = create_time.zip(expiration_time).map(|(made, ends)| ends.duration_since(made));
        Ok(Login { token, lifetime })
    }

    /// The servers of the region that answers, as gossip knows them. Needs `node:read`.
    pub async fn servers(&self, timeout: Duration) -> Result<Vec<ServerMember>, NomadError> {
        let MembersOnTheWire { server_region, members } =
            self.read(self.get("/v1/agent/members", None), timeout).await?;
        let region = self.region.as_ref().unwrap_or(&server_region);
        let is_ours = |member: &ServerMember| member.tags.get("region").is_none_or(|theirs| theirs == region);
        Ok(members.into_iter().filter(is_ours).collect())
    }

    /// The address of the servers' leader; `None` if they have none. Needs no token.
    pub async fn leader(&self, timeout: Duration) -> Result<Option<String>, NomadError> {
        let leader: String = self.read(self.get("/v1/status/leader", None), timeout).await?;
        Ok(Some(leader).filter(|leader| !leader.is_empty()))
    }

    /// A policy of our own token. One that does not exist grants nothing, as for Nomad.
    pub async fn acl_policy(&self, name: &str, timeout: Duration) -> Result<Policy, NomadError> {
        let call = self.get(&format!("/v1/acl/policy/{}", encoded(name)), None);
        match self.read(call, timeout).await {
            Err(error) if is_missing(&error, "ACL policy not found") => {
                Ok(Policy { name: name.to_owned(), rules: PolicyRules::default() })
            }
            answer => answer,
        }
    }

    /// A role of our own token. One that does not exist has no policies, as for Nomad.
    pub async fn acl_role(&self, id: &str, timeout: Duration) -> Result<Role, NomadError> {
        let call = self.get(&format!("/v1/acl/role/{}", encoded(id)), None);
        match self.read(call, timeout).await {
            Err(error) if is_missing(&error, "ACL role not found") => Ok(Role::default()),
            answer => answer,
        }
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
        let call = self.get(&path, None);
        let body = serde_json::to_vec(request).map_err(|source| self.invalid(&call, source))?;
        let accepted: Accepted = self.read(call.post(body), timeout).await?;
        Ok(accepted.node_modify_index)
    }

    fn get(&self, path: &str, parameter: Option<(&'static str, &str)>) -> Call {
        let region = self.region.as_deref().map(|region| ("region", region));
        let query =
            parameter.into_iter().chain(region).map(|(key, value)| format!("{key}={}", encoded(value)));
        let query = query.collect::<Vec<_>>().join("&");
        Call { method: Method::GET, path: path.to_owned(), query, body: Vec::new(), fresh: false }
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
        let secrets: Vec<&Token> = self.token.iter().collect();
        self.read_without(call, timeout, &secrets).await
    }

    /// The answer, or an error in which none of `secrets` is repeated.
    async fn read_without<T: DeserializeOwned>(
        &self,
        call: Call,
        timeout: Duration,
        secrets: &[&Token],
    ) -> Result<T, NomadError> {
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
        // Before the status: a server behind the others may say as well that there is no such node.
        if call.fresh
            && let Some(last_contact_ms) = staleness(answer.headers())
        {
            return Err(NomadError::Stale { operation, server, last_contact_ms });
        }
        if !answer.status().is_success() {
            let redact =
                |text: &str| secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text));
            let refusal = Refusal::from_answer(&answer, redact);
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
    /// Whether only the leader's word counts.
    fresh: bool,
}

impl Call {
    fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    fn post(self, body: Vec<u8>) -> Self {
        Self { method: Method::POST, body, ..self }
    }

    fn operation(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// For how many milliseconds the server that answered had not heard of a leader, if it is none and knows it. Nomad lets
/// only the leader answer, unless a request allows otherwise, as ours never do: something between us and the servers
/// may have changed the request, or kept an older answer.
fn staleness(headers: &http::HeaderMap) -> Option<u64> {
    let header = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let last_contact = header("x-nomad-lastcontact").and_then(|value| value.parse().ok()).unwrap_or(0);
    (last_contact > 0 || header("x-nomad-knownleader") == Some("false")).then_some(last_contact)
}

fn is_missing(error: &NomadError, text: &str) -> bool {
    error.refusal().is_some_and(|refusal| refusal.status == 404 && refusal.text.contains(text))
}

/// A part of a path or a query's value, percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_encoded_so_that_every_proxy_passes_it_on() {
        assert_eq!(encoded(r#"A["b.c"] == "i-1 2""#), "A%5B%22b.c%22%5D%20%3D%3D%20%22i-1%202%22");
    }
}
