//! Where the demonstration is played: a lab with a cluster at work, the function, and its sweep.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use drain_lab::clock::Clock;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::Function;
use drain_lab::nomad::{AllocView, ClientStatus, JobSpec};
use jiff::{SignedDuration, Timestamp};

use super::story::{Part, Story};
use super::timeline::Actor;

/// The Auto Scaling group.
const GROUP: &str = "workers";

/// The hook's time without a heartbeat: the shortest that is recommended.
pub(super) const HOOK_TIMEOUT_S: u32 = 300;

/// How often the function sweeps. On AWS it is a minute.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often the lab is looked at. Fine enough for a progress bar, and nothing that is measured depends on it.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// After this the demonstration has failed. It takes about 40 s.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(100);

/// The nodes that stay.
const STAYING: usize = 3;

/// The services, and how many allocations each has to have in the end.
pub(super) const SERVICES: [(&str, usize); 2] = [("api", 8), ("web", 8)];

/// The batch job whose task ignores its signal.
const STUBBORN: &str = "import";

/// How the function is set up beside the defaults: everything a minute long is some seconds long here.
const SETTINGS: [(&str, &str); 7] = [
    ("SWEEP", "on"),
    ("AUTO_SCALING_GROUPS", GROUP),
    ("POLL_INTERVAL", "500ms"),
    ("EVENT_LINGER", "8s"),
    ("SWEEP_LINGER", "4s"),
    ("DRAIN_DEADLINE", "12s"),
    ("MAX_HOLD", "1h"),
];

/// Something that the demonstration itself did.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// When.
    pub(super) at: Timestamp,
    /// Whom it concerned: a node's name.
    pub(super) node: Option<String>,
    /// In whose part.
    pub(super) who: Actor,
    /// What, in words.
    pub(super) what: &'static str,
}

/// A lab with a cluster at work.
#[derive(Debug)]
pub(super) struct Stage {
    /// The lab.
    pub(super) lab: Lab,
    /// The instances that end.
    pub(super) parts: Vec<Part>,
    /// The workers that stay.
    pub(super) staying: Vec<Worker>,
    /// What the demonstration did beside ending instances.
    pub(super) notes: Vec<Note>,
    /// When the sweeps' schedule began.
    sweeping_since: Timestamp,
    /// When Nomad's servers could not be reached: from, and to if it is over.
    pub(super) outage: Option<(Timestamp, Option<Timestamp>)>,
}

impl Stage {
    /// Starts the lab, fills the cluster, and deploys the function.
    pub(super) async fn set_up(bootstrap: &Path) -> anyhow::Result<Self> {
        let lab = Lab::start(Clock::running()).await?;
        lab.add_group(GROUP, HOOK_TIMEOUT_S)?;
        let mut workers = Vec::new();
        for number in (1..).take(Story::ALL.len() + STAYING) {
            workers.push(lab.add_worker(GROUP, number)?);
        }
        let staying = workers.split_off(Story::ALL.len());
        let parts: Vec<Part> =
            Story::ALL.into_iter().zip(workers).map(|(story, worker)| Part { story, worker }).collect();
        let sweeping_since = lab.clock.now();
        let mut stage = Self { lab, parts, staying, notes: Vec::new(), sweeping_since, outage: None };
        stage.fill_cluster()?;
        // Services migrate once their allocations have been found healthy.
        let patience = stage.lab.clock.now() + PATIENCE;
        while !stage.is_healthy() && stage.lab.clock.now() < patience {
            tokio::time::sleep(LOOK).await;
        }
        stage.deploy(bootstrap);
        Ok(stage)
    }

    fn fill_cluster(&self) -> anyhow::Result<()> {
        let nomad = &self.lab.nomad;
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        // It runs for as long as it is let, and then does not listen: Nomad kills it after `kill_timeout`.
        let stubborn = JobSpec::batch(STUBBORN, 1).kill_timeout(5 * second).stop_takes(60 * second);
        let host = &self.part(Story::SlowKill).worker.node_id;
        let others: Vec<String> =
            nomad.nodes().into_iter().map(|node| node.id).filter(|id| id != host).collect();
        for node in &others {
            nomad.set_eligibility(node, false)?;
        }
        nomad.add_job(stubborn);
        for node in &others {
            nomad.set_eligibility(node, true)?;
        }
        for (name, count) in SERVICES {
            let job = JobSpec::service(name, count).max_parallel(3);
            nomad.add_job(job.min_healthy_time(second).stop_takes(7 * tenth));
        }
        // Ends by itself, as batch work does: a drain waits for it.
        nomad.add_job(JobSpec::batch("report", self.parts.len() + STAYING).runs_for(9 * second));
        nomad.add_job(JobSpec::system("logger").stop_takes(6 * tenth));
        Ok(())
    }

    fn is_healthy(&self) -> bool {
        let mut allocations = SERVICES.iter().flat_map(|(name, _)| self.lab.nomad.allocations_of(name));
        allocations.all(|alloc| alloc.healthy == Some(true))
    }

    /// Deploys the function twice: for the hook's messages, and for the sweep.
    fn deploy(&mut self, bootstrap: &Path) {
        let set_up = |function: Function| {
            let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let env: BTreeMap<String, String> = function.env.into_iter().chain(settings).collect();
            // On AWS it is one function, with one time-out.
            Function { env, timeout: Duration::from_mins(1), ..function }
        };
        self.lab.deploy(set_up(self.lab.function(bootstrap)));
        self.lab.deploy_sweep(set_up(self.lab.sweep_function(bootstrap)));
        self.lab.schedule_sweep(SWEEP_EVERY);
        self.sweeping_since = self.lab.clock.now();
    }

    /// Whether the last sweep has looked which instances there are, and the next one is some time away.
    pub(super) fn is_between_sweeps(&self) -> bool {
        let since = self.lab.clock.now().duration_since(self.sweeping_since).unsigned_abs();
        let phase = since.as_millis() % SWEEP_EVERY.as_millis();
        (1000..3000).contains(&phase)
    }

    /// The instance of a story.
    pub(super) fn part(&self, story: Story) -> &Part {
        let found = self.parts.iter().position(|part| part.story == story);
        &self.parts[found.unwrap_or_default()]
    }

    /// The allocations that are on a worker's node and not at their end.
    pub(super) fn running_on(&self, worker: &Worker) -> Vec<AllocView> {
        let mut allocations = self.lab.nomad.allocations_on(&worker.node_id);
        allocations.retain(|alloc| !alloc.client.is_terminal());
        allocations
    }

    /// How many allocations of a job run.
    pub(super) fn running(&self, job: &str) -> usize {
        let allocations = self.lab.nomad.allocations_of(job);
        allocations.iter().filter(|alloc| alloc.client == ClientStatus::Running).count()
    }

    /// Notes something that the demonstration is about to do.
    pub(super) fn note(&mut self, story: Option<Story>, who: Actor, what: &'static str) {
        let node = story.map(|story| self.part(story).worker.name.clone());
        self.notes.push(Note { at: self.lab.clock.now(), node, who, what });
    }

    /// Whether Nomad's servers cannot be reached now.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(self.outage, Some((_, None)))
    }
}
