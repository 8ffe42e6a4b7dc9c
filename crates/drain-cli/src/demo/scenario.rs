//! What happens in the demonstration: a cluster at work, and two of its instances ended.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use drain_lab::clock::Clock;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::{InvocationRecord, Outcome};
use drain_lab::nomad::{AllocView, ClientStatus, DrainStatus, JobSpec};
use jiff::Timestamp;

/// The Auto Scaling group.
const GROUP: &str = "workers";

/// How often the lab is looked at. Fine enough for a progress bar, and nothing that is measured depends on it.
const LOOK: Duration = Duration::from_millis(50);

/// After this the demonstration has failed. It takes about 20 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// The services, and how many allocations each has to have in the end.
pub(super) const SERVICES: [(&str, usize); 2] = [("api", 4), ("web", 6)];

/// A lab with a cluster at work.
#[derive(Debug)]
pub(super) struct Scenario {
    /// The lab.
    pub(super) lab: Lab,
    /// The workers whose instances are ended.
    pub(super) leaving: Vec<Worker>,
    /// The workers that stay.
    pub(super) staying: Vec<Worker>,
}

impl Scenario {
    /// Starts the lab, fills the cluster, and deploys the function.
    pub(super) async fn set_up(bootstrap: &Path) -> anyhow::Result<Self> {
        let lab = Lab::start(Clock::running()).await?;
        lab.add_group(GROUP, 3600)?;
        let mut workers = Vec::new();
        for number in 1..=4 {
            workers.push(lab.add_worker(GROUP, number)?);
        }
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        for (name, count) in SERVICES {
            let job =
                JobSpec::service(name, count).max_parallel(2).min_healthy_time(second).stop_takes(7 * tenth);
            lab.nomad.add_job(job);
        }
        // Ends by itself, as batch work does: a drain waits for it.
        lab.nomad.add_job(JobSpec::batch("report", 4).runs_for(10 * second));
        lab.nomad.add_job(JobSpec::system("logs").stop_takes(3 * tenth));
        // Services migrate once their allocations have been found healthy.
        let healthy = |lab: &Lab| {
            SERVICES
                .iter()
                .flat_map(|(name, _)| lab.nomad.allocations_of(name))
                .all(|alloc| alloc.healthy.is_some())
        };
        wait_for(|| healthy(&lab)).await;
        lab.deploy(lab.function(bootstrap));
        let staying = workers.split_off(2);
        Ok(Self { lab, leaving: workers, staying })
    }

    /// Ends two instances and watches until their nodes are empty. `look` is called again and again.
    pub(super) async fn play(&self, mut look: impl FnMut(&Scenario)) -> anyhow::Result<()> {
        for worker in &self.leaving {
            self.lab.aws.terminate_instance(&worker.instance_id)?;
        }
        let mut left = PATIENCE;
        loop {
            look(self);
            if let Some(failed) = self.leaving.iter().find_map(|worker| self.failure_of(worker)) {
                bail!("the function failed: {failed}");
            }
            if self.leaving.iter().all(|worker| self.is_empty(worker)) {
                return Ok(());
            }
            if left.is_zero() {
                // Whatever has not happened is in the report.
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
            left = left.saturating_sub(LOOK);
        }
    }

    /// The allocations that are on a worker's node and not at their end.
    pub(super) fn running_on(&self, worker: &Worker) -> Vec<AllocView> {
        let mut allocations = self.lab.nomad.allocations_on(&worker.node_id);
        allocations.retain(|alloc| !alloc.client.is_terminal());
        allocations
    }

    /// Whether a worker's node has been drained and nothing runs on it.
    pub(super) fn is_empty(&self, worker: &Worker) -> bool {
        let node = self.lab.node(worker);
        let drained =
            node.and_then(|node| node.last_drain).is_some_and(|drain| drain.status == DrainStatus::Complete);
        drained && self.running_on(worker).is_empty()
    }

    /// When the hook began to hold a worker's instance.
    pub(super) fn held_since(&self, worker: &Worker) -> Option<Timestamp> {
        Some(self.lab.aws.lifecycle_action(&worker.instance_id)?.started_at)
    }

    /// The runs of the function that were about a worker's instance.
    pub(super) fn runs_about(&self, worker: &Worker) -> Vec<InvocationRecord> {
        let Some(lambda) = self.lab.lambda() else { return Vec::new() };
        let mut runs = lambda.invocations();
        runs.retain(|run| run.payload.to_string().contains(&worker.instance_id));
        runs
    }

    /// How many allocations of a job run.
    pub(super) fn running(&self, job: &str) -> usize {
        let allocations = self.lab.nomad.allocations_of(job);
        allocations.iter().filter(|alloc| alloc.client == ClientStatus::Running).count()
    }

    fn failure_of(&self, worker: &Worker) -> Option<String> {
        self.runs_about(worker).into_iter().find_map(|run| match run.outcome {
            Outcome::Failed { error_type, payload } => {
                let message = payload["errorMessage"].as_str().unwrap_or("no message").to_owned();
                Some(format!("{error_type}: {message}"))
            }
            Outcome::Succeeded(_) | Outcome::Throttled => None,
        })
    }
}

async fn wait_for(mut condition: impl FnMut() -> bool) {
    let mut left = PATIENCE;
    while !condition() && !left.is_zero() {
        tokio::time::sleep(LOOK).await;
        left = left.saturating_sub(LOOK);
    }
}
