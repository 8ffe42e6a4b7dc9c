//! `CloudWatch`'s query protocol: how often functions ran. (Amazon `CloudWatch` API Reference; "Types of metrics for Lambda
//! functions" in the AWS Lambda Developer Guide.)

use jiff::{SignedDuration, Timestamp};

use super::call::Call;
use super::xml;
use crate::aws::deployed::{Counted, Metric};
use crate::aws::{ApiError, Aws};

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    match call.operation.as_str() {
        "GetMetricStatistics" => get_metric_statistics(aws, call, request_id),
        _ => Err(call.unknown()),
    }
}

/// "`GetMetricStatistics`": `Invocations` and `Errors` of a function, and what functions count themselves without
/// dimensions, in periods. A period in which nothing was counted has no data point, and the points come in no order: here
/// the latest first. A metric that nobody has written has none.
fn get_metric_statistics(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    aws.permit(&call.action(), None).map_err(|message| call.service.denied(message))?;
    let namespace = required(call, "Namespace")?;
    let metric = required(call, "MetricName")?;
    let (start, end) = (time(call, "StartTime")?, time(call, "EndTime")?);
    if start >= end {
        let message = "The parameter StartTime must be less than the parameter EndTime.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    let period: i64 = required(call, "Period")?.parse().unwrap_or_default();
    if period < 60 || period % 60 != 0 {
        let message = "The parameter Period must be a multiple of 60.";
        return Err(ApiError::new(400, "InvalidParameterValue", message));
    }
    // Of metrics of the last fifteen days whole minutes are kept.
    let start = Timestamp::from_second(start.as_second() - start.as_second().rem_euclid(60)).unwrap_or(start);
    let statistics = call.list("Statistics.member");
    let dimension = ["Name", "Value"].map(|part| call.get(&format!("Dimensions.member.1.{part}")));
    let asked = match (namespace, dimension, call.get("Dimensions.member.2.Name")) {
        ("AWS/Lambda", [Some("FunctionName"), Some(function)], None) => {
            Some(Metric::OfFunction(function, metric))
        }
        (namespace, [None, _], _) => Some(Metric::Own(namespace, metric)),
        _ => None,
    };
    let (range, period) = ((start, end), SignedDuration::from_secs(period));
    let counted = asked.map(|metric| aws.deployed().counted(metric, range, period)).unwrap_or_default();
    let points = counted.into_iter().rev();
    Ok(xml::response(call, request_id, |xml| {
        xml.list("Datapoints", "member", points, |xml, (begins, Counted { sum, samples })| {
            xml.text("Timestamp", format!("{begins:.0}"));
            for statistic in &statistics {
                match *statistic {
                    "Sum" => xml.text("Sum", format!("{sum:.1}")),
                    "SampleCount" => xml.text("SampleCount", format!("{samples}.0")),
                    _ => {}
                }
            }
            xml.text("Unit", "Count");
        });
        xml.text("Label", metric);
    }))
}

fn time(call: &Call, name: &str) -> Result<Timestamp, ApiError> {
    let text = required(call, name)?;
    text.parse().map_err(|_| {
        ApiError::new(
            400,
            "InvalidParameterValue",
            format!("The parameter {name} must be a timestamp: {text}"),
        )
    })
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, ApiError> {
    call.get(name)
        .ok_or_else(|| ApiError::new(400, "MissingParameter", format!("The parameter {name} is required.")))
}
