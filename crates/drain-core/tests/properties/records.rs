//! What is written down of a decision is enough to make it again, and holds no secret.

use drain_core::decide::{Decision, decide};
use drain_core::observation::{Nodes, Observation};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use drain_core::record::Record;
use drain_core::stamp::Stamp;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::strategies::{moments, observations, other_observations, policies};

/// The record of a decision, and the same after it was written down and read.
fn there_and_back(seen: &Observation, policy: &Policy, now: Timestamp) -> (Record, Record) {
    let record = Record::of(now, seen, policy, &decide(seen, policy, now));
    let text = serde_json::to_string(&record).unwrap();
    let read = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (record, read)
}

/// The same without what is not written down.
fn without_strangers_values(mut seen: Observation) -> Observation {
    if let Nodes::Known(nodes) = &mut seen.nodes {
        for last in nodes.iter_mut().filter_map(|seen| seen.node.last_drain.as_mut()) {
            if Stamp::from_meta(&last.meta).is_none() {
                last.meta.values_mut().for_each(|value| "…".clone_into(value));
            }
        }
    }
    seen
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn the_same_is_decided_from_what_was_written_down(
        seen in prop_oneof![observations(), other_observations()], policy in policies(), now in moments(),
    ) {
        let (written, read) = there_and_back(&seen, &policy, now);
        prop_assert_eq!(read.decide(), written.decision.clone());
        prop_assert_eq!(&read.decision, &written.decision);
        prop_assert_eq!((read.now, &read.policy), (now, &policy));
        prop_assert_eq!(read.observation, without_strangers_values(seen));
    }
}

/// A record as a value, to be spoilt.
fn example() -> serde_json::Value {
    let mut runner = TestRunner::deterministic();
    let (seen, policy, now) =
        (observations(), policies(), moments()).new_tree(&mut runner).unwrap().current();
    serde_json::to_value(Record::of(now, &seen, &policy, &Decision::Finish(Reason::Drained))).unwrap()
}

fn refusal(record: &serde_json::Value) -> String {
    serde_json::from_str::<Record>(&record.to_string()).unwrap_err().to_string()
}

#[test]
fn a_record_of_a_later_version_is_refused_for_its_version() {
    // As it is written: the version comes first, whatever else is new behind it.
    let error = serde_json::from_str::<Record>(r#"{"version":2,"weather":"fine"}"#).unwrap_err().to_string();
    assert!(error.starts_with("the record has version 2, and this program reads version 1"), "{error}");
}

#[test]
fn what_is_read_is_checked_as_whatever_comes_from_outside() {
    for (pointer, bad, complaint) in [
        ("/observation/target/instance", "i-1/../..", "is not an EC2 instance id"),
        ("/observation/target/hook", "a hook", "is not a lifecycle hook name"),
        ("/decision/finish", "tired", "is no reason of this version"),
        ("/now", "noon", "failed to parse"),
    ] {
        let mut record = example();
        if pointer.ends_with("hook") {
            record["observation"]["target"]["hook"] = "fine".into();
        }
        *record.pointer_mut(pointer).unwrap() = bad.into();
        let error = refusal(&record);
        assert!(error.contains(complaint), "{pointer}: {error}");
    }
    let mut record = example();
    record["observation"]["weather"] = "fine".into();
    assert!(refusal(&record).contains("unknown field `weather`"), "{}", refusal(&record));
}

#[test]
fn no_record_holds_a_token_or_what_strangers_have_attached_to_a_drain() {
    let mut runner = TestRunner::deterministic();
    let mut shown = 0;
    for _ in 0..200 {
        let (mut seen, policy, now) =
            (observations(), policies(), moments()).new_tree(&mut runner).unwrap().current();
        seen.target.token = Some("465e0162-e6af-4786-b4e8-bb544ae58790".to_owned());
        if let Nodes::Known(nodes) = &mut seen.nodes {
            for last in nodes.iter_mut().filter_map(|seen| seen.node.last_drain.as_mut()) {
                last.meta.insert("ticket".to_owned(), "hunter2".to_owned());
            }
        }
        let text = serde_json::to_string(&there_and_back(&seen, &policy, now).0).unwrap();
        shown += usize::from(text.contains("ticket"));
        for secret in ["465e0162", "hunter2"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    assert!(shown > 50, "the names are there: {shown}");
}

#[test]
fn settings_that_a_later_version_brings_have_their_defaults_in_older_records() {
    let mut record = example();
    let policy = record["policy"].as_object_mut().unwrap();
    policy.remove("settle_delay");
    policy.insert("drain_deadline".to_owned(), "PT30M".into());
    let read: Record = serde_json::from_value(record).unwrap();
    assert_eq!(read.policy.settle_delay, Policy::default().settle_delay);
    assert_eq!(read.policy.drain_deadline, jiff::SignedDuration::from_mins(30));
}
