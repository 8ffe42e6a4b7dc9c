//! What every invocation of a process shares, and every command of the operator's tool: the configuration, the clusters,
//! and the way to them.

use std::rc::Rc;

use aws_credential_types::Credentials;
use drain_http::{HttpClient, Tls, Trust};
use jiff::Timestamp;

use crate::cluster::{Cluster, Clusters};
use crate::config::{Config, ConfigurationError, Place, Purpose};
use crate::error::{Causes, Error};
use crate::live::{Budget, Live, LiveAccount};
use crate::sites::Site;

/// Everything that is set, and what a process keeps of the clusters.
#[derive(Debug)]
pub struct Installation {
    config: Config,
    clusters: Clusters,
    /// For AWS, which public authorities vouch for.
    web: HttpClient,
}

impl Installation {
    /// Reads the configuration. `lookup` gives the value of an environment variable. The error lists every problem.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigurationError> {
        let config = Config::parse(lookup)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { clusters: Clusters::new(config.clusters.clone()), config, web: web()? })
    }

    /// From now on AWS is called with these credentials. The function has its role's in its environment; the operator's tool
    /// finds some, which end sooner than it does.
    pub fn use_credentials(&mut self, credentials: Credentials) {
        self.config.aws.credentials = Some(credentials);
    }

    /// Everything that is set.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The HTTP stack for what public authorities vouch for.
    pub fn web(&self) -> &HttpClient {
        &self.web
    }

    /// The AWS account as it is reached within this time, as part of this trace.
    pub fn account(&self, budget: Budget, trace_id: Option<&str>) -> LiveAccount {
        LiveAccount::new(&self.config.aws, &self.web, budget, trace_id)
    }

    /// The clusters as they are now. Where a document says which there are, it is read if that `is_needed` and was not
    /// done lately.
    pub async fn clusters(&self, account: &LiveAccount, is_needed: bool) -> Result<Vec<Rc<Cluster>>, Error> {
        let read = async |place: &Place| account.stored(Purpose::Clusters, place).await;
        let clusters = self.clusters.at(Timestamp::now(), is_needed, read).await?;
        for cluster in &clusters {
            cluster.warn();
        }
        Ok(clusters)
    }

    /// The worlds of these clusters, in their order, each with so many connections to Nomad at once.
    pub fn worlds<'a>(
        &'a self,
        clusters: &'a [Rc<Cluster>],
        account: &'a LiveAccount,
        at_once: usize,
    ) -> Vec<Live<'a>> {
        clusters.iter().map(|cluster| Live::new(cluster, account, &self.web, at_once)).collect()
    }
}

/// The HTTP stack for what public authorities vouch for.
pub fn web() -> Result<HttpClient, ConfigurationError> {
    HttpClient::new(&Tls::new(Trust::web())).map_err(|error| {
        ConfigurationError::of(vec![format!(
            "the certificate authorities that are built in cannot be used: {}",
            Causes(&error)
        )])
    })
}

/// Each cluster with its world.
pub fn sites<'a, W>(clusters: &'a [Rc<Cluster>], worlds: &'a [W]) -> Vec<Site<'a, W>> {
    clusters.iter().zip(worlds).map(|(cluster, world)| Site { cluster, world }).collect()
}
