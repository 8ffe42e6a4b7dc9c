//! The nodes of the groups' instances.

use std::collections::BTreeMap;

use drain::live::Live;
use drain::world::World as _;
use drain::{Causes, Error};
use drain_core::ids::InstanceId;
use drain_core::observation::{Node, NodeStatus};
use futures_util::future::join_all;

use super::why;
use crate::doctor::facts::{Fact, Facts, Found, GroupFacts, Home, NodeFacts, Reached, TokenAnswer};

/// So many instances of a group that no node carries are looked for by their addresses and agents. Each takes seconds where
/// nobody answers.
const MOST_ELSEWHERE: usize = 20;

/// The nodes of each group, in the order of the groups.
pub(super) async fn facts(facts: &Facts, worlds: &[Live<'_>]) -> Vec<Fact<BTreeMap<InstanceId, Found>>> {
    let groups = facts.groups.known().map_or(&[][..], Vec::as_slice);
    join_all(groups.iter().map(|group| of_group(facts, worlds, group))).await
}

async fn of_group(
    facts: &Facts,
    worlds: &[Live<'_>],
    group: &GroupFacts,
) -> Fact<BTreeMap<InstanceId, Found>> {
    let Home::Of(place) = group.home else { return Fact::skipped("whose the group is, above") };
    let (Some(world), Some(cluster)) =
        (worlds.get(place), facts.clusters.known().and_then(|clusters| clusters.get(place)))
    else {
        return Fact::skipped("the clusters, above");
    };
    if matches!(cluster.leader, Reached::Failed(_)) {
        return Fact::skipped("Nomad, above");
    }
    if !matches!(cluster.token.token.known(), Some(TokenAnswer::Is { .. } | TokenAnswer::NoAcls)) {
        return Fact::skipped("the token, above");
    }
    let Some(Some(group)) = group.group.known() else { return Fact::skipped("the group") };
    match find(world, &group.in_service).await {
        Ok(found) => Fact::Known(found),
        Err(error) => Fact::Unknown(why(&error)),
    }
}

async fn find(world: &Live<'_>, instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, Found>, Error> {
    if instances.is_empty() {
        return Ok(BTreeMap::new());
    }
    let by_attribute = world.nodes_by_attribute(instances).await?;
    let mut found: BTreeMap<InstanceId, Found> = by_attribute
        .into_iter()
        .map(|(instance, nodes)| (instance, Found::ByAttribute(nodes.iter().map(node).collect())))
        .collect();
    let missing: Vec<&InstanceId> = instances.iter().filter(|one| !found.contains_key(*one)).collect();
    let (asked, others) = missing.split_at(missing.len().min(MOST_ELSEWHERE));
    let elsewhere = asked.iter().map(async |instance| {
        let nodes = match world.nodes_elsewhere(instance).await {
            Ok(nodes) => Found::Elsewhere(nodes.iter().map(node).collect()),
            Err(Error::NodeNotFound { searched, .. }) => Found::Nowhere(searched),
            Err(error) => Found::Nowhere(Causes(&error).to_string()),
        };
        ((*instance).clone(), nodes)
    });
    found.extend(join_all(elsewhere).await);
    found.extend(others.iter().map(|instance| {
        ((*instance).clone(), Found::Nowhere("no node's attribute holds its id".to_owned()))
    }));
    Ok(found)
}

fn node(node: &Node) -> NodeFacts {
    NodeFacts {
        id: node.id.to_string(),
        name: node.name.clone(),
        is_silent: matches!(node.status, NodeStatus::Down(_) | NodeStatus::Disconnected(_)),
    }
}
