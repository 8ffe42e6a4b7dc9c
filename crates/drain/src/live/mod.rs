//! The real world: Nomad's servers and agents, and AWS.

mod auto_scaling;
mod budget;
mod lookup;
mod nomad;
mod retry;
mod tokens;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use drain_core::decide::DrainRequest;
use drain_core::ids::{GroupName, InstanceId, NodeId};
use drain_core::observation::{Allocation, Node, Sight, Target};
use drain_core::policy::ActionResult;
use drain_http::HttpClient;
use jiff::{SignedDuration, Timestamp};
use nomad_client::{NomadClient, NomadError, Token, filter};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use crate::aws::{Aws, ssm};
use crate::config::Config;
use crate::error::Error;
use crate::world::{Drained, Group, GroupInstance, Hook, Waiting, World};

pub use budget::Budget;
use retry::Patience;
pub use tokens::TokenCache;

/// Calls to AWS at once: its limits are per account and region, and others call it too.
const AWS_AT_ONCE: usize = 8;

/// The world during one invocation.
#[derive(Debug)]
pub struct Live<'a> {
    config: &'a Config,
    /// For Nomad's servers and agents.
    http: &'a HttpClient,
    aws: Aws,
    budget: Budget,
    tokens: &'a TokenCache,
    /// Made with the first call to Nomad: a sweep without a group needs no token.
    nomad: Mutex<Option<Rc<Connection>>>,
    sight: OnceCell<Sight>,
    /// When the ends of a group's instances began, as Auto Scaling said in this invocation.
    ends_begun: Mutex<BTreeMap<GroupName, BTreeMap<InstanceId, Timestamp>>>,
    nomad_calls: Semaphore,
    aws_calls: Semaphore,
}

/// Nomad's servers, and the token that they want.
#[derive(Debug)]
struct Connection {
    servers: NomadClient,
    token: Option<Token>,
    /// Whether an earlier invocation has read the token: it may have been replaced since.
    kept: bool,
}

impl<'a> Live<'a> {
    /// The world as it is reached from here, with so many connections to Nomad at once.
    pub fn new(
        config: &'a Config,
        aws: &HttpClient,
        nomad: &'a HttpClient,
        tokens: &'a TokenCache,
        budget: Budget,
        at_once: usize,
    ) -> Self {
        Self {
            config,
            http: nomad,
            aws: Aws::new(aws.clone(), config.aws.clone()),
            budget,
            tokens,
            nomad: Mutex::default(),
            sight: OnceCell::new(),
            ends_begun: Mutex::default(),
            nomad_calls: Semaphore::new(at_once),
            aws_calls: Semaphore::new(AWS_AT_ONCE),
        }
    }

    /// The servers, and the token if the cluster wants one. It serves the whole invocation, and those that follow.
    async fn nomad(&self) -> Result<Rc<Connection>, Error> {
        let mut known = self.nomad.lock().await;
        if let Some(connection) = &*known {
            return Ok(Rc::clone(connection));
        }
        let connection = Rc::new(self.connect(self.tokens.get()).await?);
        Ok(Rc::clone(known.insert(connection)))
    }

    /// The same with a token that is certainly of today, after Nomad has refused one that may be of yesterday. `None` if
    /// this invocation has read it itself.
    async fn nomad_anew(&self, refused: &Rc<Connection>) -> Result<Option<Rc<Connection>>, Error> {
        if !refused.kept {
            return Ok(None);
        }
        let mut known = self.nomad.lock().await;
        // Another call of this invocation may have been faster.
        if let Some(connection) = known.as_ref().filter(|known| !Rc::ptr_eq(known, refused)) {
            return Ok(Some(Rc::clone(connection)));
        }
        tracing::info!("Nomad refuses the token that was read a while ago: reading it again");
        let connection = Rc::new(self.connect(None).await?);
        Ok(Some(Rc::clone(known.insert(connection))))
    }

    async fn connect(&self, kept: Option<Token>) -> Result<Connection, Error> {
        let is_kept = kept.is_some();
        let token = match (&self.config.token_parameter, kept) {
            (None, _) => None,
            (Some(_), Some(token)) => Some(token),
            (Some(parameter), None) => {
                let token = self.read_token(parameter).await?;
                self.tokens.put(token.clone());
                Some(token)
            }
        };
        let Config { nomad_addr, nomad_region, .. } = self.config;
        let servers =
            NomadClient::new(self.http.clone(), nomad_addr.clone(), nomad_region.clone(), token.clone());
        Ok(Connection { servers, token, kept: is_kept })
    }

    async fn read_token(&self, parameter: &str) -> Result<Token, Error> {
        let secret = self
            .ask_aws(Patience::Briefly, async |timeout| {
                ssm::get_parameter(&self.aws, parameter, timeout)
                    .await
                    .map_err(|error| Error::token_parameter(parameter, self.aws.region(), error))
            })
            .await?;
        Token::parse(secret)
            .map_err(|source| Error::TokenParameterInvalid { parameter: parameter.to_owned(), source })
    }

    /// What a failed request to Nomad's servers means here.
    fn failed(&self, error: NomadError) -> Error {
        Error::nomad(self.config.token_parameter.as_deref(), error)
    }

    /// One question to Nomad's servers, tried again while it fails in a way that may pass.
    async fn ask_nomad<T>(
        &self,
        call: impl AsyncFn(&NomadClient, Duration) -> Result<T, NomadError>,
    ) -> Result<T, Error> {
        self.with_token(async |nomad| {
            retry::retrying(self.budget, &self.nomad_calls, Patience::Briefly, async |timeout| {
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
            Err(error @ Error::NomadTokenRefused { .. }) => match self.nomad_anew(&nomad).await? {
                Some(anew) => call(&anew).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// One question to AWS, tried again while it fails in a way that may pass.
    async fn ask_aws<T>(
        &self,
        patience: Patience,
        call: impl AsyncFn(Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        retry::retrying(self.budget, &self.aws_calls, patience, call).await
    }
}

impl World for Live<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        budget::sleep_until(moment).await;
    }

    fn backoff(&self, attempts: u32) -> SignedDuration {
        retry::backoff(attempts)
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
            retry::once(self.budget, &self.nomad_calls, async |timeout| {
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

    async fn drained_nodes(&self) -> Result<Vec<Drained>, Error> {
        let list =
            self.ask_nomad(async |servers, timeout| servers.nodes(Some(filter::INELIGIBLE), timeout).await);
        Ok(list.await?.iter().filter_map(nomad::drained).collect())
    }

    async fn heartbeat(&self, target: &Target) -> Result<(), Error> {
        auto_scaling::heartbeat(self, target).await
    }

    async fn complete(&self, target: &Target, result: ActionResult) -> Result<(), Error> {
        auto_scaling::complete(self, target, result).await
    }

    async fn hooks(&self, group: &GroupName) -> Result<Vec<Hook>, Error> {
        auto_scaling::hooks(self, group).await
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, Error> {
        auto_scaling::group(self, name).await
    }

    async fn groups(&self) -> Result<Vec<Group>, Error> {
        auto_scaling::groups(self).await
    }

    async fn members(&self, instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
        auto_scaling::members(self, instances).await
    }

    async fn warm_pool(&self, group: &GroupName) -> Result<Vec<Waiting>, Error> {
        auto_scaling::warm_pool(self, group).await
    }

    async fn ends_begun(&self, group: &GroupName) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
        auto_scaling::ends_begun(self, group).await
    }
}
