//! Whether the servers have a leader. Without one nothing is written, so nothing happens either.

use jiff::Timestamp;

/// Whether there is a leader, and when there will be one again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Leadership {
    /// There is one.
    #[default]
    Held,
    /// There is none until this moment; or until [`super::Nomad::elect_leader`].
    Lost { until: Option<Timestamp> },
}

impl Leadership {
    /// Whether there is a leader at this moment.
    pub(super) fn is_held(self, now: Timestamp) -> bool {
        match self {
            Self::Held => true,
            Self::Lost { until } => until.is_some_and(|until| until <= now),
        }
    }

    /// When something that is due at a moment can be written: a new leader catches up with what it missed.
    pub(super) fn earliest(self, due: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Held => Some(due),
            Self::Lost { until } => until.map(|until| due.max(until)),
        }
    }
}
