//! `CloudWatch`: when something was counted last.

use drain::aws::query::Form;
use drain::aws::{Aws, AwsError, Service};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Members;

/// How far back it is looked: a hundred and eighty minutes, which is one answer.
const BACK: SignedDuration = SignedDuration::from_hours(3);

/// What is counted in the minutes of a metric.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// Its only dimension, if it has one.
    pub(crate) dimension: Option<(&'a str, &'a str)>,
    /// `SampleCount` or `Sum`.
    pub(crate) statistic: &'a str,
}

/// The minutes of the last three hours in which the metric was more than nothing, with what was counted, oldest first. IAM:
/// `cloudwatch:GetMetricStatistics` on `*`.
pub(crate) async fn minutes(
    aws: &Aws,
    metric: Metric<'_>,
    now: Timestamp,
) -> Result<Vec<(Timestamp, f64)>, AwsError> {
    const OPERATION: &str = "cloudwatch:GetMetricStatistics";
    let start = now.saturating_sub(BACK).unwrap_or(now);
    let end = now.saturating_add(SignedDuration::from_mins(1)).unwrap_or(now);
    let mut form = Form::new("GetMetricStatistics", "2010-08-01")
        .with("Namespace", metric.namespace)
        .with("MetricName", metric.name)
        .with("StartTime", format!("{start:.0}"))
        .with("EndTime", format!("{end:.0}"))
        .with("Period", 60)
        .with("Statistics.member.1", metric.statistic);
    if let Some((name, value)) = metric.dimension {
        form = form.with("Dimensions.member.1.Name", name).with("Dimensions.member.1.Value", value);
    }
    let answer = super::ask(aws, Service::CloudWatch, OPERATION, form).await?;
    let Answer { result } = super::read(OPERATION, &answer)?;
    let mut minutes: Vec<(Timestamp, f64)> = result
        .datapoints
        .members
        .into_iter()
        .filter_map(|point| Some((point.timestamp.parse().ok()?, point.sum.or(point.sample_count)?)))
        .filter(|(_, count)| *count > 0.0)
        .collect();
    minutes.sort_by_key(|(minute, _)| *minute);
    Ok(minutes)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "GetMetricStatisticsResult")]
    result: Statistics,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    #[serde(default)]
    datapoints: Members<Point>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Point {
    timestamp: String,
    sum: Option<f64>,
    sample_count: Option<f64>,
}
