//! The stamp: what we write into `Meta` of every drain that we post.
//!
//! It tells an operator in Nomad's UI why the node drains, and it tells our next invocation, which remembers nothing,
//! that this drain is ours, what it was for, and whether the node was eligible before. Later versions read it: change
//! it with care.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serializer;

use crate::observation::{Cause, Target};

/// The value of `managed-by` by which we know our own drains.
pub const MANAGED_BY: &str = "nomad-drain";

/// The parts of a stamp that decisions depend on. Everything else in it is for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// The instance for whose sake the node was drained.
    pub instance: String,
    /// Why; `None` if a later version knows more causes.
    pub cause: Option<Cause>,
    /// The instance's group, if it was known.
    pub group: Option<String>,
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
            cause: meta.get("cause").and_then(|word| Cause::parse(word)),
            group: meta.get(GROUP).cloned(),
            was_eligible: meta.get("was-eligible").and_then(|value| value.parse().ok()),
            hook_started_at: meta.get("hook-started-at").and_then(|value| value.parse().ok()),
            deadline: meta.get("deadline").and_then(|value| value.parse().ok()),
        })
    }
}

/// What a new stamp says besides what its target says.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Why the node is drained.
    pub cause: Cause,
    /// Whether it was eligible before our first drain of this story.
    pub was_eligible: bool,
    /// When the hook began to hold the instance.
    pub hook_started_at: Option<Timestamp>,
    /// When the drain has to end at the latest.
    pub deadline: Timestamp,
    /// The stamp of the same story that this one replaces. A spot warning, say, knows nothing of the hook that holds the
    /// instance.
    pub earlier: Option<&'a BTreeMap<String, String>>,
}

/// Writes the stamp of a drain that we are about to post.
pub fn write(target: &Target, entry: Entry<'_>) -> BTreeMap<String, String> {
    let kept = |key: &str| entry.earlier.and_then(|earlier| earlier.get(key)).cloned();
    let group = target.group.as_ref().map(ToString::to_string).or_else(|| kept(GROUP));
    let hook = target.hook.as_ref().map(ToString::to_string).or_else(|| kept(HOOK));
    let started = entry.hook_started_at.map(|moment| moment.to_string()).or_else(|| kept(STARTED));
    let optional = [(GROUP, group.clone()), (HOOK, hook), (STARTED, started)];
    let fields = [
        ("managed-by", MANAGED_BY.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("instance-id", target.instance.to_string()),
        ("cause", entry.cause.as_str().to_owned()),
        ("was-eligible", entry.was_eligible.to_string()),
        ("deadline", entry.deadline.to_string()),
        ("message", message(target, entry.cause, group.as_deref())),
    ];
    let optional = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
    fields.into_iter().chain(optional).map(|(key, value)| (key.to_owned(), value)).collect()
}

const GROUP: &str = "auto-scaling-group";
const HOOK: &str = "lifecycle-hook";
const STARTED: &str = "hook-started-at";

/// Every field that a stamp of ours may have.
const FIELDS: [&str; 10] = [
    "managed-by",
    "version",
    "instance-id",
    "cause",
    "was-eligible",
    "deadline",
    "message",
    GROUP,
    HOOK,
    STARTED,
];

/// Writes a drain's `Meta` down so that decisions can be made from it again: our stamp in full, and of everything else
/// only the names. People attach to a drain what they like, and it belongs in no log.
pub(crate) fn serialize_meta<S: Serializer>(
    meta: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let is_ours = Stamp::from_meta(meta).is_some();
    let shown = |key: &str| is_ours && FIELDS.contains(&key);
    serializer.collect_map(meta.iter().map(|(key, value)| (key, if shown(key) { value } else { "…" })))
}

fn message(target: &Target, cause: Cause, group: Option<&str>) -> String {
    let instance = &target.instance;
    let what = match cause {
        Cause::Terminate => format!("Auto Scaling is terminating {instance}"),
        Cause::WarmPool => format!("Auto Scaling is returning {instance} to its warm pool"),
        Cause::RootVolume => format!("Auto Scaling is replacing the root volume of {instance}"),
        Cause::Spot => format!("EC2 is taking {instance} back (interruption warning)"),
        Cause::Rebalance => format!("EC2 recommends to replace {instance} (rebalance recommendation)"),
        Cause::ScheduledChange => format!("AWS Health announces a scheduled change of {instance}"),
        Cause::StateChange => format!("{instance} is being stopped or shut down"),
        Cause::Manual => format!("An operator asked for a drain of {instance}"),
    };
    match group {
        Some(group) => format!("{what} (group {group})"),
        None => what,
    }
}
