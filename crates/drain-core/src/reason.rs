//! Every reason for which we act, do not act, or stop: one word for machines, explained in docs/operations.md.

/// What became of one instance or message. The words are those of a result's `outcome`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// We posted a drain.
    DrainStarted,
    /// A drain runs, or has run, that serves the purpose.
    Draining,
    /// Nothing was to be done.
    Ignored,
}

impl Outcome {
    /// The word in the result.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DrainStarted => "drain_started",
            Self::Draining => "draining",
            Self::Ignored => "ignored",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The drain was posted and Nomad accepted it.
    DrainPosted,
    /// A drain was running whose deadline lay further away than ours: it was brought nearer.
    DeadlineBroughtNearer,
    /// A drain was running already, with a deadline that will do. Nothing was posted.
    AlreadyDraining,
    /// Our drain for this very lifecycle action has ended already. Nothing was posted.
    AlreadyDrained,
    /// `DRY_RUN` is on: the drain was planned and not posted.
    DryRun,
    /// Auto Scaling's test message, sent whenever a hook or a notification is set up.
    TestNotification,
    /// An instance is being launched, not ended.
    LaunchTransition,
    /// An ordinary notification of the group ("instance terminated"), not a lifecycle action.
    GroupNotification,
    /// A message on the topic that is not from Auto Scaling.
    ForeignMessage,
    /// The lifecycle hook is not one of `LIFECYCLE_HOOK_NAME`.
    OtherHook,
}

impl Reason {
    /// Every reason there is, so that a test can hold docs/operations.md to it.
    pub const ALL: [Self; 10] = [
        Self::DrainPosted,
        Self::DeadlineBroughtNearer,
        Self::AlreadyDraining,
        Self::AlreadyDrained,
        Self::DryRun,
        Self::TestNotification,
        Self::LaunchTransition,
        Self::GroupNotification,
        Self::ForeignMessage,
        Self::OtherHook,
    ];

    /// The word in the result and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DrainPosted => "drain_posted",
            Self::DeadlineBroughtNearer => "deadline_brought_nearer",
            Self::AlreadyDraining => "already_draining",
            Self::AlreadyDrained => "already_drained",
            Self::DryRun => "dry_run",
            Self::TestNotification => "test_notification",
            Self::LaunchTransition => "launch_transition",
            Self::GroupNotification => "group_notification",
            Self::ForeignMessage => "foreign_message",
            Self::OtherHook => "other_hook",
        }
    }

    /// The outcome that goes with it.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::DrainPosted => Outcome::DrainStarted,
            Self::DeadlineBroughtNearer | Self::AlreadyDraining | Self::AlreadyDrained => Outcome::Draining,
            Self::DryRun
            | Self::TestNotification
            | Self::LaunchTransition
            | Self::GroupNotification
            | Self::ForeignMessage
            | Self::OtherHook => Outcome::Ignored,
        }
    }
}
