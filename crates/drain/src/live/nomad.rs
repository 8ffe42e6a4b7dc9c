//! Between Nomad's words and ours.

use drain_core::ids::NodeId;
use drain_core::observation::{
    Allocation, ByHand, ClientStatus, DrainDeadline, LastDrain, LastDrainStatus, Node, NodeStatus,
    RunningDrain, Sight,
};
use jiff::Timestamp;
use nomad_client as wire;
use nomad_client::RefusalKind;
use nomad_client::visibility::{Sees, sees_every_namespace};

use super::Live;
use crate::error::Error;
use crate::reconcile::READ_JOB;
use crate::world::Idle;

/// What a node's JSON shows.
pub(super) fn node(node: &wire::Node) -> Result<Node, Error> {
    Ok(Node {
        id: NodeId::parse(&node.id).map_err(Error::InvalidNodeId)?,
        name: node.name.clone(),
        status: status(node),
        eligible: node.scheduling_eligibility == "eligible",
        drain: node.drain_strategy.as_ref().map(running_drain),
        last_drain: node.last_drain.as_ref().map(last_drain),
        by_hand: by_hand(node),
        availability_zone: node.availability_zone().map(ToOwned::to_owned),
        modify_index: node.modify_index,
    })
}

/// What the list shows of a node that takes no work, or is down. Servers before Nomad 1.3 ignore the filter and list every
/// node.
pub(super) fn idle(stub: &wire::NodeStub) -> Option<Idle> {
    let (down, eligible) = (stub.status == "down", stub.scheduling_eligibility != "ineligible");
    let node = NodeId::parse(&stub.id).ok().filter(|_| down || !eligible)?;
    Some(Idle { node, down, eligible, last_drain: stub.last_drain.as_ref().map(last_drain) })
}

/// What a request looks like on the wire.
pub(super) fn drain_request(request: &drain_core::decide::DrainRequest) -> wire::DrainRequest {
    let deadline = request.spec.deadline.as_nanos();
    wire::DrainRequest {
        drain_spec: wire::DrainSpec {
            deadline: i64::try_from(deadline).unwrap_or(i64::MAX),
            ignore_system_jobs: request.spec.ignore_system_jobs,
        },
        mark_eligible: false,
        meta: request.meta.clone(),
    }
}

/// What an allocation's JSON shows.
pub(super) fn allocation(allocation: &wire::Allocation) -> Allocation {
    Allocation {
        job: allocation.job_id.clone(),
        namespace: allocation.namespace.clone(),
        system: allocation.job_type.as_deref() == Some("system"),
        wanted: allocation.desired_status == "run",
        client: match allocation.client_status.as_str() {
            "complete" | "failed" | "lost" => ClientStatus::Terminal,
            "unknown" => ClientStatus::Unknown,
            // `pending`, `running`, and whatever else there may be: it has not ended.
            _ => ClientStatus::Live,
        },
        modified_at: allocation.modify_time,
        lost_at: (allocation.client_status == "lost").then_some(allocation.modify_index),
    }
}

/// Whether the token, or a request without one, sees every allocation: a management token does, and one whose policies
/// grant `read-job` in every namespace. Without ACLs everybody does.
pub(super) async fn sight(live: &Live<'_>) -> Result<Sight, Error> {
    let Some(token) = token_self(live).await?.filter(|token| !token.is_unrestricted()) else {
        return Ok(Sight::Everything);
    };
    let policies = policies(live, token).await?;
    match sees_every_namespace(&policies) {
        Sees::Everything => Ok(Sight::Everything),
        Sees::NotEverything { namespaces } => {
            let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
            tracing::warn!(
                policies = names.join(", "),
                "the Nomad token may not read jobs in {}: drains are begun, and never believed to be over. Add to its policy: \
                 {READ_JOB}",
                namespaces.join(", "),
            );
            Ok(Sight::NotEverything)
        }
    }
}

/// Our token as Nomad knows it; `None` if the cluster has no ACLs.
pub(super) async fn token_self(live: &Live<'_>) -> Result<Option<wire::TokenSelf>, Error> {
    match live.ask_nomad(async |servers, timeout| servers.token_self(timeout).await).await {
        Ok(token) => Ok(Some(token).filter(|token| token.accessor_id != wire::TokenSelf::WITHOUT_ACLS)),
        Err(Error::NomadRefused(error)) if is_without_acls(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The policies of our token, those of its roles included, each once and sorted by name.
pub(super) async fn policies(live: &Live<'_>, token: wire::TokenSelf) -> Result<Vec<wire::Policy>, Error> {
    let mut names = token.policies;
    for role in &token.roles {
        let role = live.ask_nomad(async |servers, timeout| servers.acl_role(&role.id, timeout).await).await?;
        names.extend(role.policies);
    }
    names.sort();
    names.dedup();
    let mut policies = Vec::new();
    for name in &names {
        policies
            .push(live.ask_nomad(async |servers, timeout| servers.acl_policy(name, timeout).await).await?);
    }
    Ok(policies)
}

fn is_without_acls(error: &wire::NomadError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.kind == RefusalKind::AclsDisabled)
}

/// Since when a silent node has been silent: the newest missed heartbeat says it. `StatusUpdatedAt` does not, because
/// every write of a drain moves it; it is never too early, though.
fn status(node: &wire::Node) -> NodeStatus {
    let since = || {
        let missed = node.events.iter().filter(|event| event.message.contains("heartbeat missed"));
        let missed = missed.filter_map(|event| event.timestamp).max();
        missed.or_else(|| Timestamp::from_second(node.status_updated_at).ok()).unwrap_or(Timestamp::MAX)
    };
    match node.status.as_str() {
        "down" => NodeStatus::Down(since()),
        "disconnected" => NodeStatus::Disconnected(since()),
        "ready" => NodeStatus::Ready,
        _ => NodeStatus::Initializing,
    }
}

/// When somebody changed the eligibility: a drain says other words. Of a node's events Nomad keeps the newest ten
/// (hashicorp/nomad, structs.MaxRetainedNodeEvents).
fn by_hand(node: &wire::Node) -> ByHand {
    const KEPT: usize = 10;
    let changes = node.events.iter().filter(|event| {
        event.message.starts_with("Node marked as") && event.message.contains("eligible for scheduling")
    });
    let oldest = node.events.iter().filter_map(|event| event.timestamp).min();
    ByHand {
        changed_at: changes.filter_map(|event| event.timestamp).max(),
        known_since: oldest.filter(|_| node.events.len() >= KEPT),
    }
}

fn running_drain(drain: &wire::DrainStrategy) -> RunningDrain {
    let deadline = match (drain.deadline, drain.force_deadline) {
        (..0, _) => DrainDeadline::Forced,
        (_, Some(moment)) => DrainDeadline::At(moment),
        (0, None) => DrainDeadline::Never,
        // It ends, but the server does not say when: another POST might push it out, so it is left alone.
        (1.., None) => DrainDeadline::Untold,
    };
    RunningDrain { deadline, ignore_system_jobs: drain.ignore_system_jobs, started_at: drain.started_at }
}

fn last_drain(drain: &wire::LastDrain) -> LastDrain {
    let status = match drain.status.as_str() {
        "draining" => LastDrainStatus::Draining,
        "complete" => LastDrainStatus::Complete,
        // A status that we do not know proves as little as a cancelled drain.
        _ => LastDrainStatus::Canceled,
    };
    LastDrain { status, started_at: drain.started_at, updated_at: drain.updated_at, meta: drain.meta.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(deadline: i64, force_deadline: Option<&str>) -> DrainDeadline {
        let force_deadline = force_deadline.map(|moment| moment.parse().unwrap());
        let drain =
            wire::DrainStrategy { deadline, force_deadline, ignore_system_jobs: false, started_at: None };
        running_drain(&drain).deadline
    }

    #[test]
    fn a_deadline_of_zero_never_comes_and_one_below_zero_has_come() {
        let moment = "2026-03-01T13:00:00Z";
        assert_eq!(drain(3_600_000_000_000, Some(moment)), DrainDeadline::At(moment.parse().unwrap()));
        assert_eq!(drain(0, None), DrainDeadline::Never);
        assert_eq!(drain(-1_000_000_000, None), DrainDeadline::Forced);
        assert_eq!(drain(5, None), DrainDeadline::Untold);
    }

    fn silent(events: &str) -> NodeStatus {
        let json = format!(r#"{{"ID":"x","Status":"down","StatusUpdatedAt":1772366400,"Events":{events}}}"#);
        status(&serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_node_is_silent_since_its_newest_missed_heartbeat_and_not_since_its_newest_write() {
        let events = r#"[{"Message":"Node heartbeat missed","Timestamp":"2026-03-01T11:00:00Z"},
            {"Message":"Node reregistered by heartbeat","Timestamp":"2026-03-01T11:10:00Z"},
            {"Message":"Node heartbeat missed","Timestamp":"2026-03-01T11:20:00Z"},
            {"Message":"Node drain strategy set","Timestamp":"2026-03-01T11:59:00Z"}]"#;
        assert_eq!(silent(events), NodeStatus::Down("2026-03-01T11:20:00Z".parse().unwrap()));
        assert_eq!(silent("null"), NodeStatus::Down("2026-03-01T12:00:00Z".parse().unwrap()));
    }
}
