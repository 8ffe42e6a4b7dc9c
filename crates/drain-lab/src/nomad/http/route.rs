//! From a path to the endpoint behind it.

use axum::http::Method;

/// An endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Nodes,
    Node(String),
    Drain(String),
    Eligibility(String),
    Purge(String),
    Evaluate(String),
    NodeAllocations(String),
    Allocations,
    AgentSelf,
    AgentMembers,
    AgentHealth,
    Leader,
    TokenSelf,
    Policy(String),
    Role(String),
    Login,
}

impl Route {
    /// The endpoint at a path, which begins with `/v1/`.
    pub(super) fn read(path: &str) -> Option<Self> {
        let route = match path.strip_prefix("/v1/")? {
            "nodes" => Self::Nodes,
            "allocations" => Self::Allocations,
            "agent/self" => Self::AgentSelf,
            "agent/members" => Self::AgentMembers,
            "agent/health" => Self::AgentHealth,
            "status/leader" => Self::Leader,
            "acl/token/self" => Self::TokenSelf,
            "acl/login" => Self::Login,
            path => {
                if let Some(name) = path.strip_prefix("acl/policy/") {
                    return Some(Self::Policy(name.to_owned()));
                }
                if let Some(id) = path.strip_prefix("acl/role/") {
                    return Some(Self::Role(id.to_owned()));
                }
                let path = path.strip_prefix("node/")?;
                match path.rsplit_once('/') {
                    Some((id, "drain")) => Self::Drain(id.to_owned()),
                    Some((id, "eligibility")) => Self::Eligibility(id.to_owned()),
                    Some((id, "purge")) => Self::Purge(id.to_owned()),
                    Some((id, "evaluate")) => Self::Evaluate(id.to_owned()),
                    Some((id, "allocations")) => Self::NodeAllocations(id.to_owned()),
                    // Nomad takes whatever else follows for an id, and then says that it is none.
                    Some(_) | None => Self::Node(path.to_owned()),
                }
            }
        };
        Some(route)
    }

    /// How the journal and the faults call a request of this endpoint. PUT and POST are the same to Nomad.
    pub(super) fn operation(&self, method: &Method) -> String {
        let method = if method == Method::PUT { &Method::POST } else { method };
        let template = match self {
            Self::Nodes => "nodes",
            Self::Node(_) => "node/:id",
            Self::Drain(_) => "node/:id/drain",
            Self::Eligibility(_) => "node/:id/eligibility",
            Self::Purge(_) => "node/:id/purge",
            Self::Evaluate(_) => "node/:id/evaluate",
            Self::NodeAllocations(_) => "node/:id/allocations",
            Self::Allocations => "allocations",
            Self::AgentSelf => "agent/self",
            Self::AgentMembers => "agent/members",
            Self::AgentHealth => "agent/health",
            Self::Leader => "status/leader",
            Self::TokenSelf => "acl/token/self",
            Self::Policy(_) => "acl/policy/:name",
            Self::Role(_) => "acl/role/:id",
            Self::Login => "acl/login",
        };
        format!("{method} /v1/{template}")
    }

    /// What a request of this endpoint is about: a node's id, a policy's name.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Node(id)
            | Self::Drain(id)
            | Self::Eligibility(id)
            | Self::Purge(id)
            | Self::Evaluate(id)
            | Self::NodeAllocations(id)
            | Self::Policy(id)
            | Self::Role(id) => id,
            Self::Nodes
            | Self::Allocations
            | Self::AgentSelf
            | Self::AgentMembers
            | Self::AgentHealth
            | Self::Leader
            | Self::TokenSelf
            | Self::Login => "",
        }
    }

    /// Whether the endpoint takes this method.
    pub(super) fn permits(&self, method: &Method) -> bool {
        match self {
            Self::Drain(_) | Self::Eligibility(_) | Self::Purge(_) | Self::Evaluate(_) | Self::Login => {
                method == Method::PUT || method == Method::POST
            }
            Self::Nodes
            | Self::Node(_)
            | Self::NodeAllocations(_)
            | Self::Allocations
            | Self::AgentSelf
            | Self::AgentMembers
            | Self::AgentHealth
            | Self::Leader
            | Self::TokenSelf
            | Self::Policy(_)
            | Self::Role(_) => method == Method::GET,
        }
    }
}
