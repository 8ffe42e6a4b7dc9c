//! Many instances at once: their nodes are looked up together, and then each is seen through by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use drain_core::decide::is_drained_for;
use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Cause, Errand, Hold, LastDrain, Member, Node, NodeStatus, Target};
use drain_core::policy::Policy;
use drain_core::reason::Reason;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::by_hand::Seen;
use crate::error::Error;
use crate::later;
use crate::reconcile::{Found, Rules, Subject, Turn, look, reconcile};
use crate::report::ReportEntry;
use crate::world::{Account as _, World};

/// Instances whose nodes are looked up together.
const TOGETHER: usize = 100;

/// Instances that are being begun at the same time. Further ones are looked up as these have begun: so the first drains are
/// posted at once, however many there are; what was read of a node is not old when its drain is posted; and if the time
/// runs out, some have been begun, and not all of them looked up in vain.
const BEGUN_TOGETHER: usize = 3 * TOGETHER;

/// More instances than there can be.
const EVERYBODY: usize = Semaphore::MAX_PERMITS / 2;

/// An instance that something has to be done for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    pub(crate) hold: Option<Hold>,
    /// What Auto Scaling says of it, where that was asked.
    pub(crate) member: Member,
    /// Its node, if the list of nodes has shown it already.
    pub(crate) node: Option<drain_core::ids::NodeId>,
    /// What decisions about it depend on, if that is something else than for the rest of the cluster.
    pub(crate) policy: Option<Policy>,
    /// Its `LifecycleState`, if a list of waiting instances has shown it. Nothing depends on it.
    pub(crate) state: Option<String>,
}

/// What became of one of them. A failure may be that of many.
pub(crate) type Became = Result<Vec<ReportEntry>, Rc<Error>>;

/// Looks the nodes of all instances up in as few calls as there can be, and sees each instance through: none waits for the
/// end of another, and of [`BEGUN_TOGETHER`] none for its beginning. Answers are in the order of the questions.
pub(crate) async fn see_through(world: &impl World, rules: &Rules<'_>, asked: Vec<Asked>) -> Vec<Became> {
    if rules.looks.sweeping && rules.policy.max_drains_per_group.is_some() {
        // Whose turn it is can only be said when all are known.
        let subjects = subjects(world, rules, asked).await;
        let seen =
            subjects.into_iter().map(|subject| see_one_through(world, rules, subject, Turn::default()));
        return join_all(seen).await;
    }
    let turns = Semaphore::new(BEGUN_TOGETHER);
    let seen = pieces(asked).into_iter().map(|piece| see_piece_through(world, rules, piece, &turns));
    let became: Vec<Became> = join_all(seen).await.into_iter().flatten().collect();
    let reason = Reason::OutOfTime.as_str();
    let left = became.iter().flatten().flatten().filter(|entry| entry.reason == reason).count();
    if left > 0 {
        tracing::warn!(
            reason,
            "the sweep's time was over before it was the turn of {left} instances: the next one begins with others"
        );
    }
    became
}

/// Looks at all of them once, and changes nothing. Answers are in the order of the questions.
pub(crate) async fn look_at(
    world: &impl World,
    rules: &Rules<'_>,
    asked: Vec<Asked>,
) -> Vec<Result<Seen, Rc<Error>>> {
    let subjects = subjects(world, rules, asked).await;
    join_all(subjects.into_iter().map(|subject| async move {
        let subject = subject?;
        let span = span(&subject.target);
        look(world, rules, subject).instrument(span).await.map_err(Rc::new)
    }))
    .await
}

fn pieces(asked: Vec<Asked>) -> Vec<Vec<Asked>> {
    let mut pieces: Vec<Vec<Asked>> = Vec::new();
    for one in asked {
        match pieces.last_mut() {
            Some(piece) if piece.len() < TOGETHER => piece.push(one),
            _ => pieces.push(vec![one]),
        }
    }
    pieces
}

/// All of them, with what comes of looking for their nodes, and whose turn it is.
async fn subjects(
    world: &impl World,
    rules: &Rules<'_>,
    asked: Vec<Asked>,
) -> Vec<Result<Subject, Rc<Error>>> {
    let looked_up = join_all(pieces(asked).into_iter().map(|piece| look_up(world, rules, piece))).await;
    let mut subjects: Vec<_> = looked_up.into_iter().flatten().collect();
    if rules.looks.sweeping && rules.policy.max_drains_per_group.is_some() {
        queue(world, rules, &mut subjects).await;
    }
    subjects
}

/// Looks the nodes of some instances up when it is their turn, and sees each through.
async fn see_piece_through(
    world: &impl World,
    rules: &Rules<'_>,
    piece: Vec<Asked>,
    turns: &Semaphore,
) -> Vec<Became> {
    // The semaphore is never closed.
    let mut permits = turns.acquire_many(u32::try_from(piece.len()).unwrap_or(u32::MAX)).await.ok();
    if rules.looks.sweeping && world.now() >= rules.looks.ends {
        return piece.iter().map(|one| Ok(too_late(&one.target))).collect();
    }
    let subjects = look_up(world, rules, piece).await;
    let failed = |subject: &Result<Subject, _>| {
        subject.as_ref().is_ok_and(|subject| matches!(subject.found, Found::Failed(_)))
    };
    if subjects.iter().any(failed) {
        // Where nothing can be begun the others are not kept waiting: they need their heartbeats.
        turns.add_permits(EVERYBODY.saturating_sub(turns.available_permits()));
    }
    let seen = subjects.into_iter().map(|subject| {
        let turn = Turn::of(permits.as_mut().and_then(|permits| permits.split(1)));
        see_one_through(world, rules, subject, turn)
    });
    join_all(seen).await
}

/// What is told of an instance whose turn did not come before the time was over. Thousands may be left, at a moment when
/// little time and memory are: each is an entry of the answer, and nothing is asked or logged for it.
fn too_late(target: &Target) -> Vec<ReportEntry> {
    match target.errand {
        Errand::GiveBack | Errand::Purge(_) => Vec::new(),
        Errand::Drain(_) | Errand::Admit => {
            let reason = Reason::OutOfTime;
            let message = "the sweep's time was over before it was this instance's turn".to_owned();
            vec![ReportEntry::of_instance(target, None, reason.outcome(), reason, message)]
        }
    }
}

/// Sees one instance through; a lookup that failed is its end.
async fn see_one_through(
    world: &impl World,
    rules: &Rules<'_>,
    subject: Result<Subject, Rc<Error>>,
    turn: Turn<'_>,
) -> Became {
    let subject = subject?;
    let span = span(&subject.target);
    reconcile(world, rules, subject, turn).instrument(span).await.map_err(Rc::new)
}

/// Whose a line of the log is.
fn span(target: &Target) -> tracing::Span {
    tracing::error_span!(
        "drain",
        instance_id = %target.instance,
        auto_scaling_group = target.group.as_ref().map(tracing::field::display),
        lifecycle_hook = target.hook.as_ref().map(tracing::field::display),
        node_id = tracing::field::Empty,
    )
}

/// Looks the nodes of some instances up. A failure is the answer for each of them; a sweep keeps them alive instead.
async fn look_up(
    world: &impl World,
    rules: &Rules<'_>,
    asked: Vec<Asked>,
) -> Vec<Result<Subject, Rc<Error>>> {
    let paused = |hold: &Option<Hold>| {
        let asked = rules.policy.pause || hold.as_ref().is_some_and(|hold| hold.paused);
        asked && rules.looks.by_hand.is_none()
    };
    let wanted: BTreeSet<InstanceId> = asked
        .iter()
        .filter(|one| !paused(&one.hold) && one.node.is_none())
        .map(|one| one.target.instance.clone())
        .collect();
    let wanted: Vec<InstanceId> = wanted.into_iter().collect();
    let read_at = world.now();
    let nodes = if wanted.is_empty() { Ok(BTreeMap::new()) } else { find(world, rules, &wanted).await };
    let nodes = nodes.map_err(Rc::new);
    let subjects = asked.into_iter().map(|Asked { target, hold, member, node, policy, state: _ }| {
        let found = match (&nodes, node) {
            (_, Some(node)) => Found::Listed(vec![node]),
            (Ok(nodes), None) => match nodes.get(&target.instance) {
                Some(nodes) => Found::Nodes(nodes.clone(), read_at),
                None => Found::Nothing,
            },
            (Err(error), None) if rules.looks.sweeping => Found::Failed(error.obstacle()),
            (Err(error), None) => return Err(Rc::clone(error)),
        };
        Ok(Subject { target, hold, member, member_at: read_at, found, policy })
    });
    subjects.collect()
}

/// Looks nodes up by attribute. An event tries again as long as there is time, so that it is not lost; a sweep keeps
/// the instances alive instead, and the next one looks again.
async fn find(
    world: &impl World,
    rules: &Rules<'_>,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
    let mut attempts = 0;
    let mut earlier = None;
    loop {
        let error = match world.nodes_by_attribute(instances).await {
            Ok(nodes) => return Ok(nodes),
            Err(error) => error.or_earlier(earlier),
        };
        attempts += 1;
        let next = later(world.now(), world.backoff(attempts));
        if rules.looks.sweeping || !error.is_transient() || next > rules.looks.ends {
            if rules.looks.sweeping {
                let explanation = error.explanation();
                tracing::error!(error_type = error.name(), "{explanation}");
                let whose = rules.cluster.map_or_else(String::new, |name| format!(" in cluster {name}"));
                rules.looks.warned.tell(format!("no node could be looked up{whose}: {explanation}"));
            }
            return Err(error);
        }
        earlier = Some(error);
        world.sleep_until(next).await;
    }
}

/// Lets no more nodes of a group drain than `MAX_DRAINS_PER_GROUP`, those first whose hooks began first. A soft limit:
/// nobody keeps count between invocations, and what drains already goes on.
async fn queue(world: &impl World, rules: &Rules<'_>, subjects: &mut [Result<Subject, Rc<Error>>]) {
    let Some(limit) = rules.policy.max_drains_per_group else { return };
    let mut groups: BTreeMap<GroupName, Vec<&mut Subject>> = BTreeMap::new();
    for subject in subjects.iter_mut().filter_map(|subject| subject.as_mut().ok()) {
        if let (Errand::Drain(_), Some(group)) = (subject.target.errand, &subject.target.group) {
            groups.entry(group.clone()).or_default().push(subject);
        }
    }
    for (group, members) in groups {
        // Of several hooks that may hold an instance each has a subject, and all of them one place.
        let instances = |which: fn(&Subject) -> bool| -> BTreeSet<InstanceId> {
            let some = members.iter().filter(|subject| which(subject));
            some.map(|subject| subject.target.instance.clone()).collect()
        };
        let drains = instances(counts).len();
        let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(drains);
        let waiting = instances(would_begin);
        if waiting.len() <= free {
            continue;
        }
        // Without this answer the order is that of the ids, which is as good as any.
        let begun = world.account().ends_begun(&group).await.unwrap_or_else(|error| {
            rules
                .looks
                .warned
                .failed(&error, &format!("when the hooks of {group} began could not be found out"));
            BTreeMap::new()
        });
        let start = |instance: &InstanceId| begun.get(instance).copied();
        let mut order: Vec<&InstanceId> = waiting.iter().collect();
        order.sort_by_key(|instance| (start(instance).unwrap_or(Timestamp::MAX), *instance));
        let queued: BTreeSet<&InstanceId> = order.into_iter().skip(free).collect();
        for Subject { target, hold, .. } in
            members.into_iter().filter(|one| queued.contains(&one.target.instance))
        {
            target.hook_started_at = target.hook_started_at.or_else(|| start(&target.instance));
            if let Some(hold) = hold {
                hold.queued = true;
            }
        }
    }
}

/// Whether a drain runs for this instance that takes one of the places. Interruptions take none.
fn counts(subject: &Subject) -> bool {
    let Found::Nodes(nodes, _) = &subject.found else { return false };
    nodes.iter().any(|node| {
        let stamp = node.last_drain.as_ref().and_then(LastDrain::stamp);
        node.drain.is_some() && stamp.is_none_or(|stamp| stamp.cause != Some(Cause::Spot))
    })
}

/// Whether this instance has a node that may get a drain. One that is drained may wait for another hook.
fn would_begin(subject: &Subject) -> bool {
    let Found::Nodes(nodes, _) = &subject.found else { return false };
    let down = |node: &Node| matches!(node.status, NodeStatus::Down(_));
    let over = |node: &Node| is_drained_for(&subject.target.instance, node);
    nodes.iter().any(|node| node.drain.is_none() && !down(node) && !over(node))
}
