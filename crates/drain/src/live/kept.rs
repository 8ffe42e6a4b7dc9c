//! What a process keeps of a cluster from one invocation to the next. Nothing depends on it: what is not here is read,
//! and what is refused is forgotten.

use std::cell::RefCell;
use std::rc::Rc;

use drain_http::HttpClient;
use jiff::{SignedDuration, Timestamp};
use nomad_client::Token;

use crate::config::Stored;

/// How long a value is used without asking AWS for it again. SSM answers 40 calls a second for a whole account, which a
/// burst of events would exceed (AWS General Reference, "Systems Manager endpoints and quotas").
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What is known of one cluster.
#[derive(Debug, Default)]
pub struct Kept {
    token: RefCell<Option<KeptToken>>,
    clients: RefCell<Option<KeptClients>>,
}

/// A token, and how long it may be used.
#[derive(Clone, Debug)]
pub(super) struct KeptToken {
    pub(super) token: Token,
    /// When it was asked for.
    pub(super) read_at: Timestamp,
    /// From when on another one is asked for.
    pub(super) renew_at: Timestamp,
}

impl KeptToken {
    /// One that may be replaced where it is stored.
    pub(super) fn stored(token: Token, read_at: Timestamp) -> Self {
        Self { token, read_at, renew_at: crate::later(read_at, KEPT_FOR) }
    }

    /// One that ends after `lifetime`: it is renewed when two thirds of that have passed.
    pub(super) fn lasting(token: Token, read_at: Timestamp, lifetime: Option<SignedDuration>) -> Self {
        let use_for = lifetime.map_or(KEPT_FOR, |lifetime| lifetime / 3 * 2);
        Self { token, read_at, renew_at: crate::later(read_at, use_for) }
    }
}

/// HTTP clients for Nomad, and what they were made of.
#[derive(Debug)]
struct KeptClients {
    clients: Rc<Clients>,
    /// The texts that were read for them.
    made_of: Stored,
    read_at: Timestamp,
}

/// HTTP clients for Nomad.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    /// For the servers.
    pub(super) servers: HttpClient,
    /// For the agents on instances, whose certificates have other names.
    pub(super) agents: HttpClient,
}

impl Kept {
    /// The token, if it may still be used.
    pub(super) fn token(&self, now: Timestamp) -> Option<KeptToken> {
        self.token.borrow().as_ref().filter(|kept| now < kept.renew_at).cloned()
    }

    pub(super) fn keep_token(&self, token: KeptToken) {
        self.token.replace(Some(token));
    }

    /// The clients, and whether what they are made of need not be read again.
    pub(super) fn clients(&self, now: Timestamp) -> Option<(Rc<Clients>, bool)> {
        let kept = self.clients.borrow();
        let KeptClients { clients, made_of, read_at } = kept.as_ref()?;
        let is_fresh = made_of.is_empty() || now < crate::later(*read_at, KEPT_FOR);
        Some((Rc::clone(clients), is_fresh))
    }

    /// The clients, if they were made of the same texts: their connections go on.
    pub(super) fn same_clients(&self, texts: &Stored, now: Timestamp) -> Option<Rc<Clients>> {
        let mut kept = self.clients.borrow_mut();
        let kept = kept.as_mut().filter(|kept| kept.made_of == *texts)?;
        kept.read_at = now;
        Some(Rc::clone(&kept.clients))
    }

    pub(super) fn keep_clients(&self, clients: Rc<Clients>, made_of: Stored, now: Timestamp) {
        self.clients.replace(Some(KeptClients { clients, made_of, read_at: now }));
    }

    /// Certificates that did not do may have been replaced since they were read.
    pub(super) fn forget_stored_clients(&self) {
        self.clients.borrow_mut().take_if(|kept| !kept.made_of.is_empty());
    }
}
