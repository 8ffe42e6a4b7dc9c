//! `nomad-drain drain`: the loop of every invocation, by hand.

mod progress;

use std::io;
use std::rc::Rc;

use anyhow::Context as _;
use drain::ReportEntry;
use drain::by_hand::{self, ByHand, Drained, HandError, Wishes};
use drain::config::parse_duration;
use drain_core::ids::InstanceId;
use drain_core::observation::Allocation;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::frame::{Frame, WITHOUT_END, budget};
use crate::left;
use crate::out;
use crate::stop::stopped;
use crate::whom;
use progress::Progress;

/// What can be asked of a drain.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The instances: each by its id, or by its node's id (8 characters are enough) or name.
    #[arg(required = true, value_name = "INSTANCE|NODE")]
    whom: Vec<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Complete the lifecycle action that holds the instance, too, when its work has stopped.
    ///
    /// Until then the hook is kept alive by heartbeats. Work that outlives the drain's deadline is listed and not let go of:
    /// `nomad-drain release --force` does that. Without this the hook, if there is one, is left to the function.
    #[arg(long)]
    complete: bool,
    /// How long allocations may take to leave before Nomad stops them, as `DRAIN_DEADLINE`: 30m, 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<SignedDuration>,
    /// Leave system jobs on the node, as `DRAIN_IGNORE_SYSTEM_JOBS`.
    #[arg(long)]
    ignore_system_jobs: bool,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    parse_duration(text).map_err(str::to_owned)
}

/// Drains, and waits for the end.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let reach = frame.reach(&[]).await?;
    let installation = &reach.installation;
    let account = installation.account(budget(WITHOUT_END), None);
    let clusters = installation
        .clusters(&account, true)
        .await
        .map_err(|error| anyhow::Error::msg(error.explanation()))?;
    let worlds = installation.worlds(&clusters, &account, drain::AT_ONCE);
    let sites = drain::sites(&clusters, &worlds);
    let mut instances: Vec<InstanceId> = Vec::new();
    for text in &arguments.whom {
        let instance = whom::instance(text, &worlds).await?;
        if !instances.contains(&instance) {
            instances.push(instance);
        }
    }
    let progress = Rc::new(Progress::of(&instances, frame.json || arguments.dry_run));
    let drains = instances.iter().enumerate().map(|(place, instance)| {
        let wishes = Wishes {
            deadline: arguments.deadline,
            ignore_system_jobs: arguments.ignore_system_jobs,
            dry_run: arguments.dry_run,
            despite_pause: true,
        };
        let shown = Rc::clone(&progress);
        let by_hand = ByHand { wishes, onlooker: Box::new(move |seen| shown.show(place, seen)) };
        let (account, sites, config) = (&account, &sites, installation.config());
        let progress = &progress;
        async move {
            let drained = by_hand::drain(account, sites, config, instance, arguments.complete, by_hand).await;
            progress.end(place, &drained);
            drained
        }
    });
    let ended = tokio::select! {
        ended = join_all(drains) => ended,
        signal = stopped() => {
            let signal = signal.context("signals cannot be waited for")?;
            eprintln!("{}", progress.nobody_looks(signal));
            return Ok(Exit::NotDone);
        }
    };
    progress.finish();
    let ended: Vec<Ended> = instances
        .iter()
        .zip(ended)
        .enumerate()
        .map(|(place, (instance, drained))| Ended { instance, drained, left: progress.left(place) })
        .collect();
    if frame.json {
        let all: Vec<_> = ended.iter().map(Ended::document).collect();
        out::line(&serde_json::to_string_pretty(&json!({ "instances": all }))?)?;
    } else {
        for one in &ended {
            one.print(arguments)?;
        }
    }
    if let Some(error) = ended.iter().find_map(Ended::unknown) {
        return Err(anyhow::anyhow!("{error}"));
    }
    Ok(Exit::done_if(ended.iter().all(Ended::is_done)))
}

/// What became of an instance.
struct Ended<'a> {
    instance: &'a InstanceId,
    drained: Result<Drained, HandError>,
    /// What ran there at the last look, if that could be seen.
    left: Option<Vec<Allocation>>,
}

impl Ended<'_> {
    fn is_done(&self) -> bool {
        self.drained.as_ref().is_ok_and(Drained::is_done)
    }

    /// Why nothing could be found out, which is another exit status than a refusal.
    fn unknown(&self) -> Option<&HandError> {
        self.drained.as_ref().err().filter(|error| matches!(error, HandError::Failed(_)))
    }

    fn left(&self) -> Vec<&Allocation> {
        self.left.iter().flatten().collect()
    }

    fn document(&self) -> Value {
        let left = self.left.as_ref().map(|left| left::document(&left.iter().collect::<Vec<_>>()));
        let mut document =
            json!({ "instance_id": self.instance.as_str(), "done": self.is_done(), "allocations": left });
        match &self.drained {
            Ok(drained) => document["results"] = json!(drained.entries),
            Err(error) => {
                document["error"] = json!(error.to_string());
                document["results"] = json!([]);
            }
        }
        document
    }

    fn print(&self, arguments: &Arguments) -> io::Result<()> {
        let instance = self.instance;
        match &self.drained {
            Ok(drained) => {
                for entry in &drained.entries {
                    out::line(&told(entry, arguments))?;
                }
            }
            Err(error) if self.unknown().is_none() => out::line(&format!("not drained: {error}"))?,
            Err(_) => return Ok(()),
        }
        let left = self.left();
        if self.is_done() {
            if arguments.dry_run && !left.is_empty() {
                out::line(&format!("these allocations run on {instance}:{}", left::list(&left)))?;
            }
            if arguments.dry_run && arguments.complete {
                out::line("Its lifecycle action would be completed when nothing runs there any more.")?;
            }
            return Ok(());
        }
        if left.is_empty() {
            return Ok(());
        }
        let hook = if arguments.complete {
            format!(
                "Its lifecycle action is not completed: they would be killed. To let go of them: nomad-drain release --force {instance}"
            )
        } else {
            "They go on.".to_owned()
        };
        out::line(&format!("these allocations run on {instance}:{}\n{hook}", left::list(&left)))
    }
}

/// What became of a node, in a line.
fn told(entry: &ReportEntry, arguments: &Arguments) -> String {
    let ReportEntry { outcome, message, .. } = entry;
    match message.strip_prefix("DRY_RUN: ") {
        Some(plan) if arguments.dry_run => format!("plan: {plan}"),
        _ => format!("{}: {message}", outcome.replace('_', " ")),
    }
}
