//! `nomad-drain replay`: what was decided, once more, or how an event is read.

mod event;
mod fixture;
mod input;
mod seen;
mod step;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use drain::config::tried;
use drain_core::policy::Policy;
use jiff::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::frame::Frame;
use input::{Broken, Input, Log};
use step::Step;

/// What is replayed, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A record that the function has logged at DEBUG, a line or a whole log with such records, or an event. `-` is standard
    /// input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Decide as if it were this moment, such as 2026-11-29T03:00:00Z.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Decide as if this variable were set: `--policy DRAIN_DEADLINE=30m`. May be given several times.
    #[arg(long, value_name = "VARIABLE=VALUE", value_parser = setting)]
    policy: Vec<(String, String)>,
    /// Write each decision as a test case: into this folder, or as this `.json` file if there is one. No file is overwritten.
    ///
    /// Files in crates/drain-core/tests/replays are tests. They name instances, groups, nodes and jobs: look before you
    /// publish one.
    #[arg(long, value_name = "FOLDER|FILE")]
    fixture: Option<PathBuf>,
}

/// Reads the file, decides again, and compares.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let file = &arguments.file;
    let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
    let text = text(file).with_context(|| format!("{name} cannot be read"))?;
    match input::read(&text).with_context(|| name.clone())? {
        Input::Log(log) => decisions(log, arguments, frame),
        Input::Event => {
            anyhow::ensure!(
                arguments.fixture.is_none(),
                "{name} holds an event, and a test case needs what was seen: take a record from the log at DEBUG"
            );
            // No network is needed, unless a deployed function is to say how it is set.
            let variables = match &frame.function {
                Some(_) => Some(frame.variables(&[]).await?),
                None => None,
            };
            let set: BTreeMap<String, String> = arguments.policy.iter().cloned().collect();
            let lookup = |name: &str| {
                let elsewhere = || match &variables {
                    Some(variables) => variables.layers.get(name),
                    None => std::env::var(name).ok(),
                };
                set.get(name).cloned().or_else(elsewhere)
            };
            let read = event::read(&text, lookup, arguments.at.unwrap_or_else(Timestamp::now));
            let read = read.with_context(|| name.clone())?;
            show(&read, frame)?;
            Ok(Exit::done_if(read.is_understood()))
        }
    }
}

/// What came of the records of a log.
#[derive(Debug, Serialize)]
struct Replayed {
    decisions: Vec<Step>,
    /// Records that cannot be read.
    broken: Vec<Broken>,
    other_lines: usize,
    /// The test cases that were written.
    fixtures: Vec<PathBuf>,
    /// The variables that were set otherwise.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    policy: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

fn decisions(log: Log, arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let Arguments { at, policy, fixture, .. } = arguments;
    let policy: BTreeMap<String, String> = policy.iter().cloned().collect();
    let Log { found, broken, other_lines } = log;
    let decisions =
        found.into_iter().map(|found| Step::of(found, *at, &policy)).collect::<Result<Vec<Step>, _>>()?;
    let fixtures = match fixture {
        Some(place) => fixture::write(place, &decisions)?,
        None => Vec::new(),
    };
    let replayed = Replayed { decisions, broken, other_lines, fixtures, policy, at: *at };
    show(&replayed, frame)?;
    anyhow::ensure!(replayed.broken.is_empty(), "{}", replayed.complaint());
    Ok(Exit::done_if(replayed.as_it_was() || replayed.is_trial()))
}

impl Replayed {
    /// Whether something is decided that is not what was recorded.
    fn as_it_was(&self) -> bool {
        self.decisions.iter().all(|step| !step.differs)
    }

    /// Whether it was asked what would have happened. Then another decision is an answer, and nothing is wrong.
    fn is_trial(&self) -> bool {
        self.at.is_some() || !self.policy.is_empty()
    }

    fn complaint(&self) -> String {
        let broken: Vec<String> =
            self.broken.iter().map(|Broken { line, why }| format!("\n  line {line}: {why}")).collect();
        format!("{} cannot be read:{}", count(broken.len(), "record"), broken.concat())
    }
}

impl Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decisions, other_lines, fixtures, policy, at, .. } = self;
        if let Some(at) = at {
            writeln!(f, "Decided as of {at}.")?;
        }
        if !policy.is_empty() {
            let set: Vec<String> = policy.iter().map(|(name, value)| format!("{name}={value}")).collect();
            writeln!(f, "Decided with {}.", set.join(", "))?;
        }
        for step in decisions {
            writeln!(f, "{step}")?;
        }
        let differing = decisions.iter().filter(|step| step.differs).count();
        let same = match (decisions.len(), differing) {
            (0, _) => "nothing could be replayed".to_owned(),
            (1, 0) => "1 decision, the same as recorded".to_owned(),
            (all, 0) => format!("{all} decisions, all the same as recorded"),
            (all, some) => format!("{}, {some} not as recorded", count(all, "decision")),
        };
        write!(f, "{same}")?;
        if *other_lines > 0 {
            write!(f, "; {} without a record", count(*other_lines, "line"))?;
        }
        writeln!(f)?;
        if differing > 0 && !self.is_trial() {
            writeln!(
                f,
                "The rules have changed since: this program decides otherwise than the one that logged it."
            )?;
        }
        for path in fixtures {
            writeln!(f, "written: {}", path.display())?;
        }
        Ok(())
    }
}

/// Prints the result.
fn show(result: &(impl Serialize + Display), frame: &Frame) -> anyhow::Result<()> {
    // Whoever reads may stop early: that is no reason to panic.
    let mut out = std::io::stdout();
    if frame.json {
        writeln!(out, "{}", serde_json::to_string_pretty(result)?)?;
    } else {
        write!(out, "{result}")?;
    }
    Ok(())
}

/// A number and what it counts.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn text(file: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if is_stdin(file) {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file)?;
    }
    // A log may hold anything; a record is always UTF-8.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `VARIABLE=VALUE`, of a variable that bears on decisions.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
    let setting = (name.trim().to_owned(), value.trim().to_owned());
    let tried = tried(&Policy::default(), &BTreeMap::from([setting.clone()]));
    tried.map_err(|error| error.problems.join("; "))?;
    Ok(setting)
}
