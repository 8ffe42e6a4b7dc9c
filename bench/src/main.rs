//! `cargo bench-all`: every figure that is published, from one command.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod build;
mod callgrind;
mod check;
mod cold;
mod cost;
mod ground;
mod held;
mod ladder;
mod machine;
mod process;
mod quota;
mod report;
mod runtime_api;
mod size;
mod stage;
mod statistics;
mod units;
mod warm;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use ground::Ground;
use report::{Results, Section};

/// Measures the function, the floor and the old way, and writes docs/performance.md.
///
/// Takes less than ten minutes on two cores. Wants a machine that does nothing else.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-all", bin_name = "cargo bench-all", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Measure only this, and write to target/bench/partial: the published page is always one whole run.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<Measurement>,
    /// Where performance.md and its plots go. Without it docs/, or target/bench/partial with --only.
    #[arg(long, value_name = "DIR", global = true)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the page again from target/bench/results.json, without measuring.
    Render,
    /// Fail if the function is more than 5 % larger, or takes more than 5 % more instructions, than recorded.
    Check {
        /// Compare with this instead of bench/recorded.json.
        #[arg(long, value_name = "FILE")]
        recorded: Option<PathBuf>,
    },
    /// Record size and instructions in bench/recorded.json, for machines of this architecture.
    Record,
}

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
enum Measurement {
    /// From a process's start to its first poll, and to the drain.
    Cold,
    /// From an event to the drain, in a process that has seen others.
    Warm,
    /// The package, the binary, and the memory of one drain.
    Size,
    /// A hundred to fifteen thousand instances at once.
    Ladder,
    /// From the last allocation's end to the completed hook.
    Held,
    /// Dollars. Computed from the others.
    Cost,
}

impl Measurement {
    async fn measure(self, ground: &Ground, before: &[Section]) -> anyhow::Result<Section> {
        match self {
            Self::Cold => cold::measure(ground).await,
            Self::Warm => warm::measure(ground).await,
            Self::Size => size::measure(ground).await,
            Self::Ladder => ladder::measure(ground).await,
            Self::Held => held::measure(ground).await,
            Self::Cost => cost::measure(ground, before).await,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whoever stops us stops what we have started: it ends with the future that started it.
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        stopped = stopped() => stopped.map_err(Into::into).and_then(|name| anyhow::bail!("stopped by {name}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo bench-all: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let workspace = build::workspace()?;
    match &arguments.command {
        None => measure(&workspace, arguments).await,
        Some(Command::Render) => {
            let results = Results::read(&whole_run(&workspace))?;
            write_page(&results, arguments.out.as_deref().unwrap_or(&workspace.join("docs")))
        }
        Some(Command::Check { recorded }) => check::check(&workspace, recorded.as_deref()).await,
        Some(Command::Record) => check::record(&workspace).await,
    }
}

async fn measure(workspace: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let wanted: BTreeSet<Measurement> = if arguments.only.is_empty() {
        Measurement::value_variants().iter().copied().collect()
    } else {
        arguments.only.iter().copied().collect()
    };
    let old_way = wanted.contains(&Measurement::Cold);
    let ground = Ground::prepare(workspace, old_way)?;
    let mut sections = Vec::new();
    for measurement in wanted {
        let name =
            measurement.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        eprintln!("== {name}, after {}", units::seconds(began.elapsed().as_secs_f64()));
        let section =
            measurement.measure(&ground, &sections).await.with_context(|| format!("measuring {name}"))?;
        for target in section.targets.iter().filter(|target| !target.met) {
            eprintln!("missed: {}: {} (wanted: {})", target.what, target.measured, target.wanted);
        }
        sections.push(section);
    }
    let results = Results {
        taken_at: Timestamp::now(),
        commit: machine::commit(workspace),
        took_s: began.elapsed().as_secs_f64(),
        machine: machine::this(),
        sections,
    };
    let (kept, out) = if arguments.only.is_empty() {
        (whole_run(workspace), workspace.join("docs"))
    } else {
        let partial = workspace.join("target/bench/partial");
        (partial.join("results.json"), partial)
    };
    results.write(&kept)?;
    write_page(&results, arguments.out.as_deref().unwrap_or(&out))
}

/// Where the results of a whole run are kept.
fn whole_run(workspace: &Path) -> PathBuf {
    workspace.join("target/bench/results.json")
}

fn write_page(results: &Results, out: &Path) -> anyhow::Result<()> {
    report::write(results, out)?;
    println!("{}", out.join("performance.md").display());
    Ok(())
}

/// Waits until somebody stops this program, and names the signal.
async fn stopped() -> std::io::Result<&'static str> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
