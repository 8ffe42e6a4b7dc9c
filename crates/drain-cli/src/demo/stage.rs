//! Where the demonstration is played: a lab with a cluster at work, the function, and its sweep.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use drain_lab::clock::Clock;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::Function;
use drain_lab::nomad::{AllocView, ClientStatus, DrainRequest, JobSpec, NodeView};
use jiff::{SignedDuration, Timestamp};

use super::ground::Ground;
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

/// After this the demonstration has failed. It takes about 40 s, and a minute on a real cluster.
pub(super) const PATIENCE: SignedDuration = SignedDuration::from_secs(150);

/// The nodes that stay.
const STAYING: u8 = 3;

/// The services, and how many allocations each has to have in the end.
pub(super) const SERVICES: [(&str, usize); 2] = [("api", 8), ("web", 8)];

/// The batch job whose task ignores its signal.
const STUBBORN: &str = "import";

/// The batch job that ends by itself.
const REPORT: &str = "report";

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
    /// Its Nomad.
    pub(super) ground: Ground,
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
    /// Starts the lab, and on demand a real Nomad; fills the cluster, and deploys the function.
    pub(super) async fn set_up(bootstrap: &Path, real_nomad: bool) -> anyhow::Result<Self> {
        let lab = Lab::start(Clock::running()).await?;
        lab.add_group(GROUP, HOOK_TIMEOUT_S)?;
        let ending = u8::try_from(Story::ALL.len())?;
        let (ground, mut workers) = if real_nomad {
            Ground::real(&lab, GROUP, ending + STAYING).await?
        } else {
            Ground::emulated(&lab, GROUP, ending + STAYING)?
        };
        let staying = workers.split_off(Story::ALL.len());
        let parts: Vec<Part> =
            Story::ALL.into_iter().zip(workers).map(|(story, worker)| Part { story, worker }).collect();
        let sweeping_since = lab.clock.now();
        let notes = Vec::new();
        let mut stage = Self { lab, ground, parts, staying, notes, sweeping_since, outage: None };
        stage.fill_cluster().await?;
        // Services migrate once their allocations have been found healthy.
        stage.until(Self::is_healthy).await?;
        // Ends by itself, as batch work does: a drain waits for it.
        let report = JobSpec::batch(REPORT, stage.parts.len() + stage.staying.len());
        stage.add_job(report.runs_for(Duration::from_secs(9)), None).await?;
        stage.until(|stage| stage.running(REPORT) == stage.nodes().len()).await?;
        stage.deploy(bootstrap);
        Ok(stage)
    }

    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let patience = self.lab.clock.now() + PATIENCE;
        self.look().await?;
        while !is_so(self) {
            if self.lab.clock.now() > patience {
                bail!("the cluster does not run its jobs");
            }
            tokio::time::sleep(LOOK).await;
            self.look().await?;
        }
        Ok(())
    }

    async fn fill_cluster(&self) -> anyhow::Result<()> {
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        // It runs for as long as it is let, and then does not listen: Nomad kills it after `kill_timeout`.
        let stubborn = JobSpec::batch(STUBBORN, 1).kill_timeout(5 * second).ignores_signals();
        self.add_job(stubborn, Some(Story::SlowKill)).await?;
        for (name, count) in SERVICES {
            let job = JobSpec::service(name, count).max_parallel(3);
            self.add_job(job.min_healthy_time(second).stop_takes(7 * tenth), None).await?;
        }
        self.add_job(JobSpec::system("logger").stop_takes(6 * tenth), None).await
    }

    /// Runs a job: on the node of a story, or on all.
    pub(super) async fn add_job(&self, job: JobSpec, on: Option<Story>) -> anyhow::Result<()> {
        let nodes = self.nodes();
        let on = on.map_or_else(|| nodes.clone(), |story| vec![self.part(story).worker.node_id.clone()]);
        self.ground.add_job(&self.lab, job, &on, &nodes).await
    }

    fn nodes(&self) -> Vec<String> {
        let workers = self.parts.iter().map(|part| &part.worker).chain(&self.staying);
        workers.map(|worker| worker.node_id.clone()).collect()
    }

    /// Sees how things stand.
    pub(super) async fn look(&mut self) -> anyhow::Result<()> {
        self.ground.look(&self.lab).await
    }

    /// A worker's node.
    pub(super) fn node(&self, worker: &Worker) -> Option<NodeView> {
        self.ground.node(&self.lab, &worker.node_id)
    }

    /// Every allocation that has been on a worker's node, oldest first.
    pub(super) fn allocations_on(&self, worker: &Worker) -> Vec<AllocView> {
        self.ground.allocations_on(&self.lab, &worker.node_id)
    }

    /// Begins or cancels the drain of a story's node, as an operator does.
    pub(super) async fn operate(&self, story: Story, request: DrainRequest) -> anyhow::Result<()> {
        self.ground.drain(&self.lab, &self.part(story).worker.node_id, request).await
    }

    /// Cuts Nomad's servers off from the function, or lets it reach them again.
    pub(super) fn set_unreachable(&self, unreachable: bool) {
        self.ground.set_unreachable(&self.lab, unreachable);
    }

    fn is_healthy(&self) -> bool {
        SERVICES.iter().all(|(name, count)| {
            let allocations = self.ground.allocations_of(&self.lab, name);
            let healthy = allocations.iter().filter(|alloc| alloc.healthy == Some(true));
            healthy.count() == *count && self.running(name) == *count
        })
    }

    /// Deploys the function twice: for the hook's messages, and for the sweep.
    fn deploy(&mut self, bootstrap: &Path) {
        let address = self.ground.address();
        let set_up = |mut function: Function| {
            if let Some(address) = &address {
                function.env.insert("NOMAD_ADDR".to_owned(), address.clone());
            }
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
        let mut allocations = self.allocations_on(worker);
        allocations.retain(|alloc| !alloc.client.is_terminal());
        allocations
    }

    /// How many allocations of a job run.
    pub(super) fn running(&self, job: &str) -> usize {
        let allocations = self.ground.allocations_of(&self.lab, job);
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
