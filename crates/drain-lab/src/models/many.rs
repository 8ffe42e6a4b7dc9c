//! A thousand instances at once. Nothing here measures time, but whatever costs a thousand times a thousand would be
//! noticed by whoever waits for these tests.

use std::collections::BTreeSet;

use super::*;
use crate::aws::{ActionRef, LifecycleState};
use crate::nomad::{DrainRequest, JobSpec, NodeStatus};

const GROUP: &str = "workers";
const COUNT: u32 = 1000;

fn models() -> (Models, Vec<Worker>) {
    let models = Models::new(Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap()));
    models.add_group(GROUP, 3600).unwrap();
    let workers = models.add_workers(GROUP, COUNT).unwrap();
    (models, workers)
}

#[test]
fn many_workers_have_names_and_addresses_of_their_own() {
    let (models, mut workers) = models();
    workers.extend(models.add_workers(GROUP, 2).unwrap());
    workers.push(models.add_worker(GROUP, 1).unwrap());
    let addresses: BTreeSet<Ipv4Addr> = workers.iter().map(|worker| worker.private_ip).collect();
    let names: BTreeSet<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    assert_eq!((addresses.len(), names.len()), (1003, 1003));
    assert!(addresses.iter().all(Ipv4Addr::is_loopback));
    assert_eq!(workers[999].private_ip, Ipv4Addr::new(127, 1, 3, 232));
    let node = models.node(&workers[999]).unwrap();
    assert_eq!(
        (node.instance_id, node.address),
        (Some(workers[999].instance_id.clone()), "127.1.3.232".into())
    );
}

#[test]
fn a_thousand_instances_end_at_once_with_all_that_ran_on_them() {
    let (models, workers) = models();
    models.nomad.add_job(JobSpec::service("web", 1000).max_parallel(100));
    models.nomad.add_job(JobSpec::batch("etl", 1000).runs_for(Duration::from_mins(10)));
    models.nomad.add_job(JobSpec::system("logs"));
    models.advance(Duration::from_mins(1));
    for worker in &workers {
        models.aws.terminate_instance(&worker.instance_id).unwrap();
    }
    assert_eq!(models.aws.held().len(), 1000);
    for worker in &workers {
        let request = DrainRequest::with_deadline(SignedDuration::from_mins(30));
        models.nomad.drain(&worker.node_id, request).unwrap();
    }
    models.advance(Duration::from_secs(1900));
    for worker in &workers {
        let node = models.node(worker).unwrap();
        assert!(node.drain.is_none() && node.last_drain.is_some());
        let id = Some(worker.instance_id.as_str());
        let meant = ActionRef { group: GROUP, hook: HOOK, token: None, instance_id: id };
        models.aws.complete_lifecycle_action(&meant, ActionResult::Continue).unwrap();
    }
    models.advance(Duration::from_mins(1));
    for worker in &workers {
        let instance = models.aws.instance(&worker.instance_id).unwrap();
        assert_eq!(instance.lifecycle_state, LifecycleState::Terminated);
        assert_eq!(models.node(worker).unwrap().status, NodeStatus::Down);
    }
    assert!(models.aws.instances(GROUP).is_empty());
}
