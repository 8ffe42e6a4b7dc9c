//! The nodes that drains have left behind: those of instances that came back, or were never taken, and those of instances
//! that have ended. Whether anything is done about one, `drain_core::decide` decides; here is found what is worth asking
//! about, in as few calls as there can be.

use std::collections::{BTreeMap, BTreeSet};

use drain_core::decide::{is_of_a_termination, may_come_back};
use drain_core::ids::{GroupName, InstanceId, NodeId};
use drain_core::observation::{Ending, Errand, LastDrain, Member, Origin, Target};

use super::is_paused;
use crate::reconcile::Rules;
use crate::together::Asked;
use crate::world::{Account as _, Group, GroupInstance, Idle, World};

/// A node that takes no work, and why.
struct Drained {
    node: NodeId,
    down: bool,
    last_drain: LastDrain,
}

/// What is worth asking about, besides those who are looked after already. Only of instances whose groups are watched: a cluster may span accounts and regions, and
/// there Auto Scaling would not know instances that live.
pub(super) async fn find(
    world: &impl World,
    rules: &Rules<'_>,
    groups: &[Group],
    others: &BTreeSet<InstanceId>,
    idle: &[Idle],
) -> Vec<Asked> {
    let watched: BTreeSet<&str> =
        groups.iter().filter(|group| !is_paused(group)).map(|group| group.name.as_str()).collect();
    if watched.is_empty() || rules.policy.pause {
        return Vec::new();
    }
    let drained = idle.iter().filter(|node| !node.eligible).filter_map(|node| {
        Some(Drained { node: node.node.clone(), down: node.down, last_drain: node.last_drain.clone()? })
    });
    let now = world.now();
    let candidates: Vec<(InstanceId, Errand, Drained)> = drained
        .filter_map(|drained| {
            let instance = InstanceId::parse(&drained.last_drain.stamp()?.instance).ok()?;
            let errand = if !drained.down && may_come_back(&drained.last_drain, rules.policy, now) {
                Errand::GiveBack
            } else if drained.down && rules.policy.purge_nodes && is_of_a_termination(&drained.last_drain) {
                Errand::Purge(Ending::Terminated)
            } else {
                return None;
            };
            (!others.contains(&instance)).then_some((instance, errand, drained))
        })
        .collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let instances: BTreeSet<InstanceId> = candidates.iter().map(|(instance, ..)| instance.clone()).collect();
    let instances: Vec<InstanceId> = instances.into_iter().collect();
    let members = match world.account().members(&instances).await {
        Ok(members) => members,
        Err(error) => {
            rules
                .looks
                .warned
                .failed(&error, "what Auto Scaling says of drained nodes could not be found out");
            return Vec::new();
        }
    };
    candidates.into_iter().filter_map(|candidate| asked(candidate, &members, &watched)).collect()
}

fn asked(
    (instance, errand, drained): (InstanceId, Errand, Drained),
    members: &BTreeMap<InstanceId, GroupInstance>,
    watched: &BTreeSet<&str>,
) -> Option<Asked> {
    let member = members.get(&instance);
    let group = match (errand, member) {
        (Errand::GiveBack, Some(member)) if is_in_use(&member.state) => member.group.clone(),
        (Errand::Purge(_), None) => GroupName::parse(&drained.last_drain.stamp()?.group?).ok()?,
        _ => return None,
    };
    if !watched.contains(group.as_str()) {
        return None;
    }
    let target = Target {
        instance,
        group: Some(group),
        hook: None,
        token: None,
        errand,
        told_at: None,
        hook_started_at: None,
        origin: Origin::Sweep,
    };
    let member = member.map_or(Member::OfNoGroup, |member| Member::InState(member.state.clone()));
    Some(Asked { target, hold: None, member, node: Some(drained.node), policy: None, state: None })
}

/// Whether an instance in this state can need its node. Those in a warm pool are many, and none of them does.
fn is_in_use(state: &str) -> bool {
    state == "InService" || state.starts_with("Pending")
}
