//! Between Nomad's words and ours.

use drain_core::ids::NodeId;
use drain_core::observation::{LastDrain, LastDrainStatus, Node, RunningDrain};
use jiff::Timestamp;
use nomad_client as wire;

use crate::error::Error;

/// What a node's JSON shows.
pub(super) fn node(node: &wire::Node) -> Result<Node, Error> {
    Ok(Node {
        id: NodeId::parse(&node.id).map_err(Error::InvalidNodeId)?,
        name: node.name.clone(),
        eligible: node.scheduling_eligibility == "eligible",
        drain: node.drain_strategy.as_ref().map(running_drain),
        last_drain: node.last_drain.as_ref().map(last_drain),
    })
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

fn running_drain(drain: &wire::DrainStrategy) -> RunningDrain {
    match (drain.deadline, drain.force_deadline) {
        (..0, _) => RunningDrain::Forced,
        (_, Some(moment)) => RunningDrain::Until(moment),
        (0, None) => RunningDrain::NoDeadline,
        // It ends, but the server does not say when: another POST might push it out, so it is left alone.
        (1.., None) => RunningDrain::Until(Timestamp::MIN),
    }
}

fn last_drain(drain: &wire::LastDrain) -> LastDrain {
    let status = match drain.status.as_str() {
        "draining" => LastDrainStatus::Draining,
        "complete" => LastDrainStatus::Complete,
        // A status that we do not know proves as little as a cancelled drain.
        _ => LastDrainStatus::Canceled,
    };
    LastDrain { status, meta: drain.meta.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(deadline: i64, force_deadline: Option<&str>) -> RunningDrain {
        let force_deadline = force_deadline.map(|moment| moment.parse().unwrap());
        running_drain(&wire::DrainStrategy { deadline, force_deadline })
    }

    #[test]
    fn a_deadline_of_zero_never_comes_and_one_below_zero_has_come() {
        let moment = "2026-03-01T13:00:00Z";
        assert_eq!(drain(3_600_000_000_000, Some(moment)), RunningDrain::Until(moment.parse().unwrap()));
        assert_eq!(drain(0, None), RunningDrain::NoDeadline);
        assert_eq!(drain(-1_000_000_000, None), RunningDrain::Forced);
        assert_eq!(drain(5, None), RunningDrain::Until(Timestamp::MIN));
    }
}
