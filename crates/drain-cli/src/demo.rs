//! `nomad-drain demo`: the function at work on a laptop.

mod bootstrap;
mod live;
mod report;
mod scenario;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use live::Live;
use scenario::Scenario;

/// What can be asked of the demonstration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON document instead, for machines.
    #[arg(long)]
    json: bool,
    /// The function's binary. Without it, the one of this checkout is built.
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
}

/// Runs the demonstration; its exit status tells whether everything happened.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let bootstrap = match &arguments.bootstrap {
        Some(path) => path.clone(),
        None => bootstrap::build()?,
    };
    let scenario = Scenario::set_up(&bootstrap).await.context("the lab could not be set up")?;
    let mut live = Live::new(arguments.json, &scenario);
    scenario.play(|scenario| live.show(scenario)).await?;
    let timeline_shown = live.finish(&scenario);

    let report = report::of(&scenario);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text::render(&report, timeline_shown));
    }
    Ok(if report.succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
