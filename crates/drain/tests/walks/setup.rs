//! What a walk finds when it begins: policies, hooks, instances, nodes and jobs, all at random.

use std::time::Duration;

use drain::config::Config;
use drain_lab::aws::{ActionResult, GroupSettings, LifecycleHook, NotificationTarget};
use drain_lab::nomad::JobSpec;
use proptest::prelude::*;

/// The group that we watch, and the one that has no hook of ours.
pub(crate) const GROUP: &str = "workers";
pub(crate) const STRANGERS: &str = "strangers";

/// Our hook, and somebody else's.
pub(crate) const OURS: &str = "nomad-drain-hook";
pub(crate) const THEIRS: &str = "their-hook";

/// A namespace that a token with little sight does not see.
pub(crate) const HIDDEN: &str = "hidden";

/// Everything that a walk begins with. Durations are in seconds.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Setup {
    pub(crate) nodes: Vec<Joins>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) policy: Policies,
    pub(crate) heartbeat_timeout: u32,
    pub(crate) other_hook: Option<Place>,
    pub(crate) strangers: bool,
    pub(crate) hook_named: bool,
    pub(crate) abandons_by_default: bool,
    pub(crate) retains: bool,
    pub(crate) sees_everything: bool,
    /// How long an invocation may take.
    pub(crate) lambda_timeout: u32,
}

/// When the node of an instance joins the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Joins {
    Now,
    After(u32),
    Never,
}

/// Whether somebody else's hook holds an instance before ours or after it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Before,
    After,
}

/// The variables that a walk sets.
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    pub(crate) sweep: bool,
    pub(crate) pause: bool,
    pub(crate) deadline: u32,
    pub(crate) max_hold: Option<u32>,
    pub(crate) kill_grace: u32,
    pub(crate) join_grace: u32,
    pub(crate) disconnected_grace: u32,
    pub(crate) down_grace: u32,
    pub(crate) settle: u32,
    pub(crate) ignore_system_jobs: bool,
    pub(crate) on_drain_timeout: &'static str,
    pub(crate) on_node_not_found: &'static str,
    pub(crate) sweep_linger: u32,
    pub(crate) event_linger: Option<u32>,
    pub(crate) poll: u32,
    /// Whether recommendations and scheduled changes drain.
    pub(crate) may_survive: bool,
    pub(crate) restore_after: u32,
    pub(crate) most_drains: Option<u32>,
}

/// A job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) kind: JobKind,
    pub(crate) count: u8,
    /// How long its tasks take to stop.
    pub(crate) stops_in: u32,
    /// How long they run, if they end.
    pub(crate) runs_for: Option<u32>,
    pub(crate) hidden: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum JobKind {
    Service,
    /// A service of which nothing moves before the deadline.
    Stubborn,
    Batch,
    System,
    Sysbatch,
}

/// Random beginnings.
pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let cluster = (prop::collection::vec(joins(), 2..=3), prop::collection::vec(jobs(), 0..4), policies());
    let place = prop_oneof![2 => Just(None), 1 => Just(Some(Place::Before)), 1 => Just(Some(Place::After))];
    let hook = (heartbeat_timeouts(), place, any::<bool>(), any::<bool>(), prop::bool::weighted(0.3));
    let rest =
        (prop::bool::weighted(0.2), prop::bool::weighted(0.85), prop_oneof![Just(60), Just(120), Just(900)]);
    (cluster, hook, rest).prop_map(|(cluster, hook, rest)| {
        let (nodes, jobs, policy) = cluster;
        let (heartbeat_timeout, other_hook, hook_named, abandons_by_default, retains) = hook;
        let (strangers, sees_everything, lambda_timeout) = rest;
        Setup {
            nodes,
            jobs,
            policy,
            heartbeat_timeout,
            other_hook,
            strangers,
            hook_named,
            abandons_by_default,
            retains,
            sees_everything,
            lambda_timeout,
        }
    })
}

fn joins() -> impl Strategy<Value = Joins> {
    prop_oneof![8 => Just(Joins::Now), 1 => (1_u32..600).prop_map(Joins::After), 1 => Just(Joins::Never)]
}

fn heartbeat_timeouts() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(300_u32), 2 => 300_u32..1000, 1 => Just(3600_u32), 1 => Just(7200_u32)]
}

/// A job that somebody adds.
pub(crate) fn jobs() -> impl Strategy<Value = Job> {
    let kind = prop_oneof![
        4 => Just(JobKind::Service),
        1 => Just(JobKind::Stubborn),
        3 => Just(JobKind::Batch),
        2 => Just(JobKind::System),
        1 => Just(JobKind::Sysbatch),
    ];
    let stops_in = prop_oneof![4 => 0_u32..10, 2 => 10_u32..300, 1 => 300_u32..2000];
    let runs_for = prop::option::of(prop_oneof![10_u32..300, 300_u32..10_000]);
    let rest = (stops_in, runs_for, prop::bool::weighted(0.2));
    (kind, 1_u8..5, rest).prop_map(|(kind, count, (stops_in, runs_for, hidden))| Job {
        kind,
        count,
        stops_in,
        runs_for,
        hidden,
    })
}

fn policies() -> impl Strategy<Value = Policies> {
    let deadline = prop_oneof![3 => 30_u32..300, 3 => 300_u32..1200, 1 => 1200_u32..7200];
    let max_hold = prop_oneof![4 => Just(None), 1 => (300_u32..7200).prop_map(Some)];
    let switches = (prop::bool::weighted(0.85), prop::bool::weighted(0.03), any::<bool>());
    let times = (deadline, max_hold, 1_u32..300, prop_oneof![Just(300_u32), 10_u32..900]);
    let graces = (10_u32..300, 10_u32..300, prop_oneof![3 => Just(0_u32), 1 => 1_u32..120]);
    let words = (
        prop_oneof![3 => Just("continue"), 1 => Just("abandon")],
        prop_oneof![3 => Just("continue"), 1 => Just("abandon"), 1 => Just("hold")],
    );
    let returns = (any::<bool>(), 60_u32..2400, prop::option::weighted(0.1, 1_u32..=2));
    let looks = (prop_oneof![Just(1_u32), Just(20), Just(50)], prop::option::of(1_u32..40), 5_u32..25);
    let all = (switches, times, graces, words, looks, returns);
    all.prop_map(|(switches, times, graces, words, looks, returns)| Policies {
        sweep: switches.0,
        pause: switches.1,
        ignore_system_jobs: switches.2,
        deadline: times.0,
        max_hold: times.1,
        kill_grace: times.2,
        join_grace: times.3,
        disconnected_grace: graces.0,
        down_grace: graces.1,
        settle: graces.2,
        on_drain_timeout: words.0,
        on_node_not_found: words.1,
        sweep_linger: looks.0,
        event_linger: looks.1,
        poll: looks.2,
        may_survive: returns.0,
        restore_after: returns.1,
        most_drains: returns.2,
    })
}

impl Setup {
    /// What the function reads out of its environment.
    pub(crate) fn config(&self) -> Config {
        let seconds = |seconds: u32| Some(format!("{seconds}s"));
        let policy = &self.policy;
        Config::parse(|name| match name {
            "NOMAD_ADDR" => Some("http://nomad".to_owned()),
            "NOMAD_TOKEN_PARAMETER" => Some("/token".to_owned()),
            "NODE_LOOKUP" => Some("server".to_owned()),
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("nothing".to_owned()),
            "LIFECYCLE_HOOK_NAME" => self.hook_named.then(|| OURS.to_owned()),
            "SWEEP" => Some(policy.sweep.to_string()),
            "PAUSE" => Some(policy.pause.to_string()),
            "DRAIN_DEADLINE" => seconds(policy.deadline),
            "MAX_HOLD" => policy.max_hold.and_then(seconds),
            "KILL_GRACE" => seconds(policy.kill_grace),
            "NODE_JOIN_GRACE" => seconds(policy.join_grace),
            "DISCONNECTED_GRACE" => seconds(policy.disconnected_grace),
            "DOWN_GRACE" => seconds(policy.down_grace),
            "SETTLE_DELAY" if policy.settle > 0 => seconds(policy.settle),
            "DRAIN_IGNORE_SYSTEM_JOBS" => Some(policy.ignore_system_jobs.to_string()),
            "ON_DRAIN_TIMEOUT" => Some(policy.on_drain_timeout.to_owned()),
            "ON_NODE_NOT_FOUND" => Some(policy.on_node_not_found.to_owned()),
            "SWEEP_LINGER" => seconds(policy.sweep_linger),
            "EVENT_LINGER" => policy.event_linger.and_then(seconds),
            "POLL_INTERVAL" => seconds(policy.poll),
            "ON_REBALANCE" | "ON_SCHEDULED_CHANGE" => policy.may_survive.then(|| "drain".to_owned()),
            "RESTORE_AFTER" => seconds(policy.restore_after),
            "MAX_DRAINS_PER_GROUP" => policy.most_drains.map(|most| most.to_string()),
            _ => None,
        })
        .unwrap()
    }

    /// The groups, each with its hooks in order.
    pub(crate) fn groups(&self) -> Vec<(GroupSettings, Vec<LifecycleHook>)> {
        let topic =
            || NotificationTarget::Sns { topic_arn: "arn:aws:sns:us-east-1:123456789012:t".to_owned() };
        let ours = LifecycleHook {
            heartbeat_timeout: self.heartbeat_timeout,
            default_result: if self.abandons_by_default {
                ActionResult::Abandon
            } else {
                ActionResult::Continue
            },
            target: topic(),
            ..LifecycleHook::terminating(OURS)
        };
        // The messages of another hook reach us only if we have been told which hook is ours.
        let target = if self.hook_named { topic() } else { NotificationTarget::None };
        let theirs = LifecycleHook { target, heartbeat_timeout: 900, ..LifecycleHook::terminating(THEIRS) };
        let hooks = match self.other_hook {
            None => vec![ours],
            Some(Place::Before) => vec![theirs.clone(), ours],
            Some(Place::After) => vec![ours, theirs.clone()],
        };
        let mut groups = vec![(self.group(GROUP), hooks)];
        if self.strangers {
            groups.push((self.group(STRANGERS), vec![theirs]));
        }
        groups
    }

    fn group(&self, name: &str) -> GroupSettings {
        let mut settings = GroupSettings::named(name);
        settings.tags.insert("nomad-drain".to_owned(), "on".to_owned());
        settings.retain_on_abandon = self.retains;
        settings
    }
}

impl Job {
    /// The job as Nomad gets it.
    pub(crate) fn spec(self, id: &str) -> JobSpec {
        let count = usize::from(self.count);
        let spec = match self.kind {
            JobKind::Service => JobSpec::service(id, count).max_parallel(2),
            JobKind::Stubborn => JobSpec::service(id, count).max_parallel(0),
            JobKind::Batch => JobSpec::batch(id, count),
            JobKind::System => JobSpec::system(id),
            JobKind::Sysbatch => JobSpec::sysbatch(id),
        };
        let stops_in = Duration::from_secs(u64::from(self.stops_in));
        let spec = spec.kill_timeout(stops_in).stop_takes(stops_in);
        let spec = if self.hidden { spec.namespace(HIDDEN) } else { spec };
        match self.runs_for {
            Some(time) => spec.runs_for(Duration::from_secs(u64::from(time))),
            None => spec,
        }
    }
}
