//! What an invocation answers. A contract: operators' tools read it.

use std::collections::BTreeSet;

use drain_core::ids::{GroupName, HookName, InstanceId, NodeId};
use drain_core::observation::Target;
use drain_core::reason::{Outcome, Reason};
use serde::Serialize;

use crate::event::Ignored;

/// What an invocation answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To whoever asked.
    Report(Report),
    /// To a queue, which wants nothing else.
    Batch(BatchFailures),
}

/// Which messages of a batch the queue is to deliver again (AWS Lambda Developer Guide, "Reporting batch item failures").
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchFailures {
    /// Each once.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that has failed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its `messageId`.
    pub item_identifier: String,
}

impl Answer {
    /// The answer to a queue of whose messages these have failed.
    pub(crate) fn batch<'a>(failed: impl IntoIterator<Item = &'a String>) -> Self {
        let failed: BTreeSet<&String> = failed.into_iter().collect();
        let failures = failed.into_iter().map(|id| BatchItemFailure { item_identifier: id.clone() });
        Self::Batch(BatchFailures { batch_item_failures: failures.collect() })
    }
}

/// What became of each instance and message.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// One for each node that was looked at and each message that was ignored.
    pub results: Vec<ReportEntry>,
    /// How many more there are, for which an answer has no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Of a sweep: how many groups are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// Of a sweep: how many instances were found waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<usize>,
    /// Of a sweep: how many groups are named in `AUTO_SCALING_GROUPS` and do not exist. Not part of the answer.
    #[serde(skip)]
    pub missing_groups: usize,
    /// Of a sweep: of how many groups more than half of the nodes are down. Not part of the answer.
    #[serde(skip)]
    pub groups_mostly_down: usize,
}

/// Results in one answer, at most: nobody reads more, and the log has them all.
const MOST_RESULTS: usize = 5_000;

/// Bytes of the results in one answer, at most. Lambda takes 6 MB (AWS Lambda Developer Guide, "Lambda quotas"), and one more
/// fails the invocation after all was done. Messages quote what others say, so that nobody knows how long they are.
const MOST_BYTES: usize = 6_000_000;

impl Report {
    /// As much of it as an answer has room for: what went well is left out first. The log has the rest.
    pub(crate) fn bounded(mut self) -> Self {
        let bytes: usize = self.results.iter().map(ReportEntry::bytes).sum();
        if self.results.len() <= MOST_RESULTS && bytes <= MOST_BYTES {
            return self;
        }
        self.results.sort_by_key(ReportEntry::wellness);
        let mut room = MOST_BYTES;
        let fitting = self.results.iter().take(MOST_RESULTS).take_while(|entry| {
            let left = room.checked_sub(entry.bytes());
            room = left.unwrap_or_default();
            left.is_some()
        });
        let fitting = fitting.count();
        self.left_out += self.results.len() - fitting;
        self.results.truncate(fitting);
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What became of one of them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ReportEntry {
    /// The instance, if the message names one.
    pub instance_id: Option<String>,
    /// Its node, if it was found.
    pub node_id: Option<String>,
    /// Its group, if it is known.
    pub auto_scaling_group: Option<String>,
    /// The hook, if it is known.
    pub lifecycle_hook: Option<String>,
    /// What became of it, as one word.
    pub outcome: &'static str,
    /// Why, as one word; docs/operations.md explains each.
    pub reason: &'static str,
    /// The same for people.
    pub message: String,
}

/// What an entry takes beside its values: their names, the punctuation, and a `null` for each that is missing.
const AROUND: usize = 150;

impl ReportEntry {
    /// How many bytes of JSON it takes, and hardly ever more than that.
    fn bytes(&self) -> usize {
        let optional = [&self.instance_id, &self.node_id, &self.auto_scaling_group, &self.lifecycle_hook];
        let values = optional.into_iter().flatten().map(String::as_str);
        let values = values.chain([self.outcome, self.reason, &self.message]);
        AROUND + values.map(escaped).sum::<usize>()
    }

    /// How well it went: what has failed for good comes first, then what waits.
    fn wellness(&self) -> u8 {
        let is = |outcome: Outcome| self.outcome == outcome.as_str();
        if is(Outcome::LeftToHook) || is(Outcome::Abandoned) {
            0
        } else if is(Outcome::Held) {
            1
        } else {
            2
        }
    }

    pub(crate) fn of_instance(
        target: &Target,
        node: Option<&NodeId>,
        outcome: Outcome,
        reason: Reason,
        message: String,
    ) -> Self {
        Self {
            instance_id: Some(target.instance.to_string()),
            node_id: node.map(NodeId::to_string),
            auto_scaling_group: target.group.as_ref().map(GroupName::to_string),
            lifecycle_hook: target.hook.as_ref().map(HookName::to_string),
            outcome: outcome.as_str(),
            reason: reason.as_str(),
            message,
        }
    }
}

impl From<Ignored> for ReportEntry {
    fn from(ignored: Ignored) -> Self {
        Self {
            instance_id: ignored.instance.as_ref().map(InstanceId::to_string),
            node_id: None,
            auto_scaling_group: ignored.group.as_ref().map(GroupName::to_string),
            lifecycle_hook: ignored.hook.as_ref().map(HookName::to_string),
            outcome: ignored.reason.outcome().as_str(),
            reason: ignored.reason.as_str(),
            message: ignored.explanation,
        }
    }
}

/// How many bytes a text takes within the quotes of JSON, at most.
fn escaped(text: &str) -> usize {
    let each = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const LIMIT_OF_LAMBDA: usize = 6 * 1024 * 1024;

    /// Some that are alike.
    fn alike() -> impl Strategy<Value = (ReportEntry, usize)> {
        let outcomes = ["left_to_hook", "abandoned", "held", "draining", "completed", "ignored"];
        let letters = prop_oneof![any::<char>(), Just('"'), Just('\u{0}'), Just('\n'), Just('é'), Just('𝄞')];
        let message = (prop::collection::vec(letters, 0..8), 0..300_usize);
        let name = || prop::option::of("\\PC{0,40}");
        let entry = (prop::sample::select(outcomes.to_vec()), message, name(), name(), name());
        let entry =
            entry.prop_map(|(outcome, (letters, times), node_id, auto_scaling_group, hook)| ReportEntry {
                instance_id: Some("i-0123456789abcdef0".to_owned()),
                node_id,
                auto_scaling_group,
                lifecycle_hook: hook,
                outcome,
                reason: "hook_timeout_takes_over",
                message: letters.into_iter().collect::<String>().repeat(times),
            });
        (entry, 0..4_000_usize)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_answer_stays_below_lambdas_limit_and_keeps_what_failed(kinds in prop::collection::vec(alike(), 1..5)) {
            let results: Vec<ReportEntry> =
                kinds.into_iter().flat_map(|(entry, count)| vec![entry; count]).collect();
            let well = |entry: &ReportEntry| !matches!(entry.outcome, "left_to_hook" | "abandoned" | "held");
            let (all, all_failed) = (results.len(), results.iter().filter(|entry| !well(entry)).count());
            let bounded = Report { results, held: Some(all), ..Report::default() }.bounded();
            let kept = bounded.results.len();
            prop_assert_eq!(kept + bounded.left_out, all);
            let failed = bounded.results.iter().filter(|entry| !well(entry)).count();
            prop_assert!(failed == all_failed || failed == kept, "{} of {} failures, {} results", failed, all_failed, kept);
            let bytes = serde_json::to_string(&Answer::Report(bounded)).unwrap().len();
            prop_assert!(bytes < LIMIT_OF_LAMBDA, "{} bytes", bytes);
            // And nothing is left out for which there is room.
            prop_assert!(kept == all || kept == MOST_RESULTS || bytes > MOST_BYTES / 4, "{} bytes of {} results", bytes, all);
        }
    }

    #[test]
    fn an_answer_that_has_room_for_all_keeps_their_order() {
        let entry = |outcome: &'static str| ReportEntry {
            instance_id: None,
            node_id: None,
            auto_scaling_group: None,
            lifecycle_hook: None,
            outcome,
            reason: "paused",
            message: String::new(),
        };
        let results = vec![entry("completed"), entry("held"), entry("abandoned")];
        let report = Report { results, ..Report::default() };
        assert_eq!(report.clone().bounded(), report);
    }

    #[test]
    fn an_answer_has_room_for_five_thousand_results_and_tells_how_many_more_there_are() {
        let entry = ReportEntry {
            instance_id: Some("i-0123456789abcdef0".to_owned()),
            node_id: Some("f7476465-4d6e-c0de-26d0-e383c49be941".to_owned()),
            auto_scaling_group: Some("workers".to_owned()),
            lifecycle_hook: Some("nomad-drain-hook".to_owned()),
            outcome: "held",
            reason: "nomad_unreachable",
            message: "x".repeat(900),
        };
        let report = Report { results: vec![entry; 15_000], ..Report::default() };
        let answer = serde_json::to_string(&report.clone().bounded()).unwrap();
        assert!(answer.len() < 6 * 1024 * 1024, "{}", answer.len());
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            (&answer["left_out"], answer["results"].as_array().unwrap().len()),
            (&json!(10_000), 5_000)
        );
        let few = Report { results: report.results[..2].to_vec(), ..Report::default() };
        assert_eq!(serde_json::to_value(few.bounded()).unwrap().get("left_out"), None);
    }
}
