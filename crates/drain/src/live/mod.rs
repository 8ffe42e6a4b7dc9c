//! The real world: Nomad's servers and agents, and AWS.

mod budget;
mod lookup;
mod nomad;

use std::time::Duration;

use drain_core::decide::Action;
use drain_core::observation::Observation;
use drain_http::HttpClient;
use jiff::Timestamp;
use nomad_client::{NomadClient, NomadError, Token};

use crate::aws::{Aws, ssm};
use crate::config::Config;
use crate::error::{Causes, Error};
use crate::reconcile::World;

pub use budget::Budget;

/// How often a server is asked that refuses the connection: for the second or two in which it may be starting again.
const TRIES_AT_A_CLOSED_DOOR: u32 = 5;

/// How often a call is tried that fails in a way that may pass.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// As often as the invocation's time allows: an outage of the control plane is no reason to lose an event.
    WhileTimeLasts,
    /// This often: for what may not be there at all.
    Tries(u32),
}

/// The world during one invocation.
#[derive(Debug)]
pub struct Live<'a> {
    config: &'a Config,
    /// For Nomad's servers and agents.
    http: &'a HttpClient,
    aws: Aws,
    nomad: NomadClient,
    token: Option<Token>,
    budget: Budget,
}

impl<'a> Live<'a> {
    /// Reads the token, if the cluster wants one. It serves the whole invocation.
    pub async fn connect(
        config: &'a Config,
        aws: &HttpClient,
        nomad: &'a HttpClient,
        budget: Budget,
    ) -> Result<Self, Error> {
        let aws = Aws::new(aws.clone(), config.aws.clone());
        let token = match &config.token_parameter {
            Some(parameter) => Some(read_token(&aws, parameter, budget).await?),
            None => None,
        };
        let region = config.nomad_region.clone();
        let client = NomadClient::new(nomad.clone(), config.nomad_addr.clone(), region, token.clone());
        Ok(Self { config, http: nomad, aws, nomad: client, token, budget })
    }

    /// What a failed request to Nomad's servers means here.
    fn failed(&self, error: NomadError) -> Error {
        Error::nomad(self.config.token_parameter.as_deref(), error)
    }

    async fn retrying<T>(
        &self,
        patience: Patience,
        call: impl AsyncFn(Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        retrying(self.budget, patience, call).await
    }
}

impl World for Live<'_> {
    async fn observe(&self, seen: &Observation) -> Result<Observation, Error> {
        let node = self.node_of(&seen.target.instance, seen.node.id.as_str()).await?;
        Ok(Observation { target: seen.target.clone(), node: nomad::node(&node)? })
    }

    async fn apply(&self, action: &Action) -> Result<(), Error> {
        let Action::Drain(request) = action;
        let body = nomad::drain_request(request);
        let posted = self.nomad.drain(request.node.as_str(), &body, self.budget.for_one_call()).await;
        let index = posted.map_err(|error| self.failed(error))?;
        tracing::debug!(node_id = %request.node, index, "Nomad accepted the drain");
        Ok(())
    }

    async fn pause(&self, attempts: u32) -> bool {
        self.budget.pause(attempts).await
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

async fn read_token(aws: &Aws, parameter: &str, budget: Budget) -> Result<Token, Error> {
    let secret = retrying(budget, Patience::WhileTimeLasts, async |timeout| {
        ssm::get_parameter(aws, parameter, timeout)
            .await
            .map_err(|error| Error::token_parameter(parameter, aws.region(), error))
    });
    Token::parse(secret.await?)
        .map_err(|source| Error::TokenParameterInvalid { parameter: parameter.to_owned(), source })
}

/// Tries `call` again, with full jitter, while it fails in a way that may pass. The last failure is the answer.
async fn retrying<T>(
    budget: Budget,
    patience: Patience,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut attempts = 0;
    loop {
        let error = match call(budget.for_one_call()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        attempts += 1;
        let exhausted = match patience {
            Patience::WhileTimeLasts => error.is_connection_refused() && attempts >= TRIES_AT_A_CLOSED_DOOR,
            Patience::Tries(tries) => attempts >= tries,
        };
        if exhausted || !error.is_transient() || !budget.pause(attempts).await {
            return Err(error);
        }
        tracing::warn!(attempts, "trying again after: {}", Causes(&error));
    }
}
