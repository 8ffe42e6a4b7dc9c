//! Settings that are tried out on a decision that has been made: "what would have happened with `DRAIN_DEADLINE=30m`?"

use std::collections::BTreeMap;

use drain_core::policy::Policy;

use super::ConfigurationError;
use super::cluster::{Whole, policy};
use super::reader::Reader;
use super::variables::{self as var, Variable};

/// A variable, and how its meaning gets from one policy into another.
type Setting = (&'static Variable, fn(&mut Policy, &Policy));

/// The variables on which decisions depend.
pub const BEARING: &[Setting] = &[
    (&var::DRAIN_DEADLINE, |to, from| to.drain_deadline = from.drain_deadline),
    (&var::DRAIN_IGNORE_SYSTEM_JOBS, |to, from| to.ignore_system_jobs = from.ignore_system_jobs),
    (&var::DRY_RUN, |to, from| to.dry_run = from.dry_run),
    (&var::SWEEP, |to, from| to.sweep = from.sweep),
    (&var::MAX_HOLD, |to, from| to.max_hold = from.max_hold),
    (&var::KILL_GRACE, |to, from| to.kill_grace = from.kill_grace),
    (&var::ON_DRAIN_TIMEOUT, |to, from| to.on_drain_timeout = from.on_drain_timeout),
    (&var::ON_NODE_NOT_FOUND, |to, from| to.on_node_not_found = from.on_node_not_found),
    (&var::NODE_JOIN_GRACE, |to, from| to.node_join_grace = from.node_join_grace),
    (&var::DISCONNECTED_GRACE, |to, from| to.disconnected_grace = from.disconnected_grace),
    (&var::DOWN_GRACE, |to, from| to.down_grace = from.down_grace),
    (&var::SETTLE_DELAY, |to, from| to.settle_delay = from.settle_delay),
    (&var::PAUSE, |to, from| to.pause = from.pause),
    (&var::RESTORE_AFTER, |to, from| to.restore_after = from.restore_after),
    (&var::MAX_DRAINS_PER_GROUP, |to, from| to.max_drains_per_group = from.max_drains_per_group),
    (&var::PURGE_NODES, |to, from| to.purge_nodes = from.purge_nodes),
];

/// The policy with other values for some variables. A `MAX_HOLD` that was twice `DRAIN_DEADLINE`, its default, stays that.
/// The error lists every variable that cannot be tried, and why.
pub fn tried(general: &Policy, values: &BTreeMap<String, String>) -> Result<Policy, ConfigurationError> {
    let lookup = |name: &str| values.get(name).cloned();
    let mut reader = Reader::new(&lookup);
    let set = |variable: &Variable| values.contains_key(variable.name);
    let sweep = reader.boolean(&var::SWEEP).filter(|_| set(&var::SWEEP)).unwrap_or(general.sweep);
    let purge_nodes =
        reader.boolean(&var::PURGE_NODES).filter(|_| set(&var::PURGE_NODES)).unwrap_or(general.purge_nodes);
    let whole = Whole { sweep, purge_nodes, aws_region: general.aws_region.clone() };
    let read = policy(&mut reader, &whole);
    let mut problems = reader.into_problems();
    let mut changed = general.clone();
    for name in values.keys() {
        match BEARING.iter().find(|(variable, _)| variable.name == name) {
            Some((_, set)) => set(&mut changed, &read),
            None => problems.push(format!("{name} bears on no decision; these do: {}", names().join(", "))),
        }
    }
    let follows = general.max_hold == general.drain_deadline.saturating_add(general.drain_deadline);
    if follows && !set(&var::MAX_HOLD) {
        changed.max_hold = changed.drain_deadline.saturating_add(changed.drain_deadline);
    }
    if problems.is_empty() { Ok(changed) } else { Err(ConfigurationError::of(problems)) }
}

fn names() -> Vec<&'static str> {
    BEARING.iter().map(|(variable, _)| variable.name).collect()
}

#[cfg(test)]
mod tests {
    use drain_core::policy::{ActionResult, OnNodeNotFound};
    use jiff::SignedDuration;

    use super::*;

    fn values(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn every_variable_that_is_tried_changes_its_own_setting_and_no_other() {
        let general = Policy { sweep: true, max_hold: SignedDuration::from_hours(3), ..Policy::default() };
        for (name, value) in [
            ("DRAIN_DEADLINE", "30m"),
            ("DRAIN_IGNORE_SYSTEM_JOBS", "on"),
            ("DRY_RUN", "on"),
            ("SWEEP", "off"),
            ("MAX_HOLD", "10h"),
            ("KILL_GRACE", "7s"),
            ("ON_DRAIN_TIMEOUT", "abandon"),
            ("ON_NODE_NOT_FOUND", "hold"),
            ("NODE_JOIN_GRACE", "7s"),
            ("DISCONNECTED_GRACE", "7s"),
            ("DOWN_GRACE", "7s"),
            ("SETTLE_DELAY", "7s"),
            ("PAUSE", "on"),
            ("RESTORE_AFTER", "7s"),
            ("MAX_DRAINS_PER_GROUP", "3"),
            ("PURGE_NODES", "on"),
        ] {
            let changed = tried(&general, &values(&[(name, value)])).unwrap();
            let differing: Vec<&str> = BEARING
                .iter()
                .filter(|(_, set)| {
                    let mut same = general.clone();
                    set(&mut same, &changed);
                    same != general
                })
                .map(|(variable, _)| variable.name)
                .collect();
            assert_eq!(differing, [name]);
        }
        let changed = tried(&general, &values(&[("DRAIN_DEADLINE", "30m"), ("ON_NODE_NOT_FOUND", "hold")]));
        let expected = Policy {
            drain_deadline: SignedDuration::from_mins(30),
            on_node_not_found: OnNodeNotFound::Hold,
            ..general
        };
        assert_eq!(changed, Ok(expected));
    }

    #[test]
    fn max_hold_follows_the_deadline_as_long_as_nobody_has_set_it() {
        let changed = tried(&Policy::default(), &values(&[("DRAIN_DEADLINE", "30m")])).unwrap();
        assert_eq!(changed.max_hold, SignedDuration::from_hours(1));
    }

    #[test]
    fn what_cannot_be_tried_is_said_all_at_once() {
        let general = Policy { on_drain_timeout: ActionResult::Abandon, ..Policy::default() };
        let error =
            tried(&general, &values(&[("NOMAD_ADDR", "http://x"), ("KILL_GRACE", "soon")])).unwrap_err();
        assert_eq!(error.problems.len(), 2, "{error}");
        assert!(error.to_string().contains("KILL_GRACE is \"soon\""), "{error}");
        assert!(
            error.to_string().contains("NOMAD_ADDR bears on no decision; these do: DRAIN_DEADLINE"),
            "{error}"
        );
    }
}
