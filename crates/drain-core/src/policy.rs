//! What the operator has asked for.

use jiff::SignedDuration;

/// The settings that decisions depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// How long allocations may take to leave before Nomad stops them (`DRAIN_DEADLINE`).
    pub drain_deadline: SignedDuration,
    /// Whether system jobs stay on the node (`DRAIN_IGNORE_SYSTEM_JOBS`).
    pub ignore_system_jobs: bool,
    /// Whether to say what would be done, and do nothing (`DRY_RUN`).
    pub dry_run: bool,
}
