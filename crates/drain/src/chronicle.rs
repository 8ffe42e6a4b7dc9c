//! What has happened in an invocation, for metrics and notifications. Nothing is decided by it.

use std::cell::RefCell;

use drain_core::ids::{GroupName, InstanceId, NodeId};
use drain_core::observation::Target;
use drain_core::policy::ActionResult;
use drain_core::reason::Reason;
use jiff::SignedDuration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something that has happened to an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Happened {
    /// The cluster that it is of, if there are several.
    pub cluster: Option<String>,
    /// The instance.
    pub whom: Whom,
    /// What has happened to it.
    pub what: What,
}

/// An instance, by its names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Whom {
    /// The instance.
    pub instance: InstanceId,
    /// Its group, if it is known.
    pub group: Option<GroupName>,
    /// Its nodes, as far as they are known.
    pub nodes: Vec<NodeId>,
}

impl Whom {
    /// The instance of a target, and its nodes.
    pub(crate) fn of(target: &Target, nodes: &[NodeId]) -> Self {
        Self { instance: target.instance.clone(), group: target.group.clone(), nodes: nodes.to_vec() }
    }
}

/// What has happened to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// Nomad has accepted a drain of ours, so long after the event was sent.
    DrainStarted {
        /// `None` if no event asked for it.
        after: Option<SignedDuration>,
    },
    /// Its lifecycle action was completed.
    Released {
        /// How.
        result: ActionResult,
        /// Why.
        reason: Reason,
        /// What its drain was like.
        drain: Drain,
    },
    /// It is held still, at the end of a sweep.
    Held {
        /// Since the hook began, if that is known.
        held_for: Option<SignedDuration>,
        /// Whether its drain's deadline and `KILL_GRACE` have passed.
        past_deadline: bool,
    },
    /// Its hook was kept alive.
    HeartbeatSent,
    /// Its hook could not be kept alive.
    HeartbeatFailed,
    /// Nothing more is done for it: the hook's time-out decides.
    LeftToHook {
        /// Why.
        reason: Reason,
    },
    /// What an event asked for could not be begun, for the first time.
    Failed {
        /// The error's name.
        error: &'static str,
    },
}

/// The drain of an instance whose lifecycle action was completed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drain {
    /// Whether somebody else had begun it.
    pub adopted: bool,
    /// From its beginning to the end of the last allocation. `None` if it has not got there.
    pub time_to_empty: Option<SignedDuration>,
    /// From there to now.
    pub held_after_empty: Option<SignedDuration>,
    /// Allocations that were stopped by its deadline, or outlived it. System jobs, which leave last in any case, do not
    /// count.
    pub forced: usize,
}

/// Collects what happens.
#[derive(Debug, Default)]
pub struct Chronicle {
    all: RefCell<Vec<Happened>>,
    reader: RefCell<Option<UnboundedSender<Happened>>>,
}

impl Chronicle {
    /// What happens from now on until [`Chronicle::close`], as it happens.
    pub(crate) fn follow(&self) -> UnboundedReceiver<Happened> {
        let (sender, receiver) = unbounded_channel();
        self.reader.replace(Some(sender));
        receiver
    }

    /// Nothing more will happen.
    pub(crate) fn close(&self) {
        self.reader.take();
    }

    /// Remembers it.
    pub(crate) fn tell(&self, happened: Happened) {
        if let Some(reader) = self.reader.borrow().as_ref() {
            // Nobody listens any more: that is theirs to decide.
            let _ = reader.send(happened.clone());
        }
        self.all.borrow_mut().push(happened);
    }

    /// What has happened so far.
    pub fn so_far(&self) -> Vec<Happened> {
        self.all.borrow().clone()
    }
}
