//! A small typed client for the endpoints of Nomad's HTTP API that draining a node needs.
//!
//! It knows nothing of AWS and nothing of policy: it asks, checks what came back, and names what went wrong. Retrying
//! is the caller's business, who knows how much time is left; [`NomadError::is_transient`] says whether it can help.

mod client;
mod error;
pub mod filter;
mod token;
mod wire;

pub use client::{BaseUrl, InvalidUrl, NomadClient};
pub use error::{Misfit, NomadError, Refusal, RefusalKind};
pub use token::{InvalidToken, Token};
pub use wire::{AgentSelf, DrainRequest, DrainSpec, DrainStrategy, LastDrain, Node, NodeStub};
