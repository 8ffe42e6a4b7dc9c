//! A step: one action carried out, and what its answer means.

use drain_core::decide::{Action, DrainRequest, urgency};
use drain_core::ids::NodeId;
use drain_core::observation::{DrainDeadline, Errand, Nodes, Origin, SeenNode};
use drain_core::policy::ActionResult;
use drain_core::reason::{Outcome, Reason};
use jiff::{SignedDuration, Timestamp};

use super::case::{Case, Found};
use super::{later, note, words};
use crate::chronicle::What;
use crate::error::Error;
use crate::report::ReportEntry;
use crate::world::{Account as _, World, member_of};

/// Which nodes an instance has is asked again before it is released if that was longer ago than this: another one may
/// have joined.
const RECENTLY_LISTED: SignedDuration = SignedDuration::from_secs(15);

/// A node that was read longer ago than this is read again before a drain is posted: somebody else may have.
/// The same holds for the state of an instance whose node is to take work again.
const FRESH: SignedDuration = SignedDuration::from_secs(3);

impl<W: World> Case<'_, W> {
    /// Carries an action out. `Some` is the end of the story.
    pub(super) async fn apply(&mut self, action: Action) -> Result<Option<Vec<ReportEntry>>, Error> {
        match action {
            Action::Drain(request) => self.drain(request).await,
            Action::MakeIneligible(node) => match self.world.make_ineligible(&node).await {
                Ok(()) => {
                    let reason = Reason::MadeIneligible.as_str();
                    tracing::info!(node_id = %node, reason, "the node takes no more work");
                    Ok(None)
                }
                Err(error) => self.failed(error, "the node could not be made ineligible").await,
            },
            Action::GiveBack { node, ends_drain } => self.give_back(&node, ends_drain).await,
            Action::Purge(node) => match self.world.purge(&node).await {
                Ok(()) => {
                    tracing::info!(node_id = %node, reason = Reason::NodePurged.as_str(), "the node was purged");
                    self.purged = true;
                    Ok(None)
                }
                Err(error) => self.failed(error, "the node could not be purged").await,
            },
            Action::Heartbeat => Ok(self.heartbeat().await),
            Action::Complete { result, reason } => self.complete(result, reason).await,
        }
    }

    async fn drain(&mut self, request: DrainRequest) -> Result<Option<Vec<ReportEntry>>, Error> {
        let old = self.world.now().duration_since(self.read_at) > FRESH;
        if old && !std::mem::replace(&mut self.read_again, true) {
            // The next look reads the node; the decision is made anew. Once: servers that take longer than this for an
            // answer would never get a drain.
            self.found = None;
            return Ok(None);
        }
        self.read_again = false;
        match self.world.drain(&request).await {
            Ok(index) => {
                tracing::info!(
                    node_id = %request.node,
                    reason = request.reason.as_str(),
                    "{}",
                    words::drain_posted(&self.seen, &request, self.policy(), self.world.now()),
                );
                self.tell_posted(&request);
                self.written.insert(request.node.clone(), index);
                self.failures = 0;
                self.begun = Some(request);
                self.drain_seen = true;
                let Some(hold) = &mut self.seen.hold else {
                    return Ok(self.without_hook());
                };
                hold.drain_begun = true;
                Ok(None)
            }
            Err(error) if error.may_have_taken_effect() => {
                self.unanswered = Some(request);
                self.failed(error, "the drain may or may not have been posted: reading the node").await
            }
            Err(error @ Error::NodeGone(_)) => {
                // A purge in this very moment, which the next look sees; or an answer that contradicts another.
                let still_there = self.world.node(&self.seen.target.instance, &request.node).await;
                if matches!(still_there, Ok(Some(_))) && !self.rules.looks.sweeping {
                    return Err(error);
                }
                self.failed(error, "the drain was not posted").await
            }
            Err(error) => self.failed(error, "the drain was not posted").await,
        }
    }

    async fn give_back(
        &mut self,
        node: &NodeId,
        ends_drain: bool,
    ) -> Result<Option<Vec<ReportEntry>>, Error> {
        let swept = self.seen.target.origin == Origin::Sweep;
        if swept && self.world.now().duration_since(self.member_at) > FRESH {
            // Reading the node took long, and the instance may have been told to go: the decision is made anew.
            return match self.world.account().members(std::slice::from_ref(&self.seen.target.instance)).await
            {
                Ok(members) => {
                    self.seen.member = member_of(&members, &self.seen.target.instance);
                    self.member_at = self.world.now();
                    self.fresh = true;
                    Ok(None)
                }
                Err(error) => self.failed(error, "the state of the instance could not be read").await,
            };
        }
        match self.world.give_back(node, ends_drain).await {
            Ok(()) => {
                let reason = Reason::GivenBack.as_str();
                tracing::info!(node_id = %node, reason, "the node takes work again");
                let was_all = self.seen.target.errand == Errand::GiveBack;
                Ok(was_all.then(|| self.entries(Outcome::Restored, Reason::GivenBack)))
            }
            Err(error) => self.failed(error, "the node could not be given back").await,
        }
    }

    /// Without a hook the drain is all there is to do, unless another node waits for its own.
    fn without_hook(&mut self) -> Option<Vec<ReportEntry>> {
        let Nodes::Known(nodes) = &self.seen.nodes else { return None };
        let all =
            nodes.iter().all(|seen| seen.node.drain.is_some() || self.written.contains_key(&seen.node.id));
        let reason = self.begun.as_ref().map_or(Reason::AlreadyDraining, |request| request.reason);
        all.then(|| self.entries(reason.outcome(), reason))
    }

    /// A step that failed. It is tried again after a moment, unless it cannot succeed or no time is left; `Some` is
    /// then the end of the story.
    async fn failed(&mut self, error: Error, doing: &str) -> Result<Option<Vec<ReportEntry>>, Error> {
        let lasts = !error.is_transient() && !error.may_have_taken_effect();
        let hopeless = lasts && !matches!(error, Error::NodeGone(_));
        let next = self.next_attempt();
        if (hopeless || next > self.rules.looks.ends) && !self.rules.looks.sweeping && !self.has_begun() {
            return Err(error);
        }
        note(&error, doing);
        let why = error.obstacle().reason();
        self.failure = Some(error);
        if hopeless || next > self.time_left() {
            return self.give_up(why).map(Some);
        }
        self.world.sleep_until(next).await;
        Ok(None)
    }

    /// When to try again what has just failed.
    fn next_attempt(&mut self) -> Timestamp {
        self.failures += 1;
        later(self.world.now(), self.world.backoff(self.failures))
    }

    /// One heartbeat. One that does not get through is not tried again at once: the next look sends another.
    async fn heartbeat(&mut self) -> Option<Vec<ReportEntry>> {
        let late = self.world.now() >= self.time_left();
        let hold = self.seen.hold.as_ref()?;
        let urgency = urgency(&self.seen, hold, self.world.now());
        let outcome = self.world.account().heartbeat(&self.seen.target, urgency).await;
        let now = self.world.now();
        let denied = outcome.as_ref().is_err_and(|error| self.warn_if_denied(error));
        let hold = self.seen.hold.as_mut()?;
        match outcome {
            Ok(()) => {
                tracing::debug!("the lifecycle action was kept alive by a heartbeat");
                hold.last_heartbeat = Some(now);
                self.fresh = true;
                self.tell(What::HeartbeatSent);
            }
            Err(error) if error.is_no_active_action() => hold.ended = true,
            Err(_) if denied => hold.heartbeats_denied = true,
            Err(error) => {
                note(&error, "the heartbeat did not get through");
                // What will not pass is not tried again by this invocation.
                hold.heartbeats_failed = late || !error.is_transient();
                self.tell(What::HeartbeatFailed);
                if late {
                    // A call that had next to no time says nothing of Auto Scaling: what took the time is told.
                    self.fresh = true;
                    return None;
                }
                let next = self.next_attempt();
                if next > self.time_left() {
                    return Some(self.unavailable());
                }
                self.world.sleep_until(next).await;
            }
        }
        None
    }

    /// Auto Scaling does not answer, and no time is left.
    fn unavailable(&self) -> Vec<ReportEntry> {
        let goes_on = self.policy().sweep;
        let outcome = if goes_on { Outcome::Held } else { Outcome::LeftToHook };
        self.entries(outcome, Reason::AutoScalingUnavailable)
    }

    async fn complete(
        &mut self,
        result: ActionResult,
        reason: Reason,
    ) -> Result<Option<Vec<ReportEntry>>, Error> {
        if self.world.now().duration_since(self.listed_at) > RECENTLY_LISTED {
            match self.list().await {
                Ok(Some(nodes)) if nodes.iter().any(|node| !self.known.contains(&node.id)) => {
                    self.found = Some(Found::Nodes(nodes, self.listed_at));
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) => {
                    return self.failed(error, "which nodes the instance has could not be asked again").await;
                }
            }
        }
        let outcome = self.world.account().complete(&self.seen.target, result).await;
        let denied = outcome.as_ref().is_err_and(|error| self.warn_if_denied(error));
        let Some(hold) = &mut self.seen.hold else { return Ok(None) };
        match outcome {
            Ok(()) => {
                self.tell_released(result, reason);
                return Ok(Some(self.entries(Outcome::from(result), reason)));
            }
            Err(error) if error.is_no_active_action() => hold.ended = true,
            Err(_) if denied => hold.completion_denied = true,
            Err(error) => {
                note(&error, "the lifecycle action was not completed");
                let next = self.next_attempt();
                if !error.is_transient() || next > self.time_left() {
                    return Ok(Some(self.unavailable()));
                }
                self.world.sleep_until(next).await;
            }
        }
        Ok(None)
    }
}

/// Whether a node shows the very drain that `request` asked for. The stamp tells: it holds the deadline to the
/// nanosecond. A request without one changed somebody else's drain: its deadline tells, or that it is over.
pub(super) fn took_effect(request: &DrainRequest, nodes: &[SeenNode]) -> bool {
    let Some(seen) = nodes.iter().find(|seen| seen.node.id == request.node) else { return false };
    match &request.meta {
        Some(meta) => seen.node.last_drain.as_ref().is_some_and(|last| last.meta == *meta),
        None => match seen.node.drain.as_ref().map(|drain| drain.deadline) {
            Some(DrainDeadline::At(_) | DrainDeadline::Untold) => {
                request.reason == Reason::DeadlineBroughtNearer
            }
            Some(DrainDeadline::Never) => false,
            Some(DrainDeadline::Forced) | None => true,
        },
    }
}
