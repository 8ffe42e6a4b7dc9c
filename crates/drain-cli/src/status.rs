//! `nomad-drain status`: every held instance, and why we are waiting.

mod screen;
mod text;
mod view;
mod watch;

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::anyhow;
use drain::by_hand::overview;
use jiff::Timestamp;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::LevelFilter;

use crate::exit::Exit;
use crate::frame::{Frame, LOOK, Reach, budget};
use screen::Paper;
use view::View;

/// What can be asked of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Look at these groups instead of the watched ones: names, or globs such as `prod-*`.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    group: Vec<String>,
    /// Show no more than so many instances. All are counted.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Look again and again, and show it in place, until Ctrl-C ends it (with status 0).
    ///
    /// Where standard output is no terminal, each look prints a table; with --json, a line.
    #[arg(long)]
    watch: bool,
    /// The time between two looks.
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "watch", value_parser = crate::every::parse)]
    every: Duration,
}

/// Connections to Nomad at once: it allows 100 for one address, and others here may need some.
const AT_ONCE: usize = 8;

/// Shows what is held.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let groups = arguments.group.join(",");
    let wanted = [("AUTO_SCALING_GROUPS", groups.as_str())];
    let reach = frame.reach(if groups.is_empty() { &[] } else { &wanted }).await?;
    let asked = Asked { limit: arguments.limit, json: frame.json, is_log_wanted: is_log_wanted(frame) };
    if arguments.watch {
        return watch::watch(reach, asked, arguments.every).await;
    }
    let view = look(&reach, asked).await?;
    if frame.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&view)?)?;
    } else {
        let paper = Paper::of_stdout();
        let lines = text::table(&view, &paper.drawing(Timestamp::now()));
        writeln!(io::stdout(), "{}", lines.join("\n"))?;
    }
    if view.is_blind() {
        return Err(anyhow!("not everything could be seen: what is shown above says why"));
    }
    Ok(Exit::done_if(!view.needs_attention()))
}

/// How it is asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    limit: Option<usize>,
    json: bool,
    /// Whether the looks may write to the log. What they would warn of is in the view.
    is_log_wanted: bool,
}

fn is_log_wanted(frame: &Frame) -> bool {
    frame.level().is_some_and(|level| level > LevelFilter::WARN)
}

/// One look at everything.
async fn look(reach: &Reach, asked: Asked) -> anyhow::Result<View> {
    let work = async {
        let installation = &reach.installation;
        let account = installation.account(budget(LOOK), None);
        let clusters = installation.clusters(&account, true).await?;
        let worlds = installation.worlds(&clusters, &account, AT_ONCE);
        overview(&account, &drain::sites(&clusters, &worlds), installation.config()).await
    };
    let overview =
        if asked.is_log_wanted { work.await } else { work.with_subscriber(NoSubscriber::default()).await };
    let overview = overview.map_err(|error| anyhow!("{}", error.explanation()))?;
    Ok(View::of(overview, asked.limit))
}
