//! Deadlines, and tasks that take their time.

use std::time::Duration;

use jiff::SignedDuration;
use nomad_client::Allocation;

use crate::stage::{Stage, batch, is_before_1_11, last_drain, service};

const HOUR: i64 = 3600;

/// Whether an allocation has ended. A batch task that was told to stop has failed in the words of Nomad before 1.11.
fn has_ended(allocation: &Allocation) -> bool {
    matches!(allocation.client_status.as_str(), "complete" | "failed")
}

/// The only allocation of a job on the first node.
async fn only(stage: &Stage, job: &str) -> Allocation {
    let [only] = &stage.allocations(0, job).await[..] else { panic!("one allocation") };
    only.clone()
}

/// The same once the servers want it to stop.
async fn told_to_stop(stage: &Stage, job: &str) -> Allocation {
    let told = async || Some(only(stage, job).await).filter(|one| one.desired_status == "stop");
    stage.found("it was told to stop", told).await
}

pub(crate) async fn a_batch_job_may_go_on_until_the_deadline(stage: &Stage) {
    stage.run_on(&batch("long"), 0, 1).await;
    stage.drain(0, 3, "long").await;
    let strategy = stage.node(0).await.drain_strategy.unwrap();
    let lasts = strategy.force_deadline.unwrap().duration_since(strategy.started_at.unwrap());
    assert!((2..=3).contains(&lasts.as_secs()), "{lasts:?}");
    assert_eq!(only(stage, "long").await.desired_status, "run");
    let node = stage.drained(0).await;
    stage.eventually("it was stopped", async || has_ended(&only(stage, "long").await)).await;
    assert_eq!(only(stage, "long").await.desired_status, "stop");
    let last = last_drain(&node);
    let took = last.updated_at.unwrap().duration_since(last.started_at.unwrap());
    assert!(took >= SignedDuration::from_secs(2), "{took:?}");
    // Until 1.11 it is placed again, which helps nobody: it has lost what it had done.
    if is_before_1_11(&node) {
        stage.eventually("it was placed again", async || stage.running(1, "long").await == 1).await;
    } else {
        assert_eq!(stage.running(1, "long").await, 0, "it is not placed again");
    }
}

pub(crate) async fn a_deadline_below_zero_is_now_and_zero_is_never(stage: &Stage) {
    stage.run_on(&batch("never"), 0, 1).await;
    stage.drain(0, 0, "never").await;
    let strategy = stage.node(0).await.drain_strategy.unwrap();
    assert_eq!((strategy.deadline, strategy.force_deadline), (0, None));
    let runs = async || {
        let node = stage.node(0).await;
        node.drain_strategy.is_some() && only(stage, "never").await.client_status == "running"
    };
    stage.stays("the drain waits", Duration::from_secs(2), runs).await;
    stage.drain(0, -1, "now").await;
    let node = stage.drained(0).await;
    assert_eq!(last_drain(&node).meta["who"], "now");
    stage.eventually("it was stopped", async || has_ended(&only(stage, "never").await)).await;
}

pub(crate) async fn a_task_is_left_alone_for_its_shutdown_delay(stage: &Stage) {
    let delay = Duration::from_secs(3);
    stage.run_on(&service("delayed", 1).shutdown_delay(delay), 0, 1).await;
    stage.drain(0, HOUR, "delayed").await;
    let told = told_to_stop(stage, "delayed").await;
    assert_eq!(told.client_status, "running", "it still runs: its delay has just begun");
    stage.drained(0).await;
    let ended = only(stage, "delayed").await;
    assert_eq!(ended.client_status, "complete");
    let took = ended.modify_time.unwrap().duration_since(told.modify_time.unwrap());
    assert!(took >= SignedDuration::from_millis(2500), "{took:?}");
}

pub(crate) async fn a_task_that_ignores_its_signal_outlives_the_drain(stage: &Stage) {
    let kill_timeout = Duration::from_secs(20);
    stage.run_on(&batch("stubborn").kill_timeout(kill_timeout).ignores_signals(), 0, 1).await;
    stage.drain(0, 1, "stubborn").await;
    let node = stage.drained(0).await;
    assert!(node.drain_strategy.is_none());
    assert_eq!(only(stage, "stubborn").await.client_status, "running", "the drain is over, and it runs");
    // Nomad before 1.11 may end the drain before it has told the allocation to stop.
    let told = told_to_stop(stage, "stubborn").await;
    assert_eq!(told.client_status, "running");
    stage
        .eventually("it was killed", async || only(stage, "stubborn").await.client_status != "running")
        .await;
    let took = only(stage, "stubborn").await.modify_time.unwrap().duration_since(told.modify_time.unwrap());
    assert!((18..=23).contains(&took.as_secs()), "{took:?}");
}

pub(crate) async fn a_drain_waits_for_a_task_that_takes_its_time_to_stop(stage: &Stage) {
    let slow = service("slow", 1).stop_takes(Duration::from_secs(3)).kill_timeout(Duration::from_secs(10));
    stage.run_on(&slow, 0, 1).await;
    stage.drain(0, HOUR, "slow").await;
    told_to_stop(stage, "slow").await;
    let waits = async || {
        let (node, slow) = (stage.node(0).await, only(stage, "slow").await);
        node.drain_strategy.is_some() || slow.client_status == "complete"
    };
    stage.stays("the drain is not over before it has stopped", Duration::from_secs(2), waits).await;
    stage.drained(0).await;
    assert_eq!(only(stage, "slow").await.client_status, "complete");
}
