//! What the account contains, and how time passes in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::UnboundedSender;

use super::Event;
use super::account::{Account, Permissions};
use super::deployed::Deployed;
use super::ec2_event::{Ec2Event, Ec2News};
use super::error::ApiError;
use super::hook::{LifecycleAction, LifecycleHook};
use super::ids::Ids;
use super::instance::{Activity, Ec2State, GroupSettings, GroupView, Instance};
use super::instances::Instances;
use super::lifecycle::{Journey, LifecycleState};
use super::parameter::Parameter;
use super::published::Published;
use super::rate::RateLimit;
use crate::journal::{Journal, System};

/// Everything in the account. Its methods take the moment at which they happen: a model that is looked at late
/// applies what was due in between, each at its own time.
#[derive(Debug)]
pub(super) struct State {
    pub(super) account: Arc<Account>,
    pub(super) permissions: Permissions,
    /// Functions, topics, queues and rules.
    pub(super) deployed: Deployed,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Instances,
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// By name: their texts.
    pub(super) secrets: BTreeMap<String, String>,
    /// Whether whoever signed a call is looked at.
    pub(super) checks_signatures: bool,
    /// The traces that calls were part of (`X-Amzn-Trace-Id`).
    pub(super) traces: Vec<String>,
    /// What was published to topics.
    pub(super) published: Vec<Published>,
    /// How long EC2 takes to end an instance.
    pub(super) shutdown_time: Duration,
    /// How long before the hook holds it the activity of a termination starts.
    pub(super) activity_lead: SignedDuration,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) ids: Ids,
    pub(super) journal: Journal,
    pub(super) listeners: Vec<UnboundedSender<Event>>,
}

/// A group with what belongs to it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) settings: GroupSettings,
    pub(super) arn: String,
    pub(super) created_at: Timestamp,
    pub(super) hooks: Vec<LifecycleHook>,
    /// The latest last.
    pub(super) activities: Vec<Activity>,
}

/// An instance and what is going on with it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) instance: Instance,
    pub(super) progress: Progress,
    /// When EC2 takes this instance away, if it said so.
    pub(super) interruption: Option<Interruption>,
}

/// EC2 has said that it will take an instance away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interruption {
    pub(super) at: Timestamp,
    pub(super) why: &'static str,
}

/// What is going on with an instance.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing.
    Settled,
    /// A hook holds it.
    Waiting {
        journey: Journey,
        action: LifecycleAction,
        /// The hooks that come after, if this one is completed with CONTINUE.
        next_hooks: Vec<LifecycleHook>,
    },
    /// EC2 ends it.
    ShuttingDown { until: Timestamp },
}

impl Held {
    /// When something happens to this instance by itself.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let progress = match &self.progress {
            Progress::Settled => None,
            Progress::Waiting { action, .. } => Some(action.due()),
            Progress::ShuttingDown { until } => Some(*until),
        };
        progress.into_iter().chain(self.interruption.map(|interruption| interruption.at)).min()
    }

    /// The action that holds it.
    pub(super) fn action(&self) -> Option<&LifecycleAction> {
        match &self.progress {
            Progress::Waiting { action, .. } => Some(action),
            Progress::Settled | Progress::ShuttingDown { .. } => None,
        }
    }
}

impl State {
    pub(super) fn new(account: Arc<Account>, journal: Journal) -> Self {
        Self {
            account,
            permissions: Permissions::default(),
            deployed: Deployed::default(),
            groups: Vec::new(),
            instances: Instances::default(),
            parameters: BTreeMap::new(),
            secrets: BTreeMap::new(),
            checks_signatures: true,
            traces: Vec::new(),
            published: Vec::new(),
            shutdown_time: Duration::from_secs(10),
            activity_lead: SignedDuration::ZERO,
            rate_limit: None,
            ids: Ids::seeded(0),
            journal,
            listeners: Vec::new(),
        }
    }

    /// When the next thing happens by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.instances.next_due().map(|(at, _)| at)
    }

    /// Applies everything that was due up to `now`, in order.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some((at, index)) = self.instances.next_due()
            && at <= now
        {
            self.happen(index, at);
        }
    }

    fn happen(&mut self, index: usize, at: Timestamp) {
        let held = &self.instances[index];
        let id = held.instance.id.clone();
        if let Some(interruption) = held.interruption.filter(|interruption| interruption.at == at) {
            self.shut_down(index, at, interruption.why);
            return;
        }
        match &held.progress {
            Progress::Settled => {}
            Progress::ShuttingDown { .. } => self.terminated(index, at),
            Progress::Waiting { action, .. } => {
                let which =
                    if action.heartbeat_deadline < action.global_deadline { "heartbeat" } else { "global" };
                let hook = action.hook.clone();
                let result = self.default_result(index);
                let detail = format!("{which} time-out of {hook}: {}", result.as_str());
                self.journal.effect(at, System::AutoScaling, "lifecycle action timed out", id, detail);
                self.end_action(index, result, at);
            }
        }
    }

    pub(super) fn group(&self, name: &str) -> Result<&Group, ApiError> {
        self.groups
            .iter()
            .find(|group| group.settings.name == name)
            .ok_or_else(|| ApiError::no_such_group(name))
    }

    pub(super) fn group_mut(&mut self, name: &str) -> Result<&mut Group, ApiError> {
        self.groups
            .iter_mut()
            .find(|group| group.settings.name == name)
            .ok_or_else(|| ApiError::no_such_group(name))
    }

    /// The place of an instance that its group still has.
    pub(super) fn managed(&self, id: &str) -> Result<usize, ApiError> {
        self.instances
            .place(id)
            .filter(|index| self.instances[*index].instance.lifecycle_state != LifecycleState::Terminated)
            .ok_or_else(|| ApiError::no_such_group_instance(id))
    }

    /// The instances of `group` that have not left it.
    pub(super) fn members(&self, group: &str) -> impl Iterator<Item = &Instance> {
        self.instances
            .of_group(group)
            .map(|held| &held.instance)
            .filter(|instance| instance.lifecycle_state != LifecycleState::Terminated)
    }

    /// A group, for people.
    pub(super) fn group_view(&self, group: &Group) -> GroupView {
        let settings = &group.settings;
        let (warmed, members): (Vec<&Instance>, Vec<&Instance>) =
            self.members(&settings.name).partition(|instance| instance.lifecycle_state.is_warmed());
        GroupView {
            name: settings.name.clone(),
            arn: group.arn.clone(),
            tags: settings.tags.clone(),
            has_warm_pool: settings.warm_pool || !warmed.is_empty(),
            retain_on_abandon: settings.retain_on_abandon,
            members: members.into_iter().cloned().collect(),
        }
    }

    pub(super) fn set_ec2_state(&mut self, index: usize, state: Ec2State, at: Timestamp) {
        self.instances.at(index).instance.ec2_state = state;
        self.announce(index, Ec2News::StateChanged(state), at);
    }

    /// Tells the listeners what EC2 says about an instance.
    pub(super) fn announce(&mut self, index: usize, news: Ec2News, at: Timestamp) {
        // The identifiers of what comes later must not depend on who listens.
        let id = self.ids.uuid();
        if self.listeners.is_empty() {
            return;
        }
        let instance = &self.instances[index].instance;
        let (instance_id, private_ip) = (instance.id.clone(), instance.private_ip);
        let account = Arc::clone(&self.account);
        self.emit(&Event::Ec2(Ec2Event { at, account, id, instance_id, private_ip, news }));
    }

    pub(super) fn emit(&mut self, event: &Event) {
        self.listeners.retain(|listener| listener.send(event.clone()).is_ok());
    }
}
