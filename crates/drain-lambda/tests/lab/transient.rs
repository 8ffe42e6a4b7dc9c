//! What passes by itself is tried again; a drain is never posted blindly; and what fails is tried by Lambda.

use std::time::Duration;

use drain_lab::faults::Fault;
use drain_lab::nomad::{DrainStatus, JobSpec};

use crate::harness::{GROUP, calls, deploy, eventually, failure, function, invoke, lab, posts, result};

const POST: &str = "POST /v1/node/:id/drain";

#[tokio::test]
async fn every_call_survives_two_failures_that_pass() {
    let no_leader = Fault::Status(500, "rpc error: No cluster leader".to_owned());
    let faults =
        [Fault::Throttled, Fault::Reset, Fault::Truncate, Fault::Status(503, "busy".to_owned()), no_leader];
    for operation in ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id", POST] {
        for fault in &faults {
            let lab = lab().await;
            let worker = lab.add_worker(GROUP, 1).unwrap();
            lab.faults.inject(operation, fault, 2);
            let run = invoke(deploy(&lab, &[]), &worker).await;
            assert_eq!(result(&run)["outcome"], "drain_started", "{operation} {fault:?}");
            let status = lab.node(&worker).unwrap().last_drain.unwrap().status;
            assert_eq!(status, DrainStatus::Complete, "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_is_followed_by_a_read_and_not_by_a_post() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.faults.inject(POST, &Fault::ResetAfterEffect, 1);
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(result(&run)["reason"], "drain_posted");
    assert_eq!(calls(&lab)[2..], ["GET /v1/node/:id", POST, "GET /v1/node/:id"]);
}

#[tokio::test]
async fn a_post_that_was_lost_is_sent_again_only_after_a_read() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.faults.inject(POST, &Fault::Reset, 1);
    invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(calls(&lab)[2..], ["GET /v1/node/:id", POST, "GET /v1/node/:id", POST]);
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.faults.inject("GET /v1/nodes", &Fault::Status(403, "Permission denied".to_owned()), 1);
    let run = invoke(deploy(&lab, &[]), &worker).await;
    assert_eq!(failure(&run).0, "NomadTokenRefused");
    assert_eq!(calls(&lab), ["GetParameter", "GET /v1/nodes"]);
}

#[tokio::test]
async fn when_time_runs_out_the_cause_is_told_before_lambda_cuts_in() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.lose_leader(None);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(2);
    let run = invoke(lab.deploy(settings), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NoClusterLeader");
    assert!(message.contains("No cluster leader") && message.contains(&lab.nomad_url()), "{message}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_before_lambda_cuts_in() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.faults.inject("GET /v1/nodes", &Fault::Hang, 100);
    let mut settings = function(&lab, &[]);
    settings.timeout = Duration::from_secs(2);
    let run = invoke(lab.deploy(settings), &worker).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NomadUnavailable");
    assert!(message.contains("no answer from 127.0.0.1"), "{message}");
}

#[tokio::test]
async fn an_event_that_failed_is_drained_by_lambdas_retry() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.aws.deny("ssm:GetParameter");
    let lambda = deploy(&lab, &[]);
    lab.aws.terminate_instance(&worker.instance_id).unwrap();
    eventually("the first attempt fails", || lambda.next_due().is_some()).await;
    assert_eq!(posts(&lab), 0);
    lab.aws.allow("ssm:GetParameter");
    lab.clock.advance(Duration::from_mins(1));
    eventually("the retry drains", || posts(&lab) == 1).await;
}
