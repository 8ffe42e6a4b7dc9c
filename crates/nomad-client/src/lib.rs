//! A small typed client for the endpoints of Nomad's HTTP API that draining a node needs.
//!
//! It knows nothing of AWS and nothing of policy: it asks, checks what came back, and names what went wrong. Retrying
//! is the caller's business, who knows how much time is left; [`NomadError::is_transient`] says whether it can help.

mod acl;
mod allocation;
mod base_url;
mod client;
mod error;
pub mod filter;
mod refusal;
mod token;
pub mod visibility;
mod wire;

pub use acl::{
    Login, NamespaceRule, Policy, PolicyRules, Role, RoleLink, ServerMember, TokenSelf, may_ask_agents,
    may_drain,
};
pub use allocation::Allocation;
pub use base_url::{BaseUrl, InvalidUrl};
pub use client::NomadClient;
pub use error::{Misfit, NomadError};
pub use refusal::{Refusal, RefusalKind};
pub use token::{InvalidToken, Token};
pub use wire::{AgentSelf, DrainRequest, DrainSpec, DrainStrategy, LastDrain, Node, NodeEvent, NodeStub};
