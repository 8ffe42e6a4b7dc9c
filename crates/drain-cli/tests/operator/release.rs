//! `nomad-drain release`.

use std::time::Duration;

use drain_lab::nomad::JobSpec;

use crate::stage::{GROUP, Ran, Stage, count, eventually};

const COMPLETE: &str = "CompleteLifecycleAction";

#[tokio::test]
async fn running_work_is_listed_and_keeps_the_instance_unless_forced() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    stage.nomad.add_job(JobSpec::service("web", 3));
    eventually("the service runs", || stage.nomad.allocations_on(&worker.node_id).len() == 3).await;
    stage.aws.terminate_instance(&worker.instance_id).unwrap();

    let refused = stage.run(&["release", &worker.instance_id]).await;
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.out.contains("3 × web (namespace default)"), "{refused:?}");
    assert_eq!(count(&stage, COMPLETE), 0);
    let document = stage.run(&["release", "--json", &worker.node_id]).await.json();
    assert_eq!(document["released"], false);
    assert_eq!(document["allocations"].as_array().unwrap().len(), 3, "{document}");

    let forced = stage.run(&["release", "--force", "--result", "abandon", &worker.instance_id]).await;
    assert_eq!(forced.status, 0, "{forced:?}");
    assert!(forced.out.contains("was completed with ABANDON"), "{forced:?}");
    assert_eq!(count(&stage, COMPLETE), 1);
}

#[tokio::test]
async fn a_drained_node_is_released_and_an_idle_one_that_takes_work_is_not() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    let refused = stage.run(&["release", &worker.instance_id]).await;
    assert!(refused.status == 1 && refused.out.contains("its node takes work"), "{refused:?}");
    assert_eq!(stage.run(&["drain", &worker.instance_id]).await.status, 0);
    let released = stage.run(&["release", &worker.instance_id]).await;
    assert_eq!(released.status, 0, "{released:?}");
    assert_eq!(
        released.out,
        format!("nomad-drain-hook of {} was completed with CONTINUE\n", worker.instance_id)
    );
}

#[tokio::test]
async fn what_cannot_be_seen_is_not_taken_for_empty() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    let mut command = stage.command(&["release", &worker.instance_id]);
    command.env("NOMAD_ADDR", "http://127.0.0.1:9");
    let refused = Ran::of(command).await;
    assert!(
        refused.status == 1 && refused.out.contains("the connection to 127.0.0.1:9 was refused"),
        "{refused:?}"
    );
    assert!(!refused.err.contains("trying again"), "of every call: {refused:?}");
    assert_eq!(count(&stage, COMPLETE), 0);
}

#[tokio::test]
async fn an_instance_that_nothing_holds_is_named_with_its_state() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let ran = stage.run(&["release", &worker.instance_id]).await;
    assert!(ran.status == 1 && ran.out.contains("is InService: no terminate hook holds it"), "{ran:?}");
    let ran = stage.run(&["release", "i-0fffffffffffffff0"]).await;
    assert!(ran.status == 1 && ran.out.contains("in no Auto Scaling group"), "{ran:?}");
}

#[tokio::test]
async fn work_that_outlives_its_deadline_is_listed_as_any_other() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    let long = Duration::from_mins(5);
    let job =
        JobSpec::service("web", 1).min_healthy_time(Duration::ZERO).kill_timeout(long * 2).stop_takes(long);
    stage.nomad.add_job(job);
    eventually("the service runs", || stage.nomad.allocations_on(&worker.node_id).len() == 1).await;
    stage.aws.terminate_instance(&worker.instance_id).unwrap();
    let impatient = async |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        command.env("KILL_GRACE", "50ms");
        Ran::of(command).await
    };
    let drained = impatient(&["drain", "--deadline", "1s", &worker.instance_id]).await;
    assert!(drained.status == 1 && drained.out.starts_with("not drained: "), "{drained:?}");

    let refused = impatient(&["release", &worker.instance_id]).await;
    assert!(refused.status == 1 && refused.out.contains("1 × web (namespace default)"), "{refused:?}");
    assert!(refused.out.contains("and the deadline of its drain has passed"), "{refused:?}");
    assert_eq!(count(&stage, COMPLETE), 0);
}
