//! What the facts mean. Pure: facts and the time go in, findings come out, in the order in which they are shown.

mod certificates;
mod configuration;
mod credentials;
mod groups;
mod nodes;
mod nomad;
mod path;
mod permissions;
mod queues;
mod sweep;
mod timing;
mod token;

#[cfg(test)]
pub(super) mod scene;

use jiff::{SignedDuration, Timestamp};

use drain::aws::autoscaling::Hook;
use drain::config::Config;

use super::code::{Area, Code};
use super::facts::{Fact, Facts, Why};
use super::finding::Finding;

/// Everything that there is to say.
pub(crate) fn judge(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(configuration::judge(facts));
    all.extend(credentials::judge(facts));
    all.extend(groups::judge(facts));
    all.extend(timing::judge(facts));
    all.extend(path::judge(facts));
    all.extend(permissions::judge(facts));
    all.extend(nomad::judge(facts));
    all.extend(certificates::judge(facts, now));
    all.extend(token::judge(facts, now));
    all.extend(nodes::judge(facts));
    all.extend(sweep::judge(facts, now));
    all.extend(queues::judge(facts));
    all
}

/// The value, or the finding that it is not known.
fn known<'a, T>(fact: &'a Fact<T>, area: Area, about: &str, what: &str) -> Result<&'a T, Finding> {
    match fact {
        Fact::Known(value) => Ok(value),
        Fact::Unknown(why) => Err(not_checked(why, area, about, what)),
    }
}

/// Says that something was not checked, and what would help.
fn not_checked(why: &Why, area: Area, about: &str, what: &str) -> Finding {
    match why {
        Why::Denied { permission } => Finding::new(
            area,
            Code::NotChecked,
            about,
            format!("not checked: {what}. You may not call {permission}"),
        )
        .todo(format!("Run it as somebody who is allowed {permission}.")),
        Why::Failed { said, todo } | Why::CannotBeKnown { said, todo } => {
            Finding::new(area, Code::NotChecked, about, format!("not checked: {what}. {said}")).todo(todo)
        }
        Why::Skipped { because } => {
            Finding::new(area, Code::Skipped, about, format!("skipped: {what}. First see to {because}"))
        }
    }
}

/// The configuration, if there is one that can be used.
fn config(facts: &Facts) -> Option<&Config> {
    Some(&*facts.configuration.known()?.as_ref().ok()?.config)
}

/// The terminate hooks of a group on which the function acts.
///
/// Without `LIFECYCLE_HOOK_NAME` it believes what a hook's own target is told of every hook; of what the sweep finds and
/// `EventBridge` tells it acts on the default name only.
fn ours<'a>(config: &Config, hooks: &'a [Hook]) -> Vec<&'a Hook> {
    let any_with_target = config.hooks.is_none() && !config.sweep;
    let terminating = hooks.iter().filter(|hook| hook.terminating);
    terminating
        .filter(|hook| {
            config.sweep_hooks().contains(&hook.name) || (any_with_target && hook.target.is_some())
        })
        .collect()
}

/// A span of time as operators write it: `1h 30m`.
fn span(duration: SignedDuration) -> String {
    let rounded = SignedDuration::from_secs(duration.as_secs());
    format!("{rounded:#}")
}
