//! In what an event arrives.

use anyhow::bail;
use drain_lab::aws::{Account, Letter};
use serde_json::{Value, json};

use super::kind::Announced;

/// In what an event arrives.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Envelope {
    /// Nothing: as a hook calls a function that is its target
    Bare,
    /// SNS calls the function
    Sns,
    /// A queue that is subscribed to a topic
    SnsSqs,
    /// A queue that is a hook's target, or subscribed with raw delivery
    Sqs,
    #[value(help = "EventBridge calls the function")]
    Eventbridge,
    #[value(help = "A queue that is the target of an EventBridge rule")]
    EventbridgeSqs,
}

impl Envelope {
    /// Whether the function reads a queue.
    pub(super) fn is_queue(self) -> bool {
        matches!(self, Self::SnsSqs | Self::Sqs | Self::EventbridgeSqs)
    }

    /// Whether it is told as `EventBridge` tells it.
    pub(super) fn is_from_bus(self) -> bool {
        matches!(self, Self::Eventbridge | Self::EventbridgeSqs)
    }

    /// Fails if there is no such thing.
    pub(super) fn carries(self, announced: &Announced) -> anyhow::Result<()> {
        if !announced.may_travel && !matches!(self, Self::Bare | Self::Eventbridge) {
            bail!(
                "a sweep comes from a schedule or by itself, never through a topic or a queue: --envelope eventbridge or bare"
            );
        }
        Ok(())
    }

    /// The text of a message, as SQS holds it.
    pub(super) fn body(self, announced: &Announced) -> String {
        let letter = announced.letter();
        match self {
            Self::SnsSqs => letter.sns_document(&topic(&announced.account)).to_string(),
            Self::Bare | Self::Sns | Self::Sqs | Self::Eventbridge | Self::EventbridgeSqs => letter.message,
        }
    }

    /// What a function is invoked with.
    pub(super) fn payload(self, announced: &Announced) -> Value {
        match self {
            Self::Bare | Self::Eventbridge => announced.message.clone(),
            Self::Sns => announced.letter().sns_event(&topic(&announced.account)),
            Self::SnsSqs | Self::Sqs | Self::EventbridgeSqs => self.records(std::slice::from_ref(announced)),
        }
    }

    /// What a function is invoked with that reads several messages of a queue at once.
    pub(super) fn records(self, announced: &[Announced]) -> Value {
        let records = announced.iter().map(|one| {
            let Account { id, region, .. } = &*one.account;
            one.letter().sqs_record(&format!("arn:aws:sqs:{region}:{id}:nomad-drain"), &self.body(one))
        });
        json!({"Records": records.collect::<Vec<_>>()})
    }
}

impl Announced {
    /// The event as SNS and SQS carry it.
    pub(super) fn letter(&self) -> Letter<'_> {
        let (subject, message) = (self.subject.clone(), self.message.to_string());
        Letter { account: &self.account, id: &self.id, at: self.at, subject, message }
    }
}

fn topic(account: &Account) -> String {
    format!("arn:aws:sns:{}:{}:nomad-drain", account.region, account.id)
}
