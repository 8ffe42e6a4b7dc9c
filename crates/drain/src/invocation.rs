//! One invocation: from the payload to the report.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Cause, Hold, Target};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use drain_http::{HttpClient, Trust};
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use crate::config::{Config, ConfigurationError};
use crate::error::{Causes, Error};
use crate::event::{self, Event, EventError, Message};
use crate::live::{Budget, Live};
use crate::metrics;
use crate::reconcile::{Found, Rules, Subject, reconcile};
use crate::report::{Report, ReportEntry};
use crate::sweep;
use crate::world::{Group, Hook, World};

/// Instances whose nodes are looked up together.
const TOGETHER: usize = 100;

/// The function: built once in a process, invoked many times.
#[derive(Debug)]
pub struct Function {
    ready: Result<Ready, ConfigurationError>,
}

/// What every invocation shares.
#[derive(Debug)]
struct Ready {
    config: Config,
    /// For AWS, which public authorities vouch for.
    aws: HttpClient,
    /// For Nomad, which may have an authority of its own.
    nomad: HttpClient,
}

impl Function {
    /// Reads the configuration. It never fails: Lambda would start a function whose initialisation fails again and
    /// again, and say nothing of why. Each invocation says it instead.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        Self { ready: Config::parse(lookup).and_then(Ready::new) }
    }

    /// Does what one event asks for, as far as `budget` allows.
    pub async fn invoke(&self, event: &str, budget: Budget) -> Result<Report, Error> {
        let done = self.answer(event, budget).await;
        match &done {
            Ok(report) => {
                if let Some(line) = metrics::of_sweep(report, Timestamp::now()) {
                    // Standard output is the log; a log that cannot be written is no reason to fail.
                    let _ = writeln!(std::io::stdout(), "{line}");
                }
            }
            Err(error) => tracing::error!(error_type = error.name(), "{}", error.explanation()),
        }
        done
    }

    async fn answer(&self, event: &str, budget: Budget) -> Result<Report, Error> {
        let Ready { config, aws, nomad } = self.ready.as_ref().map_err(Clone::clone)?;
        match event::parse(event, config.hooks.as_deref()).map_err(Error::Event)? {
            event @ Event::Sweep => {
                let live = Live::new(config, aws, nomad, budget, SWEEPING_AT_ONCE);
                serve(&live, config, event, budget.times()).await
            }
            event @ Event::Messages(_) => {
                let live = Live::new(config, aws, nomad, budget, AT_ONCE);
                serve(&live, config, event, budget.times()).await
            }
        }
    }
}

/// The moments that bound an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Until when it looks again at what it has begun: then there is time to answer.
    pub looks_end: Timestamp,
    /// Until when it tries to begin.
    pub ends: Timestamp,
}

/// Does what one event asks for, in any world.
pub async fn serve(world: &impl World, config: &Config, event: Event, times: Times) -> Result<Report, Error> {
    match event {
        Event::Sweep => sweep(world, config, times).await,
        Event::Messages(messages) => handle(world, config, times, messages).await,
    }
}

/// Connections to Nomad at once: it allows 100 for one address, and a NAT gateway is one address for every function
/// that runs at the moment.
const AT_ONCE: usize = 2;

/// The same for a sweep, of which there is one.
const SWEEPING_AT_ONCE: usize = 24;

impl Ready {
    fn new(config: Config) -> Result<Self, ConfigurationError> {
        let unusable = |whose: &str, error: &(dyn std::error::Error + 'static)| ConfigurationError {
            problems: vec![format!("{whose} cannot be used: {}", Causes(error))],
        };
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let aws = HttpClient::new(&Trust::web())
            .map_err(|error| unusable("the certificate authorities that are built in", &error))?;
        let nomad = match &config.nomad_trust {
            Some(trust) => HttpClient::new(trust).map_err(|error| unusable("NOMAD_CACERT", &error))?,
            None => aws.clone(),
        };
        Ok(Self { config, aws, nomad })
    }
}

/// Sees every held instance through, as far as the time allows.
async fn sweep(world: &impl World, config: &Config, times: Times) -> Result<Report, Error> {
    let policy = &Policy { sweep: true, ..config.policy.clone() };
    let now = world.now();
    let rules = Rules {
        policy,
        sweeping: true,
        poll_interval: config.poll_interval,
        linger_until: times.looks_end.min(later(now, config.sweep_linger)),
        ends: times.ends,
        warned: RefCell::default(),
    };
    if !config.policy.sweep {
        rules.warn_once(
            "a sweep came, and SWEEP is off: set it on, so that events leave long drains to the sweep",
        );
    }
    let sweep::Found { groups, missing_groups, held } = sweep::find(world, config, &rules).await?;
    // Of an instance for which several hooks of ours may wait, each is a target.
    let instances: BTreeSet<&InstanceId> = held.iter().map(|(target, _)| &target.instance).collect();
    let (groups, held_count) = (Some(groups), Some(instances.len()));
    let subjects = held.into_iter().map(|(target, hold)| (target, Some(hold))).collect();
    let mut report = Report { groups, held: held_count, missing_groups, ..Report::default() };
    for done in see_through(world, &rules, subjects).await {
        match done {
            Ok(entries) => report.results.extend(entries),
            Err(error) => rules.failed(&error, "an instance could not be looked at"),
        }
    }
    Ok(report)
}

/// Does what the messages of an event ask for.
async fn handle(
    world: &impl World,
    config: &Config,
    times: Times,
    messages: Vec<Result<Message, EventError>>,
) -> Result<Report, Error> {
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
    let mut report = Report::default();
    let mut failures = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    for message in messages {
        match message {
            // One event may name an instance twice; it is seen through once.
            Ok(Message::Target(target)) if targets.iter().any(|known| known.instance == target.instance) => {}
            Ok(Message::Target(target)) => targets.push(target),
            Ok(Message::Ignored(ignored)) => {
                tracing::info!(reason = ignored.reason.as_str(), "ignored: {}", ignored.explanation);
                report.results.push(ignored.into());
            }
            Err(error) => failures.push(Error::Event(error)),
        }
    }
    let groups = if config.policy.sweep {
        group_facts(world, config, &rules, &targets).await
    } else {
        BTreeMap::new()
    };
    let targets = still_held(world, &rules, targets, &mut report).await;
    let mut subjects = Vec::new();
    for target in targets {
        let facts = target.group.as_ref().and_then(|group| groups.get(group));
        if facts.is_some_and(|facts| !facts.watched) {
            report.results.push(not_watched(&target));
            continue;
        }
        if let Some(hook) = &target.hook
            && config.policy.sweep
            && !config.sweep_hooks().contains(hook)
        {
            rules.warn_once(&format!(
                "SWEEP is on, and the sweep does not act on hook {hook}: name it in LIFECYCLE_HOOK_NAME, or nobody goes on \
                 where this invocation ends"
            ));
        }
        let hold = hold(&rules, &target, facts);
        subjects.push((target, hold));
    }
    for done in see_through(world, &rules, subjects).await {
        match done {
            Ok(entries) => report.results.extend(entries),
            Err(error) => failures.push(error),
        }
    }
    conclude(report, failures)
}

/// An event that is older than this may be about an instance that has ended or has come back since.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Leaves out the targets of late events whose instances are not held any more, and of those that were on their way to
/// somewhere else than their end. What cannot be found out is no reason to lose an event.
async fn still_held(
    world: &impl World,
    rules: &Rules<'_>,
    targets: Vec<Target>,
    report: &mut Report,
) -> Vec<Target> {
    let now = world.now();
    let is_late = |target: &Target| {
        target.cause != Cause::Terminate
            || target.hook_started_at.is_some_and(|began| now.duration_since(began) > LATE)
    };
    let late: Vec<InstanceId> =
        targets.iter().filter(|target| is_late(target)).map(|target| target.instance.clone()).collect();
    if late.is_empty() {
        return targets;
    }
    let states = match world.states(&late).await {
        Ok(states) => states,
        Err(error) => {
            rules
                .failed(&error, "whether the instances of late events are still held could not be found out");
            return targets;
        }
    };
    let held = |target: &Target| {
        !late.contains(&target.instance)
            || states.get(&target.instance).is_some_and(|state| sweep::cause(state).is_some())
    };
    let (held, gone): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(held);
    report.results.extend(gone.iter().map(|target| {
        let state = states.get(&target.instance).map_or("in no group", String::as_str);
        no_longer_held(target, state)
    }));
    held
}

fn no_longer_held(target: &Target, state: &str) -> ReportEntry {
    let reason = Reason::NoLongerHeld;
    let message =
        format!("{} is not held any more ({state}): the event is late. Nothing was done", target.instance);
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
    targets: &[Target],
) -> BTreeMap<GroupName, GroupFacts> {
    let names: BTreeSet<&GroupName> = targets.iter().filter_map(|target| target.group.as_ref()).collect();
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
    Some(Hold { settings, paused: facts.is_some_and(|facts| facts.paused), ..Hold::default() })
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

/// Looks the nodes of all instances up in as few calls as there can be, and sees each instance through, all at once:
/// none waits for another.
async fn see_through(
    world: &impl World,
    rules: &Rules<'_>,
    mut subjects: Vec<(Target, Option<Hold>)>,
) -> Vec<Result<Vec<ReportEntry>, Error>> {
    let mut together = Vec::new();
    while !subjects.is_empty() {
        let rest = subjects.split_off(subjects.len().min(TOGETHER));
        together.push(see_some_through(world, rules, std::mem::replace(&mut subjects, rest)));
    }
    join_all(together).await.into_iter().flatten().collect()
}

async fn see_some_through(
    world: &impl World,
    rules: &Rules<'_>,
    subjects: Vec<(Target, Option<Hold>)>,
) -> Vec<Result<Vec<ReportEntry>, Error>> {
    let paused = |hold: &Option<Hold>| rules.policy.pause || hold.as_ref().is_some_and(|hold| hold.paused);
    let wanted: BTreeSet<InstanceId> = subjects
        .iter()
        .filter(|(_, hold)| !paused(hold))
        .map(|(target, _)| target.instance.clone())
        .collect();
    let wanted: Vec<InstanceId> = wanted.into_iter().collect();
    let read_at = world.now();
    let mut nodes = if wanted.is_empty() { Ok(BTreeMap::new()) } else { find(world, rules, &wanted).await };
    let cases = subjects.into_iter().map(|(target, hold)| {
        let found = match &mut nodes {
            Ok(nodes) => match nodes.get(&target.instance) {
                Some(nodes) => Found::Nodes(nodes.clone(), read_at),
                None => Found::Nothing,
            },
            Err(error) => Found::Failed(error.obstacle()),
        };
        let span = tracing::info_span!(
            "drain",
            instance_id = %target.instance,
            auto_scaling_group = target.group.as_ref().map(tracing::field::display),
            lifecycle_hook = target.hook.as_ref().map(tracing::field::display),
        );
        reconcile(world, rules, Subject { target, hold, found }).instrument(span)
    });
    let cases: Vec<_> = cases.collect();
    match nodes {
        Err(error) if !rules.sweeping => vec![Err(error)],
        Ok(_) | Err(_) => join_all(cases).await,
    }
}

/// Looks nodes up by attribute. An event tries again as long as there is time, so that it is not lost; a sweep keeps
/// the instances alive instead, and the next one looks again.
async fn find(
    world: &impl World,
    rules: &Rules<'_>,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, Vec<drain_core::observation::Node>>, Error> {
    let mut attempts = 0;
    let mut earlier = None;
    loop {
        let error = match world.nodes_by_attribute(instances).await {
            Ok(nodes) => return Ok(nodes),
            Err(error) => error.or_earlier(earlier),
        };
        attempts += 1;
        let next = later(world.now(), world.backoff(attempts));
        if rules.sweeping || !error.is_transient() || next > rules.ends {
            if rules.sweeping {
                tracing::error!(error_type = error.name(), "{}", error.explanation());
            }
            return Err(error);
        }
        earlier = Some(error);
        world.sleep_until(next).await;
    }
}

/// One failure fails the invocation, so that whoever sent the event sends it again: what has succeeded by then is
/// recognised and not done twice. All failures are logged; the first one is the answer.
fn conclude(report: Report, failures: Vec<Error>) -> Result<Report, Error> {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(report) };
    for error in failures {
        tracing::error!(error_type = error.name(), "{}", error.explanation());
    }
    Err(first)
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}
