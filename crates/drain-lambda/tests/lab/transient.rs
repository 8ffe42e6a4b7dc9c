//! What passes by itself is tried again; a drain is never posted blindly; and what fails is tried by Lambda.

use std::time::Duration;

use drain_lab::faults::Fault;
use drain_lab::nomad::{DrainStatus, JobSpec};

use crate::harness::{
    GROUP, POST, became, calls, deploy, ending, eventually, failure, function, invoke, lab, posts, terminate,
};

#[tokio::test]
async fn every_call_survives_two_failures_that_pass() {
    let no_leader = Fault::Status(500, "rpc error: No cluster leader".to_owned());
    let faults =
        [Fault::Throttled, Fault::Reset, Fault::Truncate, Fault::Status(503, "busy".to_owned()), no_leader];
    for operation in ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id", POST] {
        for fault in &faults {
            let lab = lab().await;
            let worker = ending(&lab, 1);
            lab.faults.inject(operation, fault, 2);
            let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
            assert_eq!(became(&run), ("completed", "drained"), "{operation} {fault:?}");
            let status = lab.node(&worker).unwrap().last_drain.unwrap().status;
            assert_eq!(status, DrainStatus::Complete, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_is_followed_by_a_read_and_not_by_a_post() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    lab.faults.inject(POST, &Fault::ResetAfterEffect, 1);
    let run = invoke(&lab, deploy(&lab, &[("EVENT_LINGER", "200ms")]), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_timeout_takes_over"));
    assert_eq!(calls(&lab)[2..5], ["GET /v1/node/:id", POST, "GET /v1/node/:id"]);
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_post_that_was_lost_is_sent_again_only_after_a_read() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.faults.inject(POST, &Fault::Reset, 1);
    invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(calls(&lab)[2..6], ["GET /v1/node/:id", POST, "GET /v1/node/:id", POST]);
    assert_eq!(posts(&lab), 2);
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.faults.inject("GET /v1/nodes", &Fault::Status(403, "Permission denied".to_owned()), 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(failure(&run).0, "NomadTokenRefused");
    assert_eq!(calls(&lab), ["GetParameter", "GET /v1/nodes"]);
}

#[tokio::test]
async fn when_time_runs_out_the_cause_is_told_before_lambda_cuts_in() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.nomad.lose_leader(None);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(2);
    let run = invoke(&lab, lab.deploy(settings), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NoClusterLeader");
    assert!(message.contains("No cluster leader") && message.contains(&lab.nomad_url()), "{message}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_before_lambda_cuts_in() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.faults.inject("GET /v1/nodes", &Fault::Hang, 100);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(2);
    let run = invoke(&lab, lab.deploy(settings), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NomadUnavailable");
    assert!(message.contains("no answer from 127.0.0.1"), "{message}");
}

#[tokio::test]
async fn an_event_that_failed_is_drained_by_lambdas_retry() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.lose_events(false);
    lab.aws.deny("ssm:GetParameter");
    let lambda = deploy(&lab, &[]);
    terminate(&lab, &worker);
    eventually("the first attempt fails", || lambda.next_due().is_some()).await;
    assert_eq!(posts(&lab), 0);
    lab.aws.allow("ssm:GetParameter");
    lab.clock.advance(Duration::from_mins(1));
    eventually("the retry drains", || posts(&lab) == 1).await;
}

#[tokio::test]
async fn servers_that_take_long_for_every_answer_get_the_drain_all_the_same() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.faults.inject("GET /v1/node/:id", &Fault::Delay(Duration::from_millis(3300)), 2);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(calls(&lab)[2..5], ["GET /v1/node/:id", "GET /v1/node/:id", POST]);
}
