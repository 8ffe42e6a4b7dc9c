//! What one story costs, in a build for development: run with
//! `cargo test -p drain-lab --lib -- --ignored --nocapture cost`.

use std::time::Instant;

use super::*;
use crate::aws::{ActionRef, ActionResult};
use crate::nomad::{DrainRequest, JobSpec};

const STORIES: u32 = 500;

/// 30 steps on two groups with four workers. At each one looks around so many times, with five calls.
fn story(models: &Models, looks: usize) -> usize {
    for group in ["a", "b"] {
        models.add_group(group, 300).unwrap();
    }
    let workers: Vec<Worker> = (1..=4)
        .map(|number| models.add_worker(if number < 3 { "a" } else { "b" }, number).unwrap())
        .collect();
    for job in [JobSpec::service("web", 4), JobSpec::batch("etl", 2), JobSpec::system("logs")] {
        models.nomad.add_job(job);
    }
    let mut seen = 0;
    for step in 0..30 {
        let worker = &workers[step % 3];
        match step % 6 {
            0 => _ = models.aws.terminate_instance(&worker.instance_id),
            1 => {
                let deadline = SignedDuration::from_secs(120);
                _ = models.nomad.drain(&worker.node_id, DrainRequest::with_deadline(deadline));
            }
            5 => {
                let meant =
                    ActionRef { group: "a", hook: HOOK, token: None, instance_id: Some(&worker.instance_id) };
                _ = models.aws.complete_lifecycle_action(&meant, ActionResult::Continue);
            }
            _ => {}
        }
        for _ in 0..looks {
            seen += models.aws.groups().len() + models.aws.lifecycle_hooks("a").len();
            seen += models.nomad.nodes_of_instance(&worker.instance_id).len();
            seen += usize::from(models.node(worker).is_some());
            seen += models.nomad.allocations_on(&worker.node_id).len();
        }
        models.advance(Duration::from_secs(20));
    }
    seen + models.take_events().len()
}

#[test]
#[ignore = "it measures, and proves nothing"]
fn cost_of_a_story() {
    let clock = || Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
    for (name, make) in [("recorded", Models::new as fn(Clock) -> Models), ("unrecorded", Models::unrecorded)]
    {
        for looks in [1, 20] {
            let before = Instant::now();
            let seen: usize = (0..STORIES).map(|_| story(&make(clock()), looks)).sum();
            let (took, calls) = (before.elapsed() / STORIES, 30 * 5 * looks);
            println!("{name}, 30 steps, {calls} calls: {took:?} ({seen} things seen)");
        }
    }
    let before = Instant::now();
    (0..STORIES).for_each(|_| drop(Models::new(clock())));
    println!("empty models: {:?}", before.elapsed() / STORIES);
    let models = Models::unrecorded(clock());
    story(&models, 1);
    let worker = models.add_worker("a", 9).unwrap();
    let each = |name: &str, act: &dyn Fn()| {
        let before = Instant::now();
        (0..10_000).for_each(|_| act());
        println!("{name}: {:?}", before.elapsed() / 10_000);
    };
    each("groups", &|| drop(models.aws.groups()));
    each("lifecycle hooks", &|| drop(models.aws.lifecycle_hooks("a")));
    each("nodes of an instance", &|| drop(models.nomad.nodes_of_instance(&worker.instance_id)));
    each("a node", &|| drop(models.node(&worker)));
    each("allocations on a node", &|| drop(models.nomad.allocations_on(&worker.node_id)));
    each("next due", &|| assert!(models.next_due().is_none_or(|due| due > models.clock.now())));
    each("nothing, for a millisecond", &|| models.advance(Duration::from_millis(1)));
    each("eligibility", &|| {
        let eligible = models.node(&worker).unwrap().eligible;
        models.nomad.set_eligibility(&worker.node_id, !eligible).unwrap();
    });
}
