//! Lifecycle hooks, and the lifecycle actions by which they hold instances.

use jiff::{SignedDuration, Timestamp};

use super::error::ApiError;

/// Auto Scaling ends every lifecycle action after this long, whatever the hook says: 48 hours.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(48);

/// Which instances a hook holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transition {
    /// `autoscaling:EC2_INSTANCE_LAUNCHING`.
    Launching,
    /// `autoscaling:EC2_INSTANCE_TERMINATING`.
    Terminating,
}

impl Transition {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }

    /// As the subject of an SNS message has it.
    pub(super) fn participle(self) -> &'static str {
        match self {
            Self::Launching => "LAUNCHING",
            Self::Terminating => "TERMINATING",
        }
    }

    /// As the detail type of an `EventBridge` event has it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Launching => "launch",
            Self::Terminating => "terminate",
        }
    }
}

/// How a lifecycle action ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ActionResult {
    /// `CONTINUE`: the next hook, or the end of the journey.
    Continue,
    /// `ABANDON`: no further hook.
    Abandon,
}

impl ActionResult {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }

    /// Reads the name on the wire.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "CONTINUE" => Ok(Self::Continue),
            "ABANDON" => Ok(Self::Abandon),
            other => Err(ApiError::validation(format!(
                "1 validation error detected: Value '{other}' at 'lifecycleActionResult' failed to satisfy \
                 constraint: Member must satisfy enum value set: [CONTINUE, ABANDON]"
            ))),
        }
    }
}

/// Where a hook's own messages go. `EventBridge` hears of every lifecycle action, whatever stands here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum NotificationTarget {
    /// Nowhere.
    #[default]
    None,
    /// An SNS topic.
    Sns {
        /// Its ARN.
        topic_arn: String,
    },
    /// An SQS queue.
    Sqs {
        /// Its ARN.
        queue_arn: String,
    },
    /// A Lambda function, without anything between.
    Lambda {
        /// Its ARN.
        function_arn: String,
    },
}

impl NotificationTarget {
    /// The target's ARN, as the hook's description shows it.
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Sns { topic_arn: arn }
            | Self::Sqs { queue_arn: arn }
            | Self::Lambda { function_arn: arn } => Some(arn),
        }
    }

    /// Whether Auto Scaling takes a role to send to it.
    pub(super) fn needs_role(&self) -> bool {
        matches!(self, Self::Sns { .. } | Self::Sqs { .. })
    }
}

/// A lifecycle hook of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LifecycleHook {
    /// Its name, unique in the group.
    pub name: String,
    /// Which instances it holds.
    pub transition: Transition,
    /// How long it holds an instance without a heartbeat, in seconds.
    pub heartbeat_timeout: u32,
    /// What happens when that time, or the global time-out, has passed.
    pub default_result: ActionResult,
    /// Free text that comes with every message.
    pub notification_metadata: Option<String>,
    /// Where messages go.
    pub target: NotificationTarget,
}

impl LifecycleHook {
    /// A terminate hook with Auto Scaling's defaults: an hour, then ABANDON, no target.
    pub fn terminating(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            transition: Transition::Terminating,
            heartbeat_timeout: 3600,
            default_result: ActionResult::Abandon,
            notification_metadata: None,
            target: NotificationTarget::None,
        }
    }

    /// A launch hook with Auto Scaling's defaults.
    pub fn launching(name: &str) -> Self {
        Self { transition: Transition::Launching, ..Self::terminating(name) }
    }

    /// How long this hook can hold an instance at most, heartbeats or not.
    pub fn global_timeout(&self) -> SignedDuration {
        LONGEST_HOLD.min(self.heartbeat() * 100)
    }

    /// The heartbeat time-out.
    pub(super) fn heartbeat(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.heartbeat_timeout))
    }
}

/// One instance held by one hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LifecycleAction {
    /// Auto Scaling's id of the action, a UUID.
    pub token: String,
    /// The group.
    pub group: String,
    /// The hook.
    pub hook: String,
    /// The instance.
    pub instance_id: String,
    /// When the hook began to hold it.
    pub started_at: Timestamp,
    /// When it ends if no heartbeat comes.
    pub heartbeat_deadline: Timestamp,
    /// When it ends in any case.
    pub global_deadline: Timestamp,
    /// How many heartbeats came so far.
    pub heartbeats: u32,
}

impl LifecycleAction {
    /// When it ends by itself.
    pub fn due(&self) -> Timestamp {
        self.heartbeat_deadline.min(self.global_deadline)
    }
}

/// How a caller names a lifecycle action: always group and hook, and then the token, the instance or both.
#[derive(Clone, Copy, Debug)]
pub struct ActionRef<'a> {
    /// The group's name.
    pub group: &'a str,
    /// The hook's name.
    pub hook: &'a str,
    /// The action's token.
    pub token: Option<&'a str>,
    /// The instance that it holds.
    pub instance_id: Option<&'a str>,
}

impl ActionRef<'_> {
    /// Whether `action` is the one that is meant.
    pub(super) fn names(&self, action: &LifecycleAction) -> bool {
        self.group == action.group
            && self.hook == action.hook
            && self.token.is_none_or(|token| token == action.token)
            && self.instance_id.is_none_or(|id| id == action.instance_id)
    }

    /// What Auto Scaling says when there is no such action.
    pub(super) fn not_found(&self) -> ApiError {
        ApiError::validation(match (self.token, self.instance_id) {
            (Some(token), _) => format!("No active Lifecycle Action found with token {token}"),
            (None, Some(id)) => format!("No active Lifecycle Action found with instance ID {id}"),
            (None, None) => "Either a lifecycle action token or an instance ID is required".to_owned(),
        })
    }

    /// By what the caller named the action, for the journal.
    pub(super) fn by(&self) -> &'static str {
        if self.token.is_some() { "token" } else { "instance id" }
    }
}
