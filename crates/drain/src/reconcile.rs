//! The loop: *observe → decide → apply*, and again until nothing is left to do or no time is left. Start reading here.

mod case;
mod look;
mod outcome;
mod step;
mod telling;
mod turn;
mod words;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use drain_core::decide::{Decision, decide};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

pub use case::{Found, Subject};
pub(crate) use turn::Turn;
pub(crate) use words::READ_JOB;

use crate::chronicle::{Chronicle, Happened, What, Whom};
use crate::error::{Causes, Error};
use crate::later;
use crate::report::ReportEntry;
use crate::world::World;
use case::Case;

/// What holds for every instance of one cluster in one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What the operator has asked for.
    pub policy: &'a Policy,
    /// What holds for every cluster.
    pub looks: &'a Looks,
    /// Its name, if there are several.
    pub cluster: Option<&'a str>,
}

impl Rules<'_> {
    /// Something has happened to one of its instances.
    pub(crate) fn tell(&self, whom: Whom, what: What) {
        self.looks.chronicle.tell(Happened { cluster: self.cluster.map(str::to_owned), whom, what });
    }
}

/// How an invocation looks at instances.
#[derive(Debug)]
pub struct Looks {
    /// Whether this invocation is a sweep: then a failure is left to the next one.
    pub sweeping: bool,
    /// How long to wait between two looks.
    pub poll_interval: SignedDuration,
    /// Until when an instance is looked at whose drain has begun.
    pub linger_until: Timestamp,
    /// Until when an invocation tries to begin.
    pub ends: Timestamp,
    /// What has been said.
    pub warned: Warned,
    /// What has happened.
    pub chronicle: Rc<Chronicle>,
}

/// What an invocation has warned of: each warning is given once.
#[derive(Debug, Default)]
pub struct Warned(RefCell<BTreeSet<String>>);

impl Warned {
    /// Warns, unless this invocation has said the same already.
    pub fn once(&self, warning: &str) {
        if self.0.borrow_mut().insert(warning.to_owned()) {
            tracing::warn!("{warning}");
        }
    }

    /// A question that got no answer, while the rest goes on: a missing permission is said once, with what grants it.
    pub(crate) fn failed(&self, error: &Error, what: &str) {
        match words::missing_permission(error) {
            Some(warning) => self.once(&warning),
            None => note(error, what),
        }
    }
}

/// Brings one instance to where it should be: its nodes drained, its hook completed.
///
/// Nothing is remembered between invocations, and little within one: what is there is looked at again before every
/// decision. A drain is never posted twice blindly, because a second POST would move its deadline: when the answer to a
/// POST does not come, the node is read, and what it shows decides.
///
/// `turn` ends when something has begun, or has to be waited for.
pub(crate) async fn reconcile(
    world: &impl World,
    rules: &Rules<'_>,
    subject: Subject,
    mut turn: Turn<'_>,
) -> Result<Vec<ReportEntry>, Error> {
    let mut case = Case::new(world, rules, subject);
    let mut said: Option<Reason> = None;
    loop {
        case.look().await?;
        if case.has_begun() {
            turn.end();
        }
        let (until, why) = match decide(&case.seen, case.policy(), world.now()) {
            Decision::Finish(reason) => return Ok(case.finish(reason)),
            Decision::Act(action) => {
                if let Some(entries) = case.apply(action).await? {
                    return Ok(entries);
                }
                continue;
            }
            Decision::Wait { until, why } => (until, why),
        };
        let end = case.time_left();
        let poll = later(world.now(), rules.looks.poll_interval);
        // Where something has begun, the last look is at the end, however short that makes the last pause.
        let poll = if case.has_begun() { poll.min(end) } else { poll };
        if world.now() >= end || poll > end || (!case.may_change(why) && until > end) {
            return case.give_up(why);
        }
        if case.wants_settings() {
            case.read_settings().await;
            continue;
        }
        if said.replace(why) != Some(why) {
            case.say(why);
        }
        turn.end();
        world.sleep_until(until.min(poll)).await;
    }
}

/// A failure in the log, while the loop goes on.
fn note(error: &Error, doing: &str) {
    tracing::warn!(error_type = error.name(), "{doing}: {}", Causes(error));
}

#[cfg(test)]
mod tests;
