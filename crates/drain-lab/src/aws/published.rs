//! What somebody publishes to a topic of SNS.

use std::sync::Arc;

use jiff::Timestamp;

use super::account::Account;
use super::deployed::Topic;
use super::envelope::Letter;
use super::{Aws, Event};

/// Something that was published to a topic of SNS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// When.
    pub at: Timestamp,
    /// The account and the region of the topic.
    pub account: Arc<Account>,
    /// The id of the message, a UUID.
    pub id: String,
    /// The topic's ARN.
    pub topic: String,
    /// The subject of e-mails.
    pub subject: String,
    /// The text.
    pub message: String,
    /// The attribute `event`.
    pub event: String,
}

impl Published {
    /// The message, for the envelopes in which it goes on.
    pub(crate) fn letter(&self) -> Letter<'_> {
        Letter {
            account: &self.account,
            id: &self.id,
            at: self.at,
            subject: self.subject.clone(),
            message: self.message.clone(),
        }
    }
}

impl Aws {
    /// Creates a topic to which nobody is subscribed. One that is there stays as it is.
    pub fn create_topic(&self, arn: &str) {
        self.change_deployed(|deployed| {
            deployed.topics.entry(arn.to_owned()).or_insert_with(Topic::default);
        });
    }

    /// What was published to topics of SNS, in order.
    pub fn published(&self) -> Vec<Published> {
        self.look(|state| state.published.clone())
    }

    pub(super) fn publish(&self, published: Published) {
        self.change(|state, _| {
            state.emit(&Event::Published(Box::new(published.clone())));
            state.published.push(published);
        });
    }
}
