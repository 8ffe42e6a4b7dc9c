//! `nomad-drain demo`: the function at work on a laptop.

mod bootstrap;
mod check;
mod course;
#[cfg(test)]
mod example;
mod file;
mod ground;
mod history;
mod live;
mod markup;
mod page;
mod palette;
mod picture;
mod play;
mod report;
mod stage;
mod story;
mod text;
mod timeline;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::exit::Exit;
use crate::frame::Frame;
use crate::out;
use crate::stop::stopped;
use file::Destination;
use history::History;
use live::{Live, Voice};
use play::Play;
use report::Report;
use stage::Stage;

/// What can be asked of the demonstration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also write a report: one HTML file that opens without network access.
    ///
    /// It has the timeline as a picture, what happened to each instance, the summary, and every event in order. The file
    /// is opened at once and written at the end; a demonstration that breaks off leaves none behind. `-` is standard
    /// output: what is otherwise there goes to standard error.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write the timeline as an SVG picture, in the same way.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Play it on a real Nomad cluster on this machine: the program in `NOMAD_BIN`, or else `nomad` on `PATH`.
    ///
    /// Starts a server and eight clients on loopback, with ACLs on, which run small shell scripts by `raw_exec`; takes about
    /// a minute and a half, and ends all of them. Needs Linux, and usually root.
    #[arg(long)]
    real_nomad: bool,
    /// The function's binary. Without it, the one of this checkout is built, in the release profile.
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
}

impl Arguments {
    /// The files that are asked for, each with what renders it.
    fn documents(&self) -> impl Iterator<Item = (&Path, fn(&Report) -> String)> {
        let page = self.report.as_deref().map(|path| (path, page::file as fn(&Report) -> String));
        let picture = self.svg.as_deref().map(|path| (path, picture::file as fn(&Report) -> String));
        page.into_iter().chain(picture)
    }

    /// Who may have standard output, and where words for people go then. Two documents in one place are a mistake.
    fn voice(&self, json: bool) -> Voice {
        let on_stdout = self.documents().filter(|(path, _)| file::is_stdout(path)).count();
        let same_file = self.report.is_some() && self.report == self.svg;
        if on_stdout + usize::from(json) > 1 || same_file {
            let mut command = crate::Arguments::command();
            command.build();
            let demo = command.find_subcommand("demo").cloned().unwrap_or(command);
            let said = "--json, --report and --svg need a place each: one of them may have standard output";
            demo.clone().error(ErrorKind::ArgumentConflict, said).exit();
        }
        match (json, on_stdout) {
            (true, _) => Voice::Silent,
            (false, 0) => Voice::Stdout,
            (false, _) => Voice::Stderr,
        }
    }
}

/// Runs the demonstration; its exit status tells whether everything happened.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let voice = arguments.voice(frame.json);
    // Before anything else: a minute later is too late to hear of a wrong path.
    let documents: anyhow::Result<Vec<_>> =
        arguments.documents().map(|(path, render)| Ok((Destination::open(path)?, render))).collect();
    let documents = documents?;
    // Whoever stops us stops what we have started: it ends with the play.
    let (report, timeline_shown) = tokio::select! {
        played = play(arguments, voice) => played?,
        stopped = stopped() => bail!("stopped by {}", stopped?),
    };
    if frame.json {
        out::line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        voice.say(&text::render(&report, timeline_shown));
    }
    for (destination, render) in documents {
        if let Some(path) = destination.write(&render(&report))? {
            eprintln!("{} is written", path.display());
        }
    }
    Ok(Exit::done_if(report.succeeded))
}

/// Plays everything. Gives what has happened, and whether the timeline has been shown meanwhile.
async fn play(arguments: &Arguments, voice: Voice) -> anyhow::Result<(Report, bool)> {
    let bootstrap = match &arguments.bootstrap {
        Some(path) => path.clone(),
        None => bootstrap::build().await?,
    };
    let mut stage =
        Stage::set_up(&bootstrap, arguments.real_nomad).await.context("the lab could not be set up")?;
    let mut live = Live::new(voice, &stage);
    Play::on(&mut stage, |stage| live.show(stage)).play().await?;
    let timeline_shown = live.finish(&stage);
    Ok((report::of(&History::of(&stage)), timeline_shown))
}
