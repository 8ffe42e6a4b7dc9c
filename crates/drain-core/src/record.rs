//! A decision with everything that it depended on, as one line of the log holds it. Whoever has such a line can decide
//! again, at another time or with other settings, and make a test of it (`tests/replays`).

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::decide::{Decision, decide};
use crate::observation::Observation;
use crate::policy::Policy;

/// The version of the records that are written. It is raised whenever a program that knows only the old ones would decide
/// otherwise from a new one, or could not read it.
pub const VERSION: u32 = 1;

/// The name of the field in which the log holds a record.
pub const FIELD: &str = "record";

/// A decision, and what it was made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`VERSION`]. It comes first, so that a record of a later version is refused for what it is.
    #[serde(deserialize_with = "known_version")]
    version: u32,
    /// When it was decided.
    pub now: Timestamp,
    /// What was seen.
    pub observation: Observation,
    /// What was asked for.
    pub policy: Policy,
    /// What was decided.
    pub decision: Decision,
}

impl Record {
    /// The record of a decision that has been made.
    pub fn of(now: Timestamp, seen: &Observation, policy: &Policy, decision: &Decision) -> Self {
        let (observation, policy, decision) = (seen.clone(), policy.clone(), decision.clone());
        Self { version: VERSION, now, observation, policy, decision }
    }

    /// What is decided from the same today.
    pub fn decide(&self) -> Decision {
        decide(&self.observation, &self.policy, self.now)
    }
}

/// The record was written by a program that this one does not understand.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the record has version {0}, and this program reads version {VERSION}: take the program of the function's release"
)]
pub struct UnknownVersion(u32);

/// Checks that records of this version can be read.
pub fn check_version(version: u32) -> Result<(), UnknownVersion> {
    if version == VERSION { Ok(()) } else { Err(UnknownVersion(version)) }
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    check_version(version).map_err(D::Error::custom)?;
    Ok(version)
}
