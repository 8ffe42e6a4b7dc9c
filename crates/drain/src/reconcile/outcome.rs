//! What is said of an instance: in the log while we wait, and in the result at the end.

use drain_core::decide::Decision;
use drain_core::observation::Errand;
use drain_core::reason::{Outcome, Reason};
use drain_core::record::Record;
use jiff::Timestamp;
use tracing::Level;

use super::case::Case;
use super::words;
use crate::error::Error;
use crate::report::ReportEntry;
use crate::world::World;

impl<W: World> Case<'_, W> {
    /// Whether looking again soon may show something else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what we wait for changes, but for a few")]
    pub(super) fn may_change(&self, why: Reason) -> bool {
        match why {
            Reason::Paused
            | Reason::WaitingForTurn
            | Reason::CannotSeeAllocations
            | Reason::DrainCancelled
            | Reason::HookStartUnknown
            | Reason::AutoScalingUnavailable
            | Reason::HeldWithoutNode => false,
            Reason::NomadUnreachable
            | Reason::NoClusterLeader
            | Reason::NomadTokenRefused
            | Reason::NomadUnreadable => self.failure.as_ref().is_none_or(Error::is_transient),
            _ => true,
        }
    }

    /// A decision, and everything that it was made of, in the log at DEBUG: `nomad-drain replay` decides again from it. One
    /// that repeats the decision before it is left out. Where DEBUG is off, this looks at the level and does nothing.
    pub(super) fn record(&mut self, now: Timestamp, decision: &Decision) {
        if !tracing::enabled!(Level::DEBUG) || self.recorded.as_ref() == Some(decision) {
            return;
        }
        let record = Record::of(now, &self.seen, self.policy(), decision);
        if let Ok(record) = serde_json::to_string(&record) {
            // As text, so that the line holds it as it is. The name is `drain_core::record::FIELD`.
            tracing::debug!(%record, "decided");
        }
        self.recorded = Some(decision.clone());
    }

    /// A change of what we are waiting for, in the log.
    pub(super) fn say(&self, why: Reason) {
        let message = words::describe(&self.seen, why, self.failure.as_ref(), self.policy());
        if why == Reason::CannotSeeAllocations {
            self.rules.looks.warned.once(&message);
        } else {
            tracing::info!(reason = why.as_str(), "{message}");
        }
    }

    pub(super) fn finish(&self, reason: Reason) -> Vec<ReportEntry> {
        if reason == Reason::InstanceEnded && self.purged {
            return self.entries(Outcome::Completed, Reason::NodePurged);
        }
        if self.is_leftover() && reason != Reason::DryRun {
            tracing::debug!(reason = reason.as_str(), "left as it is");
            return Vec::new();
        }
        let begun = self.begun.as_ref().map(|request| request.reason);
        let reason = match (reason, begun) {
            (Reason::AlreadyDraining | Reason::AlreadyDrained, Some(begun)) => begun,
            (reason, _) => reason,
        };
        self.entries(reason.outcome(), reason)
    }

    /// Whether nobody but the sweep asked: it asks about the same nodes in every minute, and says nothing of those that
    /// stay as they are.
    fn is_leftover(&self) -> bool {
        self.rules.looks.sweeping && matches!(self.seen.target.errand, Errand::GiveBack | Errand::Purge(_))
    }

    /// No time is left, or nothing can change before it ends.
    pub(super) fn give_up(&mut self, why: Reason) -> Result<Vec<ReportEntry>, Error> {
        if self.is_leftover() {
            return Ok(self.finish(why));
        }
        let begun = self.begun.as_ref().map(|request| request.reason);
        let swept = self.policy().sweep;
        let someone_goes_on = self.rules.looks.sweeping
            || swept && matches!(why, Reason::WaitingForNode | Reason::HeldWithoutNode);
        if !(self.has_begun() || someone_goes_on)
            && let Some(error) = self.failure.take()
        {
            return Err(error);
        }
        let draining = why.outcome() == Outcome::Draining && why != Reason::CannotSeeAllocations;
        let nobody_goes_on = !swept && self.seen.hold.is_some();
        let comes = self.seen.target.errand == Errand::Admit;
        let (outcome, reason) = match begun {
            _ if nobody_goes_on && comes && why != Reason::Paused => {
                (Outcome::LeftToHook, Reason::HookTimeoutTakesOver)
            }
            _ if nobody_goes_on && (draining || why == Reason::NodeSilent) => {
                (Outcome::LeftToHook, Reason::HookTimeoutTakesOver)
            }
            Some(begun) if draining => (begun.outcome(), begun),
            // The drain has begun, whatever keeps us from seeing how it goes on. One that was cancelled has not.
            Some(begun)
                if why != Reason::DrainCancelled
                    && matches!(why.outcome(), Outcome::Draining | Outcome::Held) =>
            {
                (begun.outcome(), why)
            }
            None if nobody_goes_on && self.drain_seen && why.outcome() == Outcome::Held => {
                (Outcome::Draining, why)
            }
            _ => (why.outcome(), why),
        };
        let told = words::describe(&self.seen, why, self.failure.as_ref(), self.policy());
        Ok(self.report(outcome, reason, &told))
    }

    pub(super) fn entries(&self, outcome: Outcome, reason: Reason) -> Vec<ReportEntry> {
        let told = match &self.begun {
            Some(request) if request.reason == reason => {
                words::drain_posted(&self.seen, request, self.policy(), self.world.now())
            }
            _ => words::describe(&self.seen, reason, self.failure.as_ref(), self.policy()),
        };
        self.report(outcome, reason, &told)
    }

    /// One entry for each node, or one for the instance if it has none.
    fn report(&self, outcome: Outcome, reason: Reason, told: &str) -> Vec<ReportEntry> {
        self.tell_end(outcome, reason);
        let target = &self.seen.target;
        let message = words::with_hook(told, outcome);
        tracing::info!(outcome = outcome.as_str(), reason = reason.as_str(), "{message}");
        let entry = |node| ReportEntry::of_instance(target, node, outcome, reason, message.clone());
        if self.known.is_empty() {
            return vec![entry(None)];
        }
        self.known.iter().map(|id| entry(Some(id))).collect()
    }
}
