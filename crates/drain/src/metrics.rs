//! Metrics: one line of JSON on standard output, which `CloudWatch` Logs turns into metrics (`CloudWatch`, Embedded
//! Metric Format). No call, no permission and no library is needed for it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::report::Report;

/// The metrics' namespace.
const NAMESPACE: &str = "NomadDrain";

/// What a sweep found, as one line; `None` for the report of an event.
pub(crate) fn of_sweep(report: &Report, now: Timestamp) -> Option<String> {
    let (Some(groups), Some(held)) = (report.groups, report.held) else { return None };
    let values =
        [("WatchedGroups", groups), ("HeldInstances", held), ("MissingGroups", report.missing_groups)];
    Some(line(&values, now))
}

fn line(values: &[(&str, usize)], now: Timestamp) -> String {
    let metrics: Vec<Value> =
        values.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let directive = json!({
        "Timestamp": now.as_millisecond(),
        "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": metrics }],
    });
    let mut line = Map::from_iter([("_aws".to_owned(), directive)]);
    line.extend(values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_that_watches_no_group_is_a_metric() {
        let report = Report { groups: Some(0), held: Some(0), missing_groups: 1, ..Report::default() };
        let line = of_sweep(&report, "2026-03-01T12:00:00Z".parse().unwrap()).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["WatchedGroups"], &line["MissingGroups"]), (&json!(0), &json!(1)));
        assert_eq!(line["_aws"]["Timestamp"], 1_772_366_400_000_i64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "NomadDrain");
        assert_eq!(directive["Metrics"][0], json!({ "Name": "WatchedGroups", "Unit": "Count" }));
        assert_eq!(of_sweep(&Report::default(), Timestamp::UNIX_EPOCH), None);
    }
}
