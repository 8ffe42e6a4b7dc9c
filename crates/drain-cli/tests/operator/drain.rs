//! `nomad-drain drain`.

use std::time::Duration;

use drain_lab::lab::Worker;
use drain_lab::nomad::JobSpec;

use crate::stage::{GROUP, Ran, Stage, count, eventually};

const POST: &str = "POST /v1/node/:id/drain";
const ALLOCATIONS: &str = "GET /v1/node/:id/allocations";
const COMPLETE: &str = "CompleteLifecycleAction";

/// A service with one allocation, which takes so long to stop.
fn slow_service(stops_in: Duration) -> JobSpec {
    JobSpec::service("web", 1)
        .min_healthy_time(Duration::ZERO)
        .kill_timeout(stops_in.saturating_mul(2))
        .stop_takes(stops_in)
}

async fn worker_with_work(stage: &Stage, stops_in: Duration) -> Worker {
    let worker = stage.add_worker(GROUP, 1).unwrap();
    stage.nomad.add_job(slow_service(stops_in));
    eventually("the service runs", || !stage.nomad.allocations_on(&worker.node_id).is_empty()).await;
    worker
}

#[tokio::test]
async fn an_instance_in_service_is_drained_until_its_work_has_really_stopped() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_mins(5)).await;

    let child = stage.start(&["drain", &worker.instance_id]);
    // The second look begins when what the first has seen was told.
    eventually("its work is seen", || count(&stage, ALLOCATIONS) > 1).await;
    stage.clock.advance(Duration::from_mins(6));
    let ran = Ran::to_the_end(child.wait_with_output()).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.starts_with("drained: every allocation on node"), "{ran:?}");
    for words in [
        " drains; its allocations have 1h to leave",
        "1 allocation still runs: web (default)",
        "; deadline in 59m",
    ] {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    let allocations = stage.nomad.allocations_on(&worker.node_id);
    assert!(allocations.iter().all(|one| one.ended_at.is_some()), "{allocations:?}");
    assert_eq!((count(&stage, POST), count(&stage, COMPLETE)), (1, 0));
    assert_eq!(count(&stage, "RecordLifecycleActionHeartbeat"), 0);
    let stamp = stage.nomad.node(&worker.node_id).unwrap();
    assert!(format!("{stamp:?}").contains("manual"), "{stamp:?}");
}

#[tokio::test]
async fn what_still_runs_is_said_by_job_and_only_when_it_has_changed() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    for (job, count) in [("web", 2), ("api", 1)] {
        let slow = JobSpec::service(job, count).min_healthy_time(Duration::ZERO).max_parallel(count);
        stage
            .nomad
            .add_job(slow.kill_timeout(Duration::from_secs(10)).stop_takes(Duration::from_millis(700)));
    }
    eventually("they run", || stage.nomad.allocations_on(&worker.node_id).len() == 3).await;
    let ran = stage.run(&["drain", &worker.instance_id]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let said = "3 allocations still run: api (default), 2 × web (default) on node worker-1";
    assert_eq!(ran.err.matches(said).count(), 1, "{ran:?}");
}

#[tokio::test]
async fn on_a_terminal_what_is_left_is_beside_a_bar_and_one_without_a_cursor_gets_lines() {
    for (kind, said) in [
        ("xterm", "[        ] 1 left, deadline in 59m 5"),
        ("dumb", "1 allocation still runs: web (default) on node worker-1"),
    ] {
        let stage = Stage::set_up().await;
        let worker = worker_with_work(&stage, Duration::from_secs(2)).await;
        let Some(child) = stage.on_a_terminal(kind, &["drain", &worker.instance_id]) else {
            println!("skipped: there is no program `script`, which makes a terminal");
            return;
        };
        let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("it goes on after a minute")).unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let plain = shown.replace("\u{1b}[36m", "").replace("\u{1b}[39m", "").replace("\u{1b}[0m", "");
        assert!(output.status.success() && plain.contains(said), "{kind}: {shown:?}");
        assert!(plain.contains("drained: every allocation on node worker-1"), "{kind}: {shown:?}");
    }
}

#[tokio::test]
async fn a_node_is_named_by_its_id_its_beginning_or_its_name() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    for name in [&worker.node_id, &worker.node_id[..8], &worker.name] {
        let ran = stage.run(&["drain", "--dry-run", name]).await;
        assert_eq!(ran.status, 0, "{ran:?}");
        let plan = format!("plan: node worker-1 of {} would be drained", worker.instance_id);
        assert!(ran.out.starts_with(&plan), "{ran:?}");
    }
    assert_eq!(count(&stage, POST), 0, "a plan changes nothing");
}

#[tokio::test]
async fn what_names_nothing_or_too_little_is_said() {
    let stage = Stage::set_up().await;
    stage.add_worker(GROUP, 1).unwrap();
    for (name, said) in [
        ("i-0123", "is no instance id"),
        ("abc", "is too short for a node's id"),
        ("worker-77", "no node has an id that begins with"),
    ] {
        let ran = stage.run(&["drain", name]).await;
        assert!(ran.status == 3 && ran.err.contains(said), "{ran:?}");
    }
    let ran = stage.run(&["drain", "i-0fffffffffffffff0"]).await;
    assert!(ran.status == 3 && ran.err.contains("is unknown to EC2 in us-east-1"), "{ran:?}");
}

#[tokio::test]
async fn with_complete_the_hook_is_kept_alive_and_completed_at_the_end() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_millis(400)).await;
    stage.aws.terminate_instance(&worker.instance_id).unwrap();

    let ran = stage.run(&["drain", "--complete", "--json", &worker.instance_id]).await;

    assert_eq!(ran.status, 0, "{ran:?}");
    let result = &ran.json()["instances"][0]["results"][0];
    assert_eq!((&result["outcome"], &result["reason"]), (&"completed".into(), &"drained".into()), "{ran:?}");
    assert_eq!(count(&stage, COMPLETE), 1);
    assert!(stage.aws.lifecycle_action(&worker.instance_id).is_none());
}

#[tokio::test]
async fn with_complete_an_instance_that_no_hook_holds_is_left_alone() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let ran = stage.run(&["drain", "--complete", &worker.instance_id]).await;
    assert!(ran.status == 1 && ran.out.contains("is InService: no terminate hook holds it"), "{ran:?}");
    assert_eq!(count(&stage, POST), 0);
}

#[tokio::test]
async fn the_deadline_and_the_system_jobs_are_as_asked() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let ran = stage.run(&["drain", "--deadline", "7m", "--ignore-system-jobs", &worker.instance_id]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let posted = stage.journal.entries().into_iter().find(|entry| entry.what == POST).unwrap();
    let body: serde_json::Value = serde_json::from_str(&posted.detail).unwrap();
    let seconds = body["DrainSpec"]["Deadline"].as_i64().unwrap() / 1_000_000_000;
    assert!((415..=420).contains(&seconds), "{body}");
    assert_eq!(body["DrainSpec"]["IgnoreSystemJobs"], true);
    let wrong = stage.run(&["drain", "--deadline", "7", &worker.instance_id]).await;
    assert!(wrong.status == 2 && wrong.err.contains("not a duration above zero"), "{wrong:?}");
}

#[tokio::test]
async fn a_document_of_several_clusters_can_be_a_file() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let run = async |text: String| {
        std::fs::write(path, text).unwrap();
        stage.run(&["--clusters", path, "drain", "--dry-run", &worker.instance_id]).await
    };
    let good =
        format!(r#"{{"clusters":{{"blue":{{"groups":["{GROUP}"],"NOMAD_ADDR":"{}"}}}}}}"#, stage.nomad_url());
    let ran = run(good).await;
    assert!(ran.status == 0 && ran.out.contains("would be drained"), "{ran:?}");
    let ran = run("{}".to_owned()).await;
    let said = format!("the document of the Nomad clusters in file {path} has 1 problem");
    assert!(ran.status == 3 && ran.err.contains(&said), "{ran:?}");
    drop(file);
    let ran = stage.run(&["--clusters", "/no/such/file", "drain", &worker.instance_id]).await;
    let said = "could not be read from file /no/such/file: No such file";
    assert!(ran.status == 3 && ran.err.contains(said), "{ran:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_drain_running_and_says_so() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_mins(5)).await;
    let child = stage.start(&["drain", &worker.instance_id]);
    eventually("the drain runs", || count(&stage, POST) == 1).await;
    // The look that sees it running.
    let seen = count(&stage, ALLOCATIONS);
    eventually("it is looked at", || count(&stage, ALLOCATIONS) > seen + 1).await;
    let ran = stage.interrupt(child).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains(&format!("the drain of node {} goes on", worker.node_id)), "{ran:?}");
    assert!(stage.nomad.node(&worker.node_id).unwrap().drain.is_some());
}

#[tokio::test]
async fn several_are_drained_side_by_side_and_a_paused_function_does_not_matter() {
    let stage = Stage::set_up().await;
    let workers: Vec<Worker> = (1..=3).map(|number| stage.add_worker(GROUP, number).unwrap()).collect();
    let mut command = stage.command(&["drain", "--json"]);
    command.env("PAUSE", "on").args(workers.iter().map(|worker| &worker.instance_id));
    let ran = Ran::of(command).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.json()["instances"].as_array().unwrap().len(), 3);
    assert_eq!(count(&stage, POST), 3);
}

/// Runs the tool with hardly any grace after a drain's deadline.
async fn impatient(stage: &Stage, arguments: &[&str]) -> Ran {
    let mut command = stage.command(arguments);
    command.env("KILL_GRACE", "50ms");
    Ran::of(command).await
}

#[tokio::test]
async fn work_that_outlives_its_deadline_is_listed_and_not_let_go_of() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_mins(5)).await;
    stage.aws.terminate_instance(&worker.instance_id).unwrap();
    let id = worker.instance_id.as_str();
    let is_held = || stage.aws.lifecycle_action(id).is_some();

    let ran = impatient(&stage, &["drain", "--complete", "--deadline", "1s", id]).await;

    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.out.starts_with("not drained: the deadline of the drain of node worker-1"), "{ran:?}");
    let how = format!("nomad-drain release --force {id}");
    assert!(ran.out.contains("  1 × web (namespace default)") && ran.out.contains(&how), "{ran:?}");
    assert!(is_held(), "its work was let go of");

    let document = impatient(&stage, &["drain", "--complete", "--json", id]).await;
    assert_eq!(document.status, 1, "{document:?}");
    let one = &document.json()["instances"][0];
    assert_eq!(
        (&one["done"], &one["results"][0]["outcome"]),
        (&false.into(), &"not_drained".into()),
        "{one}"
    );
    assert_eq!(one["allocations"], serde_json::json!([{ "job": "web", "namespace": "default" }]));

    // The plan says the same, whatever ON_DRAIN_TIMEOUT allows the function.
    let plan = impatient(&stage, &["drain", "--complete", "--dry-run", id]).await;
    assert!(plan.status == 1 && plan.out.starts_with("not drained: "), "{plan:?}");
    assert!(is_held() && count(&stage, COMPLETE) == 0);

    assert_eq!(impatient(&stage, &["release", "--force", id]).await.status, 0);
    assert!(!is_held());
}

#[tokio::test]
async fn the_plan_is_the_drain_and_not_the_heartbeat_before_it() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_mins(5)).await;
    stage.aws.terminate_instance(&worker.instance_id).unwrap();
    let ran = stage.run(&["drain", "--complete", "--dry-run", &worker.instance_id]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in [
        "would be drained, and its allocations would have 1h to leave\n",
        "  1 × web (namespace default)\n",
        "Its lifecycle action would be completed when nothing runs there any more.\n",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    assert_eq!((count(&stage, POST), count(&stage, "RecordLifecycleActionHeartbeat")), (0, 0));
}

#[tokio::test]
async fn where_the_configuration_says_dry_run_nothing_is_done_and_that_is_no_success() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let mut command = stage.command(&["drain", &worker.instance_id]);
    command.env("DRY_RUN", "on");
    let ran = Ran::of(command).await;
    assert!(ran.status == 1 && ran.out.starts_with("ignored: DRY_RUN: node worker-1"), "{ran:?}");
    assert_eq!(count(&stage, POST), 0);
}

#[tokio::test]
async fn a_group_that_is_paused_by_its_tag_does_not_matter_either() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    stage.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
    let ran = stage.run(&["drain", "--complete", &worker.instance_id]).await;
    assert!(ran.status == 0 && ran.out.starts_with("completed: "), "{ran:?}");
}

#[tokio::test]
async fn ctrl_c_when_the_drain_is_over_and_its_work_still_stops_says_that() {
    let stage = Stage::set_up().await;
    let worker = worker_with_work(&stage, Duration::from_mins(5)).await;
    let child = stage.start(&["drain", "--deadline", "1s", &worker.instance_id]);
    let is_over = || stage.nomad.node(&worker.node_id).unwrap().drain.is_none();
    eventually("the drain runs", || !is_over()).await;
    eventually("the drain is over", is_over).await;
    let seen = count(&stage, "GET /v1/node/:id/allocations");
    eventually("it is looked at", || count(&stage, "GET /v1/node/:id/allocations") > seen + 2).await;
    let ran = stage.interrupt(child).await;
    let said = format!("no drain runs on node {}, and 1 allocation was still there", worker.node_id);
    assert!(ran.status == 1 && ran.err.contains(&said), "{ran:?}");
}
