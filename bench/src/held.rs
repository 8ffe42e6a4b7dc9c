//! Time held: from the last allocation's end to the completed hook.

use std::time::Duration;

use anyhow::{Context as _, bail};
use drain_lab::journal::Kind;
use drain_lab::nomad::JobSpec;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ground::Ground;
use crate::ladder::{Fleet, Held as HeldToMemory};
use crate::report::{Plot, Section, Series, Shape, Table, Target};
use crate::statistics::{median, percentile};
use crate::units;

/// How many drains.
const DRAINS: u32 = 1_000;

/// When the first work ends after it was placed, and how much later the next does. Looks are 5 s apart: this fits into it
/// in no whole number, so that ends fall at all times between two looks.
const FIRST_END: Duration = Duration::from_secs(6);
const NEXT_END: Duration = Duration::from_millis(1_160);

/// How many different ends there are.
const ENDS: u32 = 50;

/// From one sweep to the next: as the schedule has it.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How long a sweep looks, as it is deployed.
const SWEEP_LINGER: SignedDuration = SignedDuration::from_secs(50);

/// How much memory the functions have whose time is billed.
pub(crate) const BILLED_MB: u32 = 128;

/// What was measured. Cost builds on it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Held {
    /// From the last end to the completion in seconds, of drains that ended while a sweep looked.
    pub(crate) while_looking_s: Vec<f64>,
    /// Of those that ended between two sweeps.
    pub(crate) across_sweeps_s: Vec<f64>,
    /// How many hooks were not completed.
    pub(crate) missing: usize,
    /// The most memory of a sweep that followed all of them, in bytes.
    pub(crate) peak_memory: u64,
    /// What was billed for one event whose drain outlasts its invocation, and for a sweep that finds nothing to do, in
    /// milliseconds at [`BILLED_MB`].
    pub(crate) event_billed_ms: u64,
    pub(crate) idle_sweep_billed_ms: u64,
    /// What each of them has logged, in bytes, and how many metrics were in there.
    pub(crate) event_log_bytes: usize,
    pub(crate) idle_sweep_log_bytes: usize,
    pub(crate) idle_sweep_metrics: usize,
    /// Whether the billed ones had the share of a CPU of their memory.
    pub(crate) quota: bool,
}

/// Measures it, over one turn of the schedule.
pub(crate) async fn measure(ground: &Ground) -> anyhow::Result<Section> {
    let mut held = Held::default();
    bill_idle(ground, &mut held).await?;
    let mut followed = Held::default();
    // Side by side, as the event does little but wait.
    let (billed, seen) = tokio::join!(bill_event(ground, &mut held), follow(ground, &mut followed));
    billed.and(seen)?;
    let Held { while_looking_s, across_sweeps_s, missing, peak_memory, .. } = followed;
    Ok(section(&Held { while_looking_s, across_sweeps_s, missing, peak_memory, ..held }))
}

/// A thousand drains, two sweeps.
async fn follow(ground: &Ground, held: &mut Held) -> anyhow::Result<()> {
    let fleet = Fleet::of(DRAINS).await?;
    for place in 0..ENDS {
        let job = JobSpec::batch(format!("work-{place}"), (DRAINS / ENDS) as usize);
        fleet.lab.nomad.add_job(job.runs_for(FIRST_END + NEXT_END * place));
    }
    fleet.end()?;
    let mut function = fleet.function(&ground.function, &[]);
    function.timeout = Duration::from_secs(90);
    let sweeper = fleet.lab.deploy_sweep(function);
    let began = Timestamp::now();
    let looks_end = began + SWEEP_LINGER;
    for sweep in 0..3 {
        let due = began + SignedDuration::try_from(SWEEP_EVERY * sweep)?;
        fleet.lab.clock.sleep_until(due).await;
        fleet.lab.sweep().await.context("nothing sweeps")?;
        if fleet.lab.aws.held().is_empty() {
            break;
        }
    }
    held.peak_memory =
        sweeper.invocations().iter().filter_map(|run| run.max_memory_used).max().unwrap_or_default();
    let entries = fleet.lab.journal.entries();
    let completed: std::collections::BTreeMap<&str, Timestamp> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Effect && entry.what == "lifecycle action completed")
        .map(|entry| (entry.subject.as_str(), entry.at))
        .collect();
    for worker in &fleet.workers {
        let ends = fleet.lab.nomad.allocations_on(&worker.node_id);
        let last = ends.iter().filter_map(|allocation| allocation.ended_at).max();
        match (last, completed.get(worker.instance_id.as_str())) {
            (Some(last), Some(completed)) => {
                let seconds = completed.duration_since(last).as_secs_f64();
                let samples =
                    if last < looks_end { &mut held.while_looking_s } else { &mut held.across_sweeps_s };
                samples.push(seconds);
            }
            _ => held.missing += 1,
        }
    }
    Ok(())
}

/// What is billed for a sweep that finds nothing to do.
async fn bill_idle(ground: &Ground, held: &mut Held) -> anyhow::Result<()> {
    let share = HeldToMemory::to_memory(&ground.function, ground.scratch.path(), BILLED_MB).ok();
    held.quota = share.is_some();
    let bootstrap = share.as_ref().map_or(&ground.function, |share| &share.bootstrap);
    let fleet = Fleet::of(100).await?;
    let lambda = fleet.lab.deploy_sweep(fleet.function(bootstrap, &[]));
    let mut billed = Vec::new();
    for _ in 0..6 {
        let run = fleet.lab.sweep().await.context("nothing sweeps")?;
        if run.outcome.response().is_none() {
            bail!("an idle sweep failed: {:?}", run.outcome);
        }
        // A sweep comes once a minute to a process that is kept: only the first one is cold.
        if !run.is_cold_start() {
            billed.push(run.duration.as_secs_f64() * 1000.0);
        }
        held.idle_sweep_log_bytes = run.log.iter().map(|line| line.text.len() + 1).sum();
        held.idle_sweep_metrics = run.log.iter().map(|line| metrics(&line.text)).sum();
    }
    held.idle_sweep_billed_ms = whole(median(&billed));
    lambda.shutdown().await;
    Ok(())
}

/// What is billed for one event whose drain outlasts its invocation.
async fn bill_event(ground: &Ground, held: &mut Held) -> anyhow::Result<()> {
    let share = HeldToMemory::to_memory(&ground.function, ground.scratch.path(), BILLED_MB).ok();
    let bootstrap = share.as_ref().map_or(&ground.function, |share| &share.bootstrap);
    let fleet = Fleet::of(100).await?;
    fleet.lab.nomad.add_job(
        JobSpec::system("logs").stop_takes(Duration::from_hours(9)).kill_timeout(Duration::from_hours(9)),
    );
    let worker = fleet.workers.first().context("no worker")?;
    fleet.lab.lose_events(false);
    let lambda = fleet.lab.deploy(fleet.function(bootstrap, &[]));
    fleet.lab.aws.terminate_instance(&worker.instance_id)?;
    fleet.lab.quiet().await;
    for run in lambda.invocations() {
        held.event_billed_ms += whole((run.init.unwrap_or_default() + run.duration).as_secs_f64() * 1000.0);
        held.event_log_bytes += run.log.iter().map(|line| line.text.len() + 1).sum::<usize>();
    }
    lambda.shutdown().await;
    Ok(())
}

/// How many metrics a line of the embedded metric format holds, each with its dimensions.
fn metrics(line: &str) -> usize {
    let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { return 0 };
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().cloned().unwrap_or_default();
    directives.iter().filter_map(|directive| Some(directive["Metrics"].as_array()?.len())).sum()
}

/// Lambda bills whole milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of some seconds")]
fn whole(ms: f64) -> u64 {
    ms.ceil() as u64
}

fn section(held: &Held) -> Section {
    let mut section = Section::new("held", "Time held");
    let all: Vec<f64> = held.while_looking_s.iter().chain(&held.across_sweeps_s).copied().collect();
    section.headlines.push(format!(
        "An instance is released {} after the last of its allocations has ended (median of {} drains; at worst {}).",
        units::seconds(median(&all)),
        units::count(all.len() as u64),
        units::seconds(percentile(&all, 1.0)),
    ));
    section.targets.push(Target::at_most(
        "Memory of one sweep that follows 1,000 drains",
        64e6,
        megabytes(held.peak_memory),
        units::megabytes,
    ));
    let mut table = Table::new(
        "From the last allocation's end to the completed hook",
        &["it ended", "drains", "median", "nine of ten within", "worst"],
    );
    for (when, samples) in [
        ("while a sweep looked", &held.while_looking_s),
        ("between two sweeps", &held.across_sweeps_s),
        ("at any time", &all),
    ] {
        table.row([
            when.to_owned(),
            units::count(samples.len() as u64),
            units::seconds(median(samples)),
            units::seconds(percentile(samples, 0.9)),
            units::seconds(percentile(samples, 1.0)),
        ]);
    }
    section.tables.push(table);
    let series = |name: &str, samples: &[f64]| Series {
        name: name.to_owned(),
        points: (0..=20)
            .map(|step| (f64::from(step) * 5.0, percentile(samples, f64::from(step) / 20.0)))
            .collect(),
    };
    section.plots.push(Plot {
        name: "held".to_owned(),
        title: "From the last allocation's end to the completed hook".to_owned(),
        x: "% of the drains are released within".to_owned(),
        y: "seconds".to_owned(),
        y_by_tens: false,
        shape: Shape::Lines {
            x_by_tens: false,
            series: vec![
                series("while a sweep looked", &held.while_looking_s),
                series("between two sweeps", &held.across_sweeps_s),
            ],
        },
    });
    section.how = vec![format!(
        "1,000 instances end at once, and their events are lost. Each node has one allocation, whose work ends between 6 and 63 s \
         later, at 50 different times. A sweep begins at once, and another one a minute later, as the schedule has it; all settings \
         are the deployed ones (a look every 5 s, for 50 s). The clock is the real one. {}",
        if held.missing == 0 {
            "Every hook was completed.".to_owned()
        } else {
            format!("{} hooks were not completed.", held.missing)
        }
    )];
    section.data = json!(held);
    section
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_counted_with_their_dimensions() {
        let line = r#"{"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"a"},{"Name":"b"}]},{"Metrics":[{"Name":"a"}]}]}}"#;
        assert_eq!((metrics(line), metrics("{}"), metrics("words")), (3, 0, 0));
        assert_eq!((whole(1.01), whole(2.0)), (2, 2));
    }
}
