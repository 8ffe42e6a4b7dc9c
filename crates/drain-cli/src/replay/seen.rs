//! What was seen, in a few lines.

use drain_core::observation::{
    Allocations, DrainDeadline, Ending, Errand, Member, NodeStatus, Nodes, Origin, SeenNode, Sight, Target,
};
use drain_core::record::Record;

/// Jobs that are named before the rest is only counted.
const NAMED: usize = 5;

/// For whom, what and why.
pub(super) fn target(target: &Target) -> String {
    let mut text = target.instance.to_string();
    if let Some(group) = &target.group {
        text = format!("{text} of {group}");
    }
    if let Some(hook) = &target.hook {
        text = format!("{text}, held by {hook}");
    }
    format!("{text}: {}", errand(target.errand))
}

/// What is to be done for an instance.
pub(super) fn errand(errand: Errand) -> String {
    match errand {
        Errand::Drain(cause) => format!("it goes ({})", cause.as_str()),
        Errand::Admit => "it comes, and a launch hook waits for its node".to_owned(),
        Errand::GiveBack => "it has come back, and its node may take work again".to_owned(),
        Errand::Purge(Ending::Terminated) => "it was terminated, and its node may be purged".to_owned(),
        Errand::Purge(Ending::Stopped) => "it was stopped, and its node may be purged".to_owned(),
    }
}

/// How we came to know.
pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Event => "the hook's own message",
        Origin::Bus => "EventBridge, which tells of every hook",
        Origin::Broadcast => "EC2 or AWS Health, which tell of every instance",
        Origin::Sweep => "a sweep",
    }
}

/// What a decision was made of.
pub(super) fn lines(record: &Record) -> Vec<String> {
    let seen = &record.observation;
    let mut lines = vec![known_by(record)];
    match &seen.nodes {
        Nodes::Unknown(obstacle) => {
            lines.push(format!("its nodes could not be read: {}", obstacle.reason().as_str()));
        }
        Nodes::Absent => lines.push("no node of it".to_owned()),
        Nodes::Gone => lines.push("its node is gone".to_owned()),
        Nodes::Known(nodes) => lines.extend(nodes.iter().map(|node| told(node, record))),
    }
    lines
}

fn known_by(record: &Record) -> String {
    let seen = &record.observation;
    let mut parts = vec![format!("known by {}", origin(seen.target.origin))];
    if let Some(began) = seen.target.hook_started_at {
        parts.push(format!("held since {began:.0}"));
    }
    match &seen.member {
        Member::Unknown => {}
        Member::OfNoGroup => parts.push("in no group".to_owned()),
        Member::InState(state) => parts.push(state.clone()),
    }
    match &seen.hold {
        None => parts.push("no hook is known".to_owned()),
        Some(hold) => {
            let facts = [
                (hold.ended, "its lifecycle action is over"),
                (hold.paused, "paused"),
                (hold.queued, "others drain first"),
                (hold.by_hand, "seen through by hand"),
                (hold.heartbeats_denied, "heartbeats are not permitted"),
                (hold.heartbeats_failed, "heartbeats fail"),
                (hold.completion_denied, "the completion is not permitted"),
            ];
            parts.extend(facts.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()));
            parts.extend(hold.last_heartbeat.map(|last| format!("newest heartbeat {last:.0}")));
        }
    }
    parts.join("; ")
}

fn told(seen: &SeenNode, record: &Record) -> String {
    let node = &seen.node;
    let status = match node.status {
        NodeStatus::Initializing => "initializing".to_owned(),
        NodeStatus::Ready => "ready".to_owned(),
        NodeStatus::Down(since) => format!("down since {since:.0}"),
        NodeStatus::Disconnected(since) => format!("disconnected since {since:.0}"),
    };
    let work = if node.eligible { "takes work" } else { "takes no work" };
    let drain = match node.drain.map(|drain| drain.deadline) {
        None => "no drain".to_owned(),
        Some(DrainDeadline::Never) => "drains without a deadline".to_owned(),
        Some(DrainDeadline::At(deadline)) => format!("drains until {deadline:.0}"),
        Some(DrainDeadline::Forced) => "drains at once".to_owned(),
        Some(DrainDeadline::Untold) => "drains until a moment that is not told".to_owned(),
    };
    let stamp = node.last_drain.as_ref().map(|last| match last.stamp() {
        Some(stamp) => format!("; newest drain ours, for {}", stamp.instance),
        None => "; newest drain not ours".to_owned(),
    });
    format!(
        "node {} ({}): {status}, {work}, {drain}{}; {}",
        node.name,
        node.id,
        stamp.unwrap_or_default(),
        allocations(seen, record)
    )
}

fn allocations(seen: &SeenNode, record: &Record) -> String {
    let all = match &seen.allocations {
        Allocations::NotRead => return "nobody had to know what runs".to_owned(),
        Allocations::Unknown(obstacle) => {
            return format!("what runs could not be read: {}", obstacle.reason().as_str());
        }
        Allocations::Listed(all) => all.len(),
    };
    let running: Vec<String> = seen
        .counted(record.policy.ignore_system_jobs)
        .into_iter()
        .flatten()
        .map(|allocation| format!("{} ({})", allocation.job, allocation.namespace))
        .collect();
    let named = running.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = running.len().saturating_sub(NAMED);
    let named = match (running.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(": {named}"),
        (false, more) => format!(": {named} and {more} more"),
    };
    let sight = match record.observation.sight {
        Sight::Everything => "",
        Sight::NotEverything => ", and the token does not see all",
        Sight::Unknown => ", and nobody knows whether the token sees all",
    };
    format!("{} of {all} allocations run{sight}{named}", running.len())
}
