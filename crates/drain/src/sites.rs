//! One invocation and several clusters: each instance is seen through where its node is, and none waits for a cluster that
//! is not its own.

use std::rc::Rc;

use drain_core::ids::{GroupName, HookName};
use drain_core::policy::Policy;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tracing::Instrument as _;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::live::Live;
use crate::metrics::OfCluster;
use crate::reconcile::{Looks, Rules};
use crate::report::ReportEntry;
use crate::together::{Asked, Became, see_through};
use crate::world::World;

/// A cluster, and the world as far as its instances are concerned.
#[derive(Debug)]
pub struct Site<'a, W> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The world.
    pub world: &'a W,
}

impl Site<'_, Live<'_>> {
    /// What its part of an invocation has cost.
    pub(crate) fn calls(&self) -> OfCluster {
        let name = self.cluster.name().map(str::to_owned);
        OfCluster { name, calls: self.world.calls(), refusals: self.world.refusals() }
    }
}

impl<W> Site<'_, W> {
    /// What decisions there depend on.
    pub(crate) fn policy(&self, looks: &Looks) -> Policy {
        looks.applied_to(self.cluster.config.policy.clone())
    }

    /// The same for the instances of a hook whose metadata says something of it.
    pub(crate) fn policy_for(
        &self,
        hook: &HookName,
        group: &GroupName,
        metadata: &str,
        looks: &Looks,
    ) -> Option<Policy> {
        match self.cluster.config.overridden(metadata) {
            Ok(policy) => policy.map(|policy| looks.applied_to(policy)),
            Err(problems) => {
                looks.warned.once(&format!(
                    "the NotificationMetadata of hook {hook} of group {group} is left out, all of it: {}",
                    problems.join("; ")
                ));
                None
            }
        }
    }

    /// What its part of an invocation is called in the log.
    pub(crate) fn span(&self) -> tracing::Span {
        self.cluster
            .name()
            .map_or_else(tracing::Span::none, |name| tracing::error_span!("cluster", nomad_cluster = name))
    }
}

/// Where the node of an instance is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Where {
    /// In the cluster at this place.
    At(usize),
    /// Nobody knows: every cluster is asked.
    Anywhere,
}

/// Sees every instance through where its node is. Answers are in the order of the questions.
pub(crate) async fn see_through_at<W: World>(
    sites: &[Site<'_, W>],
    looks: &Looks,
    asked: Vec<(Where, Asked)>,
) -> Vec<Became> {
    let mut answers: Vec<Answer> = asked.iter().map(|(at, _)| Answer::to(*at, sites.len())).collect();
    let mut running = FuturesUnordered::new();
    for (place, site) in sites.iter().enumerate() {
        let its = asked
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| matches!(at, Where::Anywhere) || *at == Where::At(place));
        let (indices, its): (Vec<usize>, Vec<Asked>) =
            its.map(|(index, (_, one))| (index, one.clone())).unzip();
        if !its.is_empty() {
            let policy = site.policy(looks);
            running.push(
                async move {
                    let rules = Rules { policy: &policy, looks, cluster: site.cluster.name() };
                    (indices, see_through(site.world, &rules, its).await)
                }
                .instrument(site.span()),
            );
        }
    }
    while let Some((indices, became)) = running.next().await {
        for (index, became) in indices.into_iter().zip(became) {
            if let Some(answer) = answers.get_mut(index) {
                answer.hear(became, looks);
            }
        }
        // Whoever is still being asked about instances that others have found is not waited for.
        if answers.iter().all(Answer::is_final) {
            break;
        }
    }
    answers.into_iter().map(|answer| answer.best.unwrap_or_else(|| Ok(Vec::new()))).collect()
}

/// What the clusters have said of one instance.
struct Answer {
    /// How many have not said anything.
    missing: usize,
    best: Option<Became>,
}

impl Answer {
    fn to(at: Where, sites: usize) -> Self {
        Self { missing: if at == Where::Anywhere { sites } else { 1 }, best: None }
    }

    fn is_final(&self) -> bool {
        self.missing == 0 || self.best.as_ref().is_some_and(has_node)
    }

    /// The one that has its node knows best; if none has it, one that could not say is not overheard.
    fn hear(&mut self, said: Became, looks: &Looks) {
        self.missing = self.missing.saturating_sub(1);
        let rank = |said: &Became| match said {
            Ok(_) if has_node(said) => 2,
            Err(_) => 1,
            Ok(_) => 0,
        };
        let (best, other) = match self.best.take() {
            Some(best) if rank(&best) >= rank(&said) => (best, Some(said)),
            best => (said, best),
        };
        if let Some(Err(error)) = other {
            looks.warned.failed(&error, "another cluster could not be asked");
        }
        self.best = Some(best);
    }
}

fn has_node(became: &Result<Vec<ReportEntry>, Rc<Error>>) -> bool {
    became.as_ref().is_ok_and(|entries| entries.iter().any(|entry| entry.node_id.is_some()))
}
