//! Which of the instances that an event names are ours to look after, and still: by their groups, and by what Auto Scaling
//! says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::observation::{Cause, Ending, Errand, Hold, Member, Origin, Target};
use drain_core::reason::Reason;
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};

use crate::cluster::{self, Cluster, Home};
use crate::config::{Config, GroupSelection};
use crate::error::Error;
use crate::reconcile::Looks;
use crate::report::ReportEntry;
use crate::sites::{Site, Where};
use crate::sweep;
use crate::together::{Asked, Became};
use crate::world::{Account, Clock as _, Group, GroupInstance, Hook, World, member_of};

/// An event that is older than this may be about an instance that has ended or has come back since.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What Auto Scaling says, by instance.
type Members = BTreeMap<InstanceId, GroupInstance>;

/// Who asks, and what is known before anybody is asked.
pub(crate) struct Admission<'a, W: World> {
    pub(crate) account: &'a W::Account,
    pub(crate) sites: &'a [Site<'a, W>],
    pub(crate) config: &'a Config,
    pub(crate) looks: &'a Looks,
}

impl<W: World> Admission<'_, W> {
    /// For each target what is to be looked at, and where, or what became of it without that.
    pub(crate) async fn admit(
        &self,
        targets: Vec<(Target, Option<String>)>,
    ) -> Vec<Result<(Where, Asked), Became>> {
        let Self { account, config, looks, .. } = self;
        let now = account.now();
        let asked: BTreeSet<InstanceId> = targets
            .iter()
            .map(|(target, _)| target)
            .filter(|target| is_late(target, now) || needs_state(target, config))
            .map(|target| target.instance.clone())
            .collect();
        let members = members(*account, looks, asked.iter().cloned().collect()).await;
        let group_of = |target: &Target| {
            // EC2 and AWS Health know of no group.
            let known = members
                .as_ref()
                .filter(|_| target.is_recommended())
                .and_then(|all| all.get(&target.instance));
            target.group.clone().or_else(|| known.map(|member| member.group.clone()))
        };
        let groups =
            self.group_facts(targets.iter().filter_map(|(one, _)| Some((group_of(one)?, one)))).await;
        let admitted = targets.into_iter().map(|(target, metadata)| {
            let member = match &members {
                Some(members) if asked.contains(&target.instance) => member_of(members, &target.instance),
                Some(_) | None if target.errand == Errand::Admit && !is_late(&target, now) => {
                    // What its event says: a launch hook holds it.
                    Member::InState("Pending:Wait".to_owned())
                }
                Some(_) | None => Member::Unknown,
            };
            if let Some(entry) = over(&target, &member, now) {
                return Err(Ok(vec![entry]));
            }
            let Some(group) = group_of(&target) else {
                return Ok((
                    Where::Anywhere,
                    Asked { target, hold: None, member, node: None, policy: None, state: None },
                ));
            };
            let facts = groups.get(&group);
            let place = match facts.map(|facts| &facts.home) {
                Some(Ok(Home::Of(place))) => *place,
                Some(Ok(Home::Nobodys)) | None => return Err(Ok(vec![of_no_cluster(&target, &group)])),
                Some(Ok(Home::Disputed(clusters))) => {
                    return Err(Err(Rc::new(config.wrong_document(vec![disputed(&group, clusters)]).into())));
                }
                Some(Err(error)) => return Err(Err(Rc::clone(error))),
            };
            // Without a sweep nobody looks after groups: a hook that sends its messages to us means us.
            let watched = facts.is_none_or(|facts| facts.watched);
            if !watched && (config.sweep || target.origin != Origin::Event) {
                return Err(Ok(vec![not_watched(&target, &group)]));
            }
            if facts.is_some_and(|facts| facts.paused) && target.is_recommended() {
                let message =
                    format!("the group of {} asks to be left alone. Nothing was done", target.instance);
                return Err(Ok(vec![ignored(&target, Reason::Paused, message)]));
            }
            let hold = self.hold(place, &target, facts);
            let policy = self.sites.get(place).and_then(|site| {
                // What the hook says now counts more than what it said when it held the instance.
                let hook = facts.and_then(|facts| facts.hook(target.hook.as_ref()?));
                let metadata = hook.map_or(metadata, |hook| hook.metadata.clone());
                site.policy_for(target.hook.as_ref()?, &group, metadata.as_deref()?, looks)
            });
            Ok((Where::At(place), Asked { target, hold, member, node: None, policy, state: None }))
        });
        admitted.collect()
    }

    /// What has to be known of groups. With a sweep, an event's group has to be one that the sweep looks after, and the
    /// hook's limit bounds the drain; a tag may say whose the group is. Each group is asked about once.
    async fn group_facts(
        &self,
        targets: impl Iterator<Item = (GroupName, &Target)>,
    ) -> BTreeMap<GroupName, GroupFacts> {
        let mut names: BTreeMap<GroupName, bool> = BTreeMap::new();
        for (name, target) in targets {
            *names.entry(name).or_default() |= target.hook.is_some();
        }
        let clusters: &Vec<&Cluster> = &self.sites.iter().map(|site| site.cluster).collect();
        let selection = &cluster::watched(self.config, clusters);
        let facts = names.into_iter().map(|(name, is_held)| async move {
            let facts = self.facts(clusters, selection, &name, is_held).await;
            (name, facts)
        });
        join_all(facts).await.into_iter().collect()
    }

    async fn facts(
        &self,
        clusters: &[&Cluster],
        selection: &GroupSelection,
        name: &GroupName,
        is_held: bool,
    ) -> GroupFacts {
        let Self { account, config, looks, .. } = self;
        let asks_for_tag = cluster::asks_for_tag(clusters, name);
        let hooks =
            async { if config.sweep && is_held { account.hooks(name).await } else { Ok(Vec::new()) } };
        let group = async { if config.sweep || asks_for_tag { account.group(name).await } else { Ok(None) } };
        let (group, hooks) = join(group, hooks).await;
        let hooks = hooks.unwrap_or_else(|error| {
            looks.warned.failed(&error, &format!("the hooks of {name} could not be read"));
            Vec::new()
        });
        let (group, unread): (Option<Group>, _) = match group {
            Ok(group) => (group, None),
            Err(error) => (None, Some(error)),
        };
        let tags = group.as_ref().map(|group| &group.tags);
        let home = match (cluster::home(clusters, name, tags), unread) {
            // Whose it is cannot be known, and another cluster's answer would mean nothing.
            (Home::Nobodys, Some(error)) if asks_for_tag => Err(Rc::new(error)),
            (home, unread) => {
                // What cannot be read is no reason to lose an event.
                if let Some(error) = unread {
                    let what = format!("group {name} could not be read, so that its tags are not known");
                    looks.warned.failed(&error, &what);
                }
                Ok(home)
            }
        };
        GroupFacts {
            home,
            watched: tags.map_or_else(|| selection.may_watch(name), |tags| selection.watches(name, tags)),
            paused: group.as_ref().is_some_and(sweep::is_paused),
            hooks,
        }
    }

    /// The hook that holds the target, as far as it is known.
    fn hold(&self, place: usize, target: &Target, facts: Option<&GroupFacts>) -> Option<Hold> {
        let Self { config, looks, sites, .. } = self;
        let (group, hook) = (target.group.as_ref()?, target.hook.as_ref()?);
        let ours = facts.and_then(|facts| facts.hook(hook));
        let settings = ours.map(|ours| sweep::settings(&looks.warned, group, ours));
        let swept = config.sweep_hooks().contains(hook);
        if config.sweep && target.errand != Errand::Admit && !swept {
            looks.warned.once(&format!(
                "SWEEP is on, and the sweep does not act on hook {hook}: name it in LIFECYCLE_HOOK_NAME, or nobody goes on \
                 where this invocation ends"
            ));
        }
        let limit = sites.get(place).and_then(|site| site.cluster.config.policy.max_drains_per_group);
        Some(Hold {
            settings,
            paused: facts.is_some_and(|facts| facts.paused),
            // Only the sweep knows whose turn it is, of those that it sees. An interruption does not wait.
            queued: limit.is_some() && swept && target.cause() != Some(Cause::Spot),
            ..Hold::default()
        })
    }
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
fn needs_state(target: &Target, config: &Config) -> bool {
    match target.errand {
        Errand::Purge(Ending::Stopped) => true,
        Errand::Drain(Cause::StateChange) => config.sweep,
        Errand::Drain(_) => config.sweep && target.is_recommended(),
        Errand::Admit | Errand::GiveBack | Errand::Purge(Ending::Terminated) => false,
    }
}

/// What cannot be found out is `None`.
async fn members(account: &impl Account, looks: &Looks, instances: Vec<InstanceId>) -> Option<Members> {
    if instances.is_empty() {
        return Some(Members::new());
    }
    match account.members(&instances).await {
        Ok(members) => Some(members),
        Err(error) => {
            looks.warned.failed(&error, "what Auto Scaling says of instances could not be found out");
            None
        }
    }
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
    /// Whose it is, or why nobody could find out.
    home: Result<Home, Rc<Error>>,
    /// Whether the sweep looks after it.
    watched: bool,
    paused: bool,
    hooks: Vec<Hook>,
}

impl GroupFacts {
    fn hook(&self, name: &HookName) -> Option<&Hook> {
        self.hooks.iter().find(|hook| hook.name == *name)
    }
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

/// An event of a group that no cluster's groups include. The account tells whoever listens of all its groups.
fn of_no_cluster(target: &Target, group: &GroupName) -> ReportEntry {
    let message = format!(
        "group {group} of {} is no cluster's: see CLUSTERS_PARAMETER. Nothing was done",
        target.instance
    );
    ignored(target, Reason::NoCluster, message)
}

/// What is wrong with a group that several clusters take for theirs.
pub(crate) fn disputed(group: &GroupName, clusters: &str) -> String {
    format!("group {group} is of several clusters, {clusters}: it has to be of one")
}
