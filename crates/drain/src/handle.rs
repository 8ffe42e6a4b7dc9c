//! Events: which of the instances that they name are ours to look after, and what became of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Cause, Ending, Errand, Hold, Member, Origin, Target};
use drain_core::reason::Reason;
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::error::Error;
use crate::event::{Delivery, Message};
use crate::invocation::{Handled, Times};
use crate::later;
use crate::reconcile::Rules;
use crate::report::{Report, ReportEntry};
use crate::sweep;
use crate::together::{Asked, see_through};
use crate::world::{Group, GroupInstance, Hook, World};

/// An event that is older than this may be about an instance that has ended or has come back since.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// An instance, and which parts of the event named it.
struct Named {
    target: Target,
    deliveries: BTreeSet<usize>,
}

/// Does what the parts of an event ask for. A part fails if something that it asked for did: whoever sent it sends it
/// again, and what has succeeded by then is recognised and not done twice.
pub(crate) async fn handle(
    world: &impl World,
    config: &Config,
    times: Times,
    deliveries: Vec<Delivery>,
) -> Handled {
    let now = world.now();
    let lingers = config.event_linger.map_or(Timestamp::MAX, |linger| later(now, linger));
    let rules = Rules {
        policy: &config.policy,
        sweeping: false,
        poll_interval: config.poll_interval,
        linger_until: times.looks_end.min(lingers),
        ends: times.ends,
        warned: RefCell::default(),
    };
    if !config.policy.sweep && deliveries.iter().any(|delivery| delivery.queue_message.is_some()) {
        rules.warn_once(
            "messages come from a queue, and SWEEP is off: a drain that outlasts this invocation is left to the hook's \
             time-out, because a message that has begun its drain is done with",
        );
    }
    let mut handled = Handled::of(&deliveries);
    let named = targets(deliveries, now, &mut handled);
    let (named, asked) = admitted(world, config, &rules, named, &mut handled.report).await;
    for (named, done) in named.iter().zip(see_through(world, &rules, asked).await) {
        match done {
            Ok(entries) => handled.report.results.extend(entries),
            Err(error) => {
                for delivery in &named.deliveries {
                    handled.failed(*delivery, &error);
                }
            }
        }
    }
    handled
}

/// The instances that an event names, each once for whatever is to be done.
fn targets(deliveries: Vec<Delivery>, now: Timestamp, handled: &mut Handled) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut places: BTreeMap<(InstanceId, Task), usize> = BTreeMap::new();
    for (index, delivery) in deliveries.into_iter().enumerate() {
        let messages = match delivery.messages {
            Ok(messages) => messages,
            Err(error) => {
                handled.failed(index, &Rc::new(Error::Event(error)));
                continue;
            }
        };
        for message in messages {
            match message {
                Message::Target(target) => {
                    let task = (target.instance.clone(), Task::of(target.errand));
                    let place = *places.entry(task).or_insert(all.len());
                    match all.get_mut(place) {
                        Some(known) => {
                            known.target = merged(&known.target, target, now);
                            known.deliveries.insert(index);
                        }
                        None => all.push(Named { target, deliveries: BTreeSet::from([index]) }),
                    }
                }
                Message::Ignored(ignored) => {
                    tracing::info!(reason = ignored.reason.as_str(), "ignored: {}", ignored.explanation);
                    handled.report.results.push(ignored.into());
                }
            }
        }
    }
    all
}

/// What is to be done, whatever the reason for it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Task {
    Drain,
    Admit,
    GiveBack,
    Purge,
}

impl Task {
    fn of(errand: Errand) -> Self {
        match errand {
            Errand::Drain(_) => Self::Drain,
            Errand::Admit => Self::Admit,
            Errand::GiveBack => Self::GiveBack,
            Errand::Purge(_) => Self::Purge,
        }
    }
}

/// Of two reasons to drain an instance the hook's is the one that can be completed, and an interruption the one that does
/// not wait, unless it was so long ago that it says nothing any more.
fn merged(one: &Target, other: Target, now: Timestamp) -> Target {
    let urgency = |target: &Target| match (target.cause(), target.origin) {
        (_, Origin::Event | Origin::Bus | Origin::Sweep) => 4,
        (Some(Cause::Spot), Origin::Broadcast) => 3,
        (Some(Cause::StateChange), Origin::Broadcast) => 2,
        (Some(Cause::ScheduledChange), Origin::Broadcast) => 1,
        (_, Origin::Broadcast) => 0,
    };
    let interrupts = |target: &&Target| target.cause() == Some(Cause::Spot) && !target.is_too_late(now);
    let spot = [one, &other].into_iter().find(interrupts);
    let interrupted = spot.map(|target| (target.errand, target.told_at));
    let mut first = if urgency(&other) > urgency(one) { other } else { one.clone() };
    if let Some((errand, told_at)) = interrupted {
        (first.errand, first.told_at) = (errand, told_at);
    }
    first
}

/// Leaves out what is not ours to look after, or not any more, and says so.
async fn admitted(
    world: &impl World,
    config: &Config,
    rules: &Rules<'_>,
    named: Vec<Named>,
    report: &mut Report,
) -> (Vec<Named>, Vec<Asked>) {
    let now = world.now();
    let groups = if config.policy.sweep {
        group_facts(world, config, rules, named.iter().map(|named| &named.target)).await
    } else {
        BTreeMap::new()
    };
    let asked: BTreeSet<InstanceId> = named
        .iter()
        .filter(|named| is_late(&named.target, now) || needs_state(&named.target))
        .map(|named| named.target.instance.clone())
        .collect();
    let members = if asked.is_empty() {
        Some(BTreeMap::new())
    } else {
        members(world, rules, &asked.iter().cloned().collect::<Vec<_>>()).await
    };
    let mut all = (Vec::new(), Vec::new());
    for named in named {
        let target = &named.target;
        let member = match &members {
            Some(members) if asked.contains(&target.instance) => member_of(members, &target.instance),
            Some(_) | None if target.errand == Errand::Admit && !is_late(target, now) => {
                // What its event says: a launch hook holds it.
                Member::InState("Pending:Wait".to_owned())
            }
            Some(_) | None => Member::Unknown,
        };
        if let Some(entry) = over(target, &member, now) {
            report.results.push(entry);
            continue;
        }
        let facts = target.group.as_ref().and_then(|group| groups.get(group));
        let watched = match (facts, &target.group) {
            (Some(facts), _) => facts.watched,
            // Without a sweep nobody has asked for tags. A hook that sends its messages to us means us.
            (None, Some(group)) if target.origin != Origin::Event => config.groups.may_watch(group),
            (None, _) => true,
        };
        if !watched {
            report.results.push(not_watched(target));
            continue;
        }
        if let Some(hook) = &target.hook
            && config.policy.sweep
            && target.errand != Errand::Admit
            && !config.sweep_hooks().contains(hook)
        {
            rules.warn_once(&format!(
                "SWEEP is on, and the sweep does not act on hook {hook}: name it in LIFECYCLE_HOOK_NAME, or nobody goes on \
                 where this invocation ends"
            ));
        }
        let hold = hold(rules, target, facts);
        all.1.push(Asked { target: target.clone(), hold, member, node: None });
        all.0.push(named);
    }
    all
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

/// Whether the decision depends on what Auto Scaling says.
fn needs_state(target: &Target) -> bool {
    target.errand == Errand::Purge(Ending::Stopped)
}

/// What cannot be found out is `None`.
async fn members(
    world: &impl World,
    rules: &Rules<'_>,
    instances: &[InstanceId],
) -> Option<BTreeMap<InstanceId, GroupInstance>> {
    match world.members(instances).await {
        Ok(members) => Some(members),
        Err(error) => {
            rules
                .failed(&error, "whether the instances of late events are still held could not be found out");
            None
        }
    }
}

fn member_of(members: &BTreeMap<InstanceId, GroupInstance>, instance: &InstanceId) -> Member {
    members.get(instance).map_or(Member::OfNoGroup, |member| Member::InState(member.state.clone()))
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
    let message =
        format!("{} is not held any more ({state}): the event is late. Nothing was done", target.instance);
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
    targets: impl Iterator<Item = &Target>,
) -> BTreeMap<GroupName, GroupFacts> {
    let names: BTreeSet<&GroupName> = targets.filter_map(|target| target.group.as_ref()).collect();
    let facts = names.into_iter().map(|name| async move {
        let (group, hooks) = join(world.group(name), world.hooks(name)).await;
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
            Some(group) => config.groups.watches(name, &group.tags),
            None => config.groups.may_watch(name),
        };
        let paused = group.as_ref().is_some_and(sweep::is_paused);
        (name.clone(), GroupFacts { watched, paused, hooks })
    });
    join_all(facts).await.into_iter().collect()
}

/// The hook that holds the target, as far as it is known.
fn hold(rules: &Rules<'_>, target: &Target, facts: Option<&GroupFacts>) -> Option<Hold> {
    let (group, hook) = (target.group.as_ref()?, target.hook.as_ref()?);
    let ours = facts.and_then(|facts| facts.hooks.iter().find(|one| one.name == *hook));
    let settings = ours.map(|ours| sweep::settings(rules, group, ours));
    Some(Hold {
        settings,
        paused: facts.is_some_and(|facts| facts.paused),
        // Only the sweep knows whose turn it is. An interruption does not wait.
        queued: rules.policy.max_drains_per_group.is_some() && target.cause() != Some(Cause::Spot),
        ..Hold::default()
    })
}

fn not_watched(target: &Target) -> ReportEntry {
    let reason = Reason::GroupNotWatched;
    let group = target.group.as_ref().map_or("no group", GroupName::as_str);
    let message = format!(
        "{} is held by group {group}, which the sweep does not watch: tag it nomad-drain, or name it in \
         AUTO_SCALING_GROUPS. Nothing was done",
        target.instance
    );
    tracing::warn!(instance_id = %target.instance, auto_scaling_group = group, reason = reason.as_str(), "{message}");
    ReportEntry::of_instance(target, None, reason.outcome(), reason, message)
}
