//! What a group's hook says of its own instances: `NotificationMetadata`, which comes with every message of the hook and
//! with its description.
//!
//! It belongs to whoever set the hook up, and may be anything. If it is a JSON object, such as
//! `{"DRAIN_DEADLINE":"4h"}`, those of its fields count that have the name of a variable in [`OVERRIDABLE`].

use std::collections::BTreeMap;

use drain_core::policy::Policy;
use serde_json::Value;

use super::cluster::{Whole, policy};
use super::reader::Reader;
use super::variables::{self as var, VARIABLES};

/// The variables that a hook may set for its instances: how they are drained and for how long they are held. Not whether
/// anything is done at all, which is the operator's of the function.
pub(super) const OVERRIDABLE: &[&var::Variable] = &[
    &var::DRAIN_DEADLINE,
    &var::DRAIN_IGNORE_SYSTEM_JOBS,
    &var::MAX_HOLD,
    &var::KILL_GRACE,
    &var::ON_DRAIN_TIMEOUT,
    &var::ON_NODE_NOT_FOUND,
    &var::NODE_JOIN_GRACE,
    &var::DISCONNECTED_GRACE,
    &var::DOWN_GRACE,
    &var::SETTLE_DELAY,
];

/// The policy of a hook's instances, where the hook's metadata says something of it. `set` holds what is set of
/// [`OVERRIDABLE`] for the cluster, whose policy is `general`. An error says everything that is wrong: then nothing of the
/// metadata counts.
pub(super) fn overridden(
    metadata: &str,
    set: &BTreeMap<&'static str, String>,
    general: &Policy,
) -> Result<Option<Policy>, Vec<String>> {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(metadata) else { return Ok(None) };
    let mut problems = Vec::new();
    let mut own: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &fields {
        let is = |variable: &&&var::Variable| variable.name == name;
        match (OVERRIDABLE.iter().find(is), value) {
            (Some(variable), Value::String(text)) => drop(own.insert(variable.name, text.clone())),
            (Some(variable), Value::Bool(is_on)) => drop(own.insert(variable.name, is_on.to_string())),
            (Some(variable), Value::Number(number)) => drop(own.insert(variable.name, number.to_string())),
            (Some(variable), _) => {
                let name = variable.name;
                problems.push(format!("{name} is neither text nor a number nor true or false"));
            }

            (None, _) if VARIABLES.iter().any(|variable| variable.name == name) => {
                problems.push(format!("{name} cannot be set for one hook"));
            }
            (None, _) if looks_like_a_variable(name) => problems.push(format!("{name} is unknown")),
            // Somebody else's.
            (None, _) => {}
        }
    }
    if own.is_empty() && problems.is_empty() {
        return Ok(None);
    }
    let lookup = |name: &str| own.get(name).or_else(|| set.get(name)).cloned();
    let mut reader = Reader::new(&lookup);
    let whole = Whole {
        sweep: general.sweep,
        purge_nodes: general.purge_nodes,
        aws_region: general.aws_region.clone(),
    };
    let Policy { dry_run, pause, restore_after, max_drains_per_group, .. } = *general;
    let policy =
        Policy { dry_run, pause, restore_after, max_drains_per_group, ..policy(&mut reader, &whole) };
    problems.extend(reader.into_problems());
    if problems.is_empty() { Ok(Some(policy)) } else { Err(problems) }
}

/// Whether a field is most likely meant for us, and misspelt.
fn looks_like_a_variable(name: &str) -> bool {
    name.contains('_')
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
