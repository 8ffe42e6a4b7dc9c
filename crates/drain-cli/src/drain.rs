//! `nomad-drain drain`: the loop of every invocation, by hand.

mod progress;

use std::io;
use std::rc::Rc;

use anyhow::Context as _;
use drain::by_hand::{self, ByHand, Drained, HandError, Wishes};
use drain::config::parse_duration;
use drain_core::ids::InstanceId;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use crate::exit::Exit;
use crate::frame::{Frame, WITHOUT_END, budget};
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
    /// Until then the hook is kept alive by heartbeats. Without this the hook, if there is one, is left to the function.
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
            eprintln!("{}", progress.left(signal));
            return Ok(Exit::NotDone);
        }
    };
    progress.finish();
    if frame.json {
        out::line(&serde_json::to_string_pretty(&document(&instances, &ended))?)?;
    } else {
        print(&ended)?;
    }
    if let Some(error) = ended.iter().find_map(|one| one.as_ref().err().filter(|error| is_unknown(error))) {
        return Err(anyhow::anyhow!("{error}"));
    }
    Ok(Exit::done_if(ended.iter().all(|one| one.as_ref().is_ok_and(Drained::is_done))))
}

/// Whether nothing could be found out, which is another exit status than a refusal.
fn is_unknown(error: &HandError) -> bool {
    matches!(error, HandError::Failed(_))
}

fn document(instances: &[InstanceId], ended: &[Result<Drained, HandError>]) -> serde_json::Value {
    let all = instances.iter().zip(ended).map(|(instance, ended)| match ended {
        Ok(drained) => {
            json!({ "instance_id": instance.as_str(), "done": drained.is_done(), "results": drained.entries })
        }
        Err(error) => {
            json!({ "instance_id": instance.as_str(), "done": false, "error": error.to_string(), "results": [] })
        }
    });
    json!({ "instances": all.collect::<Vec<_>>() })
}

fn print(ended: &[Result<Drained, HandError>]) -> io::Result<()> {
    for one in ended {
        match one {
            Ok(drained) => {
                for entry in &drained.entries {
                    out::line(&format!("{}: {}", entry.outcome.replace('_', " "), entry.message))?;
                }
            }
            Err(error) if !is_unknown(error) => out::line(&format!("not drained: {error}"))?,
            Err(_) => {}
        }
    }
    Ok(())
}
