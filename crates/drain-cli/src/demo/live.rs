//! What is shown while it happens: progress bars on a terminal, a line for each event elsewhere.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use drain_lab::nomad::DrainStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::history::History;
use super::stage::Stage;
use super::story::{Part, Story};
use super::text;
use super::timeline::{self, Actor, Line};

/// Where words for people go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Voice {
    /// Standard output: they are the result.
    Stdout,
    /// Standard error: a document on standard output is the result.
    Stderr,
    /// Nowhere: the document says it all.
    Silent,
}

impl Voice {
    /// Says something.
    pub(super) fn say(self, text: &str) {
        match self {
            Self::Stdout => print!("{text}"),
            Self::Stderr => eprint!("{text}"),
            Self::Silent => {}
        }
    }

    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Stderr => std::io::stderr().is_terminal(),
            Self::Silent => false,
        }
    }
}

/// The view of a running demonstration.
#[derive(Debug)]
pub(super) enum Live {
    /// On a terminal: one bar for each instance that ends, and a line for what happened last.
    Bars(Vec<ProgressBar>, ProgressBar, Voice),
    /// A line for each event. Holds those that were said.
    Lines(BTreeSet<Line>, Voice),
    /// Nothing: the document at the end says it all.
    Silent,
}

impl Live {
    /// The view that suits those who look.
    pub(super) fn new(voice: Voice, stage: &Stage) -> Self {
        if voice == Voice::Silent {
            return Self::Silent;
        }
        voice.say(&text::introduction(stage));
        if !voice.is_terminal() {
            return Self::Lines(BTreeSet::new(), voice);
        }
        let all = MultiProgress::new();
        let bars = stage.parts.iter().map(|part| {
            // Added before it is styled: a bar on its own would draw itself.
            let bar = all.add(ProgressBar::new(stage.running_on(&part.worker).len() as u64));
            bar.set_style(style("{prefix} [{bar:12.cyan}] {wide_msg}").progress_chars("=> "));
            bar.set_prefix(format!("{} {:<10}", part.worker.name, part.story.label()));
            bar
        });
        let bars = bars.collect();
        let newest = all.add(ProgressBar::no_length());
        newest.set_style(style("\n{wide_msg:.dim}"));
        Self::Bars(bars, newest, voice)
    }

    /// Shows how things stand.
    pub(super) fn show(&mut self, stage: &Stage) {
        match self {
            Self::Silent => {}
            Self::Lines(said, voice) => {
                // What is younger may still be overtaken by something that is noted a little late.
                let settled = stage.lab.clock.now() - SignedDuration::from_millis(200);
                say_new(said, *voice, &timeline::of(&History::of(stage), settled));
            }
            Self::Bars(bars, newest, _) => {
                let history = History::of(stage);
                if let Some(line) = timeline::of(&history, Timestamp::MAX).last() {
                    newest.set_message(text::line(line));
                }
                for (part, bar) in stage.parts.iter().zip(bars) {
                    let left = stage.running_on(&part.worker).len() as u64;
                    // A node whose drain is cancelled takes work again.
                    let all = bar.length().unwrap_or_default().max(left);
                    bar.set_length(all);
                    bar.set_position(all - left);
                    bar.set_message(format!("{left:>2} left  {}", state(&history, part)));
                }
            }
        }
    }

    /// Leaves the last state on the screen. Whether the timeline has been shown.
    pub(super) fn finish(self, stage: &Stage) -> bool {
        match self {
            Self::Bars(bars, newest, voice) => {
                newest.finish_and_clear();
                for bar in &bars {
                    bar.abandon();
                }
                voice.say("\n");
                false
            }
            Self::Lines(mut said, voice) => {
                say_new(&mut said, voice, &timeline::of(&History::of(stage), Timestamp::MAX));
                true
            }
            Self::Silent => true,
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn say_new(said: &mut BTreeSet<Line>, voice: Voice, lines: &[Line]) {
    for line in lines {
        if said.insert(line.clone()) {
            voice.say(&format!("{}\n", text::line(line)));
        }
    }
}

/// What is happening to an instance, in words.
fn state(history: &History<'_>, part: &Part) -> String {
    let stage = history.stage;
    if let Some(released) = history.released_at(part) {
        let after = history.last_end(part).map(|end| released.duration_since(end).as_millis());
        return match after {
            Some(after) => format!("empty; released {} later", text::seconds(after)),
            None => "released".to_owned(),
        };
    }
    if history.held_at(part).is_none() {
        return "at work".to_owned();
    }
    let running = stage.running_on(&part.worker);
    if stage.is_cut_off() {
        return "held: Nomad cannot be reached".to_owned();
    }
    let Some(node) = stage.node(&part.worker) else { return "its node is gone".to_owned() };
    let drained_by_operator = || {
        let last = stage.notes.iter().rfind(|note| note.node.as_ref() == Some(&part.worker.name));
        last.is_some_and(|note| note.who == Actor::Operator)
    };
    match (node.last_drain.map(|drain| drain.status), running.is_empty()) {
        (None, _) if part.story == Story::LostEvent => "held; its event is lost".to_owned(),
        (None, _) => "held".to_owned(),
        (Some(DrainStatus::Canceled), _) => "drain cancelled: held".to_owned(),
        (Some(_), true) => "empty".to_owned(),
        (Some(DrainStatus::Complete), false) => {
            format!("\"drain complete\", yet: {}", timeline::by_job(&running))
        }
        (Some(DrainStatus::Draining), false) if drained_by_operator() => {
            format!("operator's drain: {}", timeline::by_job(&running))
        }
        (Some(DrainStatus::Draining), false) => format!("drains: {}", timeline::by_job(&running)),
    }
}
