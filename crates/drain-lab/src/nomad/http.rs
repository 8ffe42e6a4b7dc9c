//! The HTTP face: Nomad's API as far as anybody would use it to drain nodes.

mod acl;
mod agent;
mod allocations;
mod answer;
mod body;
mod nodes;
mod query;
mod route;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::net::TcpListener;

use self::answer::{Failure, Outcome, Read};
use self::query::Query;
use self::route::Route;
use super::Nomad;
use super::acl::{Access, Acl, Rights, TokenError};
use super::cluster::{Cluster, Machine};
use crate::authority::ServerTls;
use crate::http_face::{self, Admission, Disconnect, Face};
use crate::journal::System;

/// The one region that the servers know.
const REGION: &str = "global";

/// Who is let in, and how.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) unreachable: bool,
    pub(super) connection_limit: Option<usize>,
    pub(super) forwarding: bool,
    pub(super) connections: Connections,
}

/// How crowded it was at the servers' door.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Connections {
    /// How many were open at once, at most.
    pub most: usize,
    /// How many heard that there are too many.
    pub turned_away: usize,
}

/// Whose face it is.
#[derive(Clone, Debug)]
enum Role {
    Servers,
    /// The agent on the node with this id.
    Agent(String),
}

#[derive(Clone, Debug)]
struct Office {
    nomad: Nomad,
    role: Role,
    /// What precedes `/v1` in every path, without a trailing slash.
    prefix: String,
}

impl Nomad {
    /// Serves the servers' API on a free port of 127.0.0.1.
    pub async fn serve(&self) -> io::Result<Face> {
        self.serve_under("").await
    }

    /// Serves the servers' API behind a proxy that expects this prefix, `/nomad`, before every path.
    pub async fn serve_under(&self, prefix: &str) -> io::Result<Face> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.open(http_face::loopback().await?, Role::Servers, prefix, None)
    }

    /// Serves the servers' API over TLS.
    pub async fn serve_tls(&self, tls: &ServerTls) -> io::Result<Face> {
        self.open(http_face::loopback().await?, Role::Servers, String::new(), Some(tls.clone()))
    }

    /// Serves the API of the agent on a node at an address of the loopback network, over TLS.
    pub async fn serve_agent_tls(
        &self,
        node: &str,
        address: SocketAddr,
        tls: &ServerTls,
    ) -> io::Result<Face> {
        let role = Role::Agent(node.to_owned());
        self.open(TcpListener::bind(address).await?, role, String::new(), Some(tls.clone()))
    }

    /// Serves the API of the agent on a node, on a free port of 127.0.0.1. It closes every connection when its
    /// machine has been ended.
    pub async fn serve_agent(&self, node: &str) -> io::Result<Face> {
        self.open(http_face::loopback().await?, Role::Agent(node.to_owned()), String::new(), None)
    }

    /// Serves the API of the agent on a node at an address of the loopback network.
    pub async fn serve_agent_at(&self, node: &str, address: SocketAddr) -> io::Result<Face> {
        self.open(TcpListener::bind(address).await?, Role::Agent(node.to_owned()), String::new(), None)
    }

    fn open(
        &self,
        listener: TcpListener,
        role: Role,
        prefix: String,
        tls: Option<ServerTls>,
    ) -> io::Result<Face> {
        let office = Office { nomad: self.clone(), role, prefix };
        let admit = {
            let office = office.clone();
            move |open| office.admit(open)
        };
        let router = Router::new().fallback(handle).with_state(Arc::new(office));
        http_face::serve_with(listener, router, tls, admit)
    }
}

impl Office {
    fn admit(&self, open: usize) -> Admission {
        if self.is_unreachable() {
            return Admission::Close;
        }
        let doors = &mut self.nomad.lock().doors;
        let full = doors.connection_limit.is_some_and(|limit| open >= limit);
        if matches!(self.role, Role::Servers) {
            doors.connections.turned_away += usize::from(full);
            // Those that are being turned away are open too, and are not served.
            let served = if full { 0 } else { open + 1 };
            doors.connections.most = doors.connections.most.max(served);
        }
        if full { Admission::Say(answer::TOO_MANY_CONNECTIONS) } else { Admission::Serve }
    }

    fn is_unreachable(&self) -> bool {
        self.nomad.change(|state, _| match &self.role {
            Role::Servers => state.doors.unreachable,
            Role::Agent(node) => state.cluster.nodes.get(node).is_none_or(|node| node.machine != Machine::On),
        })
    }
}

/// One request, taken apart.
struct Call {
    office: Arc<Office>,
    query: Query,
    token: Option<String>,
    body: Bytes,
}

/// How the journal calls a request to Nomad's servers: the operation, what it is about, and what a reader wants to know
/// besides. `None` if it is none of the API's.
pub(crate) fn describe_call(method: &Method, uri: &Uri, body: &Bytes) -> Option<(String, String, String)> {
    let route = Route::read(uri.path())?;
    let query = Query::read(uri.query().unwrap_or_default());
    Some((route.operation(method), route.subject().to_owned(), journal_detail(&route, &query, body)))
}

async fn handle(
    State(office): State<Arc<Office>>,
    request: axum::extract::Request,
) -> Result<Response, Disconnect> {
    if office.is_unreachable() {
        return Err(Disconnect);
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Disconnect)?;
    let Some(route) = head.uri.path().strip_prefix(&*office.prefix).and_then(Route::read) else {
        return Ok(answer::not_found());
    };
    let operation = route.operation(&head.method);
    let query = Query::read(head.uri.query().unwrap_or_default());
    let (system, host) = match &office.role {
        Role::Servers => (System::Nomad, ""),
        Role::Agent(node) => (System::Agent, node.as_str()),
    };
    let subject = Some(route.subject()).filter(|subject| !subject.is_empty()).unwrap_or(host);
    let detail = journal_detail(&route, &query, &body);
    office.nomad.journal.call(system, &operation, subject, detail);
    let fault = office.nomad.faults.take(system, &operation);
    let run = async {
        let forwarded = office.nomad.lock().doors.forwarding || matches!(office.role, Role::Agent(_));
        let call = Call { token: token(&head.headers), query, body, office: Arc::clone(&office) };
        let outcome = call.answer(route, &head.method).await;
        answer::respond(outcome, forwarded, accepts_gzip(&head.headers))
    };
    http_face::with_fault(fault, answer::throttled, run).await
}

impl Call {
    async fn answer(&self, route: Route, method: &Method) -> Result<Outcome, Failure> {
        if !route.permits(method) {
            return Err(Failure::local(405, "Invalid method"));
        }
        match route {
            Route::Nodes => self.list_nodes().await,
            Route::Node(id) => self.read_node(&id).await,
            Route::Drain(id) => self.drain(&id),
            Route::Eligibility(id) => self.eligibility(&id),
            Route::Purge(id) => self.purge(&id),
            Route::Evaluate(id) => self.evaluate(&id),
            Route::NodeAllocations(id) => self.node_allocations(&id).await,
            Route::Allocations => self.list_allocations().await,
            Route::AgentSelf => self.agent_self(),
            Route::AgentMembers => self.agent_members(),
            Route::AgentHealth => self.agent_health(),
            Route::Leader => Ok(self.leader()),
            Route::TokenSelf => self.token_self(),
            Route::Policy(name) => self.policy(&name),
            Route::Role(id) => self.role(&id),
            Route::Login => self.log_in(),
        }
    }

    /// Answers a read, at once or when its index has passed the one that the caller knows.
    async fn read(
        &self,
        read: impl Fn(&Cluster, &Rights<'_>) -> Result<Read, Failure>,
    ) -> Result<Outcome, Failure> {
        let consistency = self.query.consistency()?;
        let nomad = &self.office.nomad;
        let until = nomad.clock.now() + consistency.wait;
        let mut changed = nomad.changed.subscribe();
        loop {
            let (outcome, now) = nomad.change(|state, now| {
                self.check_region()?;
                let known_leader = state.cluster.leadership.is_held(now);
                if !known_leader && !consistency.stale {
                    return Err(Failure::no_leader());
                }
                let cluster = match &state.lagging {
                    Some(lagging) if consistency.stale => lagging,
                    _ => &state.cluster,
                };
                let rights = self.rights(&state.acl, &state.cluster, now)?;
                Ok((Outcome::read(read(cluster, &rights)?, known_leader), now))
            })?;
            if outcome.index().is_none_or(|index| index > consistency.index) || now >= until {
                return Ok(outcome);
            }
            nomad.wait(&mut changed, Some(until)).await;
        }
    }

    /// Does what a call asks for, if the caller may write nodes. `act` is told who the caller is.
    fn write_nodes(
        &self,
        act: impl FnOnce(&mut Cluster, Timestamp, &str) -> Result<Outcome, Failure>,
    ) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            self.check_region()?;
            if !state.cluster.leadership.is_held(now) {
                return Err(Failure::no_leader());
            }
            let rights = self.rights(&state.acl, &state.cluster, now)?;
            if !rights.node(Access::Write) {
                return Err(Failure::denied());
            }
            act(&mut state.cluster, now, &format!("token:{}", rights.accessor))
        })
    }

    fn rights<'a>(&self, acl: &'a Acl, cluster: &Cluster, now: Timestamp) -> Result<Rights<'a>, Failure> {
        acl.rights(self.token.as_deref(), now).map_err(|error| {
            match (error, cluster.quirks.old_token_errors) {
                (TokenError::NotFound, true) => Failure::rpc(403, "ACL token not found"),
                (TokenError::Expired, true) => Failure::expired(),
                (TokenError::NotFound | TokenError::Expired, false) => Failure::denied(),
            }
        })
    }

    fn check_region(&self) -> Result<(), Failure> {
        match self.query.get("region") {
            None | Some("" | REGION) => Ok(()),
            Some(_) => Err(Failure::rpc(500, "No path to region")),
        }
    }
}

/// `X-Nomad-Token`, or else `Authorization: Bearer`.
fn token(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    header("X-Nomad-Token")
        .filter(|token| !token.is_empty())
        .or_else(bearer)
        .map(|token| token.trim().to_owned())
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|coding| coding.trim().starts_with("gzip")))
}

/// What a reader of the journal wants to know about a request. Never a token: those are in headers and in logins.
fn journal_detail(route: &Route, query: &Query, body: &Bytes) -> String {
    match route {
        Route::Drain(_) | Route::Eligibility(_) => String::from_utf8_lossy(body).into_owned(),
        Route::Nodes | Route::Allocations => query.get("filter").unwrap_or_default().to_owned(),
        Route::Node(_)
        | Route::Purge(_)
        | Route::Evaluate(_)
        | Route::NodeAllocations(_)
        | Route::AgentSelf
        | Route::AgentMembers
        | Route::AgentHealth
        | Route::Leader
        | Route::TokenSelf
        | Route::Policy(_)
        | Route::Role(_)
        | Route::Login => String::new(),
    }
}
