//! When a heartbeat is due. No memory is needed: the minute and the instance's id say it.

use jiff::{SignedDuration, Timestamp};

use crate::ids::InstanceId;
use crate::observation::{Hold, Observation};
use crate::policy::Policy;

/// Below this heartbeat time-out a missed minute could end the hold: every look sends one.
const SHORTEST_SCHEDULED: SignedDuration = SignedDuration::from_mins(5);

/// With every look: looks are seconds apart, and one look decides several times.
const ONE_LOOK: SignedDuration = SignedDuration::from_secs(1);

/// Whether the lifecycle action needs a heartbeat in this minute, and has not had one from this invocation.
///
/// An instance is due in the minutes in which (unix minute + hash of its id) is divisible by k, where k is a third of
/// the time-out in minutes: the calls are spread, and one missed turn still leaves a third of the time-out.
pub(super) fn is_due(seen: &Observation, hold: &Hold, now: Timestamp) -> bool {
    let timeout = hold.settings.map(|settings| settings.heartbeat_timeout);
    if timeout.is_some_and(|timeout| timeout < SHORTEST_SCHEDULED) {
        return hold.last_heartbeat.is_none_or(|last| now.duration_since(last) >= ONE_LOOK);
    }
    let minute = now.as_second().div_euclid(60);
    let due = (minute + spread(&seen.target.instance)).rem_euclid(every(hold)) == 0;
    due && hold.last_heartbeat.is_none_or(|last| last.as_second().div_euclid(60) < minute)
}

/// In how many minutes an instance is due once. Without the settings, every minute is right for every time-out that is
/// supported.
fn every(hold: &Hold) -> i64 {
    hold.settings.map_or(1, |hook| (hook.heartbeat_timeout.as_secs() / 180).max(1))
}

/// Which heartbeats come first where Auto Scaling takes too few calls for all of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Urgency {
    /// It keeps the instance alive.
    First,
    /// It is none of those that keep an instance alive, and something waits for it.
    Soon,
    /// The one before it and the one after it keep the instance alive too.
    Spare,
}

/// How urgent a heartbeat is. Every second turn of an instance is enough for its time-out, if each of those is kept: two thirds
/// of it pass between them. So the others wait, and nobody has to remember who was kept waiting.
pub fn urgency(seen: &Observation, hold: &Hold, now: Timestamp) -> Urgency {
    if !is_due(seen, hold, now) {
        return Urgency::Soon;
    }
    if hold.settings.is_some_and(|hook| hook.heartbeat_timeout < SHORTEST_SCHEDULED) {
        return Urgency::First;
    }
    let minute = now.as_second().div_euclid(60);
    let turn = (minute + spread(&seen.target.instance)).div_euclid(every(hold));
    if turn.rem_euclid(2) == 0 { Urgency::First } else { Urgency::Spare }
}

/// When the next heartbeat is due for an instance that a hook holds: at once, or at the beginning of a minute. What has been
/// sent in this minute counts.
pub fn next_due(seen: &Observation, hold: &Hold, now: Timestamp) -> Timestamp {
    if is_due(seen, hold, now) {
        return now;
    }
    let minute = now.as_second().div_euclid(60);
    let missing = (-(minute + 1 + spread(&seen.target.instance))).rem_euclid(every(hold));
    Timestamp::from_second((minute + 1 + missing).saturating_mul(60)).unwrap_or(Timestamp::MAX)
}

/// Whether the instance has been held for so long that the hook's default result shall decide.
pub(super) fn past_max_hold(seen: &Observation, hold: &Hold, policy: &Policy, now: Timestamp) -> bool {
    let Some(started) = super::story::hook_start(seen, policy, now) else { return false };
    let longest = hold.settings.map_or(policy.max_hold, |hook| policy.max_hold.min(hook.global_timeout));
    now >= super::later(started, longest)
}

/// A number that is the same for an instance in every invocation and differs between instances (FNV-1a).
fn spread(instance: &InstanceId) -> i64 {
    let hash = instance
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    i64::from(hash)
}
