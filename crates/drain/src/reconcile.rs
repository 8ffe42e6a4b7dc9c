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

use drain_core::decide::{Action, Decision, decide, plan};
use drain_core::observation::Observation;
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

pub use case::{Found, Subject};
pub(crate) use turn::Turn;
pub(crate) use words::READ_JOB;
pub use words::explain;

use crate::by_hand::{ByHand, Seen, lets_go_of_work};
use crate::chronicle::{Chronicle, Happened, What, Whom};
use crate::error::{Causes, Error};
use crate::later;
use crate::report::ReportEntry;
use crate::world::World;
use case::Case;
use words::Tense;

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
    /// Somebody at a terminal who asks, and looks on.
    pub by_hand: Option<ByHand>,
}

impl Looks {
    /// What is set, and what follows from who looks.
    pub(crate) fn applied_to(&self, policy: Policy) -> Policy {
        let policy = Policy { sweep: policy.sweep || self.sweeping, ..policy };
        match &self.by_hand {
            Some(by_hand) => by_hand.wishes.applied_to(policy),
            None => policy,
        }
    }
}

/// What an invocation has warned of: each warning is given once.
#[derive(Debug, Default)]
pub struct Warned {
    once: RefCell<BTreeSet<String>>,
    /// The same and more, for somebody at a terminal, who sees no log.
    told: RefCell<BTreeSet<String>>,
}

impl Warned {
    /// Warns, unless this invocation has said the same already.
    pub fn once(&self, warning: &str) {
        self.tell(warning.to_owned());
        self.log_once(warning);
    }

    fn log_once(&self, warning: &str) {
        if self.once.borrow_mut().insert(warning.to_owned()) {
            tracing::warn!("{warning}");
        }
    }

    /// Remembers what somebody at a terminal has to know, and what is in the log already.
    pub(crate) fn tell(&self, problem: String) {
        self.told.borrow_mut().insert(problem);
    }

    /// Everything that was told.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.borrow().iter().cloned().collect()
    }

    /// A question that got no answer, while the rest goes on: a missing permission is said once, with what grants it.
    pub(crate) fn failed(&self, error: &Error, what: &str) {
        self.tell(format!("{what}: {}", Causes(error)));
        match words::missing_permission(error) {
            Some(warning) => self.log_once(&warning),
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
        if case.has_begun() || case.is_failing() {
            turn.end();
        }
        let now = world.now();
        let decision = decide(&case.seen, case.policy(), now);
        case.record(now, &decision);
        let decision = match &rules.looks.by_hand {
            Some(by_hand) => {
                let decision = kept_in_hand(&case, decision, now);
                by_hand.show(&case.shown(decision.clone(), Tense::Now));
                decision
            }
            None => decision,
        };
        let (until, why) = match decision {
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

/// Looks at one instance once, and changes nothing: what the loop would see, and what it would do first. A heartbeat is
/// no step: what comes after it is told.
pub async fn look(world: &impl World, rules: &Rules<'_>, subject: Subject) -> Result<Seen, Error> {
    let mut case = Case::new(world, rules, subject);
    case.look().await?;
    if case.wants_settings() {
        case.read_settings().await;
    }
    Ok(case.shown(first_step(&case.seen, case.policy(), world.now()), Tense::Would))
}

/// What would be done first. A heartbeat is no step: what comes after it is told.
fn first_step(seen: &Observation, policy: &Policy, now: Timestamp) -> Decision {
    let mut supposed = seen.clone();
    loop {
        match (plan(&supposed, policy, now), &mut supposed.hold) {
            (Decision::Act(Action::Heartbeat), Some(hold)) if hold.last_heartbeat.is_none() => {
                hold.last_heartbeat = Some(now);
            }
            (decision, _) => return decision,
        }
    }
}

/// A decision for somebody at a terminal, who has not said that work which runs may be let go of.
fn kept_in_hand(case: &Case<'_, impl World>, decision: Decision, now: Timestamp) -> Decision {
    let is_planned = decision == Decision::Finish(Reason::DryRun);
    let planned = is_planned.then(|| first_step(&case.seen, case.policy(), now));
    if lets_go_of_work(planned.as_ref().unwrap_or(&decision)) {
        Decision::Finish(Reason::DrainTimeout)
    } else {
        decision
    }
}

/// A failure in the log, while the loop goes on.
fn note(error: &Error, doing: &str) {
    tracing::warn!(error_type = error.name(), "{doing}: {}", Causes(error));
}

#[cfg(test)]
mod tests;
