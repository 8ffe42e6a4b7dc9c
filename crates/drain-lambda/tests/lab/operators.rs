//! Operators work on the same nodes: what they do is respected as far as an instance that goes away permits.

use std::time::Duration;

use drain_lab::lab::{Lab, Worker};
use drain_lab::nomad::{DrainRequest, JobSpec};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{
    POST, assert_released_when_empty, became, deadlines, deploy_with_sweep, ending, eventually, invoke,
    is_held, lab, lab_before, message_of, posts, present, slow_service, sweep,
};

/// The drain that the function would have posted for a worker.
fn ours(lab: &Lab, worker: &Worker, deadline: SignedDuration) -> DrainRequest {
    let started = message_of(lab, worker)["Time"].as_str().unwrap().to_owned();
    let until = (lab.clock.now() + deadline).to_string();
    let meta = [
        ("managed-by", "nomad-drain"),
        ("instance-id", &worker.instance_id),
        ("hook-started-at", &started),
        ("deadline", &until),
        ("was-eligible", "true"),
    ];
    meta.into_iter().fold(DrainRequest::with_deadline(deadline), |drain, (key, value)| drain.meta(key, value))
}

fn pass(lab: &Lab, minutes: u64) {
    lab.advance(Duration::from_mins(minutes));
}

/// An operator cancels our drain so many minutes ago, and the sweep comes now.
async fn cancelled(minutes_ago: u64, mark_eligible: bool) -> (Lab, Worker, (String, String)) {
    let lab = lab_before(Duration::from_mins(10)).await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    lab.nomad.drain(&worker.node_id, ours(&lab, &worker, SignedDuration::from_hours(1))).unwrap();
    pass(&lab, 10 - minutes_ago);
    lab.nomad.drain(&worker.node_id, DrainRequest::cancel(mark_eligible)).unwrap();
    let time = present(&lab);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    let (outcome, reason) = became(&run);
    let became = (outcome.to_owned(), reason.to_owned());
    drop(time);
    (lab, worker, became)
}

#[tokio::test]
async fn a_cancelled_drain_is_left_at_that_for_five_minutes() {
    for mark_eligible in [false, true] {
        let (lab, worker, became) = cancelled(4, mark_eligible).await;
        assert_eq!(became, ("held".to_owned(), "drain_cancelled".to_owned()), "{mark_eligible}");
        assert_eq!(posts(&lab), 0, "{mark_eligible}");
        assert!(is_held(&lab, &worker));
    }
}

#[tokio::test]
async fn after_five_minutes_it_is_begun_again_within_the_first_deadline() {
    for mark_eligible in [false, true] {
        let (lab, worker, _) = cancelled(6, mark_eligible).await;
        assert_eq!(posts(&lab), 1, "{mark_eligible}");
        let minutes = deadlines(&lab)[0] / 60_000_000_000;
        assert!((48..=50).contains(&minutes), "{minutes} min");
        assert!(lab.node(&worker).unwrap().drain.is_some());
    }
}

#[tokio::test]
async fn a_drain_that_is_cancelled_while_we_look_is_not_posted_again() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[("EVENT_LINGER", "2s")]);
    let cancel = async {
        eventually("the drain begins", || posts(&lab) == 1).await;
        lab.nomad.drain(&worker.node_id, DrainRequest::cancel(true)).unwrap();
    };
    let (run, ()) = tokio::join!(invoke(&lab, lambda, &worker), cancel);
    assert_eq!(became(&run).1, "drain_cancelled");
    assert_eq!(became(&sweep(lambda).await), ("held", "drain_cancelled"));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn an_empty_node_whose_drain_was_cancelled_is_not_released_while_it_takes_work() {
    let lab = lab_before(Duration::from_mins(2)).await;
    let worker = ending(&lab, 1);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    lab.nomad.drain(&worker.node_id, ours(&lab, &worker, SignedDuration::from_hours(1))).unwrap();
    lab.nomad.drain(&worker.node_id, DrainRequest::cancel(true)).unwrap();
    let _time = present(&lab);
    assert_eq!(became(&sweep(deploy_with_sweep(&lab, &[])).await), ("held", "drain_cancelled"));
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn an_operators_drain_is_adopted_and_its_end_is_ours() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    let theirs = DrainRequest::with_deadline(SignedDuration::from_mins(30)).meta("who", "operator");
    lab.nomad.drain(&worker.node_id, theirs).unwrap();
    assert_eq!(
        became(&sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")])).await),
        ("completed", "drained")
    );
    assert_released_when_empty(&lab, &worker);
    assert_eq!(posts(&lab), 0);
    assert_eq!(lab.node(&worker).unwrap().last_drain.unwrap().meta["who"], "operator");
}

#[tokio::test]
async fn a_drain_that_would_never_end_is_brought_nearer_without_meta() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let theirs =
        DrainRequest::with_deadline(SignedDuration::ZERO).meta("who", "operator").ignoring_system_jobs();
    lab.nomad.drain(&worker.node_id, theirs).unwrap();
    let lambda = deploy_with_sweep(&lab, &[]);
    for _ in 0..2 {
        sweep(lambda).await;
    }
    let entries = lab.journal.entries();
    let posted: Vec<Value> = entries
        .iter()
        .filter(|entry| entry.what == POST)
        .map(|entry| serde_json::from_str(&entry.detail).unwrap())
        .collect();
    let [body] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(body.get("Meta").filter(|meta| !meta.is_null()), None);
    assert_eq!(
        (&body["DrainSpec"]["IgnoreSystemJobs"], &body["MarkEligible"]),
        (&json!(true), &json!(false))
    );
    let node = lab.node(&worker).unwrap();
    assert_eq!(node.last_drain.unwrap().meta["who"], "operator");
    assert!(node.drain.unwrap().force_deadline.is_some());
}

#[tokio::test]
async fn a_node_that_was_made_ineligible_by_hand_gets_our_drain() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    lab.nomad.set_eligibility(&worker.node_id, false).unwrap();
    assert_eq!(
        became(&sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")])).await),
        ("completed", "drained")
    );
    assert_eq!(posts(&lab), 1);
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn a_drained_node_that_was_made_eligible_again_is_drained_again() {
    let lab = lab_before(Duration::from_mins(10)).await;
    let worker = ending(&lab, 1);
    lab.nomad.drain(&worker.node_id, ours(&lab, &worker, SignedDuration::from_hours(1))).unwrap();
    pass(&lab, 1);
    lab.nomad.set_eligibility(&worker.node_id, true).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let _time = present(&lab);
    assert_eq!(
        became(&sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")])).await),
        ("completed", "drained")
    );
    assert_eq!(posts(&lab), 1);
    assert!(deadlines(&lab)[0] < 3_600_000_000_000);
}

#[tokio::test]
async fn a_drain_that_ended_long_ago_proves_nothing() {
    let lab = lab_before(Duration::from_hours(24 * 7)).await;
    let worker = lab.add_worker(crate::harness::GROUP, 1).unwrap();
    lab.nomad.drain(&worker.node_id, DrainRequest::with_deadline(SignedDuration::from_hours(1))).unwrap();
    pass(&lab, 60);
    lab.nomad.set_eligibility(&worker.node_id, true).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    let _time = present(&lab);
    crate::harness::terminate(&lab, &worker);
    assert_eq!(
        became(&sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "6s")])).await),
        ("completed", "drained")
    );
    assert_eq!(posts(&lab), 1);
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn eligibility_toggled_during_the_drain_is_no_way_to_an_early_release() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(2)));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[("EVENT_LINGER", "8s")]);
    let toggle = async {
        eventually("the drain begins", || posts(&lab) == 1).await;
        lab.nomad.drain(&worker.node_id, DrainRequest::cancel(true)).unwrap();
        lab.nomad.set_eligibility(&worker.node_id, false).unwrap();
    };
    let (run, ()) = tokio::join!(invoke(&lab, lambda, &worker), toggle);
    if !is_held(&lab, &worker) {
        assert_released_when_empty(&lab, &worker);
    }
    assert!(["drained", "drain_cancelled"].contains(&became(&run).1), "{:?}", became(&run));
}
