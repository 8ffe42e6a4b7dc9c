//! The sweep: every instance that a terminate hook of a watched group holds, whatever became of its event.
//!
//! All state is in Auto Scaling and in Nomad, so the sweep needs none: it asks which instances wait, and does with each
//! what an event would do. It carries long drains past the end of one invocation, and finds what a lost event, a crash
//! or an outage left behind.

use drain_core::ids::{GroupName, HookName};
use drain_core::observation::{Cause, Hold, HookSettings, Origin, Target};
use futures_util::future::join_all;

use crate::config::{Config, HOLD_TAG, is_on};
use crate::error::Error;
use crate::reconcile::Rules;
use crate::world::{Group, Hook, Waiting, World};

/// What a sweep found to do.
#[derive(Debug, Default)]
pub struct Found {
    /// How many groups are watched.
    pub groups: usize,
    /// How many groups are named and do not exist.
    pub missing_groups: usize,
    /// The instances that wait, and the hooks that may hold them.
    pub held: Vec<(Target, Hold)>,
}

/// Looks for every held instance of the watched groups, in an order that changes from minute to minute: if time runs
/// out, others are last the next time.
pub async fn find(world: &impl World, config: &Config, rules: &Rules<'_>) -> Result<Found, Error> {
    let groups = world.groups().await?;
    let missing_groups = warn_of_missing_groups(config, rules, &groups);
    let pools = groups.iter().map(|group| async {
        if !group.has_warm_pool {
            return Vec::new();
        }
        world.warm_pool(&group.name).await.unwrap_or_else(|error| {
            rules.failed(&error, &format!("the warm pool of {} could not be read", group.name));
            Vec::new()
        })
    });
    let pools: Vec<Vec<Waiting>> = join_all(pools).await;
    let waiting = groups.iter().zip(pools).map(|(group, warm)| {
        let all = group.waiting.iter().cloned().chain(warm);
        let ending: Vec<_> = all.filter_map(|waiting| Some((cause(&waiting.state)?, waiting))).collect();
        (group, ending)
    });
    let held = waiting.filter(|(_, ending)| !ending.is_empty()).map(|(group, ending)| async move {
        let hooks = our_hooks(world, config, rules, group).await;
        targets(group, &ending, &hooks)
    });
    let mut held: Vec<(Target, Hold)> = join_all(held).await.into_iter().flatten().collect();
    if !held.is_empty() {
        let minute = world.now().as_second().div_euclid(60).unsigned_abs();
        // Fibonacci hashing: minutes that follow each other begin far apart.
        let first = minute.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (held.len() as u64);
        held.rotate_left(usize::try_from(first).unwrap_or_default());
    }
    Ok(Found { groups: groups.len(), missing_groups, held })
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

/// The group's terminate hooks that are ours, in the order of `LIFECYCLE_HOOK_NAME`. If they may not be read, ours by
/// name: a heartbeat will prove it.
async fn our_hooks(
    world: &impl World,
    config: &Config,
    rules: &Rules<'_>,
    group: &Group,
) -> Vec<(HookName, Option<HookSettings>)> {
    let names = config.sweep_hooks();
    let hooks = match world.hooks(&group.name).await {
        Ok(hooks) => hooks,
        Err(error) => {
            rules.failed(&error, &format!("the hooks of {} could not be read", group.name));
            return names.iter().map(|name| (name.clone(), None)).collect();
        }
    };
    let ours =
        names.iter().filter_map(|name| hooks.iter().find(|hook| hook.name == *name && hook.terminating));
    ours.map(|hook| (hook.name.clone(), Some(settings(rules, &group.name, hook)))).collect()
}

/// A hook's timers, and a warning if they are too short for a sweep.
pub(crate) fn settings(rules: &Rules<'_>, group: &GroupName, hook: &Hook) -> HookSettings {
    let timeout = hook.heartbeat_timeout;
    if timeout.as_secs() < 300 {
        rules.warn_once(&format!(
            "hook {} of group {group} has a HeartbeatTimeout of {timeout:#}: a sweep once a minute needs 5 minutes or more. \
             Heartbeats are sent at every look",
            hook.name
        ));
    }
    HookSettings { heartbeat_timeout: timeout, global_timeout: hook.global_timeout }
}

/// One target for each instance. Of several hooks of ours the first may be done: the next one is tried by the next
/// sweep, in turns.
fn targets(
    group: &Group,
    ending: &[(Cause, Waiting)],
    hooks: &[(HookName, Option<HookSettings>)],
) -> Vec<(Target, Hold)> {
    if hooks.is_empty() {
        let instances: Vec<&str> = ending.iter().map(|(_, waiting)| waiting.instance.as_str()).collect();
        tracing::warn!(
            group = %group.name,
            "the group has no terminate hook of LIFECYCLE_HOOK_NAME: the sweep leaves {} to others",
            instances.join(", ")
        );
    }
    let paused = is_paused(group);
    let held = ending.iter().flat_map(|(cause, waiting)| {
        hooks.iter().map(move |(hook, settings)| {
            let target = Target {
                instance: waiting.instance.clone(),
                group: Some(group.name.clone()),
                hook: Some(hook.clone()),
                token: None,
                cause: *cause,
                hook_started_at: None,
                origin: Origin::Sweep,
            };
            (target, Hold { settings: *settings, paused, ..Hold::default() })
        })
    });
    held.collect()
}

/// Whether a group's tag asks us to leave its instances alone.
pub(crate) fn is_paused(group: &Group) -> bool {
    group.tags.get(HOLD_TAG).is_some_and(|value| is_on(value))
}

/// A sweep that does nothing for want of a group looks like one that has nothing to do: it says so. Gives how many groups
/// are named and do not exist.
fn warn_of_missing_groups(config: &Config, rules: &Rules<'_>, groups: &[Group]) -> usize {
    if groups.is_empty() {
        rules.warn_once(
            "no Auto Scaling group is watched: the sweep has nothing to do. See AUTO_SCALING_GROUPS",
        );
    }
    let is_missing = |name: &&GroupName| !groups.iter().any(|group| group.name == **name);
    let missing: Vec<&GroupName> = config.groups.literals().filter(is_missing).collect();
    for name in &missing {
        rules.warn_once(&format!("AUTO_SCALING_GROUPS names {name}, and there is no group of that name"));
    }
    missing.len()
}
