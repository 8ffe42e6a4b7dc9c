//! A thousand instances that end at once: an instance refresh, or a spot market that moves. Beside the lab's scenarios, not
//! among them: it takes the whole machine for a while, and they look at the clock.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[path = "../lab/harness.rs"]
#[expect(dead_code, reason = "most of it serves the scenarios")]
mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use drain_lab::journal::Kind;
use drain_lab::lab::{Lab, Route, Worker};
use drain_lab::lambda::{EventSourceMapping, Lambda};
use drain_lab::nomad::JobSpec;
use drain_lab::sqs::QueueSettings;

use harness::{GROUP, POST, calls, count, function, lab, response, sweep};

/// How many instances end.
const MANY: u32 = 1000;

/// AWS calls that the account takes in a second before it throttles.
const CALLS_A_SECOND: u32 = 300;

/// A lab in which so many instances run, with work on each that takes its time to stop, and in which every limit holds.
async fn crowded() -> (Lab, Vec<Worker>) {
    let lab = lab().await;
    let workers = lab.add_workers(GROUP, MANY).unwrap();
    lab.nomad.add_job(JobSpec::system("logs").stop_takes(Duration::from_hours(9)));
    lab.nomad.set_connection_limit(Some(100));
    lab.aws.set_rate_limit(Some(CALLS_A_SECOND));
    (lab, workers)
}

/// The function, whose sweeps look for so long.
fn deploy<'lab>(lab: &'lab Lab, sweep_linger: &str) -> &'lab Lambda {
    let variables = [
        ("SWEEP", "on"),
        ("AUTO_SCALING_GROUPS", GROUP),
        ("EVENT_LINGER", "1s"),
        ("POLL_INTERVAL", "5s"),
        ("SWEEP_LINGER", sweep_linger),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("RUST_LOG", "info"),
    ];
    let mut function = function(lab, &variables);
    // Enough for a machine that is busy with other things too.
    function.timeout = Duration::from_mins(10);
    lab.deploy(function)
}

/// How many nodes have been drained, and how often a drain was posted for one at most.
fn drains(lab: &Lab, workers: &[Worker]) -> (usize, usize) {
    let mut posts: BTreeMap<String, usize> = BTreeMap::new();
    let entries = lab.journal.entries().into_iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Effect && entry.what.starts_with("drain ")) {
        if entry.what == "drain started" || entry.what == "drain updated" {
            *posts.entry(entry.subject).or_default() += 1;
        }
    }
    let begun = workers.iter().filter(|worker| lab.node(worker).unwrap().last_drain.is_some()).count();
    (begun, posts.values().copied().max().unwrap_or_default())
}

#[tokio::test]
async fn a_thousand_events_and_one_sweep_begin_a_thousand_drains_once_each() {
    let (lab, workers) = crowded().await;
    lab.create_queue(
        QueueSettings { visibility_timeout: Duration::from_hours(1), ..QueueSettings::named("nomad-drain") },
        EventSourceMapping { batch_size: 50, maximum_concurrency: 10 },
    );
    lab.deliver_by(Route::RuleToQueue);
    lab.lose_events(false);
    let lambda = deploy(&lab, "1s");
    for worker in &workers {
        lab.aws.terminate_instance(&worker.instance_id).unwrap();
    }
    lab.quiet().await;
    let (begun, _) = drains(&lab, &workers);
    assert!(begun > workers.len() / 2, "{begun}");
    sweep(lambda).await;
    let (draining, most) = drains(&lab, &workers);
    assert_eq!(draining, workers.len(), "what a burst cannot start, the sweep starts");
    let posts = count(&lab, POST);
    // Two invocations that look at the same moment may both post; nothing else may.
    assert!(most <= 2 && posts <= workers.len() + 20, "{posts} drains were posted, {most} for one node");
    assert_eq!(lab.queue().unwrap().dead_letters().len(), 0);
    println!(
        "{MANY} events: {begun} drains by the burst, {posts} POSTs, {} invocations",
        lambda.invocations().len()
    );
}

#[tokio::test]
async fn one_sweep_begins_a_thousand_drains_whose_events_were_lost() {
    let (lab, workers) = crowded().await;
    let lambda = deploy(&lab, "15s");
    for worker in &workers {
        lab.aws.terminate_instance(&worker.instance_id).unwrap();
    }
    let run = sweep(lambda).await;
    assert_eq!(response(&run)["held"], MANY);
    let calls = calls(&lab);
    let first_drain = calls.iter().position(|what| what == POST).unwrap();
    let last_lookup = calls.iter().rposition(|what| what == "GET /v1/nodes").unwrap();
    assert!(first_drain < last_lookup, "the first drain waits until the last node is looked up");
    let (begun, _) = drains(&lab, &workers);
    println!("one sweep of 15 s: {begun} of {MANY}");
    // A machine that is busy may need another one.
    if begun < workers.len() {
        sweep(lambda).await;
    }
    let (draining, most) = drains(&lab, &workers);
    assert_eq!((draining, most), (workers.len(), 1));
    assert_eq!(count(&lab, POST), workers.len());
    assert_eq!(count(&lab, "GetParameter"), 1, "one token for all of them");
}
