//! The models of one lab, joined as in the real world and without a runtime: no tasks, no sockets, no processes.
//!
//! For property tests, which need thousands of labs: everything is called directly, and only [`Models::advance`] lets
//! time pass. The same calls give the same story, ids included. [`crate::lab::Lab`] adds HTTP and a function.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::aws::{Account, ActionResult, ApiError, Aws, Ec2Event, Ec2News, Ec2State, Event};
use crate::aws::{GroupSettings, LifecycleHook, NotificationTarget, ParameterType};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::nomad::{Access, NodeSpec, NodeView, Nomad, Policy, Token};

/// The SSM parameter that holds the token: where the function looks for it if it is told nothing but `ENV=lab` and the
/// region.
pub const TOKEN_PARAMETER: &str = "/lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN";

/// The token in it. Tests look for it where it must not be.
pub const TOKEN: &str = "5f0c1a3e-7d42-4b0e-9a66-3f1de2c0ab17";

/// The hook that every group of a lab has, unless it is made without.
pub const HOOK: &str = "nomad-drain-hook";

/// The hook that [`Models::add_launch_hook`] adds.
pub const LAUNCH_HOOK: &str = "nomad-launch-hook";

/// The topic to which the hook's messages go, and to which the function is subscribed.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:nomad-drain";

/// The address before the first of [`Models::add_workers`].
const FIRST_OF_MANY: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// An AWS account and a Nomad cluster.
#[derive(Debug)]
pub struct Models {
    /// The time of everything in it.
    pub clock: Clock,
    /// What happened.
    pub journal: Journal,
    /// What shall go wrong.
    pub faults: Faults,
    /// The account.
    pub aws: Aws,
    /// The cluster, with ACLs on.
    pub nomad: Nomad,
    news: Mutex<News>,
    /// How many workers came by [`Models::add_workers`].
    added: AtomicU32,
}

#[derive(Debug, Default)]
struct News {
    /// None if somebody else carries the news.
    source: Option<UnboundedReceiver<Event>>,
    /// What nobody has taken yet.
    heard: Vec<Event>,
}

/// An instance that runs a Nomad client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker {
    /// The instance.
    pub instance_id: String,
    /// Its node.
    pub node_id: String,
    /// The node's name.
    pub name: String,
    /// The instance's private address.
    pub private_ip: Ipv4Addr,
}

impl Models {
    /// Models without groups or nodes.
    pub fn new(clock: Clock) -> Self {
        let journal = Journal::new(clock.clone());
        Self::with_journal(clock, journal)
    }

    /// The same without a journal, for those who tell thousands of stories and read none.
    pub fn unrecorded(clock: Clock) -> Self {
        let journal = Journal::off(clock.clone());
        Self::with_journal(clock, journal)
    }

    fn with_journal(clock: Clock, journal: Journal) -> Self {
        let models = Self::unwired(clock, journal);
        models.news().source = Some(models.aws.events());
        models
    }

    /// Models for a lab that carries the news between them by itself.
    pub(crate) fn unwired(clock: Clock, journal: Journal) -> Self {
        let faults = Faults::default();
        let aws = Aws::with_account(Account::default(), clock.clone(), journal.clone(), faults.clone());
        aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, TOKEN);
        let nomad = Nomad::new(clock.clone(), journal.clone(), faults.clone());
        nomad.enable_acl();
        // What the function needs to find nodes, to drain them, and to see the end of their allocations.
        nomad.add_policy("nomad-drain", Policy::minimal().agent(Access::Read));
        nomad.add_token(Token::client(TOKEN, &["nomad-drain"]));
        Self { clock, journal, faults, aws, nomad, news: Mutex::default(), added: AtomicU32::new(0) }
    }

    /// Creates a group with a terminate hook whose messages go to the topic.
    pub fn add_group(&self, name: &str, heartbeat_timeout: u32) -> Result<(), ApiError> {
        self.add_group_with(GroupSettings::named(name), [Self::hook(heartbeat_timeout)])
    }

    /// Creates a group with these hooks, which hold an instance in this order.
    pub fn add_group_with(
        &self,
        settings: GroupSettings,
        hooks: impl IntoIterator<Item = LifecycleHook>,
    ) -> Result<(), ApiError> {
        let name = settings.name.clone();
        self.aws.create_group(settings);
        hooks.into_iter().try_for_each(|hook| self.aws.put_lifecycle_hook(&name, hook))
    }

    /// The terminate hook of the function: [`HOOK`], CONTINUE, its messages to the topic.
    pub fn hook(heartbeat_timeout: u32) -> LifecycleHook {
        LifecycleHook {
            heartbeat_timeout,
            default_result: ActionResult::Continue,
            target: NotificationTarget::Sns { topic_arn: TOPIC.to_owned() },
            ..LifecycleHook::terminating(HOOK)
        }
    }

    /// Adds a launch hook to a group, [`LAUNCH_HOOK`]: it holds whatever comes up, and gives it up when nobody says
    /// otherwise in time. Its messages go to the topic.
    pub fn add_launch_hook(&self, group: &str, heartbeat_timeout: u32) -> Result<(), ApiError> {
        let target = NotificationTarget::Sns { topic_arn: TOPIC.to_owned() };
        let hook = LifecycleHook { heartbeat_timeout, target, ..LifecycleHook::launching(LAUNCH_HOOK) };
        self.aws.put_lifecycle_hook(group, hook)
    }

    /// Adds an instance to a group, and the Nomad node that runs on it. `number` makes its name and its address, which
    /// is on the loopback network.
    pub fn add_worker(&self, group: &str, number: u8) -> Result<Worker, ApiError> {
        self.add_worker_as(group, number, |instance_id, node| node.instance_id(instance_id))
    }

    /// Adds many workers to a group at once, thousands if need be. Their addresses, `127.1.0.1` and so on, are never those
    /// of [`Models::add_worker`] nor those of workers that were added so before; their names number them in their order.
    pub fn add_workers(&self, group: &str, count: u32) -> Result<Vec<Worker>, ApiError> {
        let first = self.added.fetch_add(count, Ordering::SeqCst) + 1;
        let mut workers = Vec::new();
        for number in first..first + count {
            let private_ip = Ipv4Addr::from_bits(FIRST_OF_MANY.to_bits() + number);
            let instance_id = self.aws.add_instance(group, Some(private_ip))?;
            let (node_id, name) = (String::new(), format!("many-{number}"));
            workers.push(Worker { instance_id, node_id, name, private_ip });
        }
        let spec = |worker: &Worker| {
            let spec = NodeSpec::new(&worker.name).address(worker.private_ip.to_string());
            spec.instance_id(&worker.instance_id)
        };
        let nodes = self.nomad.add_nodes(workers.iter().map(spec));
        for (worker, node_id) in workers.iter_mut().zip(nodes) {
            worker.node_id = node_id;
        }
        Ok(workers)
    }

    /// As [`Models::add_worker`], with a node that is not quite as it should be.
    pub fn add_worker_as(
        &self,
        group: &str,
        number: u8,
        adjust: impl FnOnce(&str, NodeSpec) -> NodeSpec,
    ) -> Result<Worker, ApiError> {
        self.put_worker(group, number, |instance_id, spec| self.nomad.add_node(adjust(instance_id, spec)))
    }

    /// The same, with a node that registers only at `moment`.
    pub fn add_late_worker(&self, group: &str, number: u8, moment: Timestamp) -> Result<Worker, ApiError> {
        self.put_worker(group, number, |instance_id, spec| {
            self.nomad.add_node_at(moment, spec.instance_id(instance_id))
        })
    }

    fn put_worker(
        &self,
        group: &str,
        number: u8,
        join: impl FnOnce(&str, NodeSpec) -> String,
    ) -> Result<Worker, ApiError> {
        let private_ip = Ipv4Addr::new(127, 0, 1, number);
        let instance_id = self.aws.add_instance(group, Some(private_ip))?;
        let name = format!("worker-{number}");
        let node_id = join(&instance_id, NodeSpec::new(&name).address(private_ip.to_string()));
        Ok(Worker { instance_id, node_id, name, private_ip })
    }

    /// The node of a worker.
    pub fn node(&self, worker: &Worker) -> Option<NodeView> {
        self.nomad.node(&worker.node_id)
    }

    /// When the next thing happens by itself in any model.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.aws.next_due().into_iter().chain(self.nomad.next_due()).min()
    }

    /// Turns the clock, halting at every moment at which something happens: what one model does is known to the other
    /// at that very moment.
    pub fn advance(&self, by: Duration) {
        let target = self.clock.now() + SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        loop {
            self.settle();
            let now = self.clock.now();
            let next = self.next_due().filter(|due| *due > now).map_or(target, |due| due.min(target));
            self.clock.advance(next.duration_since(now).unsigned_abs());
            if next == target {
                break;
            }
        }
        self.settle();
    }

    /// Turns the clock to a moment; not back.
    pub fn advance_to(&self, moment: Timestamp) {
        let left = moment.duration_since(self.clock.now());
        self.advance(left.max(SignedDuration::ZERO).unsigned_abs());
    }

    /// Carries what the account has announced to the cluster: an instance that ends takes its client with it.
    /// [`Models::advance`] does so by itself; whoever ends an instance and asks at once calls this.
    pub fn settle(&self) {
        // A look lets happen, and be announced, what has become due.
        self.aws.next_due();
        let mut news = self.news();
        while let Some(event) = news.source.as_mut().and_then(|source| source.try_recv().ok()) {
            follow(&event, &self.nomad);
            news.heard.push(event);
        }
    }

    /// Everything that the account has announced since the last time: the messages of hooks, and of EC2. Whether and
    /// when they arrive anywhere is up to the caller.
    pub fn take_events(&self) -> Vec<Event> {
        self.settle();
        std::mem::take(&mut self.news().heard)
    }

    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does to the cluster what an announcement of the account means for it.
pub(crate) fn follow(event: &Event, nomad: &Nomad) {
    let Event::Ec2(Ec2Event { instance_id, private_ip, news, .. }) = event else { return };
    match news {
        Ec2News::StateChanged(Ec2State::ShuttingDown | Ec2State::Stopped) => {
            nomad.end_machine(instance_id, *private_ip);
        }
        Ec2News::StateChanged(Ec2State::Running) => nomad.start_machine(instance_id, *private_ip),
        Ec2News::RootVolumeReplaced => nomad.rebuild_machine(instance_id, *private_ip),
        Ec2News::StateChanged(Ec2State::Pending | Ec2State::Stopping | Ec2State::Terminated)
        | Ec2News::SpotInterruption
        | Ec2News::RebalanceRecommendation
        | Ec2News::CapacityReservationInterruption { .. }
        | Ec2News::ScheduledChange(_)
        | Ec2News::ActivityEnded(_) => {}
    }
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod many;
#[cfg(test)]
mod tests;
