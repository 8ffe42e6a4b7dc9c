//! The real world: Nomad's servers and agents, and AWS.

mod account;
mod auto_scaling;
mod budget;
mod connection;
mod gate;
mod kept;
mod lookup;
mod nomad;
mod retry;
#[cfg(test)]
mod throttling;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use drain_core::decide::DrainRequest;
use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::{Allocation, Node, Sight};
use drain_http::HttpClient;
use jiff::{SignedDuration, Timestamp};
use nomad_client::{NomadClient, NomadError, Policy, TokenSelf, filter};
use tokio::sync::{Mutex, OnceCell};

use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::world::{Census, Clock, Idle, World};

pub use account::LiveAccount;
pub use budget::Budget;
use connection::Connection;
pub(crate) use gate::Calls;
use gate::Gate;
pub use kept::Kept;
pub use lookup::NamedNode;
use retry::Patience;
pub(crate) use retry::RETRIES;

/// One cluster's world during one invocation.
#[derive(Debug)]
pub struct Live<'a> {
    account: &'a LiveAccount,
    cluster: &'a Cluster,
    config: &'a ClusterConfig,
    /// For a Nomad for which public authorities vouch.
    web: &'a HttpClient,
    /// Made with the first call to Nomad: a sweep without a group needs no token.
    nomad: Mutex<Option<Rc<Connection>>>,
    sight: OnceCell<Sight>,
    /// The private addresses that EC2 gave.
    addresses: RefCell<BTreeMap<InstanceId, String>>,
    nomad_calls: Gate,
    /// How often Nomad has refused the token for good.
    refusals: Cell<usize>,
}

impl<'a> Live<'a> {
    /// The world as it is reached from here, with so many connections to Nomad at once.
    pub fn new(cluster: &'a Cluster, account: &'a LiveAccount, web: &'a HttpClient, at_once: usize) -> Self {
        Self {
            account,
            cluster,
            config: &cluster.config,
            web,
            nomad: Mutex::default(),
            sight: OnceCell::new(),
            addresses: RefCell::default(),
            nomad_calls: Gate::new(at_once),
            refusals: Cell::default(),
        }
    }

    /// Nomad's servers as one who has no token: for questions that need none, such as who leads them.
    pub async fn servers_without_token(&self) -> Result<NomadClient, Error> {
        Ok(self.servers(&*self.clients().await?, None))
    }

    /// Nomad's servers with our token, which is read first, or got by a login.
    pub async fn servers_with_token(&self) -> Result<NomadClient, Error> {
        Ok(self.nomad().await?.servers.clone())
    }

    /// Our token as Nomad knows it; `None` if the cluster has no ACLs.
    pub async fn token_self(&self) -> Result<Option<TokenSelf>, Error> {
        nomad::token_self(self).await
    }

    /// The policies of our token, those of its roles included.
    pub async fn policies(&self, token: TokenSelf) -> Result<Vec<Policy>, Error> {
        nomad::policies(self, token).await
    }

    /// What a failed request to Nomad's servers means here.
    pub fn failed(&self, error: NomadError) -> Error {
        let error = Error::nomad(self.config.token.description(), error);
        if error.is_about_certificates() {
            self.cluster.kept.forget_stored_clients();
        }
        error
    }

    /// One question to Nomad's servers, tried again while it fails in a way that may pass.
    async fn ask_nomad<T>(
        &self,
        call: impl AsyncFn(&NomadClient, Duration) -> Result<T, NomadError>,
    ) -> Result<T, Error> {
        self.with_token(async |nomad| {
            retry::retrying(self.account.budget(), &self.nomad_calls, Patience::Briefly, async |timeout| {
                call(&nomad.servers, timeout).await.map_err(|error| self.failed(error))
            })
            .await
        })
        .await
    }

    /// A token that Nomad refuses may have been replaced since it was read: then it is read once more, and the call made
    /// once more. What was refused had no effect.
    async fn with_token<T>(&self, call: impl AsyncFn(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let nomad = self.nomad().await?;
        match call(&nomad).await {
            Err(error @ Error::NomadTokenRefused { .. }) => {
                let answer = match self.nomad_anew(&nomad).await? {
                    Some(anew) => call(&anew).await,
                    None => Err(error),
                };
                if matches!(answer, Err(Error::NomadTokenRefused { .. })) {
                    self.refusals.set(self.refusals.get() + 1);
                }
                answer
            }
            answer => answer,
        }
    }

    /// The nodes that somebody at a terminal means by this text: the beginning of an id, or a name.
    pub async fn named(&self, text: &str) -> Result<Vec<NamedNode>, Error> {
        lookup::named(self, text).await
    }

    /// The calls to Nomad so far.
    pub(crate) fn calls(&self) -> Calls {
        self.nomad_calls.calls()
    }

    /// How often Nomad has refused the token, and one that was read anew.
    pub(crate) fn refusals(&self) -> usize {
        self.refusals.get()
    }
}

impl Clock for Live<'_> {
    fn now(&self) -> Timestamp {
        self.account.now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        self.account.sleep_until(moment).await;
    }

    fn backoff(&self, attempts: u32) -> SignedDuration {
        self.account.backoff(attempts)
    }
}

impl World for Live<'_> {
    type Account = LiveAccount;

    fn account(&self) -> &LiveAccount {
        self.account
    }

    async fn nodes_by_attribute(
        &self,
        instances: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
        lookup::by_attribute(self, instances).await
    }

    async fn nodes_elsewhere(&self, instance: &InstanceId) -> Result<Vec<Node>, Error> {
        lookup::elsewhere(self, instance).await
    }

    async fn node(&self, instance: &InstanceId, id: &NodeId) -> Result<Option<Node>, Error> {
        lookup::known_node(self, instance, id).await
    }

    async fn allocations(&self, id: &NodeId) -> Result<Vec<Allocation>, Error> {
        let list =
            self.ask_nomad(async |servers, timeout| servers.allocations(id.as_str(), timeout).await).await?;
        Ok(list.iter().map(nomad::allocation).collect())
    }

    async fn sight(&self) -> Result<Sight, Error> {
        self.sight.get_or_try_init(|| nomad::sight(self)).await.cloned()
    }

    async fn drain(&self, request: &DrainRequest) -> Result<u64, Error> {
        let body = nomad::drain_request(request);
        self.with_token(async |nomad| {
            // Not tried again: the node has to be read first.
            retry::once(self.account.budget(), &self.nomad_calls, async |timeout| {
                let posted = nomad.servers.drain(request.node.as_str(), &body, timeout).await;
                posted.map_err(|error| self.failed(error))
            })
            .await
        })
        .await
    }

    async fn make_ineligible(&self, id: &NodeId) -> Result<(), Error> {
        self.ask_nomad(async |servers, timeout| servers.make_ineligible(id.as_str(), timeout).await).await
    }

    async fn give_back(&self, id: &NodeId, ends_drain: bool) -> Result<(), Error> {
        self.ask_nomad(async |servers, timeout| {
            if ends_drain {
                servers.end_drain(id.as_str(), timeout).await
            } else {
                servers.make_eligible(id.as_str(), timeout).await
            }
        })
        .await
    }

    async fn purge(&self, id: &NodeId) -> Result<(), Error> {
        // One that is gone already is what was wanted: the first attempt's answer may have been lost.
        match self.ask_nomad(async |servers, timeout| servers.purge(id.as_str(), timeout).await).await {
            Err(Error::NodeGone(_)) => Ok(()),
            answer => answer,
        }
    }

    async fn idle_nodes(&self) -> Result<Vec<Idle>, Error> {
        let list = self.ask_nomad(async |servers, timeout| servers.nodes(Some(filter::IDLE), timeout).await);
        Ok(list.await?.iter().filter_map(nomad::idle).collect())
    }

    async fn census(&self, instances: &[InstanceId]) -> Result<Census, Error> {
        lookup::census(self, instances).await
    }
}
