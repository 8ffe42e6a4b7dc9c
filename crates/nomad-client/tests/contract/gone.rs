//! Clients that die, and nodes that are removed.

use std::time::Duration;

use nomad_client::RefusalKind;

use crate::stage::{CALL, Stage, batch, is_before_1_11, last_drain, service};

const HOUR: i64 = 3600;

/// What became of a node that may not be there any more.
async fn is_known(stage: &Stage, place: usize) -> bool {
    match stage.nomad.node(stage.id(place), CALL).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.refusal().unwrap().kind, RefusalKind::NodeNotFound, "{error}");
            false
        }
    }
}

async fn down(stage: &Stage, place: usize) {
    if stage.node(place).await.status != "down" {
        stage.kill_client(place).await;
    }
}

pub(crate) async fn what_ran_on_a_client_that_dies_is_lost(stage: &Stage) {
    let dying = service("dying", 1).stop_takes(Duration::from_secs(5)).kill_timeout(Duration::from_secs(8));
    stage.run_on(&dying, 0, 1).await;
    stage.drain(0, HOUR, "dying").await;
    let told = async || stage.allocations(0, "dying").await.iter().all(|one| one.desired_status == "stop");
    stage.eventually("it was told to stop", told).await;
    stage.kill_client(0).await;
    let lost = async || stage.allocations(0, "dying").await.iter().all(|one| one.client_status == "lost");
    stage.eventually("it counts as lost", lost).await;
    // Whether the drain ends is not certain: the servers may have looked at the node for the last time before it died. Who
    // waits for it may wait until the deadline.
    let node = stage.node(0).await;
    assert_eq!((node.status.as_str(), node.scheduling_eligibility.as_str()), ("down", "ineligible"));
    stage.eventually("another one runs", async || stage.running(1, "dying").await == 1).await;
}

pub(crate) async fn a_node_that_is_down_can_be_drained(stage: &Stage) {
    down(stage, 0).await;
    stage.drain(0, HOUR, "down").await;
    let node = stage.drained(0).await;
    assert_eq!((node.status.as_str(), node.scheduling_eligibility.as_str()), ("down", "ineligible"));
    assert_eq!(last_drain(&node).meta["who"], "down");
}

pub(crate) async fn a_node_that_is_down_is_purged_for_good(stage: &Stage) {
    if stage.node(0).await.status == "ready" {
        stage.run_on(&batch("left"), 0, 1).await;
        stage.kill_client(0).await;
    }
    stage.eventually("what it ran is lost", async || stage.live(0).await.is_empty()).await;
    stage.nomad.purge(stage.id(0), CALL).await.unwrap();
    assert!(!is_known(stage, 0).await);
    let left = stage.nomad.allocations(stage.id(0), CALL).await.unwrap();
    assert!(!left.is_empty(), "its allocations are still listed");
    assert!(left.iter().all(|one| matches!(one.client_status.as_str(), "lost" | "complete")), "{left:#?}");
    let again = stage.nomad.purge(stage.id(0), CALL).await.unwrap_err();
    assert_eq!(again.refusal().unwrap().kind, RefusalKind::NodeNotFound, "{again}");
    let drain = nomad_client::DrainRequest {
        drain_spec: nomad_client::DrainSpec { deadline: 1, ignore_system_jobs: false },
        mark_eligible: false,
        meta: None,
    };
    let drained = stage.nomad.drain(stage.id(0), &drain, CALL).await.unwrap_err();
    assert_eq!(drained.refusal().unwrap().kind, RefusalKind::NodeNotFound, "{drained}");
}

pub(crate) async fn a_node_whose_client_lives_comes_back_from_a_purge_as_a_new_one(stage: &Stage) {
    if is_before_1_11(&stage.node(1).await) {
        // The next test needs the node.
        return crate::say(
            "contract: a client of Nomad 1.10 may take minutes to come back from a purge: not tried",
        );
    }
    stage.drain(1, HOUR, "purged").await;
    stage.drained(1).await;
    stage.nomad.purge(stage.id(1), CALL).await.unwrap();
    stage.eventually("it registers again", async || is_known(stage, 1).await).await;
    let node = stage.node(1).await;
    assert_eq!(node.scheduling_eligibility, "eligible", "this is why only nodes that are down are purged");
    assert!(node.last_drain.is_none());
}
