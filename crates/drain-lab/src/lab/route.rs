//! The ways on which the news of an account can reach a function, and the envelope of each.

use serde_json::Value;

use crate::aws::{Event, Notification, NotificationTarget, Published};
use crate::models::TOPIC;

/// A way from the account to the function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// The hook notifies a topic to which the function is subscribed.
    TopicToFunction,
    /// The hook notifies a topic to which a queue is subscribed: in the envelope of SNS.
    TopicToQueue,
    /// The same with raw message delivery: without the envelope of SNS.
    TopicToQueueRaw,
    /// The hook notifies a queue.
    HookToQueue,
    /// The hook calls the function.
    HookToFunction,
    /// The function is the target of a rule of `EventBridge`.
    RuleToFunction,
    /// A queue is the target of a rule of `EventBridge`.
    RuleToQueue,
}

/// What arrives at the end of a route.
pub(super) enum Parcel {
    /// The function is invoked with this.
    Invocation(Value),
    /// This is sent to the queue.
    Message(String),
}

impl Route {
    /// Every route.
    pub const ALL: [Self; 7] = [
        Self::TopicToFunction,
        Self::TopicToQueue,
        Self::TopicToQueueRaw,
        Self::HookToQueue,
        Self::HookToFunction,
        Self::RuleToFunction,
        Self::RuleToQueue,
    ];

    /// Whether the function reads a queue.
    pub fn has_queue(self) -> bool {
        match self {
            Self::TopicToQueue | Self::TopicToQueueRaw | Self::HookToQueue | Self::RuleToQueue => true,
            Self::TopicToFunction | Self::HookToFunction | Self::RuleToFunction => false,
        }
    }

    /// Whether it begins at `EventBridge`, which hears of every hook and of what EC2 says, and of no test message.
    pub fn has_rule(self) -> bool {
        matches!(self, Self::RuleToFunction | Self::RuleToQueue)
    }

    /// What this route makes of an announcement: nothing, if it does not carry such.
    pub(super) fn carry(self, event: &Event) -> Option<Parcel> {
        let payload = match event {
            Event::Ec2(event) if self.has_rule() => event.event_bridge_event()?,
            Event::Ec2(_) => return None,
            Event::Published(published) => return self.carry_published(published),
            Event::Hook(notification) => match self {
                Self::TopicToFunction => notification.sns_event(topic_of(notification)),
                Self::TopicToQueue => notification.sns_document(topic_of(notification)),
                Self::TopicToQueueRaw | Self::HookToQueue | Self::HookToFunction => notification.message(),
                Self::RuleToFunction | Self::RuleToQueue => notification.event_bridge_event()?,
            },
        };
        Some(if self.has_queue() {
            Parcel::Message(payload.to_string())
        } else {
            Parcel::Invocation(payload)
        })
    }

    /// What it makes of something that somebody publishes to the topic: nothing, if it does not begin there.
    fn carry_published(self, published: &Published) -> Option<Parcel> {
        let (letter, topic) = (published.letter(), &published.topic);
        match self {
            Self::TopicToFunction => Some(Parcel::Invocation(letter.sns_event(topic))),
            Self::TopicToQueue => Some(Parcel::Message(letter.sns_document(topic).to_string())),
            Self::TopicToQueueRaw => Some(Parcel::Message(letter.message)),
            Self::HookToQueue | Self::HookToFunction | Self::RuleToFunction | Self::RuleToQueue => None,
        }
    }
}

/// The hook's own topic, or else that of the lab.
fn topic_of(notification: &Notification) -> &str {
    match &notification.target {
        NotificationTarget::Sns { topic_arn } => topic_arn,
        NotificationTarget::None | NotificationTarget::Sqs { .. } | NotificationTarget::Lambda { .. } => {
            TOPIC
        }
    }
}
