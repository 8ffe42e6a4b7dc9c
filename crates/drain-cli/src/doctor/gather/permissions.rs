//! What the function's role may do, as IAM simulates it.

use std::collections::BTreeMap;
use std::rc::Rc;

use drain::aws::Aws;
use drain::cluster::Cluster;
use drain::config::{ClusterConfig, Config};
use futures_util::future::join_all;

use super::way::is_of;
use super::{asked, cannot};
use crate::aws::iam;
use crate::doctor::facts::{Decision, Fact, Function, Granted, GroupFacts};
use crate::doctor::needed::{Needed, Surroundings, Whereabouts, needed};

/// Simulates everything that this configuration needs.
pub(super) async fn facts(
    aws: Option<&Aws>,
    config: &Config,
    clusters: &[Rc<Cluster>],
    groups: &[GroupFacts],
    function: Option<&Function>,
) -> Fact<Vec<Granted>> {
    let Some(function) = function else {
        let said = "It is not known which role that is".to_owned();
        return cannot(said, "Pass the deployed function's name: --function NAME.");
    };
    let parts: Vec<&str> = function.arn.split(':').collect();
    let part = |place: usize| parts.get(place).copied().unwrap_or_default();
    let at = Whereabouts { partition: part(1), region: part(3), account: part(4) };
    let known = groups.iter().filter_map(|group| group.group.known()?.as_ref());
    let arns: Vec<String> =
        known.clone().map(|group| group.arn.clone()).filter(|arn| !arn.is_empty()).collect();
    let has_warm_pool = known.clone().any(|group| group.has_warm_pool);
    let configs: Vec<&ClusterConfig> = clusters.iter().map(|cluster| cluster.config()).collect();
    let mappings = function.mappings.known().into_iter().flatten();
    let queues: Vec<String> =
        mappings.map(|mapping| mapping.source.clone()).filter(|arn| is_of("sqs", arn)).collect();
    let around = Surroundings { groups: &arns, has_warm_pool, queues: &queues };
    let all = needed(config, &configs, around, at);
    let mut by_resource: BTreeMap<&str, Vec<&Needed>> = BTreeMap::new();
    for one in &all {
        by_resource.entry(&one.resource).or_default().push(one);
    }
    let simulated = by_resource.into_iter().map(async |(resource, some)| {
        let actions: Vec<&str> = some.iter().map(|one| one.action.as_str()).collect();
        let said = asked(aws, async |aws| {
            iam::simulate_principal_policy(aws, &function.role, &actions, resource).await
        })
        .await;
        match said {
            Fact::Known(said) => Ok(some
                .into_iter()
                .map(|one| {
                    let decision = said.get(&one.action).cloned().unwrap_or(Decision::NotAllowed);
                    Granted { needed: one.clone(), decision }
                })
                .collect::<Vec<_>>()),
            Fact::Unknown(why) => Err(why),
        }
    });
    let answers: Result<Vec<Vec<Granted>>, _> = join_all(simulated).await.into_iter().collect();
    match answers {
        Ok(granted) => Fact::Known(granted.into_iter().flatten().collect()),
        Err(why) => Fact::Unknown(why),
    }
}
