//! `nomad-drain demo`: the function at work on a laptop.

mod bootstrap;
mod check;
mod ground;
mod history;
mod live;
mod play;
mod report;
mod stage;
mod story;
mod text;
mod timeline;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::frame::Frame;
use history::History;
use live::Live;
use play::Play;
use stage::Stage;

/// What can be asked of the demonstration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Play it on a real Nomad cluster on this machine: the program in `NOMAD_BIN`, or else `nomad` on `PATH`.
    ///
    /// Starts a server and eight clients on loopback, with ACLs on, which run small shell scripts by `raw_exec`; takes about
    /// a minute and a half, and ends all of them. Needs Linux, and usually root.
    #[arg(long)]
    real_nomad: bool,
    /// The function's binary. Without it, the one of this checkout is built.
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
}

/// Runs the demonstration; its exit status tells whether everything happened.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let bootstrap = match &arguments.bootstrap {
        Some(path) => path.clone(),
        None => bootstrap::build()?,
    };
    let set_up = Stage::set_up(&bootstrap, arguments.real_nomad);
    // Whoever stops us stops what we have started: it ends with the stage.
    let mut stage = tokio::select! {
        stage = set_up => stage.context("the lab could not be set up")?,
        stopped = stopped() => bail!("stopped by {}", stopped?),
    };
    let mut live = Live::new(frame.json, &stage);
    let play = Play::on(&mut stage, |stage| live.show(stage)).play();
    tokio::select! {
        played = play => played?,
        stopped = stopped() => bail!("stopped by {}", stopped?),
    }
    let timeline_shown = live.finish(&stage);

    let report = report::of(&History::of(&stage));
    if frame.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text::render(&report, timeline_shown));
    }
    Ok(Exit::done_if(report.succeeded))
}

/// Waits until somebody stops this program, and names the signal.
async fn stopped() -> std::io::Result<&'static str> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
