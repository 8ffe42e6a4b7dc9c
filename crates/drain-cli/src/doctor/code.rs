//! What the doctor can find, each with a name that does not change: scripts rely on it, and docs/doctor.md explains it.

use std::fmt;

/// How bad a finding is. In the order in which they matter.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Severity {
    /// A drain would fail, or would not happen.
    Error,
    /// Drains work today, and something is wrong all the same.
    Warning,
    /// It could not be looked at. This is not the same as fine.
    NotChecked,
    /// Worth knowing.
    Note,
    /// As it should be.
    Ok,
}

impl Severity {
    /// Its name in the JSON document and in docs/doctor.md.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::NotChecked => "not-checked",
            Self::Note => "note",
            Self::Ok => "ok",
        }
    }
}

/// What is looked at together, in the order in which it is shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Area {
    Configuration,
    Credentials,
    Groups,
    Timing,
    Path,
    Permissions,
    Nomad,
    Certificates,
    Token,
    Nodes,
    Sweep,
    Queues,
}

impl Area {
    /// Its name in the JSON document.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Credentials => "credentials",
            Self::Groups => "groups",
            Self::Timing => "timing",
            Self::Path => "path",
            Self::Permissions => "permissions",
            Self::Nomad => "nomad",
            Self::Certificates => "certificates",
            Self::Token => "token",
            Self::Nodes => "nodes",
            Self::Sweep => "sweep",
            Self::Queues => "queues",
        }
    }

    /// Its heading for people.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Credentials => "Who you are, and the function",
            Self::Groups => "Auto Scaling groups and their hooks",
            Self::Timing => "Times, and what a time-out does",
            Self::Path => "The way from the hook to the function",
            Self::Permissions => "What the function's role may do",
            Self::Nomad => "Nomad",
            Self::Certificates => "Certificates",
            Self::Token => "The Nomad token",
            Self::Nodes => "The groups' instances in Nomad",
            Self::Sweep => "The sweep",
            Self::Queues => "Queues and dead letters",
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $name:literal, $severity:ident;)*) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            /// Every code, in the order of docs/doctor.md.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How bad it is.
            pub(crate) const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    NotChecked = "not-checked", NotChecked;
    Skipped = "skipped", NotChecked;

    ConfigurationValid = "configuration-valid", Ok;
    ConfigurationInvalid = "configuration-invalid", Error;
    ClustersInvalid = "clusters-invalid", Error;
    ConfigurationAdvice = "configuration-advice", Warning;
    ConfigurationOverridden = "configuration-overridden", Note;
    DryRun = "dry-run", Warning;
    Paused = "paused", Warning;
    SweepOff = "sweep-off", Note;

    Credentials = "credentials", Ok;
    CredentialsMissing = "credentials-missing", Error;
    CredentialsRefused = "credentials-refused", Error;
    Function = "function", Ok;
    FunctionMissing = "function-missing", Error;
    FunctionNotActive = "function-not-active", Error;
    FunctionThrottled = "function-throttled", Error;

    Group = "group", Ok;
    GroupMissing = "group-missing", Error;
    NoGroups = "no-groups", Error;
    GroupNotWatched = "group-not-watched", Error;
    GroupOfNoCluster = "group-of-no-cluster", Error;
    GroupOnHold = "group-on-hold", Warning;
    HookMissing = "hook-missing", Error;
    LaunchHookMissing = "launch-hook-missing", Warning;
    HookMetadataInvalid = "hook-metadata-invalid", Warning;

    Timing = "timing", Ok;
    HeartbeatTimeoutShort = "heartbeat-timeout-short", Warning;
    HeartbeatTimeoutBelowDeadline = "heartbeat-timeout-below-deadline", Error;
    HeartbeatTimeoutTight = "heartbeat-timeout-tight", Warning;
    DeadlineBeyondHook = "deadline-beyond-hook", Warning;
    MaxHoldBelowDeadline = "max-hold-below-deadline", Error;
    FunctionTimeoutShort = "function-timeout-short", Warning;
    DefaultResultAbandon = "default-result-abandon", Warning;
    AbandonEndsInstances = "abandon-ends-instances", Warning;
    AbandonRetains = "abandon-retains", Note;

    Path = "path", Ok;
    TargetMissing = "target-missing", Error;
    TargetElsewhere = "target-elsewhere", Error;
    TopicNotSubscribed = "topic-not-subscribed", Error;
    SubscriptionPending = "subscription-pending", Error;
    SubscriptionFilters = "subscription-filters", Warning;
    SubscriptionFiltersOut = "subscription-filters-out", Error;
    TargetDenies = "target-denies", Error;
    HookRoleCannotSend = "hook-role-cannot-send", Error;
    QueueDenies = "queue-denies", Error;
    QueueKeyDenies = "queue-key-denies", Error;
    QueueNotRead = "queue-not-read", Error;
    QueueReaderDisabled = "queue-reader-disabled", Error;
    BatchFailuresNotReported = "batch-failures-not-reported", Error;
    QueueReaderFilters = "queue-reader-filters", Warning;
    FunctionPermissionMissing = "function-permission-missing", Error;
    RuleMissing = "rule-missing", Error;
    RuleDisabled = "rule-disabled", Error;
    RuleChangesEvent = "rule-changes-event", Warning;
    NeedsSweep = "needs-sweep", Warning;

    Permissions = "permissions", Ok;
    PermissionMissing = "permission-missing", Error;
    PermissionAdvised = "permission-advised", Warning;

    Nomad = "nomad", Ok;
    NomadUnreachable = "nomad-unreachable", Error;
    NomadUnreachableFromHere = "nomad-unreachable-from-here", NotChecked;
    NomadNoLeader = "nomad-no-leader", Error;
    NomadTooOld = "nomad-too-old", Error;
    NomadVersionPartly = "nomad-version-partly", Warning;
    NomadPlainHttp = "nomad-plain-http", Warning;

    Certificate = "certificate", Ok;
    CertificateExpired = "certificate-expired", Error;
    CertificateExpiresSoon = "certificate-expires-soon", Warning;
    CertificateName = "certificate-name", Error;
    CertificateAuthority = "certificate-authority", Error;
    CertificateRejected = "certificate-rejected", Error;
    ClientCertificateDemanded = "client-certificate-demanded", Error;
    ClientCertificateRefused = "client-certificate-refused", Error;
    ClientCertificateExpired = "client-certificate-expired", Error;
    ClientCertificateExpiresSoon = "client-certificate-expires-soon", Warning;
    TlsMaterialInvalid = "tls-material-invalid", Error;
    SkipVerify = "skip-verify", Warning;

    Token = "token", Ok;
    TokenUnreadable = "token-unreadable", Error;
    TokenRefused = "token-refused", Error;
    TokenManagement = "token-management", Warning;
    TokenEnds = "token-ends", Warning;
    TokenCannotDrain = "token-cannot-drain", Error;
    TokenCannotSee = "token-cannot-see", Error;
    TokenCannotAskAgents = "token-cannot-ask-agents", Error;
    TokenInVariable = "token-in-variable", Warning;
    AclDisabled = "acl-disabled", Note;

    Nodes = "nodes", Ok;
    InstanceWithoutNode = "instance-without-node", Error;
    NodeWithoutAttribute = "node-without-attribute", Warning;
    SeveralNodes = "several-nodes", Warning;
    NodeDown = "node-down", Warning;

    Sweep = "sweep", Ok;
    SweepMissing = "sweep-missing", Error;
    SweepNotScheduled = "sweep-not-scheduled", Error;
    SweepScheduleDisabled = "sweep-schedule-disabled", Error;
    SweepNotAllowed = "sweep-not-allowed", Error;
    SweepFails = "sweep-fails", Error;
    SweepScheduleSlow = "sweep-schedule-slow", Warning;

    Queue = "queue", Ok;
    QueueVisibilityShort = "queue-visibility-short", Warning;
    QueueWithoutDeadLetters = "queue-without-dead-letters", Warning;
    QueueGivesUpEarly = "queue-gives-up-early", Warning;
    DeadLetterQueueMissing = "dead-letter-queue-missing", Warning;
    FunctionWithoutDeadLetters = "function-without-dead-letters", Warning;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
