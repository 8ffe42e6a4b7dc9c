//! The sweep: every instance that a hook of ours holds in a watched group, whatever became of its event.
//!
//! All state is in Auto Scaling and in Nomad, so the sweep needs none: it asks which instances wait, and does with each
//! what an event would do. It carries long drains past the end of one invocation, and finds what a lost event, a crash
//! or an outage left behind. Beside that it looks for the nodes that drains have left behind ([`leftovers`]).

mod census;
mod leftovers;
mod reserve;

use std::collections::BTreeSet;
use std::rc::Rc;

use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::observation::{Cause, Errand, Hold, HookSettings, Member, Origin, Target};
use drain_core::policy::Policy;
use futures_util::future::{join, join_all};
use tracing::Instrument as _;

use crate::admission::disputed;
use crate::chronicle::Chronicle;
use crate::cluster::{self, Cluster, Home};
use crate::config::{Config, GroupSelection, HOLD_TAG, is_on};
use crate::error::Error;
use crate::invocation::{Handled, Times};
use crate::later;
use crate::reconcile::{Looks, Rules, Warned};
use crate::report::Report;
use crate::sites::Site;
use crate::together::{Asked, Became, see_through};
use crate::world::{Account, Clock as _, Group, Hook, Idle, Waiting, World};

/// Sees every held instance through, as far as the time allows.
pub(crate) async fn sweep<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    times: Times,
    chronicle: &Rc<Chronicle>,
) -> Result<Handled, Error> {
    let now = account.now();
    let mut looks = Looks {
        sweeping: true,
        poll_interval: config.poll_interval,
        linger_until: times.looks_end.min(later(now, config.sweep_linger)),
        ends: times.ends,
        warned: Warned::default(),
        chronicle: Rc::clone(chronicle),
        by_hand: None,
    };
    if !config.sweep {
        looks
            .warned
            .once("a sweep came, and SWEEP is off: set it on, so that events leave long drains to the sweep");
    }
    let clusters: Vec<&Cluster> = sites.iter().map(|site| site.cluster).collect();
    let selection = cluster::watched(config, &clusters);
    let groups = account.groups(&selection).await?;
    let missing_groups = warn_of_missing_groups(&selection, &looks.warned, &groups);
    let watched = groups.len();
    let (groups, problems) = by_cluster(&clusters, groups);
    let waiting = sites
        .iter()
        .zip(&groups)
        .map(|(site, groups)| find(account, site, config, &looks, groups).instrument(site.span()));
    // No cluster is asked before this: all that is waited for here is the account, which is everybody's.
    let waiting = join_all(waiting).await;
    let times = times.with_reserve_for(waiting.iter().map(Vec::len).sum(), config.memory_mb, account.now());
    account.call_until(times.ends);
    (looks.linger_until, looks.ends) = (looks.linger_until.min(times.looks_end), times.ends);
    let at_sites = sites
        .iter()
        .zip(&groups)
        .zip(waiting)
        .map(|((site, groups), waiting)| sweep_at(site, &looks, groups, waiting).instrument(site.span()));
    let mut report = Report { groups: Some(watched), held: Some(0), missing_groups, ..Report::default() };
    for Swept { held, done, mostly_down } in join_all(at_sites).await {
        report.held = report.held.map(|others| others + held);
        report.groups_mostly_down += mostly_down;
        for one in done {
            match one {
                Ok(entries) => report.results.extend(entries),
                Err(error) => looks.warned.failed(&error, "an instance could not be looked at"),
            }
        }
    }
    let wrong = (!problems.is_empty()).then(|| config.wrong_document(problems));
    Ok(Handled::swept(report, wrong))
}

/// The groups of each cluster, and what is wrong with those that are not of one.
pub(crate) fn by_cluster(clusters: &[&Cluster], groups: Vec<Group>) -> (Vec<Vec<Group>>, Vec<String>) {
    let mut sorted: Vec<Vec<Group>> = clusters.iter().map(|_| Vec::new()).collect();
    let mut problems = Vec::new();
    for group in groups {
        match cluster::home(clusters, &group.name, Some(&group.tags)) {
            Home::Of(place) => sorted.get_mut(place).into_iter().for_each(|its| its.push(group.clone())),
            Home::Disputed(names) => problems.push(disputed(&group.name, &names)),
            Home::Nobodys => problems.push(format!(
                "no cluster is that of group {}, which the sweep is to look after: name it in the \"groups\" of one, or give \
                 its tag nomad-drain the \"tag\" of one",
                group.name
            )),
        }
    }
    (sorted, problems)
}

/// Sees every held instance of one cluster through, which are these.
async fn sweep_at<W: World>(
    site: &Site<'_, W>,
    looks: &Looks,
    groups: &[Group],
    waiting: Vec<Asked>,
) -> Swept {
    let policy = site.policy(looks);
    let rules = Rules { policy: &policy, looks, cluster: site.cluster.name() };
    let world = site.world;
    // Of an instance for which several hooks of ours may wait, each is a target.
    let ending = waiting.iter().filter(|one| one.target.cause().is_some());
    let held: BTreeSet<InstanceId> = ending.map(|one| one.target.instance.clone()).collect();
    let asked: BTreeSet<InstanceId> = waiting.iter().map(|one| one.target.instance.clone()).collect();
    let beside = async {
        let idle = idle(world, &rules, groups).await;
        let left = async {
            let left = leftovers::find(world, &rules, groups, &asked, &idle).await;
            see_through(world, &rules, left).await
        };
        join(left, census::groups_mostly_down(world, &rules, groups, &idle)).await
    };
    let (mut done, (left, mostly_down)) = join(see_through(world, &rules, waiting), beside).await;
    done.extend(left);
    Swept { held: held.len(), done, mostly_down }
}

/// What a sweep has found and done in one cluster.
struct Swept {
    /// How many instances are held.
    held: usize,
    /// What became of each.
    done: Vec<Became>,
    /// Of how many groups more than half of the nodes are down.
    mostly_down: usize,
}

/// The nodes that take no work or are down, if there is a group for which that matters.
async fn idle<W: World>(world: &W, rules: &Rules<'_>, groups: &[Group]) -> Vec<Idle> {
    if rules.policy.pause || groups.iter().all(is_paused) {
        return Vec::new();
    }
    world.idle_nodes().await.unwrap_or_else(|error| {
        let what = "the nodes that take no work could not be listed: none is given back";
        rules.looks.warned.failed(&error, what);
        Vec::new()
    })
}

/// Looks for every held instance of the watched groups, in an order that changes from minute to minute: if time runs
/// out, others are last the next time.
pub(crate) async fn find<W: World>(
    account: &W::Account,
    site: &Site<'_, W>,
    config: &Config,
    looks: &Looks,
    groups: &[Group],
) -> Vec<Asked> {
    let warned = &looks.warned;
    let pools = groups.iter().map(|group| async {
        if !group.has_warm_pool {
            return Vec::new();
        }
        account.warm_pool(&group.name).await.unwrap_or_else(|error| {
            warned.failed(&error, &format!("the warm pool of {} could not be read", group.name));
            Vec::new()
        })
    });
    let pools: Vec<Vec<Waiting>> = join_all(pools).await;
    let waiting = groups.iter().zip(pools).map(|(group, warm)| {
        let all: Vec<Waiting> = group.waiting.iter().cloned().chain(warm).collect();
        let ending = all.iter().filter_map(|waiting| Some((cause(&waiting.state)?, waiting.clone())));
        // One that enters the warm pool looks the same whether it was launched for it or returns to it: that is left to
        // its event.
        let is_asked = |waiting: &&Waiting| config.launch_hook.is_some() && waiting.state == "Pending:Wait";
        let coming = all.iter().filter(is_asked);
        let (ending, coming): (Vec<_>, Vec<_>) = (ending.collect(), coming.cloned().collect());
        (group, ending, coming)
    });
    let held = waiting.filter(|(_, ending, coming)| !ending.is_empty() || !coming.is_empty());
    let held = held.map(|(group, ending, coming)| async move {
        let hooks = match account.hooks(&group.name).await {
            Ok(hooks) => Some(hooks),
            Err(error) => {
                warned.failed(&error, &format!("the hooks of {} could not be read", group.name));
                None
            }
        };
        let about = |hook: &Hook| Holding {
            name: hook.name.clone(),
            settings: Some(settings(warned, &group.name, hook)),
            policy: hook
                .metadata
                .as_deref()
                .and_then(|metadata| site.policy_for(&hook.name, &group.name, metadata, looks)),
        };
        let mut asked = Vec::new();
        if !ending.is_empty() {
            asked.extend(departures(warned, group, &ending, &our_hooks(config, hooks.as_deref(), about)));
        }
        asked.extend(arrivals(config, group, coming, hooks.as_deref()));
        asked
    });
    let mut held: Vec<Asked> = join_all(held).await.into_iter().flatten().collect();
    if !held.is_empty() {
        let minute = account.now().as_second().div_euclid(60).unsigned_abs();
        // Fibonacci hashing: minutes that follow each other begin far apart.
        let first = minute.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (held.len() as u64);
        held.rotate_left(usize::try_from(first).unwrap_or_default());
    }
    held
}

/// Why an instance in this state waits, if it is a terminate hook that it waits for.
pub(crate) fn cause(state: &str) -> Option<Cause> {
    match state {
        "Terminating:Wait" | "Warmed:Terminating:Wait" => Some(Cause::Terminate),
        "Warmed:Pending:Wait" => Some(Cause::WarmPool),
        "ReplacingRootVolume:Wait" => Some(Cause::RootVolume),
        _ => None,
    }
}

/// Whether an instance in this state may wait for a launch hook. One that enters a warm pool does so too.
pub(crate) fn is_coming(state: &str) -> bool {
    matches!(state, "Pending:Wait" | "Warmed:Pending:Wait")
}

/// A hook that may hold instances, and what is known of it.
struct Holding {
    name: HookName,
    settings: Option<HookSettings>,
    /// What it wants for its instances.
    policy: Option<Policy>,
}

/// The group's terminate hooks that are ours, in the order of `LIFECYCLE_HOOK_NAME`. If they may not be read, ours by
/// name: a heartbeat will prove it.
fn our_hooks(config: &Config, hooks: Option<&[Hook]>, about: impl Fn(&Hook) -> Holding) -> Vec<Holding> {
    let names = config.sweep_hooks();
    let Some(hooks) = hooks else {
        let unknown = |name: &HookName| Holding { name: name.clone(), settings: None, policy: None };
        return names.iter().map(unknown).collect();
    };
    let ours =
        names.iter().filter_map(|name| hooks.iter().find(|hook| hook.name == *name && hook.terminating));
    ours.map(about).collect()
}

/// A hook's timers, and a warning if they are too short for a sweep.
pub(crate) fn settings(warned: &Warned, group: &GroupName, hook: &Hook) -> HookSettings {
    let timeout = hook.heartbeat_timeout;
    if timeout.as_secs() < 300 {
        warned.once(&format!(
            "hook {} of group {group} has a HeartbeatTimeout of {timeout:#}: a sweep once a minute needs 5 minutes or more. \
             Heartbeats are sent at every look",
            hook.name
        ));
    }
    HookSettings { heartbeat_timeout: timeout, global_timeout: hook.global_timeout }
}

/// One target for each instance that goes. Of several hooks of ours the first may be done: the next one is tried by the
/// next sweep, in turns.
fn departures(warned: &Warned, group: &Group, ending: &[(Cause, Waiting)], hooks: &[Holding]) -> Vec<Asked> {
    if hooks.is_empty() {
        let instances: Vec<&str> = ending.iter().map(|(_, waiting)| waiting.instance.as_str()).collect();
        warned.tell(format!(
            "group {} has no terminate hook of LIFECYCLE_HOOK_NAME: {} are left to others",
            group.name,
            instances.join(", ")
        ));
        tracing::warn!(
            group = %group.name,
            "the group has no terminate hook of LIFECYCLE_HOOK_NAME: the sweep leaves {} to others",
            instances.join(", ")
        );
    }
    let held = ending.iter().flat_map(|(cause, waiting)| {
        hooks.iter().map(move |hook| asked(group, waiting, hook, Errand::Drain(*cause), Member::Unknown))
    });
    held.collect()
}

/// One target for each instance that our launch hook may hold. If the hooks may not be read, ours by name: completing an
/// action that there is not is refused.
fn arrivals(config: &Config, group: &Group, coming: Vec<Waiting>, hooks: Option<&[Hook]>) -> Vec<Asked> {
    let Some(name) = &config.launch_hook else { return Vec::new() };
    let is_ours = |hook: &Hook| hook.name == *name && !hook.terminating;
    if hooks.is_some_and(|hooks| !hooks.iter().any(is_ours)) {
        return Vec::new();
    }
    let hook = Holding { name: name.clone(), settings: None, policy: None };
    let held = coming.into_iter().map(|waiting| {
        let member = Member::InState(waiting.state.clone());
        asked(group, &waiting, &hook, Errand::Admit, member)
    });
    held.collect()
}

fn asked(group: &Group, waiting: &Waiting, hook: &Holding, errand: Errand, member: Member) -> Asked {
    let target = Target {
        instance: waiting.instance.clone(),
        group: Some(group.name.clone()),
        hook: Some(hook.name.clone()),
        token: None,
        errand,
        told_at: None,
        hook_started_at: None,
        origin: Origin::Sweep,
    };
    let hold = Hold { settings: hook.settings, paused: is_paused(group), ..Hold::default() };
    let (policy, state) = (hook.policy.clone(), Some(waiting.state.clone()));
    Asked { target, hold: Some(hold), member, node: None, policy, state }
}

/// Whether a group's tag asks us to leave its instances alone.
pub(crate) fn is_paused(group: &Group) -> bool {
    group.tags.get(HOLD_TAG).is_some_and(|value| is_on(value))
}

/// A sweep that does nothing for want of a group looks like one that has nothing to do: it says so. Gives how many groups
/// are named and do not exist.
pub(crate) fn warn_of_missing_groups(selection: &GroupSelection, warned: &Warned, groups: &[Group]) -> usize {
    if groups.is_empty() {
        warned.once("no Auto Scaling group is watched: the sweep has nothing to do. See AUTO_SCALING_GROUPS");
    }
    let whose = if selection.tagged { "CLUSTERS_PARAMETER" } else { "AUTO_SCALING_GROUPS" };
    let is_missing = |name: &&GroupName| !groups.iter().any(|group| group.name == **name);
    let missing: Vec<&GroupName> = selection.literals().filter(is_missing).collect();
    for name in &missing {
        warned.once(&format!("{whose} names {name}, and there is no group of that name"));
    }
    missing.len()
}

#[cfg(test)]
mod tests;
