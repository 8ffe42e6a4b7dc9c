//! `status --watch`: looks again and again, and shows each in place of the one before.

use std::io::{self, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::screen::{Paper, Screen};
use super::text::{self, Newest};
use super::{Asked, look};
use crate::exit::Exit;
use crate::frame::Reach;
use crate::stop::stopped;

/// Looks until somebody ends it.
pub(super) async fn watch(reach: Reach, asked: Asked, every: Duration) -> anyhow::Result<Exit> {
    let (sender, mut newest) = channel(Newest::default());
    let paper = Paper::of_stdout();
    let show = async {
        if asked.json || !paper.is_terminal {
            print_each(&mut newest, asked, paper).await
        } else {
            in_place(&mut newest).await
        }
    };
    let shown = tokio::select! {
        () = keep_looking(reach, asked, every, sender) => Ok(()),
        shown = show => shown,
        // Ctrl-C is what was asked for.
        stopped = stopped() => stopped.map(|_| ()),
    };
    match shown {
        // Whoever read it has enough: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
        shown => shown?,
    }
    let last = newest.borrow();
    if !asked.json
        && paper.is_terminal
        && let Some(view) = &last.view
    {
        // What was seen last stays on the screen.
        let lines = text::table(view, &Paper::of_stdout().drawing(Timestamp::now()));
        writeln!(io::stdout(), "{}", lines.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// Looks every so often. A look that takes longer is not overtaken by the next one.
async fn keep_looking(mut reach: Reach, asked: Asked, every: Duration, newest: Sender<Newest>) {
    loop {
        let next = Instant::now() + every;
        let looked = match reach.renew().await {
            Ok(()) => look(&reach, asked).await,
            Err(error) => Err(error),
        };
        let at = Timestamp::now();
        newest.send_modify(|newest| match looked {
            Ok(view) => *newest = Newest { view: Some(view), failed: None },
            Err(error) => newest.failed = Some((at, format!("{error:#}"))),
        });
        sleep_until(next).await;
    }
}

/// Prints each look below the one before.
async fn print_each(newest: &mut Receiver<Newest>, asked: Asked, paper: Paper) -> io::Result<()> {
    let mut is_first = true;
    while newest.changed().await.is_ok() {
        let text = {
            let newest = newest.borrow_and_update();
            match (&newest.failed, &newest.view) {
                (Some((at, error)), _) if asked.json => json!({"as_of": at, "error": error}).to_string(),
                (None, Some(view)) if asked.json => serde_json::to_string(view)?,
                _ => {
                    let separator = if is_first { "" } else { "\n" };
                    let newest = newest.without_the_old();
                    format!(
                        "{separator}{}",
                        text::frame(&newest, &paper.drawing(Timestamp::now())).join("\n")
                    )
                }
            }
        };
        is_first = false;
        writeln!(io::stdout(), "{text}")?;
    }
    Ok(())
}

/// Shows the newest look on a screen of its own. Ages go on between two looks, and it follows the terminal's size.
async fn in_place(newest: &mut Receiver<Newest>) -> io::Result<()> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let screen = Screen::enter()?;
    loop {
        {
            let paper = Paper::of_stdout();
            let lines = text::frame(&newest.borrow_and_update(), &paper.drawing(Timestamp::now()));
            screen.show(&lines, paper.height)?;
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return Ok(()) },
            _ = second.tick() => {}
            _ = resized.recv() => {}
        }
    }
}
