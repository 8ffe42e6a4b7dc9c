//! EC2 instances and the groups that own them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::lifecycle::LifecycleState;

/// The state of an instance, as EC2 sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ec2State {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It was told to end.
    ShuttingDown,
    /// It is gone; EC2 still describes it, without its address.
    Terminated,
    /// It was told to stop.
    Stopping,
    /// It is stopped, in the warm pool or by somebody.
    Stopped,
}

impl Ec2State {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// The number that goes with the name.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }
}

/// An instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits.
    pub id: String,
    /// Its group's name.
    pub group: String,
    /// Its private address; none before it has one, and none after its end.
    pub private_ip: Option<Ipv4Addr>,
    /// Its state in the group.
    pub lifecycle_state: LifecycleState,
    /// Its state in EC2.
    pub ec2_state: Ec2State,
    /// When it was launched.
    pub launched_at: Timestamp,
}

/// What a new group looks like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupSettings {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The instance lifecycle policy `TerminateHookAbandon=retain`: an abandoned terminate hook keeps the instance.
    pub retain_on_abandon: bool,
    /// Whether it has a warm pool. One that holds an instance shows in any case.
    pub warm_pool: bool,
}

/// A group as `DescribeAutoScalingGroups` shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Whether `DescribeWarmPool` may have more to say.
    pub has_warm_pool: bool,
    /// As in [`GroupSettings`].
    pub retain_on_abandon: bool,
    /// The instances that have not left it and are not in its warm pool, the oldest first.
    pub members: Vec<Instance>,
}

impl GroupSettings {
    /// A group with this name, no tags and no retention.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a warm pool.
    #[must_use]
    pub fn with_warm_pool(mut self) -> Self {
        self.warm_pool = true;
        self
    }

    /// Keeps instances whose terminate hook was abandoned.
    #[must_use]
    pub fn retaining(mut self) -> Self {
        self.retain_on_abandon = true;
        self
    }
}

/// One line of a group's history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Activity {
    /// A UUID.
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// What is done: `Terminating EC2 instance: i-…`.
    pub description: String,
    /// Why.
    pub cause: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub ended_at: Option<Timestamp>,
}
