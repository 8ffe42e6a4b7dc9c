//! What a hook's metadata may say of its instances.

use super::*;

fn cluster(variables: &[(&str, &str)]) -> ClusterConfig {
    let mut all = vec![("ENV", "p"), ("REGION", "r")];
    all.extend_from_slice(variables);
    parse(&all).unwrap().cluster().unwrap().clone()
}

fn overridden(variables: &[(&str, &str)], metadata: &str) -> Result<Option<Policy>, Vec<String>> {
    cluster(variables).overridden(metadata)
}

#[test]
fn what_is_not_for_us_changes_nothing() {
    for metadata in
        ["", "text", "4h", "[1]", "{}", r#"{"team":"blue","Deadline":"4h","URL":"x"}"#, "{\"DRAIN", "null"]
    {
        assert_eq!(overridden(&[], metadata), Ok(None), "{metadata}");
    }
}

#[test]
fn a_hook_says_how_its_instances_are_drained() {
    let set = [("DRAIN_DEADLINE", "30m"), ("KILL_GRACE", "5m"), ("PAUSE", "on"), ("SWEEP", "on")];
    let general = overridden(&set, r#"{"KILL_GRACE":"5m"}"#).unwrap().unwrap();
    let metadata = r#"{"DRAIN_DEADLINE":"4h","ON_DRAIN_TIMEOUT":"abandon","DRAIN_IGNORE_SYSTEM_JOBS":true,"team":"blue"}"#;
    let own = overridden(&set, metadata).unwrap().unwrap();
    let expected = Policy {
        drain_deadline: SignedDuration::from_hours(4),
        // It follows the deadline unless somebody sets it.
        max_hold: SignedDuration::from_hours(8),
        on_drain_timeout: ActionResult::Abandon,
        ignore_system_jobs: true,
        ..general
    };
    assert_eq!(own, expected);
    assert!(own.pause && own.sweep);
    let held = [("MAX_HOLD", "90m")];
    let own = overridden(&held, r#"{"DRAIN_DEADLINE":"4h"}"#).unwrap().unwrap();
    assert_eq!(own.max_hold, SignedDuration::from_mins(90), "somebody has set it");
}

#[test]
fn what_is_wrong_is_told_and_nothing_counts() {
    let refused = |metadata: &str| overridden(&[], metadata).unwrap_err();
    assert_eq!(
        refused(r#"{"DRAIN_DEADLINE":"4h","KILL_GRACE":5,"ON_DRAIN_TIMEOUT":[]}"#),
        [
            "ON_DRAIN_TIMEOUT is neither text nor a number nor true or false",
            "KILL_GRACE is \"5\", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, \
             s, ms)",
        ]
    );
    assert_eq!(refused(r#"{"PAUSE":"on","NOMAD_ADDR":"http://evil"}"#).len(), 2);
    assert_eq!(refused(r#"{"PAUSE":true}"#), ["PAUSE cannot be set for one hook"]);
    assert_eq!(refused(r#"{"DRAIN_DEADLIN":"4h"}"#), ["DRAIN_DEADLIN is unknown"]);
}
