//! `nomad-drain release`: completes the lifecycle action that holds an instance.

use drain::by_hand::{self, HandError, Refusal, Release, Seen};
use drain_core::policy::ActionResult;
use drain_core::reason::Reason;
use serde_json::json;

use crate::exit::Exit;
use crate::frame::{Frame, LOOK, budget};
use crate::left;
use crate::out;
use crate::whom;

/// What can be asked of a release.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The instance, by its id, or by its node's id (8 characters are enough) or name.
    #[arg(value_name = "INSTANCE|NODE")]
    whom: String,
    /// Complete the action whatever runs there: Auto Scaling then ends the instance, and its work with it.
    #[arg(long)]
    force: bool,
    /// How the action is completed.
    #[arg(long, value_enum, default_value_t = Result::Continue, ignore_case = true)]
    result: Result,
}

/// `LifecycleActionResult`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Result {
    /// CONTINUE: the group's other hooks come next, then the end.
    Continue,
    /// ABANDON: other hooks are skipped.
    Abandon,
}

/// Releases, or says why not.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let reach = frame.reach(&[]).await?;
    let installation = &reach.installation;
    let account = installation.account(budget(LOOK), None);
    let clusters = installation.clusters(&account, true).await;
    let clusters = clusters.map_err(|error| anyhow::Error::msg(error.explanation()))?;
    let worlds = installation.worlds(&clusters, &account, drain::AT_ONCE);
    let sites = drain::sites(&clusters, &worlds);
    let instance = whom::instance(&arguments.whom, &worlds).await?;
    let result = match arguments.result {
        Result::Continue => ActionResult::Continue,
        Result::Abandon => ActionResult::Abandon,
    };
    let config = installation.config();
    let released = by_hand::release(&account, &sites, config, &instance, result, arguments.force).await;
    let released = match released {
        Err(error @ HandError::Failed(_)) => return Err(anyhow::Error::msg(error.to_string())),
        released => released,
    };
    let (done, why, seen) = match &released {
        Ok(Release::Done { hook, seen }) => {
            let told = format!("{} of {instance} was completed with {}", hook.as_str(), result.as_str());
            (true, told, seen.as_deref())
        }
        Ok(Release::Refused { why, seen, problems }) => (false, refused(*why, seen, problems), Some(&**seen)),
        Err(error) => (false, error.to_string(), None),
    };
    if frame.json {
        let left = seen.and_then(Seen::left).map(|left| left::document(&left));
        let document = json!({ "instance_id": instance.as_str(), "released": done, "message": why, "allocations": left });
        out::line(&serde_json::to_string_pretty(&document)?)?;
    } else if done {
        out::line(&why)?;
    } else {
        out::line(&format!("not released: {why}"))?;
    }
    Ok(Exit::done_if(done))
}

/// Why not, and what to do.
fn refused(why: Refusal, seen: &Seen, problems: &[String]) -> String {
    let instance = &seen.observation.target.instance;
    match why {
        Refusal::Running if seen.reason() == Some(Reason::DrainTimeout) => format!(
            "these allocations run on it, and the deadline of its drain has passed:{}\nThey would be killed. See why they do not \
             stop, or use --force",
            left::list(&seen.left().unwrap_or_default())
        ),
        Refusal::Running => format!(
            "these allocations run on it:{}\nThey would be killed. Wait for them with nomad-drain drain {instance}, or use --force",
            left::list(&seen.left().unwrap_or_default())
        ),
        Refusal::Unknown => {
            let why = if problems.is_empty() { seen.why.clone() } else { problems.join("; ") };
            format!("{}. Try again when that can be told, or use --force", why.trim_end_matches('.'))
        }
        Refusal::TakesWork => format!(
            "nothing runs on it at the moment, but its node takes work and could get some: drain it first with nomad-drain drain \
             {instance} --complete, or use --force"
        ),
    }
}
