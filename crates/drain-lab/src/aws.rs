//! Auto Scaling, EC2 and Parameter Store of one account in one region.
//!
//! [`Aws`] is a handle to the model. Whatever touches it first applies everything that was due up to the clock's
//! time, so that a clock turned by hours in one go gives the same history as one that ticks.

mod account;
mod activity;
mod activity_event;
pub mod deployed;
mod ec2_event;
mod envelope;
mod error;
mod health;
mod hook;
mod http;
mod identity;
pub mod ids;
mod instance;
mod instances;
mod journey;
mod lifecycle;
mod notification;
mod operator;
mod parameter;
mod published;
mod rate;
mod state;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

pub use self::account::{Account, HOOK_ROLE, OPERATOR};
pub use self::activity_event::ActivityEnd;
pub use self::ec2_event::{Ec2Event, Ec2News};
pub use self::envelope::Letter;
pub use self::error::ApiError;
pub use self::health::HealthEntity;
pub use self::hook::{
    ActionRef, ActionResult, LifecycleAction, LifecycleHook, NotificationTarget, Transition,
};
pub use self::identity::IdentityProvider;
pub use self::instance::{Activity, Ec2State, GroupSettings, GroupView, Instance};
pub use self::lifecycle::{Journey, LifecycleState};
pub use self::notification::{Content, Notification};
pub use self::parameter::ParameterType;
pub use self::published::Published;
use self::state::{Held, State};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;

/// News from the account, for whoever composes a lab.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// From a lifecycle hook: for its target, and for `EventBridge`.
    Hook(Box<Notification>),
    /// From EC2 or about an instance, for `EventBridge`. An instance that is [`Ec2State::ShuttingDown`] takes its Nomad client with it.
    Ec2(Ec2Event),
    /// To a topic of SNS, by whoever may: for those who are subscribed to it.
    Published(Box<Published>),
}

/// A handle to the account. Cloning it gives another handle to the same account.
#[derive(Clone, Debug)]
pub struct Aws {
    shared: Arc<Shared>,
    /// Who calls: the function's role, unless a request came from somebody else.
    caller: Arc<Account>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    journal: Journal,
    faults: Faults,
    account: Arc<Account>,
    state: Mutex<State>,
    /// Made when somebody needs it: that takes a moment.
    identities: OnceLock<IdentityProvider>,
    changed: watch::Sender<()>,
}

impl Aws {
    /// An empty account with [`Account::default`].
    pub fn new(clock: Clock, journal: Journal, faults: Faults) -> Self {
        Self::with_account(Account::default(), clock, journal, faults)
    }

    /// An empty account.
    pub fn with_account(account: Account, clock: Clock, journal: Journal, faults: Faults) -> Self {
        let account = Arc::new(account);
        let state = Mutex::new(State::new(Arc::clone(&account), journal.clone()));
        let changed = watch::Sender::new(());
        Self {
            caller: Arc::clone(&account),
            shared: Arc::new(Shared {
                clock,
                journal,
                faults,
                account,
                state,
                identities: OnceLock::new(),
                changed,
            }),
        }
    }

    /// Who we are and who may call.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// Who vouches for the account's roles.
    pub fn identity_provider(&self) -> &IdentityProvider {
        self.shared.identities.get_or_init(IdentityProvider::new)
    }

    /// What time it is there.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Everything that the account announces from now on.
    pub fn events(&self) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        self.change(|state, _| state.listeners.push(sender));
        receiver
    }

    /// When the next thing happens by itself: a time-out, the end of an instance.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.look(State::next_due)
    }

    /// Lets things happen when they are due, and not only when somebody looks. Never returns.
    pub async fn run(self) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let due = self.next_due();
            let sleep = async {
                match due {
                    Some(due) => self.shared.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep => {}
            }
        }
    }

    /// `CompleteLifecycleAction`.
    pub fn complete_lifecycle_action(
        &self,
        meant: &ActionRef<'_>,
        result: ActionResult,
    ) -> Result<(), ApiError> {
        self.change(|state, now| state.complete(meant, result, now))
    }

    /// `RecordLifecycleActionHeartbeat`.
    pub fn record_lifecycle_action_heartbeat(&self, meant: &ActionRef<'_>) -> Result<(), ApiError> {
        self.change(|state, now| state.heartbeat(meant, now))
    }

    /// An instance, alive or not.
    pub fn instance(&self, id: &str) -> Option<Instance> {
        self.look(|state| state.instances.get(id).map(|held| held.instance.clone()))
    }

    /// Whether the caller may make this call now, group or no group: `autoscaling:DescribeWarmPool`. Over HTTP every call
    /// is asked this first; whoever calls the model directly, and wants permissions and throttling to count, asks too.
    pub fn admit(&self, action: &str, group: Option<&str>) -> Result<(), ApiError> {
        if action.starts_with("autoscaling:") && self.throttles() {
            return Err(ApiError::throttling());
        }
        let arn = group.map(|name| self.group_arn(name));
        self.permit(action, arn.as_deref()).map_err(|message| ApiError::new(403, "AccessDenied", message))
    }

    /// All groups, in the order in which they were created: `DescribeAutoScalingGroups`.
    pub fn groups(&self) -> Vec<GroupView> {
        self.look(|state| state.groups.iter().map(|group| state.group_view(group)).collect())
    }

    /// A group.
    pub fn group(&self, name: &str) -> Option<GroupView> {
        self.look(|state| state.group(name).ok().map(|group| state.group_view(group)))
    }

    /// The instances in a group's warm pool, on their way into it or out of it into nothing: `DescribeWarmPool`.
    pub fn warm_pool(&self, group: &str) -> Vec<Instance> {
        self.look(|state| {
            state.members(group).filter(|instance| instance.lifecycle_state.is_warmed()).cloned().collect()
        })
    }

    /// The hooks of a group, in the order in which they hold an instance: `DescribeLifecycleHooks`.
    pub fn lifecycle_hooks(&self, group: &str) -> Vec<LifecycleHook> {
        self.look(|state| state.group(group).map(|group| group.hooks.clone()).unwrap_or_default())
    }

    /// Every instance that a hook holds now, with its action.
    pub fn held(&self) -> Vec<LifecycleAction> {
        self.look(|state| state.instances.iter().filter_map(Held::action).cloned().collect())
    }

    /// The instances of a group that have not left it, the oldest first.
    pub fn instances(&self, group: &str) -> Vec<Instance> {
        self.look(|state| state.members(group).cloned().collect())
    }

    /// The lifecycle action that holds an instance.
    pub fn lifecycle_action(&self, id: &str) -> Option<LifecycleAction> {
        self.look(|state| state.instances.get(id)?.action().cloned())
    }

    /// A group's history, the oldest line first.
    pub fn activities(&self, group: &str) -> Vec<Activity> {
        self.look(|state| state.group(group).map(|group| group.activities.clone()).unwrap_or_default())
    }

    /// Whether Auto Scaling has had enough calls for now. One that is let through counts.
    fn throttles(&self) -> bool {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.clock.now();
        state.rate_limit.as_mut().is_some_and(|limit| !limit.admits(now))
    }

    /// A group's ARN; one that fits no group if there is none of that name, as a policy would be asked all the same.
    fn group_arn(&self, name: &str) -> String {
        let Account { id, region, .. } = self.account();
        self.look(|state| state.group(name).map(|group| group.arn.clone())).unwrap_or_else(|_| {
            format!("arn:aws:autoscaling:{region}:{id}:autoScalingGroup:*:autoScalingGroupName/{name}")
        })
    }

    /// Fails in AWS's words if the caller may not do `action`, on `resource` if the action has one.
    fn permit(&self, action: &str, resource: Option<&str>) -> Result<(), String> {
        self.look(|state| state.permissions.check(&self.caller, action, resource))
    }

    /// The same account, called by somebody else.
    fn called_by(&self, caller: Account) -> Self {
        Self { shared: Arc::clone(&self.shared), caller: Arc::new(caller) }
    }

    /// Reads, after everything that was due has happened.
    fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up(self.shared.clock.now());
        read(&state)
    }

    /// Changes something, after everything that was due has happened.
    fn change<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let changed = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.shared.clock.now();
            state.catch_up(now);
            change(&mut state, now)
        };
        self.shared.changed.send_replace(());
        changed
    }
}

#[cfg(test)]
mod tests;
