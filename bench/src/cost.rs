//! Dollars, computed from what was measured and from published prices.

mod prices;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::held::{BILLED_MB, Held};
use crate::report::{Section, Table};
use crate::statistics::median;
use crate::units;
use prices::{
    ALARM_MONTH, ALL, DASHBOARD_MONTH, INSTANCE_HOUR, LAMBDA_ARM, LAMBDA_REQUEST, LAMBDA_X86, LOG_BYTE,
    LOOKED_UP, METRIC_MONTH, Price, SNS_MESSAGE, TRACE,
};

/// How many drains cost that much.
const DRAINS: f64 = 1_000.0;

/// How long a drain is taken to last, in seconds.
const DRAIN_S: f64 = 300.0;

/// The old way's hook: it is completed by nobody, so that the instance is held for all of this, in seconds.
const OLD_HOOK_S: f64 = 1_800.0;

/// The old way slept for 1 to 30 s, so that its calls did not come all at once: so long on the average. The measured one
/// does not.
const OLD_SLEEP_S: f64 = 15.5;

/// For so long a sweep looks while something is held, in seconds.
const SWEEP_LINGER_S: f64 = 50.0;

/// Sweeps in a month of 730 hours.
const SWEEPS_A_MONTH: f64 = 43_800.0;

/// Alarms of the deployment.
const ALARMS: f64 = 9.0;

/// What Lambda itself writes of an invocation, in bytes: three lines, of every function.
const LAMBDAS_OWN_LOG: f64 = 400.0;

/// What a function costs for so many requests of so long each, in the smallest size.
fn lambda(requests: f64, seconds: f64, gb_second: Price) -> f64 {
    requests * (seconds * f64::from(BILLED_MB) / 1024.0 * gb_second.usd + LAMBDA_REQUEST.usd)
}

/// What instances cost that stand idle for so long.
fn instances(count: f64, seconds: f64) -> f64 {
    count * seconds / 3600.0 * INSTANCE_HOUR.usd
}

/// What 1,000 drains cost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bill {
    lambda: f64,
    messages: f64,
    logs: f64,
    idle_instances: f64,
}

impl Bill {
    fn total(self) -> f64 {
        self.lambda + self.messages + self.logs + self.idle_instances
    }

    /// Without the instances.
    fn function(self) -> f64 {
        self.total() - self.idle_instances
    }
}

/// One part of a bill.
type Part = fn(Bill) -> f64;

/// Each event is an invocation; sweeps follow the drains, so many at a time.
fn ours(held: &Held, together: f64, gb_second: Price) -> Bill {
    let sweeps = (DRAIN_S / 60.0).ceil() * DRAINS / together;
    let all: Vec<f64> = held.while_looking_s.iter().chain(&held.across_sweeps_s).copied().collect();
    Bill {
        lambda: lambda(DRAINS, seconds(held.event_billed_ms), gb_second)
            + lambda(sweeps, SWEEP_LINGER_S, gb_second),
        messages: DRAINS * SNS_MESSAGE.usd,
        logs: (DRAINS * (bytes(held.event_log_bytes) + LAMBDAS_OWN_LOG)
            + sweeps * (together * bytes(held.event_log_bytes) + LAMBDAS_OWN_LOG))
            * LOG_BYTE.usd,
        idle_instances: instances(DRAINS, median(&all)),
    }
}

/// Each event is an invocation; the hook's time-out ends the rest.
fn old_way(drain_ms: f64, sleeps: bool, gb_second: Price) -> Bill {
    let billed = drain_ms / 1000.0 + if sleeps { OLD_SLEEP_S } else { 0.0 };
    Bill {
        lambda: lambda(DRAINS, billed, gb_second),
        messages: DRAINS * SNS_MESSAGE.usd,
        // It wrote a few lines of its own too: they are left out, in its favour.
        logs: DRAINS * LAMBDAS_OWN_LOG * LOG_BYTE.usd,
        idle_instances: instances(DRAINS, OLD_HOOK_S - DRAIN_S),
    }
}

/// A month in which no instance ends.
fn idle_month(held: &Held, gb_second: Price) -> [(&'static str, f64); 6] {
    [
        ("Lambda", lambda(SWEEPS_A_MONTH, seconds(held.idle_sweep_billed_ms), gb_second)),
        ("logs", SWEEPS_A_MONTH * (bytes(held.idle_sweep_log_bytes) + LAMBDAS_OWN_LOG) * LOG_BYTE.usd),
        ("metrics", bytes(held.idle_sweep_metrics) * METRIC_MONTH.usd),
        ("alarms", ALARMS * ALARM_MONTH.usd),
        ("dashboard", DASHBOARD_MONTH.usd),
        ("traces", SWEEPS_A_MONTH * TRACE.usd),
    ]
}

/// Computes it from what was measured before.
#[expect(clippy::unused_async, reason = "as every other measurement")]
pub(crate) async fn measure(_ground: &Ground, before: &[Section]) -> anyhow::Result<Section> {
    let data = |name: &str| before.iter().find(|section| section.name == name).map(|section| &section.data);
    let Some(held) = data("held").and_then(|data| Held::deserialize(data).ok()) else {
        let mut section = Section::new("cost", "Cost");
        section.how.push("Cost is computed from the time held, which was not measured.".to_owned());
        return Ok(section);
    };
    Ok(section(&held, data("cold").and_then(old_way_ms)))
}

/// From the old way's start to its drain, in milliseconds, at the smallest size.
fn old_way_ms(cold: &Value) -> Option<f64> {
    let all = cold.as_array().or_else(|| cold.as_object()?.values().find_map(Value::as_array))?;
    let its = all.iter().find(|samples| {
        samples["contestant"] == "old_way" && samples["memory_mb"].as_u64() == Some(BILLED_MB.into())
    })?;
    let samples: Vec<f64> = its["drain_ms"].as_array()?.iter().filter_map(Value::as_f64).collect();
    Some(median(&samples)).filter(|ms| ms.is_finite())
}

fn section(held: &Held, old_ms: Option<f64>) -> Section {
    let mut section = Section::new("cost", "Cost");
    let (alone, together) = (ours(held, 1.0, LAMBDA_ARM), ours(held, DRAINS, LAMBDA_ARM));
    let old = old_ms.map(|ms| old_way(ms, true, LAMBDA_X86));
    let month = idle_month(held, LAMBDA_ARM);
    let month_total: f64 = month.iter().map(|(_, usd)| usd).sum();
    if let Some(old) = old {
        section.headlines.push(format!(
            "1,000 drains cost {} with the old way and {} with this function, one after the other: nearly all of it is the time for \
             which instances stand idle until their hook ends.",
            dollars(old.total()),
            dollars(alone.total())
        ));
    }
    section.headlines.push(format!(
        "The function itself costs {} for 1,000 drains that come one at a time, {} if they come at once, and {} for a month in which \
         nothing happens.",
        dollars(alone.function()),
        dollars(together.function()),
        dollars(month_total)
    ));
    let mut table = Table::new(
        "1,000 drains, in US dollars",
        &["", "one at a time", "all at once", "the old way", "the old way without its sleep"],
    );
    let awake = old_ms.map(|ms| old_way(ms, false, LAMBDA_X86));
    let bills = [Some(alone), Some(together), old, awake];
    let rows: [(&str, Part); 5] = [
        ("Lambda", |bill| bill.lambda),
        ("messages", |bill| bill.messages),
        ("logs", |bill| bill.logs),
        ("instances that stand idle", |bill| bill.idle_instances),
        ("together", Bill::total),
    ];
    for (what, part) in rows {
        let cells = bills.iter().map(|bill| bill.map_or_else(|| "–".to_owned(), |bill| dollars(part(bill))));
        table.row(std::iter::once(what.to_owned()).chain(cells));
    }
    section.tables.push(table);
    let mut table = Table::new("A month in which no instance ends, in US dollars", &["", "arm64", "x86_64"]);
    let other = idle_month(held, LAMBDA_X86);
    for ((what, arm), (_, x86)) in month.iter().zip(&other) {
        table.row([(*what).to_owned(), dollars(*arm), dollars(*x86)]);
    }
    table.row(["together".to_owned(), dollars(month_total), dollars(other.iter().map(|(_, usd)| usd).sum())]);
    section.tables.push(table);
    let caption = format!("Prices in us-east-1, looked up on {LOOKED_UP}");
    let mut table = Table::new(&caption, &["", "US dollars", "each", "source"]);
    for Price { what, usd, unit, source } in ALL {
        let text = format!("{usd:.10}");
        table.row([
            (*what).to_owned(),
            text.trim_end_matches('0').to_owned(),
            (*unit).to_owned(),
            (*source).to_owned(),
        ]);
    }
    section.tables.push(table);
    section.how = vec![
        format!(
            "Measured: {} billed for an event whose drain outlasts its invocation and {} for a sweep that finds nothing to do, {} \
             MB{}; {} metrics and {} bytes of log in such a sweep; the median time held.",
            units::seconds(seconds(held.event_billed_ms)),
            units::milliseconds(seconds(held.idle_sweep_billed_ms) * 1000.0),
            BILLED_MB,
            if held.quota {
                " with their share of a CPU"
            } else {
                " on a whole CPU, as this machine has no quotas"
            },
            held.idle_sweep_metrics,
            units::count(held.idle_sweep_log_bytes as u64),
        ),
        format!(
            "Assumed: a drain lasts {:.0} minutes; a sweep looks for {SWEEP_LINGER_S:.0} s of every minute in which something is held, \
             and logs as much of each instance as an event does; Lambda itself logs {LAMBDAS_OWN_LOG:.0} bytes of every invocation, the \
             old way's too, of which nothing else is counted; instances are m7g.large. The old way's hook has a time-out of {:.0} \
             minutes, which nobody ends; it runs on x86_64 and cold, as instances end far apart, and slept for {OLD_SLEEP_S} s on \
             the average. Free tiers, taxes, NAT and endpoints are left out for both.",
            DRAIN_S / 60.0,
            OLD_HOOK_S / 60.0
        ),
    ];
    if old_ms.is_none() {
        section.how.push("The old way's time at this size was not measured in this run.".to_owned());
    }
    section.data = json!({
        "one_at_a_time_usd": alone.total(), "all_at_once_usd": together.total(), "old_way_usd": old.map(Bill::total),
        "idle_month_usd": month_total,
    });
    section
}

/// Cents, or more digits where that is less than a few of them.
fn dollars(usd: f64) -> String {
    if usd >= 0.995 { format!("${usd:.2}") } else { format!("${usd:.4}") }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn bytes(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        Held {
            while_looking_s: vec![2.0, 3.0, 4.0],
            across_sweeps_s: vec![],
            missing: 0,
            peak_memory: 0,
            event_billed_ms: 15_000,
            idle_sweep_billed_ms: 100,
            event_log_bytes: 2_000,
            idle_sweep_log_bytes: 1_000,
            idle_sweep_metrics: 10,
            quota: true,
        }
    }

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < right * 1e-6, "{left} is not {right}");
    }

    #[test]
    fn a_function_costs_its_time_its_memory_and_its_requests() {
        close(lambda(1e6, 1.0, LAMBDA_ARM), 125_000.0 * 0.000_013_333_4 + 0.2);
        close(instances(1_000.0, 3_600.0), 81.6);
    }

    #[test]
    fn sweeps_are_shared_by_drains_that_come_together() {
        let (alone, together) = (ours(&held(), 1.0, LAMBDA_ARM), ours(&held(), DRAINS, LAMBDA_ARM));
        close(alone.lambda - together.lambda, lambda(5.0 * 999.0, 50.0, LAMBDA_ARM));
        close(alone.logs - together.logs, 5.0 * 999.0 * LAMBDAS_OWN_LOG * LOG_BYTE.usd);
        close(together.idle_instances, instances(1_000.0, 3.0));
    }

    #[test]
    fn the_old_way_pays_for_instances_until_the_hook_ends() {
        let bill = old_way(8_000.0, false, LAMBDA_X86);
        close(bill.idle_instances, 1_000.0 * 1_500.0 / 3_600.0 * 0.0816);
        close(bill.lambda, lambda(1_000.0, 8.0, LAMBDA_X86));
        assert!(old_way(8_000.0, true, LAMBDA_X86).lambda > 2.0 * bill.lambda);
    }

    #[test]
    fn every_alarm_of_the_deployment_is_paid_for() {
        let alarms: Value = serde_json::from_str(include_str!("../../deploy/alarms.json")).unwrap();
        close(bytes(alarms.as_array().unwrap().len()), ALARMS);
    }

    #[test]
    fn a_month_has_43800_sweeps() {
        let month = idle_month(&held(), LAMBDA_ARM);
        close(month[0].1, 43_800.0 * (0.0125 * 0.000_013_333_4 + 0.000_000_2));
        close(month[2].1, 3.0);
    }

    #[test]
    fn the_old_ways_time_is_found_among_the_cold_starts() {
        let cold = json!([
            {"contestant": "function", "memory_mb": 128, "drain_ms": [90.0]},
            {"contestant": "old_way", "memory_mb": 128, "drain_ms": [7_000.0, 9_000.0, 8_000.0]},
        ]);
        assert_eq!(old_way_ms(&cold), Some(8_000.0));
        assert_eq!(old_way_ms(&json!({"samples": cold})), Some(8_000.0));
        assert_eq!(old_way_ms(&json!([])), None);
    }
}
