//! The warm path: from an event to the drain's POST in a process that has seen others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use drain_lab::journal::Entry;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::callgrind::{self, idle, instructions, short};
use crate::ground::Ground;
use crate::process::{Process, Program, cpu_ns};
use crate::report::{Section, Table, Target};
use crate::runtime_api::RuntimeApi;
use crate::stage::{Certificates, DRAIN, Stage};
use crate::statistics::{median, percentile};
use crate::units::{count, milliseconds, number};

/// Events of which nothing is counted: the first reads the token and opens connections.
const FIRST: usize = 10;

/// Events that are counted.
const EVENTS: usize = 100;

/// Events in the shorter of two runs whose instructions are compared; the other has twice as many.
const IN_VALGRIND: u32 = 10;

/// After this a process hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Serialize)]
struct Warm {
    /// Of a function that the hook's topic calls and nobody else.
    plain: Clocked,
    /// Of one that is deployed with a sweep.
    with_sweep: Clocked,
    instructions: Option<Instructions>,
}

/// What was measured by the clock.
#[derive(Debug, Default, Serialize)]
struct Clocked {
    /// From an event's answer by the Runtime API to the drain's POST.
    drain_ms: Vec<f64>,
    /// CPU of one event, from its poll to the next.
    cpu_ms: f64,
    /// The calls up to an event's POST, itself included: how many of each an event makes.
    before: Calls,
    /// Those after it, while the invocation watches the drain for a moment.
    after: Calls,
}

/// How often each call is made for one event.
type Calls = BTreeMap<String, f64>;

/// How many instructions something takes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Instructions {
    function_init: u64,
    floor_init: u64,
    event: u64,
}

/// Gives events to one process, and to others in valgrind.
pub(crate) async fn measure(ground: &Ground) -> anyhow::Result<Section> {
    let certificates = Certificates::make(ground.scratch.path())?;
    let plain = by_the_clock(ground, &certificates, false).await?;
    let with_sweep = by_the_clock(ground, &certificates, true).await?;
    let mut warm = Warm { plain, with_sweep, instructions: None };
    if callgrind::valgrind().is_some() {
        let scratch = ground.scratch.path();
        let of = |program, events| instructions(program, events, &certificates, scratch);
        let function_init = of(&ground.function, 0).await?;
        let floor_init = of(&ground.floor, 0).await?;
        let event = per_event(&ground.function, &certificates, scratch).await?;
        warm.instructions = Some(Instructions { function_init, floor_init, event });
    }
    Ok(section(&warm))
}

/// The instructions of one event in a warm process: twice as many events take so many more.
pub(crate) async fn per_event(
    function: &std::path::Path,
    certificates: &Certificates,
    scratch: &std::path::Path,
) -> anyhow::Result<u64> {
    let some = instructions(function, IN_VALGRIND, certificates, scratch).await?;
    let twice = instructions(function, 2 * IN_VALGRIND, certificates, scratch).await?;
    Ok(twice.saturating_sub(some) / u64::from(IN_VALGRIND))
}

async fn by_the_clock(
    ground: &Ground,
    certificates: &Certificates,
    with_sweep: bool,
) -> anyhow::Result<Clocked> {
    let stage = Stage::start(certificates).await?;
    let workers = stage.add_workers(u32::try_from(FIRST + EVENTS)?, Duration::from_hours(9))?;
    let mut api = RuntimeApi::open().await?;
    let mut variables = stage.variables(api.address(), 128);
    short(&mut variables);
    if with_sweep {
        Stage::swept(&mut variables);
    }
    let program = Program { path: ground.function.clone(), arguments: vec![], variables };
    let process = Process::spawn(&program)?;
    let id = process.id()?;
    let mut poll = api.poll(PATIENCE).await?;
    let (mut begun, mut cpu_before) = (Vec::new(), 0);
    for (number, worker) in workers.iter().enumerate() {
        if number == FIRST {
            idle(id).await?;
            cpu_before = cpu_ns(id)?;
        }
        let event = stage.terminate(worker)?;
        begun.push(Timestamp::now());
        poll.give(event);
        poll = api.poll(PATIENCE).await?;
    }
    idle(id).await?;
    let cpu_ns = cpu_ns(id)?.saturating_sub(cpu_before);
    drop(poll);
    process.kill().await;
    let counted = begun.get(FIRST..).context("no event")?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let cpu_ms = cpu_ns as f64 / 1e6 / EVENTS as f64;
    Ok(Clocked { cpu_ms, ..split(counted, &stage.calls()) })
}

/// Divides the calls among events, and at the drain's POST of each.
fn split(begun: &[Timestamp], calls: &[Entry]) -> Clocked {
    let mut split = Clocked::default();
    for (number, &since) in begun.iter().enumerate() {
        let until = begun.get(number + 1).copied().unwrap_or(Timestamp::MAX);
        let mut is_before = true;
        for call in calls.iter().filter(|call| call.at >= since && call.at < until) {
            let kind = if is_before { &mut split.before } else { &mut split.after };
            *kind.entry(call.what.clone()).or_default() += 1.0;
            if is_before && call.what == DRAIN {
                is_before = false;
                split.drain_ms.push(call.at.duration_since(since).as_secs_f64() * 1000.0);
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "there are few events")]
    let events = begun.len() as f64;
    split.before.values_mut().chain(split.after.values_mut()).for_each(|calls| *calls /= events);
    split
}

fn section(warm: &Warm) -> Section {
    let Warm { plain, with_sweep, instructions } = warm;
    let mut section = Section::new("warm", "Warm path");
    let sum = |calls: &Calls, of_aws: bool| {
        calls.iter().filter(|(what, _)| is_aws(what) == of_aws).map(|(_, often)| often).sum::<f64>()
    };
    let (nomad, aws) = (|calls| sum(calls, false), |calls| sum(calls, true));
    section.headlines.push(format!(
        "From an event to the drain's POST a warm process makes **{} calls to Nomad**, the POST among them, and **{} to AWS**; with a \
         sweep it first asks AWS {} questions about the group.",
        number(nomad(&plain.before)),
        number(aws(&plain.before)),
        number(aws(&with_sweep.before)),
    ));
    section.headlines.push(format!(
        "A warm process posts the drain {} after the event (median), and uses {} of CPU for the whole event.",
        milliseconds(median(&plain.drain_ms)),
        milliseconds(plain.cpu_ms)
    ));
    let calls = |value: f64| format!("{} calls", number(value));
    let what = "Calls to Nomad from a warm event to its drain";
    section.targets.push(Target::at_most(what, 3.0, nomad(&plain.before), calls));
    let what = "Calls to AWS from a warm event to its drain";
    section.targets.push(Target::at_most(what, 0.0, aws(&plain.before), calls));

    let columns = [&plain.before, &plain.after, &with_sweep.before, &with_sweep.after];
    let mut table = Table::new(
        "Calls of one event",
        &["", "up to the drain's POST", "after it", "with a sweep: up to the drain's POST", "after it"],
    );
    let all: BTreeSet<&String> = columns.iter().flat_map(|calls| calls.keys()).collect();
    for what in all {
        let often = columns.map(|calls| number(calls.get(what).copied().unwrap_or_default()));
        table.row([format!("`{what}`")].into_iter().chain(often));
    }
    section.tables.push(table);
    let mut table = Table::new("One event", &["", "measured", "with a sweep"]);
    let figures: [Figure<'_>; 3] = [
        ("event to drain, median", &|one| median(&one.drain_ms)),
        ("event to drain, nine of ten are faster than", &|one| percentile(&one.drain_ms, 0.9)),
        ("CPU", &|one| one.cpu_ms),
    ];
    for (name, of) in figures {
        table.row([name.to_owned(), milliseconds(of(plain)), milliseconds(of(with_sweep))]);
    }
    section.tables.push(table);
    section.how = vec![format!(
        "One process gets {} events, one after the other, each the SNS message of another instance that ends; of the first \
         {FIRST} nothing is counted. `EVENT_LINGER` is 1 ms, so that it answers when the drain has begun and does not watch it. \
         The delay is that from the event's answer by the Runtime API to the drain's POST as the emulated Nomad server reads \
         it, over TLS connections that stay open. CPU is that of all its threads in `/proc`, from the counted events' first to \
         their last, divided by {EVENTS}. With a sweep, whether the group is watched and whether it is paused can change at \
         any time, so both are asked anew, and the hook's limit bounds the drain.",
        FIRST + EVENTS
    )];
    match instructions {
        Some(instructions) => counted(&mut section, *instructions),
        None => section.how.push("Instructions were not counted: valgrind is not installed.".to_owned()),
    }
    section.data = json!(warm);
    section
}

/// What is called what, and how to get it.
type Figure<'a> = (&'a str, &'a dyn Fn(&Clocked) -> f64);

/// Adds the instructions to the page, and how they were counted.
fn counted(section: &mut Section, instructions: Instructions) {
    let Instructions { function_init, floor_init, event } = instructions;
    let mut table = Table::new("Instructions", &["", "this function", "the floor"]);
    table.row(["from the start to the first poll".to_owned(), count(function_init), count(floor_init)]);
    table.row(["one warm event".to_owned(), count(event), "–".to_owned()]);
    section.tables.push(table);
    section.how.push(format!(
        "Instructions are those of `valgrind --tool=callgrind`, in user space, loader and C library included. To a program in it \
         every processor with AVX2 looks the same, so that they do not depend on this one. Those of an event are the \
         difference of a run with {IN_VALGRIND} events and one with {} events, divided by {IN_VALGRIND}.",
        2 * IN_VALGRIND
    ));
}

/// The lab calls an operation of AWS by its name, and one of Nomad by method and path.
fn is_aws(call: &str) -> bool {
    !call.contains(' ')
}

#[cfg(test)]
mod tests {
    use drain_lab::clock::Clock;
    use drain_lab::journal::{Journal, System};

    use super::*;

    #[test]
    fn an_event_ends_with_the_first_drain_after_it() {
        let start: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let clock = Clock::stopped_at(start);
        let journal = Journal::new(clock.clone());
        let mut begun = Vec::new();
        for delay in [3, 5] {
            clock.advance(Duration::from_secs(1));
            begun.push(clock.now());
            journal.call(System::Nomad, "GET /v1/nodes", "", "");
            clock.advance(Duration::from_millis(delay));
            journal.call(System::Nomad, DRAIN, "", "");
            journal.call(System::AutoScaling, "DescribeLifecycleHooks", "", "");
        }
        let Clocked { drain_ms, before, after, .. } = split(&begun, &journal.entries());
        assert_eq!(drain_ms, [3.0, 5.0]);
        let calls = |calls: [(&str, f64); 2]| calls.map(|(what, often)| (what.to_owned(), often)).into();
        assert_eq!(before, calls([("GET /v1/nodes", 1.0), (DRAIN, 1.0)]));
        assert_eq!(after.into_keys().collect::<Vec<_>>(), ["DescribeLifecycleHooks"]);
    }

    #[test]
    fn a_call_to_aws_breaks_a_promise() {
        let before = [("GET /v1/nodes", 1.0), (DRAIN, 1.0), ("GetParameter", 0.5)];
        let before = before.map(|(what, often)| (what.to_owned(), often)).into();
        let plain = Clocked { drain_ms: vec![2.0], cpu_ms: 0.5, before, after: Calls::new() };
        let warm = Warm { plain, with_sweep: Clocked::default(), instructions: None };
        let targets: Vec<bool> = section(&warm).targets.iter().map(|target| target.met).collect();
        assert_eq!(targets, [true, false]);
    }
}
