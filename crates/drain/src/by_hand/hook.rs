//! The lifecycle action that holds one instance.

use drain_core::ids::{HookName, InstanceId};

use super::HandError;
use crate::cluster::{self, Cluster, Home};
use crate::config::Config;
use crate::reconcile::Looks;
use crate::sites::Site;
use crate::sweep;
use crate::together::Asked;
use crate::world::{Account as _, World};

/// What a sweep would look at for this instance, once for each hook of ours that may hold it, and whose it is.
pub(super) async fn held<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    looks: &Looks,
    instance: &InstanceId,
) -> Result<(usize, Vec<Asked>), HandError> {
    let mut members = account.members(std::slice::from_ref(instance)).await?;
    let Some(member) = members.remove(instance) else { return Err(HandError::InNoGroup(instance.clone())) };
    let not_held = || HandError::NotHeld {
        instance: instance.clone(),
        group: member.group.clone(),
        state: member.state.clone(),
    };
    if sweep::cause(&member.state).is_none() {
        return Err(not_held());
    }
    let Some(group) = account.group(&member.group).await? else { return Err(not_held()) };
    let clusters: Vec<&Cluster> = sites.iter().map(|site| site.cluster).collect();
    let Home::Of(place) = cluster::home(&clusters, &group.name, Some(&group.tags)) else {
        return Err(HandError::NoCluster(group.name));
    };
    let Some(site) = sites.get(place) else { return Err(HandError::NoCluster(group.name)) };
    let all = sweep::find(account, site, config, looks, std::slice::from_ref(&group)).await;
    let its: Vec<Asked> = all
        .into_iter()
        .filter(|one| one.target.instance == *instance && one.target.cause().is_some())
        .collect();
    if its.is_empty() {
        let hooks: Vec<&str> = config.sweep_hooks().iter().map(HookName::as_str).collect();
        let (instance, hooks) = (instance.clone(), hooks.join(" or "));
        return Err(HandError::NotOurHook { instance, group: group.name, hooks });
    }
    Ok((place, its))
}
