//! What can happen, as the lab tells it: it writes what AWS writes, and never imports what reads it.

use std::sync::Arc;

use anyhow::bail;
use drain_lab::aws::ids::Ids;
use drain_lab::aws::{
    Account, Activity, ActivityEnd, Content, Ec2Event, Ec2News, Ec2State, HealthEntity, Journey,
    LifecycleAction, Notification, NotificationTarget, Transition,
};
use drain_lab::lab::{HOOK, LAUNCH_HOOK, scheduled_event};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Auto Scaling terminates an instance, and a hook holds it
    Terminate,
    /// Auto Scaling terminates an instance of the warm pool
    TerminateFromWarmPool,
    /// Auto Scaling puts an instance back into the warm pool
    ReturnToWarmPool,
    /// An instance refresh replaces the root volume
    ReplaceRootVolume,
    /// An instance is launched, and a launch hook holds it
    Launch,
    /// An instance of the warm pool comes into service
    LaunchFromWarmPool,
    /// An instance comes back with a new root volume
    LaunchWithNewRootVolume,
    /// A hook was set up, and its target gets a test message
    TestNotification,
    /// A group's own notification: an instance was terminated
    GroupNotification,
    #[value(help = "An instance was launched, on EventBridge")]
    LaunchSuccessful,
    #[value(help = "An instance was terminated, on EventBridge")]
    TerminateSuccessful,
    /// EC2 takes a spot instance back in two minutes
    SpotInterruption,
    /// The instance's capacity reservation ends in two minutes
    CapacityReservationInterruption,
    /// EC2 recommends to replace a spot instance
    RebalanceRecommendation,
    /// AWS Health announces that the instance's host is retired
    ScheduledChange,
    /// EC2 starts the instance
    StatePending,
    /// The instance runs
    StateRunning,
    /// EC2 stops the instance
    StateStopping,
    /// The instance is stopped
    StateStopped,
    /// EC2 shuts the instance down
    StateShuttingDown,
    /// The instance is gone
    StateTerminated,
    /// It is time to sweep
    Sweep,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) account: Arc<Account>,
    pub(super) at: Timestamp,
    pub(super) instance: String,
    pub(super) group: String,
    pub(super) hook: Option<String>,
    pub(super) token: Option<String>,
    pub(super) metadata: Option<String>,
}

/// An event, before anything is put around it.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) account: Arc<Account>,
    pub(super) at: Timestamp,
    /// A UUID of its own.
    pub(super) id: String,
    /// The subject that SNS shows.
    pub(super) subject: String,
    pub(super) message: Value,
    /// Whether topics and queues may hold it: an order to sweep goes to the function itself.
    pub(super) may_travel: bool,
}

impl Kind {
    /// Whether it is about an instance.
    pub(super) fn names_an_instance(self) -> bool {
        !matches!(self, Self::TestNotification | Self::Sweep)
    }

    /// Whether only `EventBridge` tells it.
    pub(super) fn is_from_bus(self) -> bool {
        self.journey().is_none()
            && !matches!(self, Self::TestNotification | Self::GroupNotification | Self::Sweep)
    }

    /// Says that it has happened: as `EventBridge` says it, or as whoever else does.
    pub(super) fn announce(self, scene: &Scene, on_bus: bool) -> anyhow::Result<Announced> {
        let id = Ids::seeded(random()).uuid();
        // What EventBridge tells has no subject.
        let (subject, message) = if let Some(journey) = self.journey() {
            let notification = scene.held(journey, id.clone());
            let told = notification.event_bridge_event().filter(|_| on_bus);
            let told = told.unwrap_or_else(|| notification.message());
            (notification.letter().subject, scene.without_made_up_token(told))
        } else if let Some(event) = self.news(scene, &id) {
            (String::new(), event.event_bridge_event().unwrap_or_default())
        } else if self == Self::Sweep {
            let order = || json!({"action": "sweep"});
            (String::new(), if on_bus { scheduled_event(&scene.account, scene.at) } else { order() })
        } else if on_bus {
            bail!(
                "EventBridge does not hear of test notifications, nor of a group's own notifications: take another envelope"
            );
        } else if self == Self::GroupNotification {
            let (event, end) = scene.activity(Transition::Terminating, id.clone());
            let subject = format!("Auto Scaling: termination for group \"{}\"", scene.group);
            (subject, end.group_notification(&event))
        } else {
            let notification = scene.notification(Content::Test, id.clone());
            (notification.letter().subject, notification.message())
        };
        let (account, at) = (Arc::clone(&scene.account), scene.at);
        Ok(Announced { account, at, id, subject, message, may_travel: self != Self::Sweep })
    }

    fn journey(self) -> Option<Journey> {
        Some(match self {
            Self::Terminate => Journey::Terminate,
            Self::TerminateFromWarmPool => Journey::TerminateFromWarmPool,
            Self::ReturnToWarmPool => Journey::ReturnToWarmPool,
            Self::ReplaceRootVolume => Journey::ReplaceRootVolume,
            Self::Launch => Journey::Launch,
            Self::LaunchFromWarmPool => Journey::LaunchFromWarmPool,
            Self::LaunchWithNewRootVolume => Journey::LaunchWithNewRootVolume,
            Self::TestNotification
            | Self::GroupNotification
            | Self::LaunchSuccessful
            | Self::TerminateSuccessful
            | Self::SpotInterruption
            | Self::CapacityReservationInterruption
            | Self::RebalanceRecommendation
            | Self::ScheduledChange
            | Self::StatePending
            | Self::StateRunning
            | Self::StateStopping
            | Self::StateStopped
            | Self::StateShuttingDown
            | Self::StateTerminated
            | Self::Sweep => return None,
        })
    }

    /// What is said on `EventBridge` beside the hooks.
    fn news(self, scene: &Scene, id: &str) -> Option<Ec2Event> {
        let news = match self {
            Self::LaunchSuccessful => return Some(scene.activity(Transition::Launching, id.to_owned()).0),
            Self::TerminateSuccessful => {
                return Some(scene.activity(Transition::Terminating, id.to_owned()).0);
            }
            Self::SpotInterruption => Ec2News::SpotInterruption,
            Self::CapacityReservationInterruption => {
                let at = scene.at.saturating_add(SignedDuration::from_mins(2)).unwrap_or(scene.at);
                Ec2News::CapacityReservationInterruption { at }
            }
            Self::RebalanceRecommendation => Ec2News::RebalanceRecommendation,
            Self::ScheduledChange => Ec2News::ScheduledChange(HealthEntity::Arn),
            Self::StatePending => Ec2News::StateChanged(Ec2State::Pending),
            Self::StateRunning => Ec2News::StateChanged(Ec2State::Running),
            Self::StateStopping => Ec2News::StateChanged(Ec2State::Stopping),
            Self::StateStopped => Ec2News::StateChanged(Ec2State::Stopped),
            Self::StateShuttingDown => Ec2News::StateChanged(Ec2State::ShuttingDown),
            Self::StateTerminated => Ec2News::StateChanged(Ec2State::Terminated),
            Self::Terminate
            | Self::TerminateFromWarmPool
            | Self::ReturnToWarmPool
            | Self::ReplaceRootVolume
            | Self::Launch
            | Self::LaunchFromWarmPool
            | Self::LaunchWithNewRootVolume
            | Self::TestNotification
            | Self::GroupNotification
            | Self::Sweep => return None,
        };
        Some(scene.event(news, id.to_owned()))
    }
}

impl Scene {
    fn group_arn(&self) -> String {
        let Account { id, region, .. } = &*self.account;
        let uuid = "930d940e-891e-4781-a11a-7b0acd480f03";
        format!(
            "arn:aws:autoscaling:{region}:{id}:autoScalingGroup:{uuid}:autoScalingGroupName/{}",
            self.group
        )
    }

    fn notification(&self, content: Content, id: String) -> Notification {
        Notification {
            at: self.at,
            target: NotificationTarget::None,
            group: self.group.clone(),
            group_arn: self.group_arn(),
            account: Arc::clone(&self.account),
            request_id: id,
            content,
        }
    }

    fn held(&self, journey: Journey, id: String) -> Notification {
        let usual = match journey {
            Journey::Launch | Journey::LaunchFromWarmPool | Journey::LaunchWithNewRootVolume => LAUNCH_HOOK,
            Journey::Terminate
            | Journey::TerminateFromWarmPool
            | Journey::ReturnToWarmPool
            | Journey::ReplaceRootVolume => HOOK,
        };
        let action = LifecycleAction {
            token: self.token.clone().unwrap_or_default(),
            group: self.group.clone(),
            hook: self.hook.clone().unwrap_or_else(|| usual.to_owned()),
            instance_id: self.instance.clone(),
            started_at: self.at,
            heartbeat_deadline: self.at,
            global_deadline: self.at,
            heartbeats: 0,
        };
        self.notification(Content::Held { journey, action, metadata: self.metadata.clone() }, id)
    }

    /// The lab's messages always bring a token.
    fn without_made_up_token(&self, mut message: Value) -> Value {
        let place = if message["detail"].is_object() { "/detail" } else { "" };
        let fields = message.pointer_mut(place).and_then(Value::as_object_mut);
        if let (Some(fields), None) = (fields, &self.token) {
            fields.remove("LifecycleActionToken");
        }
        message
    }

    fn event(&self, news: Ec2News, id: String) -> Ec2Event {
        Ec2Event {
            at: self.at,
            account: Arc::clone(&self.account),
            id,
            instance_id: self.instance.clone(),
            private_ip: None,
            news,
        }
    }

    /// The end of a scaling activity.
    fn activity(&self, transition: Transition, id: String) -> (Ec2Event, ActivityEnd) {
        let (verb, origin, destination) = match transition {
            Transition::Launching => ("Launching a new", "EC2", "AutoScalingGroup"),
            Transition::Terminating => ("Terminating", "AutoScalingGroup", "EC2"),
        };
        let activity = Activity {
            id: id.clone(),
            instance_id: self.instance.clone(),
            description: format!("{verb} EC2 instance: {}", self.instance),
            cause: format!("At {:.0} it was asked for by nomad-drain simulate.", self.at),
            started_at: self.at,
            ended_at: Some(self.at),
        };
        let (group, group_arn) = (self.group.clone(), self.group_arn());
        let end = ActivityEnd { transition, group, group_arn, activity, origin, destination };
        (self.event(Ec2News::ActivityEnded(Box::new(end.clone())), id), end)
    }
}

/// A number that differs from call to call: events have ids of their own.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}
