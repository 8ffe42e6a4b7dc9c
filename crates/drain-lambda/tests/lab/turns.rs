//! `MAX_DRAINS_PER_GROUP`.

use std::time::Duration;

use drain_lab::lab::{Lab, Worker};
use drain_lab::models::Models;
use drain_lab::nomad::JobSpec;

use crate::harness::{
    GROUP, became, deploy_with_sweep, heartbeats, invoke, invoke_with, lab_since, posts, sweep, terminate,
};

const LIMIT: (&str, &str) = ("MAX_DRAINS_PER_GROUP", "2");

/// Five workers with work on each, of which the first was terminated first, and so on.
fn five(lab: &Lab) -> Vec<Worker> {
    let workers: Vec<Worker> = (1..=5).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    // Nothing of it moves before the deadline.
    lab.nomad.add_job(JobSpec::service("web", 20).max_parallel(0));
    lab.advance(Duration::from_secs(5));
    for worker in &workers {
        terminate(lab, worker);
        lab.advance(Duration::from_secs(20));
    }
    workers
}

fn draining(lab: &Lab, workers: &[Worker]) -> Vec<bool> {
    workers.iter().map(|worker| lab.node(worker).unwrap().drain.is_some()).collect()
}

#[tokio::test]
async fn the_sweep_starts_so_many_drains_and_those_first_that_were_held_first() {
    let lab = lab_since(Duration::from_mins(30)).await;
    lab.aws.put_lifecycle_hook(GROUP, Models::hook(300)).unwrap();
    let workers = five(&lab);
    let lambda = deploy_with_sweep(&lab, &[LIMIT, ("DRAIN_IGNORE_SYSTEM_JOBS", "off")]);
    let event = invoke(&lab, lambda, &workers[4]).await;
    assert_eq!(became(&event), ("held", "waiting_for_turn"), "an event starts none");
    assert_eq!(posts(&lab), 0);
    sweep(lambda).await;
    assert_eq!(draining(&lab, &workers), [true, true, false, false, false]);
    sweep(lambda).await;
    assert_eq!(posts(&lab), 2);
    for waiting in &workers[2..] {
        assert!(!lab.node(waiting).unwrap().eligible, "it takes no more work");
        assert!(heartbeats(&lab, waiting) > 0, "it is kept alive");
    }
}

#[tokio::test]
async fn an_interruption_does_not_wait_and_takes_no_place() {
    let lab = lab_since(Duration::from_mins(30)).await;
    let workers = five(&lab);
    let lambda = deploy_with_sweep(&lab, &[LIMIT]);
    let warning = serde_json::json!({
        "version": "0", "id": "1", "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2", "time": jiff::Timestamp::now().to_string(),
        "detail": {"instance-id": workers[4].instance_id, "instance-action": "terminate"},
    });
    assert_eq!(became(&invoke_with(lambda, &warning).await), ("drain_started", "drain_posted"));
    sweep(lambda).await;
    assert_eq!(draining(&lab, &workers), [true, true, false, false, true]);
}

#[tokio::test]
async fn when_a_drain_is_over_the_next_one_begins() {
    let lab = lab_since(Duration::from_mins(30)).await;
    let workers: Vec<Worker> = (1..=3).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    let web = JobSpec::service("web", 9).min_healthy_time(Duration::ZERO).max_parallel(9);
    lab.nomad.add_job(web.stop_takes(Duration::from_mins(1)).kill_timeout(Duration::from_secs(90)));
    lab.advance(Duration::from_secs(5));
    for worker in &workers {
        terminate(&lab, worker);
        lab.advance(Duration::from_secs(1));
    }
    let lambda = deploy_with_sweep(&lab, &[("MAX_DRAINS_PER_GROUP", "1")]);
    let mut began = Vec::new();
    for _ in 0..12 {
        sweep(lambda).await;
        let now = draining(&lab, &workers);
        assert!(now.iter().filter(|drains| **drains).count() <= 1, "{now:?}");
        began.extend(now.iter().position(|drains| *drains));
        lab.advance(Duration::from_mins(2));
    }
    began.dedup();
    assert_eq!(began, [0, 1, 2]);
    assert_eq!(posts(&lab), 3);
    assert!(workers.iter().all(|worker| !crate::harness::is_held(&lab, worker)));
}

#[tokio::test]
async fn one_that_is_drained_and_waits_for_another_hook_keeps_nobody_from_its_turn() {
    let lab = lab_since(Duration::from_mins(30)).await;
    let logs = drain_lab::aws::LifecycleHook { name: "upload-logs".to_owned(), ..Models::hook(3600) };
    lab.aws.put_lifecycle_hook(GROUP, logs).unwrap();
    let workers: Vec<Worker> = (1..=2).map(|number| lab.add_worker(GROUP, number).unwrap()).collect();
    let lambda = deploy_with_sweep(&lab, &[("MAX_DRAINS_PER_GROUP", "1")]);
    for worker in &workers {
        terminate(&lab, worker);
        lab.advance(Duration::from_secs(20));
        sweep(lambda).await;
    }
    assert!(workers.iter().all(|worker| crate::harness::is_held(&lab, worker)), "by the other hook");
    assert_eq!(posts(&lab), 2);
}

#[tokio::test]
async fn a_hook_that_the_sweep_does_not_act_on_waits_for_no_sweep() {
    let lab = lab_since(Duration::from_mins(30)).await;
    let workers = five(&lab);
    let lambda = deploy_with_sweep(&lab, &[LIMIT]);
    let mut message = crate::harness::message_of(&lab, &workers[0]);
    message["LifecycleHookName"] = "another-name".into();
    invoke_with(lambda, &message).await;
    assert_eq!(draining(&lab, &workers), [true, false, false, false, false]);
}
