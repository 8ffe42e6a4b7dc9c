//! The lifecycle action is completed when everything has really stopped, and never before.

use std::time::Duration;

use drain_lab::aws::ParameterType;
use drain_lab::faults::Fault;
use drain_lab::lab::{Lab, TOKEN, TOKEN_PARAMETER, Worker};
use drain_lab::nomad::{Access, JobSpec, NodeStatus, Policy, Token};
use jiff::SignedDuration;

use crate::harness::{
    ALLOCATIONS, GROUP, assert_released_when_empty, became, calls, completions, count, deploy, effects,
    ending, eventually, failure, invoke, is_held, lab, lab_before, looks, posts, present, slow_service,
    terminate, warnings,
};

#[tokio::test]
async fn an_empty_node_is_released_at_once() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(count(&lab, ALLOCATIONS), 1, "the first look sees it");
    assert_released_when_empty(&lab, &worker);
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by token"]);
}

#[tokio::test]
async fn a_service_that_takes_its_time_to_stop_is_waited_for() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_secs(2)));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn tasks_that_still_stop_when_the_drain_is_over_are_waited_for() {
    let lab = lab().await;
    lab.nomad.add_job(
        JobSpec::batch("report", 1).kill_timeout(Duration::from_secs(2)).stop_takes(Duration::from_secs(9)),
    );
    let worker = ending(&lab, 1);
    invoke(&lab, deploy(&lab, &[("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "30s")]), &worker).await;
    let over = &effects(&lab, "drain complete", &worker.node_id)[0];
    let stopped = &effects(&lab, "allocation stopped", &worker.node_id)[0];
    assert!(stopped.at.duration_since(over.at) > SignedDuration::from_millis(1500), "no test without a gap");
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn system_jobs_are_waited_for() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::system("logs").stop_takes(Duration::from_secs(2)));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn system_jobs_that_stay_are_not_waited_for() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::system("logs"));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[("DRAIN_IGNORE_SYSTEM_JOBS", "on")]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(effects(&lab, "allocation stopping", &worker.node_id).len(), 0);
}

#[tokio::test]
async fn an_allocation_of_which_nothing_is_known_is_waited_for() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    let unknown = r#"[{"ID":"a","Namespace":"default","JobID":"web","JobType":"service","DesiredStatus":"run",
        "ClientStatus":"unknown","ModifyTime":1772366400000000000}]"#;
    lab.faults.inject(ALLOCATIONS, &Fault::Status(200, unknown.to_owned()), 5);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_eq!(count(&lab, ALLOCATIONS), 6);
}

#[tokio::test]
async fn the_settle_delay_passes_before_the_completion() {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_millis(200)));
    let worker = ending(&lab, 1);
    let run = invoke(&lab, deploy(&lab, &[("SETTLE_DELAY", "1500ms")]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let stopped = &effects(&lab, "allocation stopped", &worker.node_id)[0];
    let completed = &effects(&lab, "lifecycle action completed", &worker.instance_id)[0];
    let settled = stopped.at + SignedDuration::from_millis(1500);
    assert!(completed.at >= settled, "completed at {}, stopped at {}", completed.at, stopped.at);
    // It counts from the newest change, which may be the end of the drain: within a second, ten looks.
    let more = looks(&lab, &worker, settled, completed.at);
    assert!(more <= 10, "completed {more} looks after the delay");
}

/// Nothing stops within deadline and grace.
async fn outlives_its_drain(variables: &[(&str, &str)]) -> (Lab, Worker, (String, String)) {
    let lab = lab().await;
    lab.nomad.add_job(slow_service(Duration::from_mins(5)));
    let worker = ending(&lab, 1);
    let mut all = vec![("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "1s")];
    all.extend(variables);
    let run = invoke(&lab, deploy(&lab, &all), &worker).await;
    let (outcome, reason) = became(&run);
    let became = (outcome.to_owned(), reason.to_owned());
    let began = &effects(&lab, "drain started", &worker.node_id)[0];
    let completed = &effects(&lab, "lifecycle action completed", &worker.instance_id)[0];
    assert!(
        completed.at.duration_since(began.at) >= SignedDuration::from_secs(2),
        "grace and deadline had to pass"
    );
    (lab, worker, became)
}

#[tokio::test]
async fn what_outlives_deadline_and_grace_is_given_up() {
    let (lab, worker, became) = outlives_its_drain(&[]).await;
    assert_eq!(became, ("completed".to_owned(), "drain_timeout".to_owned()));
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by token"]);
}

#[tokio::test]
async fn what_outlives_deadline_and_grace_can_be_abandoned() {
    let (lab, worker, became) = outlives_its_drain(&[("ON_DRAIN_TIMEOUT", "abandon")]).await;
    assert_eq!(became, ("abandoned".to_owned(), "drain_timeout".to_owned()));
    assert_eq!(completions(&lab, &worker), ["ABANDON of nomad-drain-hook by token"]);
}

#[tokio::test]
async fn a_node_that_has_been_down_for_the_grace_is_made_ineligible_and_its_instance_released() {
    let lab = lab_before(Duration::from_mins(3)).await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    lab.nomad.kill_client(&worker.node_id).unwrap();
    let _time = present(&lab);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "node_down"));
    assert_eq!(posts(&lab), 0);
    let calls = calls(&lab);
    let place = |what| calls.iter().position(|call| call == what).unwrap();
    assert!(place("POST /v1/node/:id/eligibility") < place("CompleteLifecycleAction"));
}

#[tokio::test]
async fn a_node_that_has_just_gone_down_may_come_back() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    lab.nomad.set_status(&worker.node_id, NodeStatus::Down).unwrap();
    let run = invoke(&lab, deploy(&lab, &[("EVENT_LINGER", "300ms")]), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_timeout_takes_over"));
    assert!(is_held(&lab, &worker) && !lab.node(&worker).unwrap().eligible);
}

#[tokio::test]
async fn a_node_that_has_been_disconnected_for_the_grace_is_drained_and_its_instance_released() {
    let lab = lab_before(Duration::from_mins(3)).await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    lab.nomad.set_status(&worker.node_id, NodeStatus::Disconnected).unwrap();
    let _time = present(&lab);
    let run = invoke(&lab, deploy(&lab, &[]), &worker).await;
    assert_eq!(became(&run), ("completed", "node_disconnected"));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_node_that_has_just_been_disconnected_is_drained_and_waited_for() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    lab.nomad.set_status(&worker.node_id, NodeStatus::Disconnected).unwrap();
    let run = invoke(&lab, deploy(&lab, &[("EVENT_LINGER", "300ms")]), &worker).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_timeout_takes_over"));
    assert!(is_held(&lab, &worker));
    assert_eq!(posts(&lab), 1);
}

#[tokio::test]
async fn a_node_that_goes_while_it_is_looked_at_is_done() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy(&lab, &[]);
    let purge = async {
        eventually("the drain begins", || posts(&lab) == 1).await;
        lab.nomad.kill_client(&worker.node_id).unwrap();
        lab.nomad.purge(&worker.node_id).unwrap();
    };
    let (run, ()) = tokio::join!(invoke(&lab, lambda, &worker), purge);
    assert_eq!(became(&run), ("completed", "node_gone"));
}

/// An instance without a node, that the hook has held for so long.
async fn without_node(since: Duration) -> (Lab, Worker) {
    let lab = lab_before(since).await;
    let never = lab.clock.now() + SignedDuration::from_hours(9);
    let worker = lab.add_late_worker(GROUP, 1, never).unwrap();
    terminate(&lab, &worker);
    (lab, worker)
}

const SERVER: (&str, &str) = ("NODE_LOOKUP", "server");

#[tokio::test]
async fn an_instance_that_never_joined_is_released_after_the_grace() {
    let (lab, worker) = without_node(Duration::from_mins(6)).await;
    let _time = present(&lab);
    let run = invoke(&lab, deploy(&lab, &[SERVER]), &worker).await;
    assert_eq!(became(&run), ("completed", "node_not_found"));
    assert_eq!(completions(&lab, &worker), ["CONTINUE of nomad-drain-hook by token"]);
}

#[tokio::test]
async fn an_instance_that_never_joined_can_be_abandoned() {
    let (lab, worker) = without_node(Duration::from_mins(6)).await;
    let _time = present(&lab);
    let run = invoke(&lab, deploy(&lab, &[SERVER, ("ON_NODE_NOT_FOUND", "abandon")]), &worker).await;
    assert_eq!(became(&run), ("abandoned", "node_not_found"));
}

#[tokio::test]
async fn an_instance_that_never_joined_can_be_held() {
    let (lab, worker) = without_node(Duration::from_mins(6)).await;
    let _time = present(&lab);
    let run = invoke(&lab, deploy(&lab, &[SERVER, ("ON_NODE_NOT_FOUND", "hold")]), &worker).await;
    assert_eq!(failure(&run).0, "NodeNotFound");
    assert!(is_held(&lab, &worker));
}

#[tokio::test]
async fn a_node_that_joins_late_is_drained() {
    let lab = lab().await;
    let soon = lab.clock.now() + SignedDuration::from_secs(2);
    let worker = lab.add_late_worker(GROUP, 1, soon).unwrap();
    terminate(&lab, &worker);
    let run = invoke(&lab, deploy(&lab, &[SERVER]), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
}

/// Drains a worker that looks empty, with a token that has these policies.
async fn drained_with(policies: &[(&str, Policy)]) -> (&'static str, String, Vec<String>) {
    let lab = lab().await;
    for (name, policy) in policies {
        lab.nomad.add_policy(*name, policy.clone());
    }
    let names: Vec<&str> = policies.iter().map(|(name, _)| *name).collect();
    lab.nomad.add_token(Token::client(TOKEN, &names));
    drained(&lab).await
}

async fn drained(lab: &Lab) -> (&'static str, String, Vec<String>) {
    lab.nomad.add_job(JobSpec::batch("hidden", 1).namespace("secret"));
    let worker = ending(lab, 1);
    let variables = [("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "30s"), ("EVENT_LINGER", "6s")];
    let run = invoke(lab, deploy(lab, &variables), &worker).await;
    assert_eq!(posts(lab), 1);
    let (outcome, reason) = became(&run);
    let warnings = warnings(&run).into_iter().map(str::to_owned).collect();
    if is_held(lab, &worker) {
        return ("held", format!("{outcome} {reason}"), warnings);
    }
    assert_released_when_empty(lab, &worker);
    ("released", format!("{outcome} {reason}"), warnings)
}

const STATEMENT: &str = r#"namespace "*" { capabilities = ["read-job"] }"#;

#[tokio::test]
async fn a_token_that_sees_no_allocations_completes_nothing_and_says_what_it_lacks() {
    let (state, reported, warnings) = drained_with(&[("nodes", Policy::default().node(Access::Write))]).await;
    assert_eq!((state, &*reported), ("held", "drain_started cannot_see_allocations"));
    assert!(warnings.iter().any(|warning| warning.contains(STATEMENT)), "{warnings:?}");
}

#[tokio::test]
async fn a_token_that_sees_one_namespace_completes_nothing() {
    let policy = Policy::default().node(Access::Write).namespace("default", &["read-job"]);
    let (state, reported, warnings) = drained_with(&[("one", policy)]).await;
    assert_eq!((state, &*reported), ("held", "drain_started cannot_see_allocations"));
    assert!(warnings.iter().any(|warning| warning.contains(STATEMENT)), "{warnings:?}");
}

#[tokio::test]
async fn a_token_that_sees_all_namespaces_but_one_completes_nothing() {
    let policy = Policy::minimal().namespace("secret", &["list-jobs"]);
    let (state, ..) = drained_with(&[("all-but", policy)]).await;
    assert_eq!(state, "held");
}

#[tokio::test]
async fn policies_add_up() {
    let nodes = Policy::default().node(Access::Write);
    let jobs = Policy::default().namespace("*", &["read-job"]);
    assert_eq!(drained_with(&[("nodes", nodes), ("jobs", jobs)]).await.0, "released");
}

#[tokio::test]
async fn a_role_brings_its_policies() {
    let lab = lab().await;
    lab.nomad.add_policy("nodes", Policy::default().node(Access::Write));
    lab.nomad.add_policy("jobs", Policy::default().namespace("*", &["read-job"]));
    let role = lab.nomad.add_role("watcher", &["jobs"]);
    lab.nomad.add_token(Token::client(TOKEN, &["nodes"]).role(&role));
    assert_eq!(drained(&lab).await.0, "released");
    assert_eq!((count(&lab, "GET /v1/acl/role/:id"), count(&lab, "GET /v1/acl/policy/:name")), (1, 2));
}

#[tokio::test]
async fn a_management_token_needs_no_policy() {
    let lab = lab().await;
    lab.nomad.add_token(Token::management("a7d1f2c0-0000-4000-8000-000000000001"));
    lab.aws.put_parameter(
        TOKEN_PARAMETER,
        ParameterType::SecureString,
        "a7d1f2c0-0000-4000-8000-000000000001",
    );
    assert_eq!(drained(&lab).await.0, "released");
    assert_eq!(count(&lab, "GET /v1/acl/policy/:name"), 0);
}
