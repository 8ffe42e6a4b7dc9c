//! Metrics: one line of JSON on standard output, which `CloudWatch` Logs turns into metrics (`CloudWatch`, Embedded
//! Metric Format). No call, no permission and no library is needed for it.

use std::collections::BTreeMap;

use drain_core::reason::Outcome;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::report::Report;

/// The metrics' namespace.
const NAMESPACE: &str = "NomadDrain";

/// What an invocation has to tell: of a sweep, what it found; of every invocation, what it ignored, by reason.
pub(crate) fn of(report: &Report, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(groups), Some(held)) = (report.groups, report.held) {
        let values =
            [("WatchedGroups", groups), ("HeldInstances", held), ("MissingGroups", report.missing_groups)];
        lines.push(line(&values, None, now));
    }
    let mut ignored: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in report.results.iter().filter(|entry| entry.outcome == Outcome::Ignored.as_str()) {
        *ignored.entry(entry.reason).or_default() += 1;
    }
    lines.extend(ignored.iter().map(|(reason, count)| line(&[("Ignored", *count)], Some(reason), now)));
    lines
}

/// One line of metrics, which have a reason or no dimension at all.
fn line(values: &[(&str, usize)], reason: Option<&str>, now: Timestamp) -> String {
    let metrics: Vec<Value> =
        values.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let dimensions: Vec<&str> = reason.map(|_| "Reason").into_iter().collect();
    let directive = json!({
        "Timestamp": now.as_millisecond(),
        "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics }],
    });
    let mut line = Map::from_iter([("_aws".to_owned(), directive)]);
    line.extend(reason.map(|reason| ("Reason".to_owned(), json!(reason))));
    line.extend(values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use drain_core::reason::Reason;

    use super::*;
    use crate::event::Ignored;
    use crate::report::ReportEntry;

    #[test]
    fn a_sweep_that_watches_no_group_is_a_metric() {
        let report = Report { groups: Some(0), held: Some(0), missing_groups: 1, ..Report::default() };
        let lines = of(&report, "2026-03-01T12:00:00Z".parse().unwrap());
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["WatchedGroups"], &line["MissingGroups"]), (&json!(0), &json!(1)));
        assert_eq!(line["_aws"]["Timestamp"], 1_772_366_400_000_i64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "NomadDrain");
        assert_eq!(directive["Metrics"][0], json!({ "Name": "WatchedGroups", "Unit": "Count" }));
        assert_eq!(of(&Report::default(), Timestamp::UNIX_EPOCH), Vec::<String>::new());
    }

    #[test]
    fn what_was_ignored_is_counted_by_reason() {
        let ignored = |reason: Reason| {
            ReportEntry::from(Ignored {
                reason,
                instance: None,
                group: None,
                hook: None,
                explanation: String::new(),
            })
        };
        let results = [Reason::NotOurInstance, Reason::OtherHook, Reason::NotOurInstance].map(ignored);
        let report = Report { results: results.to_vec(), ..Report::default() };
        let lines = of(&report, Timestamp::UNIX_EPOCH);
        let counts: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = counts.iter().map(|line| (&line["Reason"], &line["Ignored"])).collect();
        assert_eq!(told, [(&json!("not_our_instance"), &json!(2)), (&json!("other_hook"), &json!(1))]);
        assert_eq!(counts[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Reason"]]));
    }
}
