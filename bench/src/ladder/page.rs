//! What the page says.

use serde_json::json;

use super::fleet::{NOMAD_CONNECTIONS, number};
use super::growth::line;
use super::{AWS_CALLS_A_SECOND, CARRIES_FOR_S, CROWD, IDLE, Ladder, Observed};
use crate::report::{Plot, Section, Series, Shape, Table, Target};
use crate::units;

/// From one sweep to the next, in seconds.
const SWEEP_EVERY_S: f64 = 60.0;

/// A rung's points are on a straight line if it explains so much of them (R²).
const STRAIGHT: f64 = 0.999;

pub(super) fn section(ladder: &Ladder) -> Section {
    let mut section = Section::new("ladder", "Many at once");
    headlines(&mut section, ladder);
    targets(&mut section, ladder);
    section.tables.push(rungs("Through a queue, ten messages a batch", &ladder.queue));
    section.tables.push(rungs("Through one sweep, all events lost", &ladder.sweep));
    section.tables.push(calls(ladder));
    section.tables.push(limits(ladder));
    section.tables.push(idle(&ladder.idle));
    section.tables.extend(carried(ladder));
    section.plots = plots(ladder);
    section.how = how(ladder);
    section.data = json!(ladder);
    section
}

fn headlines(section: &mut Section, ladder: &Ladder) {
    let all = || ladder.queue.iter().chain(&ladder.sweep);
    let (lost, doubles) = (all().map(|seen| seen.lost).sum(), all().map(|seen| seen.doubles).sum());
    let drains: usize = all().map(|seen| seen.instances).sum();
    section.headlines.push(format!(
        "Of {} instances that end in crowds of up to 15,000, {} get no drain and {} get two.",
        count(drains),
        count(lost),
        count(doubles)
    ));
    if let (Some(queue), Some(sweep)) = (ladder.queue.last(), ladder.sweep.last()) {
        section.headlines.push(format!(
            "15,000 instances that end at once all drain within {} by events, and within {} by one sweep whose events were \
             lost, on this machine, where the emulated AWS and Nomad use {:.0} % of the processor time.",
            units::seconds(queue.last_drain_s),
            units::seconds(sweep.last_drain_s),
            queue.lab_share().midpoint(sweep.lab_share()) * 100.0
        ));
    }
    let memory: Vec<(f64, f64)> =
        ladder.sweep.iter().map(|seen| (number(seen.instances), as_f64(seen.peak_memory))).collect();
    section.headlines.push(format!(
        "Each further instance of one sweep takes {} kB of memory (a straight line through the rungs, R² {:.3}); by a queue no process \
         has more than {}, however many there are.",
        units::number(line(&memory).0 / 1e3),
        line(&memory).1,
        units::megabytes(as_f64(ladder.queue.iter().map(|seen| seen.peak_memory).max().unwrap_or_default()))
    ));
    section.headlines.push(format!(
        "A sweep of {} idle instances in {} groups makes {} calls and needs {}.",
        units::count(IDLE.into()),
        units::count((IDLE / 100).into()),
        units::count(ladder.idle.calls_to(true) + ladder.idle.calls_to(false)),
        units::seconds(ladder.idle.took_s)
    ));
}

fn targets(section: &mut Section, ladder: &Ladder) {
    let all = || ladder.queue.iter().chain(&ladder.sweep);
    let plain = |value: f64| units::number(value);
    let lost: usize = all().map(|seen| seen.lost).sum();
    section.targets.push(Target::at_most("Drains lost on the ladder", 0.0, number(lost), plain));
    let doubles: usize = all().map(|seen| seen.doubles).sum();
    section.targets.push(Target::at_most("Drains posted twice on the ladder", 0.0, number(doubles), plain));
    for (way, rungs) in [("queue", &ladder.queue), ("sweep", &ladder.sweep)] {
        let points: Vec<(f64, f64)> =
            rungs.iter().map(|seen| (number(seen.instances), total(seen))).collect();
        let fit = line(&points).1;
        section.targets.push(Target::at_least(
            &format!("Calls grow in a straight line, by {way} (R²)"),
            STRAIGHT,
            fit,
            |value| format!("{value:.4}"),
        ));
    }
    if let Some(thousand) = ladder.sweep.iter().find(|seen| seen.instances == 1_000) {
        let memory = as_f64(thousand.peak_memory);
        section.targets.push(Target::at_most(
            "Memory of one sweep with 1,000 drains",
            64e6,
            memory,
            units::megabytes,
        ));
    }
}

fn rungs(caption: &str, rungs: &[Observed]) -> Table {
    let head = [
        "instances",
        "calls each to Nomad",
        "calls each to AWS",
        "lost",
        "twice",
        "last drain after",
        "drains a second",
        "hooks completed",
        "largest memory",
        "of the CPU time the lab's",
    ];
    let mut table = Table::new(caption, &head);
    for seen in rungs {
        let each = |calls: u64| units::number(as_f64(calls) / number(seen.instances));
        table.row([
            count(seen.instances),
            each(seen.calls_to(true)),
            each(seen.calls_to(false)),
            count(seen.lost),
            count(seen.doubles),
            units::seconds(seen.last_drain_s),
            units::number(seen.rate()),
            count(seen.completed),
            units::megabytes(as_f64(seen.peak_memory)),
            format!("{:.0} %", seen.lab_share() * 100.0),
        ]);
    }
    table
}

/// Each call for one instance, on the largest rungs.
fn calls(ladder: &Ladder) -> Table {
    let mut table =
        Table::new("Calls of each kind for one instance, 15,000 at once", &["call", "queue", "sweep"]);
    let (Some(queue), Some(sweep)) = (ladder.queue.last(), ladder.sweep.last()) else { return table };
    let names: std::collections::BTreeSet<&String> = queue.calls.keys().chain(sweep.calls.keys()).collect();
    for name in names {
        let each = |seen: &Observed| {
            let calls = seen.calls.get(name).copied().unwrap_or_default();
            units::number(as_f64(calls) / number(seen.instances))
        };
        table.row([format!("`{name}`"), each(queue), each(sweep)]);
    }
    table
}

fn limits(ladder: &Ladder) -> Table {
    let head = [
        "",
        "instances",
        "drains",
        "lost",
        "twice",
        "last drain after",
        "hooks completed",
        "after",
        "connections at once",
        "turned away",
        "invocations",
        "calls to AWS",
    ];
    let mut table = Table::new("At the limits of others", &head);
    let rows = [
        (format!("{CROWD} invocations at once, {NOMAD_CONNECTIONS} connections"), &ladder.crowd),
        (format!("queue, AWS takes {AWS_CALLS_A_SECOND} calls a second"), &ladder.throttled_queue),
        (format!("sweeps, AWS takes {AWS_CALLS_A_SECOND} calls a second"), &ladder.throttled_sweep),
    ];
    for (what, seen) in rows {
        table.row([
            what,
            count(seen.instances),
            count(seen.posts),
            count(seen.lost),
            count(seen.doubles),
            units::seconds(seen.last_drain_s),
            count(seen.completed),
            units::seconds(seen.took_s),
            count(seen.connections),
            count(seen.turned_away),
            count(seen.invocations),
            units::count(seen.calls_to(false)),
        ]);
    }
    table
}

fn idle(seen: &Observed) -> Table {
    let caption = "A sweep with nothing to do: 50,000 instances in 500 groups";
    let mut table = Table::new(caption, &["calls to Nomad", "calls to AWS", "took", "CPU", "memory"]);
    table.row([
        units::count(seen.calls_to(true)),
        units::count(seen.calls_to(false)),
        units::seconds(seen.took_s),
        units::seconds(seen.function_cpu_s),
        units::megabytes(as_f64(seen.peak_memory)),
    ]);
    table
}

fn carried(ladder: &Ladder) -> Option<Table> {
    let carried = ladder.carried.as_ref().ok()?;
    let caption =
        format!("What one sweep begins with a time-out of {CARRIES_FOR_S} s, by the function's memory");
    let head = [
        "memory",
        "instances held",
        "drains",
        "drains a second",
        "hooks completed",
        "largest memory",
        "answered in time",
        "from one sweep to the next (reckoned)",
    ];
    let mut table = Table::new(&caption, &head);
    for (memory_mb, seen) in carried {
        let all = if seen.posts == seen.instances { "at least " } else { "" };
        // The kernel tells nothing of a process that was cut off.
        let memory = if seen.peak_memory == 0 { f64::NAN } else { as_f64(seen.peak_memory) };
        table.row([
            format!("{memory_mb} MB"),
            count(seen.instances),
            count(seen.posts),
            units::number(seen.rate()),
            count(seen.completed),
            units::megabytes(memory),
            if seen.failed == 0 { "yes" } else { "no" }.to_owned(),
            format!("{all}{}", units::number(seen.rate() * SWEEP_EVERY_S)),
        ]);
    }
    Some(table)
}

fn plots(ladder: &Ladder) -> Vec<Plot> {
    let both = |value: &dyn Fn(&Observed) -> f64| {
        let series = |name: &str, rungs: &[Observed]| Series {
            name: name.to_owned(),
            points: rungs.iter().map(|seen| (number(seen.instances), value(seen))).collect(),
        };
        vec![series("queue", &ladder.queue), series("one sweep", &ladder.sweep)]
    };
    let plot = |name: &str, title: &str, y: &str, series: Vec<Series>| Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: "instances that end at once".to_owned(),
        y: y.to_owned(),
        y_by_tens: false,
        shape: Shape::Lines { x_by_tens: false, series },
    };
    vec![
        plot("ladder-calls", "Calls", "calls, all together", both(&total)),
        plot("ladder-time", "Time to the last drain", "seconds", both(&|seen| seen.last_drain_s)),
        plot(
            "ladder-memory",
            "Memory of the largest process",
            "MB",
            both(&|seen| as_f64(seen.peak_memory) / 1e6),
        ),
    ]
}

fn how(ladder: &Ladder) -> Vec<String> {
    let mut how = vec![
        "The function runs in release, in processes of the lab's Lambda service, and talks to the lab's AWS and Nomad over HTTP on \
         loopback. Both sides share this machine's cores, so that times are those of both: the last column tells how much of the \
         processor time was the lab's. Calls, memory and what is lost do not depend on that. The nodes are empty, in groups of a \
         hundred, so that nothing but the function and the two systems is waited for; each drain is followed to its completed hook. \
         The time is counted from the first termination (queue) or the start of the sweep."
            .to_owned(),
        format!(
            "Nomad's limit of {NOMAD_CONNECTIONS} connections from one address holds everywhere; only the {CROWD} invocations at once \
             come near it. A throttled account takes so many calls of Auto Scaling a second, from a bucket that holds one second. \
             What one sweep cannot begin or complete in its 50 s the next one does; here it follows at once."
        ),
    ];
    how.push(match &ladder.carried {
        Ok(_) => format!(
            "For what a sweep carries the function is held to the share of a CPU that Lambda gives to its memory, in a control group. It \
             begins drains until a second, and for each instance that is held a millisecond with 128 MB and less with more, before its time-out of {CARRIES_FOR_S} s. The last column multiplies what was measured. It is \
             a measurement, not a promise: the answers' delay of the real services counts too, and here the lab's. Memory is measured \
             and not limited: where it is more than the function has, Lambda would end it."
        ),
        Err(why) => format!("What a sweep carries by memory was not measured: {why}."),
    });
    how
}

fn total(seen: &Observed) -> f64 {
    as_f64(seen.calls_to(true) + seen.calls_to(false))
}

fn count(count: usize) -> String {
    units::count(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
