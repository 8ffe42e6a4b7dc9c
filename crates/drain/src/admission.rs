//! Which of the instances that an event names are ours to look after, and still: by their groups, and by what Auto Scaling
//! says of them.

use std::collections::{BTreeMap, BTreeSet};

use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Cause, Ending, Errand, Hold, Member, Origin, Target};
use drain_core::reason::Reason;
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::reconcile::Rules;
use crate::report::ReportEntry;
use crate::sweep;
use crate::together::Asked;
use crate::world::{Group, GroupInstance, Hook, World, member_of};

/// An event that is older than this may be about an instance that has ended or has come back since.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What Auto Scaling says, by instance.
type Members = BTreeMap<InstanceId, GroupInstance>;

/// For each target what is to be looked at, or why it is left out, which is said.
pub(crate) async fn admit(
    world: &impl World,
    config: &Config,
    rules: &Rules<'_>,
    targets: Vec<Target>,
) -> Vec<Result<Asked, ReportEntry>> {
    let now = world.now();
    let asked: BTreeSet<InstanceId> = targets
        .iter()
        .filter(|target| is_late(target, now) || needs_state(target, rules))
        .map(|target| target.instance.clone())
        .collect();
    let members = members(world, rules, asked.iter().cloned().collect()).await;
    let group_of = |target: &Target| {
        // EC2 and AWS Health know of no group.
        let known =
            members.as_ref().filter(|_| target.is_recommended()).and_then(|all| all.get(&target.instance));
        target.group.clone().or_else(|| known.map(|member| member.group.clone()))
    };
    let groups = if config.policy.sweep {
        group_facts(world, config, rules, targets.iter().filter_map(|one| Some((group_of(one)?, one)))).await
    } else {
        BTreeMap::new()
    };
    let admitted = targets.into_iter().map(|target| {
        let member = match &members {
            Some(members) if asked.contains(&target.instance) => member_of(members, &target.instance),
            Some(_) | None if target.errand == Errand::Admit && !is_late(&target, now) => {
                // What its event says: a launch hook holds it.
                Member::InState("Pending:Wait".to_owned())
            }
            Some(_) | None => Member::Unknown,
        };
        if let Some(entry) = over(&target, &member, now) {
            return Err(entry);
        }
        let group = group_of(&target);
        let facts = group.as_ref().and_then(|group| groups.get(group));
        let watched = match (facts, &group) {
            (Some(facts), _) => facts.watched,
            // Without a sweep nobody has asked for tags. A hook that sends its messages to us means us.
            (None, Some(group)) if target.origin != Origin::Event => config.groups.may_watch(group),
            (None, _) => true,
        };
        if let Some(group) = group.filter(|_| !watched) {
            return Err(not_watched(&target, &group));
        }
        if facts.is_some_and(|facts| facts.paused) && target.is_recommended() {
            let message = format!("the group of {} asks to be left alone. Nothing was done", target.instance);
            return Err(ignored(&target, Reason::Paused, message));
        }
        let hold = hold(config, rules, &target, facts);
        Ok(Asked { target, hold, member, node: None })
    });
    admitted.collect()
}

/// Whether so much time has passed, or the way of the instance is such, that it may not be held any more.
fn is_late(target: &Target, now: Timestamp) -> bool {
    let old = target.told_at.is_some_and(|told| now.duration_since(told) > LATE);
    match target.errand {
        Errand::Drain(Cause::WarmPool | Cause::RootVolume) => true,
        // An interruption has a limit of its own that is stricter, and no time to ask. What has ended does not come back.
        Errand::Drain(Cause::Spot) | Errand::GiveBack | Errand::Purge(_) => false,
        Errand::Drain(_) | Errand::Admit => old,
    }
}

/// Whether what is done depends on what Auto Scaling says. Without a sweep nobody gives a node back, so that it makes no
/// difference to those that may need their nodes again.
fn needs_state(target: &Target, rules: &Rules<'_>) -> bool {
    match target.errand {
        Errand::Purge(Ending::Stopped) => true,
        Errand::Drain(Cause::StateChange) => rules.policy.sweep,
        Errand::Drain(_) => rules.policy.sweep && target.is_recommended(),
        Errand::Admit | Errand::GiveBack | Errand::Purge(Ending::Terminated) => false,
    }
}

/// What cannot be found out is `None`.
async fn members(world: &impl World, rules: &Rules<'_>, instances: Vec<InstanceId>) -> Option<Members> {
    if instances.is_empty() {
        return Some(Members::new());
    }
    let members = world.members(&instances).await;
    members
        .map_err(|error| rules.failed(&error, "what Auto Scaling says of instances could not be found out"))
        .ok()
}

/// The answer to an event that comes too late. An instance that is late and not held any more has ended, or has come
/// back. What cannot be found out is no reason to lose an event of a hook; of all others nobody knows whether they are
/// still true.
fn over(target: &Target, member: &Member, now: Timestamp) -> Option<ReportEntry> {
    if target.is_too_late(now) && target.hook.is_none() {
        let message =
            format!("{} was to be interrupted more than two minutes ago. Nothing was done", target.instance);
        return Some(ignored(target, Reason::TooLate, message));
    }
    if !is_late(target, now) {
        return None;
    }
    let state = match member {
        Member::InState(state) if target.errand == Errand::Admit && sweep::is_coming(state) => return None,
        Member::InState(state) if target.errand != Errand::Admit && sweep::cause(state).is_some() => {
            return None;
        }
        Member::InState(state) => state.as_str(),
        Member::OfNoGroup => "in no group",
        Member::Unknown if target.origin != Origin::Broadcast => return None,
        Member::Unknown => "nobody knows",
    };
    let message = if target.origin == Origin::Broadcast {
        format!(
            "the event is more than two minutes old, and nobody knows whether it is still true of {} ({state}). Nothing was done",
            target.instance
        )
    } else {
        format!("{} is not held any more ({state}): the event is late. Nothing was done", target.instance)
    };
    Some(ignored(target, Reason::NoLongerHeld, message))
}

fn ignored(target: &Target, reason: Reason, message: String) -> ReportEntry {
    tracing::info!(instance_id = %target.instance, reason = reason.as_str(), "ignored: {message}");
    ReportEntry::of_instance(target, None, reason.outcome(), reason, message)
}

/// What Auto Scaling says of a group that an event names.
struct GroupFacts {
    /// Whether the sweep looks after it.
    watched: bool,
    paused: bool,
    hooks: Vec<Hook>,
}

/// With a sweep, an event's group has to be one that the sweep looks after, and the hook's limit bounds the drain. Each
/// group is asked about once.
async fn group_facts(
    world: &impl World,
    config: &Config,
    rules: &Rules<'_>,
    targets: impl Iterator<Item = (GroupName, &Target)>,
) -> BTreeMap<GroupName, GroupFacts> {
    let mut names: BTreeMap<GroupName, bool> = BTreeMap::new();
    for (name, target) in targets {
        *names.entry(name).or_default() |= target.hook.is_some();
    }
    let facts = names.into_iter().map(|(name, is_held)| async move {
        let hooks = async { if is_held { world.hooks(&name).await } else { Ok(Vec::new()) } };
        let (group, hooks) = join(world.group(&name), hooks).await;
        // What cannot be read is no reason to lose an event.
        let group: Option<Group> = group.unwrap_or_else(|error| {
            rules.failed(&error, &format!("group {name} could not be read, so that its tags are not known"));
            None
        });
        let hooks = hooks.unwrap_or_else(|error| {
            rules.failed(&error, &format!("the hooks of {name} could not be read"));
            Vec::new()
        });
        let watched = match &group {
            Some(group) => config.groups.watches(&name, &group.tags),
            None => config.groups.may_watch(&name),
        };
        let paused = group.as_ref().is_some_and(sweep::is_paused);
        (name, GroupFacts { watched, paused, hooks })
    });
    join_all(facts).await.into_iter().collect()
}

/// The hook that holds the target, as far as it is known.
fn hold(config: &Config, rules: &Rules<'_>, target: &Target, facts: Option<&GroupFacts>) -> Option<Hold> {
    let (group, hook) = (target.group.as_ref()?, target.hook.as_ref()?);
    let ours = facts.and_then(|facts| facts.hooks.iter().find(|one| one.name == *hook));
    let settings = ours.map(|ours| sweep::settings(rules, group, ours));
    let swept = config.sweep_hooks().contains(hook);
    if config.policy.sweep && target.errand != Errand::Admit && !swept {
        rules.warn_once(&format!(
            "SWEEP is on, and the sweep does not act on hook {hook}: name it in LIFECYCLE_HOOK_NAME, or nobody goes on \
             where this invocation ends"
        ));
    }
    Some(Hold {
        settings,
        paused: facts.is_some_and(|facts| facts.paused),
        // Only the sweep knows whose turn it is, of those that it sees. An interruption does not wait.
        queued: rules.policy.max_drains_per_group.is_some() && swept && target.cause() != Some(Cause::Spot),
        ..Hold::default()
    })
}

/// An event of a hook that somebody has set up for us is worth a warning. Of everything else an account tells whoever
/// listens.
fn not_watched(target: &Target, group: &GroupName) -> ReportEntry {
    let reason = Reason::GroupNotWatched;
    if target.hook.is_none() {
        let message = format!(
            "{} is of group {group}, which the sweep does not watch: see AUTO_SCALING_GROUPS. Nothing was done",
            target.instance
        );
        return ignored(target, reason, message);
    }
    let message = format!(
        "{} is held by group {group}, which the sweep does not watch: tag it nomad-drain, or name it in \
         AUTO_SCALING_GROUPS. Nothing was done",
        target.instance
    );
    tracing::warn!(instance_id = %target.instance, auto_scaling_group = %group, reason = reason.as_str(), "{message}");
    ReportEntry::of_instance(target, None, reason.outcome(), reason, message)
}
