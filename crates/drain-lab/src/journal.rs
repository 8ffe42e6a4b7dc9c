//! What happened in the lab, in order: every call that reached it, and every effect in its models.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;

/// The system in which something happened.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Nomad's servers.
    Nomad,
    /// The Nomad agent on an instance.
    Agent,
    /// EC2 Auto Scaling.
    AutoScaling,
    /// EC2.
    Ec2,
    /// Systems Manager Parameter Store.
    Ssm,
    /// Secrets Manager.
    SecretsManager,
    /// Simple Notification Service.
    Sns,
    /// Security Token Service.
    Sts,
    /// The Lambda service.
    Lambda,
    /// Simple Queue Service.
    Sqs,
    /// `EventBridge`.
    EventBridge,
    /// Identity and Access Management.
    Iam,
    /// `CloudWatch`.
    CloudWatch,
}

/// Whether an entry is a request that reached the lab or something that changed in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request over HTTP. `what` is the operation: `GetParameter`, `GET /v1/nodes`.
    Call,
    /// A change of state: `drain started`, `allocation stopped`, `instance terminated`.
    Effect,
}

/// One line of the journal.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When, by the lab's clock.
    pub at: Timestamp,
    /// Where.
    pub system: System,
    /// A call or an effect.
    pub kind: Kind,
    /// The operation, or what changed.
    pub what: String,
    /// What it concerned: an instance id, a node id, an allocation id; empty if nothing in particular.
    pub subject: String,
    /// Anything else that a reader needs, in words.
    pub detail: String,
}

/// A shared, append-only list of entries.
#[derive(Clone, Debug)]
pub struct Journal {
    clock: Clock,
    /// None if nothing is to be noted.
    entries: Option<Arc<Mutex<Vec<Entry>>>>,
}

impl Journal {
    /// An empty journal whose entries are dated by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, entries: Some(Arc::default()) }
    }

    /// A journal that notes nothing and stays empty.
    pub fn off(clock: Clock) -> Self {
        Self { clock, entries: None }
    }

    /// Whether anything is noted.
    pub fn is_on(&self) -> bool {
        self.entries.is_some()
    }

    /// Notes a request that reached the lab.
    pub fn call(
        &self,
        system: System,
        what: impl Into<String>,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        if !self.is_on() {
            return;
        }
        self.push(Entry {
            at: self.clock.now(),
            system,
            kind: Kind::Call,
            what: what.into(),
            subject: subject.into(),
            detail: detail.into(),
        });
    }

    /// Notes a change of state that happened `at` a moment, which may lie before now: models catch up when they are
    /// looked at.
    pub fn effect(
        &self,
        at: Timestamp,
        system: System,
        what: impl Into<String>,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        if !self.is_on() {
            return;
        }
        self.push(Entry {
            at,
            system,
            kind: Kind::Effect,
            what: what.into(),
            subject: subject.into(),
            detail: detail.into(),
        });
    }

    /// All entries so far, by time; entries of the same moment keep the order in which they were noted.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(entries) = &self.entries else { return Vec::new() };
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// The calls so far that reached `system`, as `what` strings.
    pub fn calls(&self, system: System) -> Vec<String> {
        self.entries()
            .into_iter()
            .filter(|entry| entry.kind == Kind::Call && entry.system == system)
            .map(|entry| entry.what)
            .collect()
    }

    fn push(&self, entry: Entry) {
        if let Some(entries) = &self.entries {
            entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }
}
