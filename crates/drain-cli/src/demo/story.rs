//! What the demonstration shows, one story for each instance that ends.

use drain_lab::lab::Worker;
use serde::Serialize;

/// What happens to one instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Story {
    /// Nothing but its end.
    Ordinary,
    /// A task ignores its signal, and runs on when Nomad says that the drain is complete.
    SlowKill,
    /// The hook's message never arrives.
    LostEvent,
    /// An operator cancels the drain, and later drains the node himself.
    OperatorCancels,
    /// Nomad's servers cannot be reached in the middle of the drain.
    NomadOutage,
}

impl Story {
    /// All of them, in the order of the nodes' names.
    pub(super) const ALL: [Self; 5] =
        [Self::Ordinary, Self::SlowKill, Self::LostEvent, Self::OperatorCancels, Self::NomadOutage];

    /// In two words, beside a progress bar.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::SlowKill => "slow task",
            Self::LostEvent => "lost event",
            Self::OperatorCancels => "cancelled",
            Self::NomadOutage => "outage",
        }
    }

    /// In one line.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Ordinary => "an ordinary end: services, batch work and a system job leave",
            Self::SlowKill => "a task ignores its signal and outlives the drain",
            Self::LostEvent => "the hook's message is lost: the sweep finds the instance",
            Self::OperatorCancels => "an operator cancels the drain, then drains the node himself",
            Self::NomadOutage => "Nomad cannot be reached in the middle of the drain",
        }
    }
}

/// An instance that ends, and its story.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// What happens to it.
    pub(super) story: Story,
    /// The instance and its node.
    pub(super) worker: Worker,
}
