//! `CloudWatch`'s embedded metric format: one line of JSON on standard output, which `CloudWatch` Logs turns into metrics. No
//! call, no permission and no library is needed for it.
//!
//! (Amazon `CloudWatch` User Guide, "Specification: Embedded metric format".)

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::sample::MOST;

/// A metric's unit, in `CloudWatch`'s words.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Count,
    Milliseconds,
    Seconds,
}

/// Metrics that have the same dimensions.
#[derive(Debug)]
pub(super) struct Line {
    dimensions: Vec<(&'static str, String)>,
    metrics: Vec<(String, Unit, Vec<f64>)>,
    /// Further dimensions, and the metrics that have them too.
    also: Option<Also>,
}

/// Some of a line's metrics, with dimensions of their own.
#[derive(Debug)]
struct Also {
    dimensions: Vec<(&'static str, String)>,
    metrics: Vec<&'static str>,
}

impl Line {
    pub(super) fn without_dimensions() -> Self {
        Self { dimensions: Vec::new(), metrics: Vec::new(), also: None }
    }

    pub(super) fn with_dimension(name: &'static str, value: &str) -> Self {
        Self { dimensions: vec![(name, value.to_owned())], ..Self::without_dimensions() }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
    pub(super) fn count(&mut self, name: &str, count: usize) {
        self.metrics.push((name.to_owned(), Unit::Count, vec![count as f64]));
    }

    /// What never happened costs nothing.
    pub(super) fn count_if_any(&mut self, name: &str, count: usize) {
        if count > 0 {
            self.count(name, count);
        }
    }

    pub(super) fn values(&mut self, name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) {
        let values: Vec<f64> = values.into_iter().map(|value| (value * 1000.0).round() / 1000.0).collect();
        if !values.is_empty() {
            self.metrics.push((name.to_owned(), unit, values));
        }
    }

    /// Some of the metrics once more, with dimensions.
    pub(super) fn also_by<const D: usize, const M: usize>(
        &mut self,
        dimensions: [(&'static str, &str); D],
        metrics: [&'static str; M],
    ) {
        let dimensions = dimensions.map(|(name, value)| (name, value.to_owned()));
        self.also = Some(Also { dimensions: dimensions.to_vec(), metrics: metrics.to_vec() });
    }

    /// As it is written: one line, and more if a metric has more values than a line takes.
    pub(super) fn written(self, namespace: &str, now: Timestamp) -> Vec<String> {
        let most = self.metrics.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
        (0..most.div_ceil(MOST)).map(|part| self.part(part, namespace, now)).collect()
    }

    fn part(&self, part: usize, namespace: &str, now: Timestamp) -> String {
        let here: Vec<(&String, Unit, &[f64])> = self
            .metrics
            .iter()
            .filter_map(|(name, unit, values)| Some((name, *unit, values.chunks(MOST).nth(part)?)))
            .collect();
        let definition =
            |(name, unit, _): &(&String, Unit, &[f64])| json!({ "Name": name, "Unit": format!("{unit:?}") });
        let directive = |dimensions: &[(&str, String)], metrics: Vec<Value>| {
            let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
            json!({ "Namespace": namespace, "Dimensions": [names], "Metrics": metrics })
        };
        let mut directives = vec![directive(&self.dimensions, here.iter().map(definition).collect())];
        let mut members = self.dimensions.clone();
        if let Some(Also { dimensions, metrics }) = &self.also {
            let some: Vec<Value> =
                here.iter().filter(|(name, ..)| metrics.contains(&name.as_str())).map(definition).collect();
            if !some.is_empty() {
                directives.push(directive(dimensions, some));
            }
            members.extend(dimensions.iter().cloned());
        }
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": directives }),
        );
        // With a level above INFO Lambda drops every JSON line of a lower level, and takes one without a level and a moment for INFO:
        // the alarms would go blind (AWS Lambda Developer Guide, "Log-level filtering").
        line.insert("level".to_owned(), json!("FATAL"));
        line.insert("timestamp".to_owned(), json!(now));
        line.extend(members.into_iter().map(|(name, value)| (name.to_owned(), json!(value))));
        for (name, _, values) in here {
            let value = match values {
                [only] => number(*only),
                several => Value::Array(several.iter().copied().map(number).collect()),
            };
            line.insert(name.clone(), value);
        }
        Value::Object(line).to_string()
    }
}

/// Whole numbers without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "only whole numbers of a range that fits")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}
