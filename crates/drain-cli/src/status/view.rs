//! What one look has shown, as it is printed for machines and drawn for people. With `--json` it is a contract.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use drain::by_hand::{Overview, Seen};
use drain_core::decide::{Action, Decision};
use drain_core::ids::GroupName;
use drain_core::observation::{NodeStatus, Nodes, SeenNode};
use drain_core::reason::{Outcome, Reason};
use jiff::Timestamp;
use serde::Serialize;

/// Every held instance at one moment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct View {
    /// When Auto Scaling was asked.
    pub(super) as_of: Timestamp,
    /// The groups that were looked at.
    pub(super) groups: Vec<String>,
    /// How many instances are held, shown or not.
    pub(super) held: usize,
    /// How many of them need somebody's attention.
    pub(super) need_attention: usize,
    /// They, or the first of them: by group, and those first that need attention, and then those that have been held for longest.
    pub(super) instances: Vec<Row>,
    /// What is not as it should be, one sentence each.
    pub(super) problems: Vec<String>,
    /// Whether a cluster could not be asked.
    #[serde(skip)]
    blind: bool,
}

/// A held instance.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) instance_id: String,
    pub(super) auto_scaling_group: Option<String>,
    /// The hooks of ours that may hold it: Auto Scaling does not say which does.
    pub(super) lifecycle_hooks: Vec<String>,
    /// Auto Scaling's `LifecycleState`.
    pub(super) state: String,
    /// The cluster of its node, if there are several.
    pub(super) nomad_cluster: Option<String>,
    /// `None` if nobody can tell.
    pub(super) nodes: Option<Vec<Node>>,
    pub(super) held_since: Option<Timestamp>,
    pub(super) held_for_s: Option<i64>,
    pub(super) drains_since: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) next_heartbeat: Option<Timestamp>,
    /// By job; `None` if nobody can tell.
    pub(super) allocations_left: Option<BTreeMap<String, usize>>,
    pub(super) attention: Attention,
    /// What is decided: to wait, or what the next sweep would do.
    pub(super) decision: &'static str,
    /// Why, as one word; docs/operations.md explains each.
    pub(super) reason: Option<&'static str>,
    /// The same in words.
    pub(super) why: String,
}

/// A node of a held instance.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the words of an invocation's results")]
pub(super) struct Node {
    pub(super) node_id: String,
    pub(super) name: String,
    /// Nomad's `Status`.
    pub(super) status: &'static str,
    pub(super) eligible: bool,
}

/// Whether somebody should look at it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Attention {
    /// It goes its way.
    None,
    /// It is not how a drain usually goes.
    Warning,
    /// It does not go on by itself as it should.
    Error,
}

impl View {
    /// What an overview shows, of so many instances at most.
    pub(super) fn of(overview: Overview, limit: Option<usize>) -> Self {
        let Overview { at, groups, held, mut problems } = overview;
        let mut rows: Vec<Row> = Vec::new();
        for one in held {
            match one.seen {
                Ok(seen) => add(&mut rows, Row::of(&seen, one.state)),
                Err(error) => problems.push(format!("an instance cannot be shown: {}", error.explanation())),
            }
        }
        sort(&mut rows, at);
        let (held, need_attention) = (rows.len(), rows.iter().filter(|row| row.needs_attention()).count());
        let blind = rows.iter().any(Row::is_unseen);
        rows.truncate(limit.unwrap_or(usize::MAX));
        let groups: BTreeSet<String> = groups.iter().map(GroupName::to_string).collect();
        Self {
            as_of: at,
            groups: groups.into_iter().collect(),
            held,
            need_attention,
            instances: rows,
            problems,
            blind,
        }
    }

    #[cfg(test)]
    pub(super) fn for_test(as_of: Timestamp, groups: &[&str], instances: Vec<Row>) -> Self {
        Self {
            as_of,
            groups: groups.iter().map(ToString::to_string).collect(),
            held: instances.len(),
            need_attention: instances.iter().filter(|row| row.needs_attention()).count(),
            instances,
            problems: vec![],
            blind: false,
        }
    }

    /// Whether a cluster could not be asked.
    pub(super) fn is_blind(&self) -> bool {
        self.blind
    }

    /// Whether somebody should look at it.
    pub(super) fn needs_attention(&self) -> bool {
        self.need_attention > 0 || !self.problems.is_empty()
    }
}

/// What somebody has to look at comes first: a window, or a limit, may show no more than that. Groups stay together.
pub(super) fn sort(rows: &mut [Row], at: Timestamp) {
    let mut worst: BTreeMap<Option<String>, Attention> = BTreeMap::new();
    for row in rows.iter() {
        let worst = worst.entry(row.auto_scaling_group.clone()).or_insert(Attention::None);
        *worst = row.attention.max(*worst);
    }
    rows.sort_by_cached_key(|row| {
        let group = row.auto_scaling_group.clone();
        // Nobody knows since when: such an instance may be the oldest.
        let held = at.duration_since(row.held_since.unwrap_or(Timestamp::MIN));
        (Reverse(worst.get(&group).copied()), group, Reverse((row.attention, held)), row.instance_id.clone())
    });
}

/// Adds a row. Of an instance for which several hooks may wait there is one, with all their names.
fn add(rows: &mut Vec<Row>, row: Row) {
    match rows.iter_mut().find(|known| known.instance_id == row.instance_id) {
        Some(known) => known.lifecycle_hooks.extend(row.lifecycle_hooks),
        None => rows.push(row),
    }
}

impl Row {
    fn of(seen: &Seen, state: String) -> Self {
        let target = &seen.observation.target;
        let node = |seen: &SeenNode| Node {
            node_id: seen.node.id.to_string(),
            name: seen.node.name.clone(),
            status: status(seen.node.status),
            eligible: seen.node.eligible,
        };
        let nodes = match &seen.observation.nodes {
            Nodes::Known(nodes) => Some(nodes.iter().map(node).collect()),
            Nodes::Absent | Nodes::Gone => Some(Vec::new()),
            Nodes::Unknown(_) => None,
        };
        let left =
            seen.left_by_job().map(|jobs| jobs.into_iter().map(|(job, n)| (job.to_owned(), n)).collect());
        Self {
            instance_id: target.instance.to_string(),
            auto_scaling_group: target.group.as_ref().map(ToString::to_string),
            lifecycle_hooks: target.hook.iter().map(ToString::to_string).collect(),
            state,
            nomad_cluster: seen.cluster.clone(),
            nodes,
            held_since: seen.held_since(),
            held_for_s: seen.held_since().map(|since| seen.at.duration_since(since).as_secs()),
            drains_since: seen.drains_since(),
            deadline: seen.deadline(),
            next_heartbeat: seen.next_heartbeat(),
            allocations_left: left,
            attention: attention(seen),
            decision: decision(&seen.decision),
            reason: seen.reason().map(Reason::as_str),
            why: seen.why.clone(),
        }
    }

    fn needs_attention(&self) -> bool {
        self.attention > Attention::None
    }

    /// Whether its cluster could not be asked.
    fn is_unseen(&self) -> bool {
        self.reason.is_some_and(|reason| UNSEEN.iter().any(|unseen| unseen.as_str() == reason))
    }
}

/// Reasons of which nobody knows how things stand.
const UNSEEN: [Reason; 4] =
    [Reason::NomadUnreachable, Reason::NoClusterLeader, Reason::NomadTokenRefused, Reason::NomadUnreadable];

/// Whether somebody should look at it. What a sweep would do is no reason, unless it is a way out.
fn attention(seen: &Seen) -> Attention {
    let Some(reason) = seen.reason() else { return Attention::None };
    if UNSEEN.contains(&reason) || reason == Reason::CannotSeeAllocations {
        return Attention::Error;
    }
    let in_passing = [Reason::WaitingForNode, Reason::WaitingForTurn, Reason::NodeSilent];
    if in_passing.contains(&reason) {
        return Attention::None;
    }
    let way_out = [Reason::DrainTimeout, Reason::NodeDisconnected, Reason::NodeNotFound, Reason::NodeGone];
    if way_out.contains(&reason) || reason == Reason::DryRun {
        return Attention::Warning;
    }
    match reason.outcome() {
        Outcome::DrainStarted
        | Outcome::Draining
        | Outcome::Completed
        | Outcome::Restored
        | Outcome::Ignored => Attention::None,
        Outcome::Held => Attention::Warning,
        Outcome::Abandoned | Outcome::LeftToHook => Attention::Error,
    }
}

fn decision(decision: &Decision) -> &'static str {
    match decision {
        Decision::Wait { .. } => "wait",
        Decision::Finish(_) => "nothing",
        Decision::Act(action) => match action {
            Action::Drain(_) => "drain",
            Action::MakeIneligible(_) => "make_ineligible",
            Action::GiveBack { .. } => "give_back",
            Action::Purge(_) => "purge",
            Action::Heartbeat => "heartbeat",
            Action::Complete { .. } => "complete",
        },
    }
}

fn status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Initializing => "initializing",
        NodeStatus::Ready => "ready",
        NodeStatus::Down(_) => "down",
        NodeStatus::Disconnected(_) => "disconnected",
    }
}
