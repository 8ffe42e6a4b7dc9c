//! Queues, as SQS describes them.

use std::time::Duration;

use super::Statement;
use crate::sqs::Queue;

/// A queue.
#[derive(Clone, Debug)]
pub struct DeployedQueue {
    /// Its name.
    pub name: String,
    /// How long a message that was received stays hidden.
    pub visibility_timeout: Duration,
    /// Where messages go that were received too often; they come back for ever if nothing is said.
    pub redrive: Option<Redrive>,
    /// The key of KMS's that encrypts it: `alias/aws/sqs`, or one of the account's own.
    pub kms_key: Option<String>,
    /// Who may send to it.
    pub policy: Vec<Statement>,
    /// How many messages wait in it, beside those of the hosted queue.
    pub messages: usize,
    /// The lab's own queue of that name: its messages count, and what is sent over HTTP goes there.
    pub hosted: Option<Queue>,
}

/// What becomes of messages that nobody could deal with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub dead_letter_arn: String,
    /// How often a message is received before.
    pub max_receive_count: u32,
}

impl DeployedQueue {
    /// An empty queue without a policy and without a dead-letter queue. SQS's own visibility timeout is 30 s.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            visibility_timeout: Duration::from_secs(30),
            redrive: None,
            kms_key: None,
            policy: Vec::new(),
            messages: 0,
            hosted: None,
        }
    }
}
