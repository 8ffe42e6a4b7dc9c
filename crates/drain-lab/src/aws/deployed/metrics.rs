//! Metrics: what is counted of functions, and what functions count themselves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Deployed;
use crate::lambda::{Lambda, LogLine};

/// A value of a metric without dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's namespace.
    pub namespace: String,
    /// The metric's name.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// What was counted in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    /// The values' sum.
    pub(crate) sum: f64,
    /// How many values there were.
    pub(crate) samples: u32,
}

/// A metric, by what it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Metric<'a> {
    /// `Invocations` or `Errors` of the function with this name.
    OfFunction(&'a str, &'a str),
    /// A namespace and a name, without dimensions.
    Own(&'a str, &'a str),
}

impl Deployed {
    /// What was counted from `start` on and before `end`, in periods of that length, by their beginnings. Periods in which
    /// nothing was counted are left out.
    pub(crate) fn counted(
        &self,
        metric: Metric<'_>,
        (start, end): (Timestamp, Timestamp),
        period: SignedDuration,
    ) -> BTreeMap<Timestamp, Counted> {
        let length = period.as_secs().max(1);
        let mut periods: BTreeMap<Timestamp, Counted> = BTreeMap::new();
        for (at, value) in self.values(metric).into_iter().filter(|(at, _)| (start..end).contains(at)) {
            let second = at.as_second();
            let begins = Timestamp::from_second(second - second.rem_euclid(length)).unwrap_or(at);
            let counted = periods.entry(begins).or_default();
            counted.sum += value;
            counted.samples += 1;
        }
        periods
    }

    fn values(&self, metric: Metric<'_>) -> Vec<(Timestamp, f64)> {
        match metric {
            Metric::OfFunction(name, what) => {
                let runs =
                    self.functions.get(name).map(super::DeployedFunction::all_runs).unwrap_or_default();
                let value = |failed| match what {
                    "Invocations" => Some(1.0),
                    // Of a run that succeeded a zero is counted.
                    "Errors" => Some(if failed { 1.0 } else { 0.0 }),
                    _ => None,
                };
                runs.into_iter().filter_map(|run| Some((run.at, value(run.failed)?))).collect()
            }
            Metric::Own(namespace, name) => {
                let is_it = |sample: &&Sample| sample.namespace == namespace && sample.name == name;
                let written = self.samples.iter().filter(is_it).map(|sample| (sample.at, sample.value));
                let hosted = self.functions.values().filter_map(|function| function.hosted.as_ref());
                let logs: Vec<LogLine> = hosted.flat_map(Lambda::logs).collect();
                let printed = logs.iter().flat_map(|line| printed(line, namespace, name));
                written.chain(printed).collect()
            }
        }
    }
}

/// The values of a metric without dimensions in a line of a log. (Amazon `CloudWatch` User Guide, "Specification: Embedded
/// metric format".)
fn printed(line: &LogLine, namespace: &str, name: &str) -> Vec<(Timestamp, f64)> {
    let Ok(json) = serde_json::from_str::<Value>(&line.text) else { return Vec::new() };
    let has = |list: &Value, is_it: &dyn Fn(&Value) -> bool| {
        list.as_array().is_some_and(|items| items.iter().any(is_it))
    };
    let is_directive = |directive: &Value| {
        directive["Namespace"] == namespace
            && has(&directive["Dimensions"], &|set| set.as_array().is_some_and(Vec::is_empty))
            && has(&directive["Metrics"], &|metric| metric["Name"] == name)
    };
    if !has(&json["_aws"]["CloudWatchMetrics"], &is_directive) {
        return Vec::new();
    }
    let at = json["_aws"]["Timestamp"].as_i64().and_then(|at| Timestamp::from_millisecond(at).ok());
    let value = &json[name];
    let values: Vec<f64> = match value.as_array() {
        Some(values) => values.iter().filter_map(Value::as_f64).collect(),
        None => value.as_f64().into_iter().collect(),
    };
    values.into_iter().map(|value| (at.unwrap_or(line.at), value)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lambda::Stream;

    /// The values of `Groups` in the namespace `Drain` that a line with these dimensions has, by the second.
    fn values(dimensions: &Value, value: &Value) -> Vec<(i64, f64)> {
        let json = json!({"level": "FATAL", "Groups": value, "_aws": {"Timestamp": 5000, "CloudWatchMetrics": [
            {"Namespace": "Drain", "Dimensions": dimensions, "Metrics": [{"Name": "Groups", "Unit": "Count"}]},
        ]}});
        let at = Timestamp::UNIX_EPOCH;
        let line = LogLine { at, request_id: None, stream: Stream::Stdout, text: json.to_string() };
        assert_eq!(printed(&line, "Other", "Groups"), []);
        printed(&line, "Drain", "Groups").into_iter().map(|(at, value)| (at.as_second(), value)).collect()
    }

    #[test]
    fn what_a_function_prints_is_counted() {
        assert_eq!(values(&json!([[]]), &json!(3)), [(5, 3.0)]);
        assert_eq!(values(&json!([["Cluster"], []]), &json!([1, 2.5])), [(5, 1.0), (5, 2.5)]);
        assert_eq!(values(&json!([["Cluster"]]), &json!(3)), []);
    }
}
