//! Groups whose nodes are down: something that no single instance shows.

use std::collections::BTreeSet;

use drain_core::ids::InstanceId;
use drain_core::observation::LastDrain;
use futures_util::future::join_all;

use crate::reconcile::Rules;
use crate::world::{Group, Idle, World};

/// Members of groups that one sweep asks about at most: fifty questions to Nomad.
const MOST: usize = 5_000;

/// Of how many groups more than half of the nodes are down. Costs nothing while no node is: only groups that are small enough
/// for it are asked about. Nodes that were drained before their instances ended are down for good reason, until Nomad
/// forgets them.
pub(super) async fn groups_mostly_down(
    world: &impl World,
    rules: &Rules<'_>,
    groups: &[Group],
    idle: &[Idle],
) -> usize {
    let serving: BTreeSet<&str> =
        groups.iter().flat_map(|group| &group.in_service).map(InstanceId::as_str).collect();
    let ended = |node: &Idle| {
        let stamp = node.last_drain.as_ref().and_then(LastDrain::stamp);
        stamp.is_some_and(|stamp| !serving.contains(stamp.instance.as_str()))
    };
    let down = idle.iter().filter(|node| node.down && !ended(node)).count();
    let mut suspects: Vec<&Group> = groups
        .iter()
        .filter(|group| !group.in_service.is_empty() && group.in_service.len() < 2 * down)
        .collect();
    suspects.sort_by_key(|group| group.in_service.len());
    let mut asked = 0;
    suspects.retain(|group| {
        asked += group.in_service.len();
        asked <= MOST
    });
    let counts = suspects.into_iter().map(async |group| match world.census(&group.in_service).await {
        Ok(census) if 2 * census.down > census.nodes => {
            rules.looks.warned.once(&format!(
                "{} of the {} nodes of group {} are down",
                census.down, census.nodes, group.name
            ));
            true
        }
        Ok(_) => false,
        Err(error) => {
            let what = format!("how many nodes of {} are down could not be found out", group.name);
            rules.looks.warned.failed(&error, &what);
            false
        }
    });
    join_all(counts).await.into_iter().filter(|mostly| *mostly).count()
}
