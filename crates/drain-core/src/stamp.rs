//! The stamp: what we write into `Meta` of every drain that we post.
//!
//! It tells an operator in Nomad's UI why the node drains, and it tells our next invocation, which remembers nothing,
//! that this drain is ours, what it was for, and whether the node was eligible before. Later versions read it: change
//! it with care.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::observation::{Cause, Target};

/// The value of `managed-by` by which we know our own drains.
pub const MANAGED_BY: &str = "nomad-drain";

/// The parts of a stamp that decisions depend on. Everything else in it is for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The instance for whose sake the node was drained.
    pub instance: String,
    /// Whether the node was eligible before our first drain of this story.
    pub was_eligible: Option<bool>,
    /// When the hook began to hold the instance.
    pub hook_started_at: Option<Timestamp>,
    /// When the drain had to end at the latest, as it was posted.
    pub deadline: Option<Timestamp>,
}

impl Stamp {
    /// Reads a stamp of ours; `None` if somebody else posted the drain.
    pub fn from_meta(meta: &BTreeMap<String, String>) -> Option<Self> {
        if meta.get("managed-by").map(String::as_str) != Some(MANAGED_BY) {
            return None;
        }
        Some(Self {
            instance: meta.get("instance-id").cloned().unwrap_or_default(),
            was_eligible: meta.get("was-eligible").and_then(|value| value.parse().ok()),
            hook_started_at: meta.get("hook-started-at").and_then(|value| value.parse().ok()),
            deadline: meta.get("deadline").and_then(|value| value.parse().ok()),
        })
    }
}

/// Writes the stamp of a drain that we are about to post.
pub fn write(
    target: &Target,
    was_eligible: bool,
    hook_started_at: Option<Timestamp>,
    deadline: Timestamp,
) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::from([
        ("managed-by", MANAGED_BY.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("instance-id", target.instance.to_string()),
        ("cause", target.cause.as_str().to_owned()),
        ("was-eligible", was_eligible.to_string()),
        ("deadline", deadline.to_string()),
        ("message", message(target)),
    ]);
    if let Some(group) = &target.group {
        meta.insert("auto-scaling-group", group.to_string());
    }
    if let Some(hook) = &target.hook {
        meta.insert("lifecycle-hook", hook.to_string());
    }
    if let Some(moment) = hook_started_at {
        meta.insert("hook-started-at", moment.to_string());
    }
    meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn message(target: &Target) -> String {
    let instance = &target.instance;
    let what = match target.cause {
        Cause::Terminate => format!("Auto Scaling is terminating {instance}"),
        Cause::WarmPool => format!("Auto Scaling is returning {instance} to its warm pool"),
        Cause::RootVolume => format!("Auto Scaling is replacing the root volume of {instance}"),
    };
    match &target.group {
        Some(group) => format!("{what} (group {group})"),
        None => what,
    }
}
