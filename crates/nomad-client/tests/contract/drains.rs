//! How a drain begins, changes and ends.

use std::time::Duration;

use serde_json::json;

use drain_lab::nomad::JobSpec;

use crate::stage::{Stage, batch, last_drain, messages, service};

const HOUR: i64 = 3600;

pub(crate) async fn an_empty_node_is_drained_at_once(stage: &Stage) {
    stage.drain(0, HOUR, "empty").await;
    let node = stage.drained(0).await;
    assert_eq!(node.scheduling_eligibility, "ineligible");
    assert_eq!(last_drain(&node).meta["who"], "empty");
    assert!(last_drain(&node).started_at.is_some() && last_drain(&node).updated_at.is_some());
    let messages = messages(&node);
    assert!(messages.contains(&"Node drain complete"), "{messages:?}");
}

pub(crate) async fn a_second_request_moves_the_deadline_and_nothing_else(stage: &Stage) {
    stage.run_on(&batch("second"), 0, 1).await;
    stage.drain_with(0, HOUR, false, Some("first")).await;
    let first = stage.node(0).await;
    let strategy = first.drain_strategy.clone().unwrap();
    assert_eq!((strategy.deadline, strategy.ignore_system_jobs), (HOUR * 1_000_000_000, false));

    // Without meta, what was attached stays.
    stage.drain_with(0, HOUR / 2, true, None).await;
    let second = stage.node(0).await;
    let changed = second.drain_strategy.clone().unwrap();
    assert_eq!((changed.deadline, changed.ignore_system_jobs), (HOUR / 2 * 1_000_000_000, true));
    assert_eq!(changed.started_at, strategy.started_at);
    let earlier = strategy.force_deadline.unwrap().duration_since(changed.force_deadline.unwrap());
    assert!((HOUR / 2 - 60..=HOUR / 2).contains(&earlier.as_secs()), "{earlier:?}");
    assert_eq!(last_drain(&second).started_at, last_drain(&first).started_at);
    assert_eq!(last_drain(&second).meta["who"], "first");

    // With it, it is replaced as a whole.
    stage.drain_with(0, HOUR / 2, true, Some("third")).await;
    let third = stage.node(0).await;
    assert_eq!(last_drain(&third).meta["who"], "third");
    let updated = messages(&third).iter().filter(|&&text| text == "Node drain strategy updated").count();
    assert_eq!(updated, 2, "{:?}", third.events);
    assert_eq!(stage.running(0, "second").await, 1);
}

pub(crate) async fn an_operator_may_cancel(stage: &Stage) {
    stage.run_on(&batch("cancelled"), 0, 1).await;
    for (mark_eligible, eligibility) in [(false, "ineligible"), (true, "eligible")] {
        stage.drain(0, HOUR, "cancelled").await;
        assert_eq!(stage.node(0).await.scheduling_eligibility, "ineligible");
        let path = format!("/v1/node/{}/drain", stage.id(0));
        let answer =
            stage.send("POST", &path, &json!({"DrainSpec": null, "MarkEligible": mark_eligible})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let node = stage.node(0).await;
        assert_eq!(
            (node.drain_strategy.is_none(), node.scheduling_eligibility.as_str()),
            (true, eligibility)
        );
        assert_eq!(last_drain(&node).status, "canceled");
        assert_eq!(last_drain(&node).meta["who"], "cancelled");
        assert_eq!(messages(&node).last(), Some(&"Node drain disabled"));
    }
    assert_eq!(stage.running(0, "cancelled").await, 1, "a batch job has not noticed");
}

pub(crate) async fn an_only_allocation_moves_although_nothing_stands_in_for_it(stage: &Stage) {
    stage.run_on(&service("only", 1), 0, 1).await;
    stage.drain(0, HOUR, "only").await;
    stage.drained(0).await;
    let [old] = &stage.allocations(0, "only").await[..] else { panic!("one allocation") };
    assert_eq!((old.desired_status.as_str(), old.client_status.as_str()), ("stop", "complete"));
    assert_eq!(old.job_type.as_deref(), Some("service"));
    stage.eventually("the other one runs", async || stage.running(1, "only").await == 1).await;
}

pub(crate) async fn no_more_allocations_move_at_a_time_than_the_job_permits(stage: &Stage) {
    stage.run_on(&service("many", 3), 0, 3).await;
    // Nomad moves only what has proved to be well.
    let healthy = async || {
        let answer = stage.send("GET", &format!("/v1/node/{}/allocations", stage.id(0)), &json!(null)).await;
        let all: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        let of_job = all.as_array().unwrap().iter().filter(|one| one["JobID"] == "many");
        of_job.filter(|one| one["DeploymentStatus"]["Healthy"] == true).count() == 3
    };
    stage.eventually("all are well", healthy).await;
    stage.drain(0, HOUR, "many").await;
    let mut seen = Vec::new();
    let moved = async || {
        let all = stage.allocations(0, "many").await;
        let going = all.iter().filter(|one| one.desired_status != "run" && one.client_status == "running");
        assert!(going.count() <= 1, "more than one goes at a time: {all:#?}");
        let gone = all.iter().filter(|one| one.client_status == "complete").count();
        if seen.last() != Some(&gone) {
            seen.push(gone);
        }
        gone == 3
    };
    stage.eventually("all have moved", moved).await;
    assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "they went one by one: {seen:?}");
    let node = stage.drained(0).await;
    assert_eq!(last_drain(&node).meta["who"], "many");
    stage.eventually("all run elsewhere", async || stage.running(1, "many").await == 3).await;
}

pub(crate) async fn system_jobs_leave_last_or_stay(stage: &Stage) {
    stage.run(&JobSpec::system("logs").stop_takes(Duration::ZERO), 0, 1).await;
    stage.run_on(&service("web", 1), 0, 1).await;
    stage.drain_with(0, HOUR, true, Some("stays")).await;
    stage.drained(0).await;
    assert_eq!(stage.running(0, "web").await, 0);
    stage
        .stays("the system job runs", Duration::from_secs(2), async || stage.running(0, "logs").await == 1)
        .await;

    // Once more, now with the system job. It is told to stop when the drain ends, which does not wait for it.
    stage.drain_with(0, HOUR, false, Some("leaves")).await;
    let node = stage.drained(0).await;
    assert_eq!(last_drain(&node).meta["who"], "leaves");
    stage.eventually("the system job ends", async || stage.running(0, "logs").await == 0).await;
    let all = stage.allocations(0, "logs").await;
    assert_eq!(all.last().unwrap().desired_status, "stop");
}

pub(crate) async fn a_batch_job_that_ends_by_itself_ends_the_drain(stage: &Stage) {
    stage.run_on(&batch("report").runs_for(Duration::from_secs(3)), 0, 1).await;
    stage.drain(0, HOUR, "report").await;
    let [report] = &stage.allocations(0, "report").await[..] else { panic!("one allocation") };
    assert_eq!((report.desired_status.as_str(), report.client_status.as_str()), ("run", "running"));
    stage.drained(0).await;
    let [report] = &stage.allocations(0, "report").await[..] else { panic!("one allocation") };
    assert_eq!(report.client_status, "complete");
}

pub(crate) async fn a_sysbatch_job_is_waited_for_and_its_end_is_overlooked(stage: &Stage) {
    let job = JobSpec::sysbatch("scan").stop_takes(Duration::ZERO).runs_for(Duration::from_secs(3));
    stage.run(&job, 0, 1).await;
    // It is no system job to a drain that leaves those alone.
    stage.drain_with(0, HOUR, true, Some("scan")).await;
    stage
        .eventually("it ends by itself", async || {
            stage.allocations(0, "scan").await.iter().all(|one| one.client_status == "complete")
        })
        .await;
    let open = async || last_drain(&stage.node(0).await).status == "draining";
    stage.stays("the drain is open although nothing runs", Duration::from_secs(3), open).await;
    // Another request has the servers look again.
    stage.drain_with(0, HOUR / 2, true, None).await;
    assert_eq!(last_drain(&stage.drained(0).await).meta["who"], "scan");
}
