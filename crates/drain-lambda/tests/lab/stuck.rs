//! The two ways in which Nomad forgets to end a drain (`docs/BEHAVIOR.md`): nothing runs any more, and the drain goes on.

use std::time::Duration;

use drain_lab::lab::{Lab, Worker};
use drain_lab::nomad::{Access, DrainRequest, JobSpec, Policy};
use jiff::SignedDuration;

use crate::harness::{
    became, deadlines, deploy_with_sweep, ending, function, invoke, is_held, lab, lab_before, posts, present,
    sweep,
};

const FORCE: i64 = -1_000_000_000;

fn drain(lab: &Lab, worker: &Worker) {
    lab.nomad.drain(&worker.node_id, DrainRequest::with_deadline(SignedDuration::from_hours(1))).unwrap();
}

/// A drain that a sysbatch job keeps from being over: the job has ended so many seconds ago.
async fn sysbatch_ended(seconds_ago: u64) -> (Lab, Worker) {
    let lab = lab_before(Duration::from_mins(2)).await;
    lab.nomad.add_job(JobSpec::sysbatch("scan").runs_for(Duration::from_secs(120 - seconds_ago)));
    let worker = ending(&lab, 1);
    drain(&lab, &worker);
    (lab, worker)
}

#[tokio::test]
async fn a_drain_that_a_sysbatch_job_has_hung_up_is_ended_with_one_post() {
    let (lab, worker) = sysbatch_ended(30).await;
    let _time = present(&lab);
    assert!(lab.node(&worker).unwrap().drain.is_some(), "no test without the hang");
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "8s")]);
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_eq!(deadlines(&lab), [FORCE]);
    assert_eq!(last_meta(&lab, &worker), 0, "somebody else's drain keeps its own Meta");
}

fn last_meta(lab: &Lab, worker: &Worker) -> usize {
    lab.node(worker).unwrap().last_drain.unwrap().meta.len()
}

#[tokio::test]
async fn a_drain_hung_up_by_what_was_stopping_before_it_began_is_ended_with_one_post() {
    let lab = lab_before(Duration::from_mins(1)).await;
    lab.nomad.add_job(
        JobSpec::batch("report", 1).kill_timeout(Duration::from_secs(20)).stop_takes(Duration::from_secs(20)),
    );
    let worker = ending(&lab, 1);
    lab.advance(Duration::from_secs(5));
    lab.nomad.stop_job("default", "report");
    lab.advance(Duration::from_secs(5));
    drain(&lab, &worker);
    let _time = present(&lab);
    assert!(lab.node(&worker).unwrap().drain.is_some(), "no test without the hang");
    let lambda = deploy_with_sweep(&lab, &[("SWEEP_LINGER", "8s")]);
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_eq!(deadlines(&lab), [FORCE]);
    assert_released_once(&lab, &worker);
}

#[track_caller]
fn assert_released_once(lab: &Lab, worker: &Worker) {
    assert_eq!(crate::harness::completions(lab, worker).len(), 1);
    crate::harness::last_end(lab, worker);
}

#[tokio::test]
async fn a_drain_is_given_fifteen_seconds_to_end_by_itself() {
    let (lab, worker) = sysbatch_ended(8).await;
    let _time = present(&lab);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    assert_eq!(became(&run), ("draining", "drain_ending"));
    assert_eq!(posts(&lab), 0);
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn a_sysbatch_job_that_runs_is_no_hang() {
    let lab = lab_before(Duration::from_mins(5)).await;
    lab.nomad.add_job(JobSpec::sysbatch("scan"));
    let worker = ending(&lab, 1);
    drain(&lab, &worker);
    let _time = present(&lab);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    assert_eq!(became(&run), ("draining", "allocations_running"));
    assert_eq!(posts(&lab), 0);
}

#[tokio::test]
async fn a_token_that_does_not_see_everything_forces_nothing() {
    let (lab, worker) = sysbatch_ended(30).await;
    lab.nomad.add_policy("nomad-drain", Policy::default().node(Access::Write));
    let _time = present(&lab);
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    assert_eq!(became(&run), ("draining", "cannot_see_allocations"));
    assert_eq!(posts(&lab), 0);
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn a_drain_of_our_own_that_hangs_is_ended_within_its_invocation() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::sysbatch("scan").runs_for(Duration::from_secs(1)));
    let worker = ending(&lab, 1);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(30);
    let run = invoke(&lab, lab.deploy(settings), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let [first, last] = deadlines(&lab)[..] else { panic!("{:?}", deadlines(&lab)) };
    assert!(first > 0 && last == FORCE);
    assert_released_once(&lab, &worker);
}
