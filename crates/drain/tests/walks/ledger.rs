//! What must hold, checked against what the lab's models know, not against what the function believes.

mod completions;
mod drains;

use std::collections::BTreeMap;

use drain_core::policy::Policy;
use drain_lab::aws::LifecycleAction;
use drain_lab::nomad::{AllocView, NodeStatus, NodeView};
use jiff::{SignedDuration, Timestamp};

use completions::Looks;
use drains::Drains;

use crate::ground::Ground;
use crate::setup::{HIDDEN, OURS};

/// A completion relies on a look that is no older: one call may take ten seconds.
const LOOK_LASTS: SignedDuration = SignedDuration::from_secs(20);

/// `LastDrain` holds whole seconds, and a stamp's deadline is a call older than the drain.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(15);

/// The books of one walk.
#[derive(Debug)]
pub(crate) struct Ledger {
    policy: Policy,
    pub(crate) actions: BTreeMap<String, Action>,
    /// When each instance that is held set out.
    begun: BTreeMap<String, Timestamp>,
    /// Since when each instance that is not held has been free.
    free_since: BTreeMap<String, Timestamp>,
    /// When the function was last told that something will happen to each instance, by EC2 or AWS Health.
    announced: BTreeMap<String, Timestamp>,
    drains: BTreeMap<(String, u64), Drains>,
    looks: BTreeMap<usize, Looks>,
    /// Since when sweeps have come every minute and Auto Scaling has answered.
    steady_since: Option<Timestamp>,
    last_sweep: Option<Timestamp>,
    /// The first promise that was broken.
    pub(crate) broken: Option<String>,
}

/// A lifecycle action as it was last seen.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) held_by: LifecycleAction,
    /// When the instance set out: another hook may have held it before.
    pub(crate) begun_at: Timestamp,
    /// Since when nothing has been left to wait for.
    pub(crate) idle_since: Option<Timestamp>,
    terminating: bool,
    /// Since when it has had a node.
    node_since: Option<Timestamp>,
}

impl Ledger {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            actions: BTreeMap::new(),
            begun: BTreeMap::new(),
            free_since: BTreeMap::new(),
            announced: BTreeMap::new(),
            drains: BTreeMap::new(),
            looks: BTreeMap::new(),
            steady_since: None,
            last_sweep: None,
            broken: None,
        }
    }

    fn breaks(&mut self, ground: &Ground, promise: String) {
        ground.say(|| format!("BROKEN: {promise}"));
        self.broken.get_or_insert(promise);
    }

    /// Looks at every lifecycle action: one that has ended without anybody's doing has timed out.
    pub(crate) fn watch(&mut self, ground: &Ground) {
        for instance in &ground.instances {
            let now = ground.aws.lifecycle_action(instance);
            let before = self.actions.remove(instance);
            let begun_at = match &now {
                Some(now) => *self.begun.entry(instance.clone()).or_insert(now.started_at),
                None => self.begun.remove(instance).unwrap_or_else(|| ground.now()),
            };
            match &now {
                Some(_) => _ = self.free_since.remove(instance),
                None => _ = self.free_since.entry(instance.clone()).or_insert(ground.now()),
            }
            if let Some(before) = &before
                && now.as_ref().is_none_or(|now| now.token != before.held_by.token)
                && before.held_by.hook == OURS
            {
                self.timed_out(ground, instance, before);
            }
            let same = |before: &&Action| Some(&before.held_by.token) == now.as_ref().map(|now| &now.token);
            let before = before.as_ref().filter(same);
            let idle_since = before.and_then(|before| before.idle_since);
            let node_since = before.and_then(|before| before.node_since);
            if let Some(action) = now {
                let terminating = ground.instance(instance).lifecycle_state.as_str() == "Terminating:Wait";
                let has_node = || !terminating && !ground.nodes_of(instance).is_empty();
                let node_since = has_node().then(|| node_since.unwrap_or_else(|| ground.now()));
                let action = Action { held_by: action, begun_at, idle_since, terminating, node_since };
                self.actions.insert(instance.clone(), action);
            }
        }
    }

    /// An action of ours has ended by somebody's call: no time-out.
    pub(crate) fn ended(&mut self, instance: &str) {
        self.actions.remove(instance);
    }

    fn timed_out(&mut self, ground: &Ground, instance: &str, before: &Action) {
        ground.tally.borrow_mut().end("timed out");
        let action = &before.held_by;
        ground.say(|| format!("{}: hook {} timed out", ground.name(instance), action.hook));
        let timeout = SignedDuration::from_secs(i64::from(ground.setup.heartbeat_timeout));
        let due = action.heartbeat_deadline;
        if action.global_deadline <= due || due >= later(before.begun_at, self.policy.max_hold) {
            return;
        }
        let swept = self.last_sweep.is_some_and(|last| last >= later(due, SignedDuration::from_secs(-61)));
        let steady = self.steady_since.is_some_and(|since| since <= later(due, -timeout)) && swept;
        // Of an instance on its way to the warm pool nobody says since when, unless it has a node.
        let had_node = before.node_since.is_some_and(|since| since <= later(due, -timeout));
        let start_known = before.terminating || had_node;
        if steady && start_known && self.policy.sweep {
            let name = ground.name(instance);
            self.breaks(
                ground,
                format!("{name}: the hook timed out at {due} although sweeps came every minute"),
            );
        }
    }

    /// A sweep begins.
    pub(crate) fn sweep_begins(&mut self, now: Timestamp) {
        let punctual =
            self.last_sweep.is_some_and(|last| now.duration_since(last) <= SignedDuration::from_secs(61));
        if !punctual || self.steady_since.is_none() {
            self.steady_since = Some(now);
        }
        self.last_sweep = Some(now);
    }

    /// Auto Scaling did not answer, or a sweep did not come to its end.
    pub(crate) fn unsteady(&mut self) {
        self.steady_since = None;
    }

    /// Whether a scaling activity says of every held instance when it set out. On the way into the warm pool none does.
    pub(crate) fn start_is_known(&self) -> bool {
        self.actions.values().all(|held| held.terminating)
    }

    /// Notes which held instances have nothing left to wait for, and finds those that are held all the same: two
    /// undisturbed sweeps should have seen it.
    pub(crate) fn watch_the_idle(&mut self, ground: &Ground) {
        let now = ground.now();
        let instances: Vec<String> = self.actions.keys().cloned().collect();
        for instance in instances {
            let nodes = ground.nodes_of(&instance);
            let idle =
                ground.is_sound() && !nodes.is_empty() && nodes.iter().all(|node| self.is_idle(ground, node));
            let Some(held) = self.actions.get_mut(&instance) else { continue };
            held.idle_since = if idle { held.idle_since.or(Some(now)) } else { None };
            let patience = self.policy.settle_delay + SignedDuration::from_secs(150);
            let ours = held.held_by.hook == OURS;
            let steady = self.steady_since.is_some_and(|since| now >= later(since, patience));
            let idle_for_long = held.idle_since.is_some_and(|since| now >= later(since, patience));
            if ours && steady && idle_for_long && self.policy.sweep && !self.policy.pause {
                let name = ground.name(&instance);
                self.breaks(
                    ground,
                    format!("{name}: nothing has run on it for a while, and it is still held"),
                );
            }
        }
    }

    /// EC2 or AWS Health has announced something of an instance, and the function is told.
    pub(crate) fn announced(&mut self, now: Timestamp, instance: &str) {
        self.announced.insert(instance.to_owned(), now);
    }

    /// Whether an announcement may be the reason for a drain: an invocation tries to begin as long as it lasts.
    fn was_announced(&self, ground: &Ground, node: &NodeView) -> bool {
        let at = node.instance_id.as_ref().and_then(|instance| self.announced.get(instance));
        let lasts = SignedDuration::from_secs(i64::from(ground.setup.lambda_timeout));
        at.is_some_and(|at| ground.now() <= later(*at, lasts + LOOK_LASTS))
    }

    /// A node is made eligible again: only of an instance that is in use, at least two minutes after its drain began.
    pub(crate) fn gives_back(&mut self, ground: &Ground, node: &NodeView) {
        let Some(instance) = &node.instance_id else { return };
        let state = ground.instance(instance).lifecycle_state.as_str();
        let in_use = state == "InService" || state.starts_with("Pending");
        // One that an operator begins while we look cannot be told from ours in time.
        let ours = node.last_drain.as_ref().filter(|last| !last.meta.contains_key("by"));
        let began = ours.map(|last| last.started_at);
        let rested =
            ours.is_none() || began.is_some_and(|began| ground.now().duration_since(began).as_secs() >= 119);
        // It may have set out while we looked, and a call takes its time.
        let left = self
            .actions
            .get(instance)
            .is_some_and(|action| ground.now() <= later(action.begun_at, LOOK_LASTS));
        if !(in_use || left) || !rested {
            let name = ground.name(instance);
            self.breaks(ground, format!("{name}: given back while it was {state}, drained at {began:?}"));
        }
    }

    fn is_idle(&self, ground: &Ground, node: &NodeView) -> bool {
        let hidden = |alloc: &AllocView| alloc.namespace == HIDDEN && !ground.sees_everything.get();
        let up = node.status == NodeStatus::Ready && !ground.dead.borrow().contains(&node.id);
        let allocs = ground.nomad.allocations_on(&node.id);
        let seen = ground.sees_everything.get() && !allocs.iter().any(hidden);
        up && seen && !node.eligible && node.drain.is_none() && self.at_risk(ground, node).is_empty()
    }
}

pub(crate) fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}
