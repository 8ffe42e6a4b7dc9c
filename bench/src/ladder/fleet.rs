//! Many instances in a lab, and what becomes of them when they end at once.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use drain_lab::aws::GroupSettings;
use drain_lab::clock::Clock;
use drain_lab::journal::{Kind, System};
use drain_lab::lab::{Lab, Route, Worker};
use drain_lab::lambda::{EventSourceMapping, Function, InvocationRecord, Lambda, Outcome};
use drain_lab::models::Models;
use drain_lab::sqs::QueueSettings;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::process;
use crate::quota::{MEMORY_OF_ONE_VCPU, Quota};
use crate::stage::DRAIN;

/// Instances of one group.
const GROUP: u32 = 100;

/// Nomad's own limit for one address: `limits.http_max_conns_per_client`.
pub(crate) const NOMAD_CONNECTIONS: usize = 100;

/// Messages that the function gets at a time, as it is deployed.
const BATCH: usize = 10;

/// What was observed while a fleet ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Observed {
    /// How many instances ended.
    pub(crate) instances: usize,
    /// How many drains were posted.
    pub(crate) posts: usize,
    /// For how many of them another one had been posted.
    pub(crate) doubles: usize,
    /// How many instances got none.
    pub(crate) lost: usize,
    /// How many hooks were completed.
    pub(crate) completed: usize,
    /// To the first drain's POST, in seconds.
    pub(crate) first_drain_s: f64,
    /// To the last one.
    pub(crate) last_drain_s: f64,
    /// Until nothing ran any more.
    pub(crate) took_s: f64,
    /// How often each call was made.
    pub(crate) calls: BTreeMap<String, u64>,
    /// The same by system.
    pub(crate) by_system: BTreeMap<String, u64>,
    /// How often the function ran, and how often without success.
    pub(crate) invocations: usize,
    pub(crate) failed: usize,
    /// What Lambda would bill: initialisation and run of each, rounded up to milliseconds.
    pub(crate) billed_ms: u64,
    /// The CPU time of all runs.
    pub(crate) function_cpu_s: f64,
    /// That of this program, which is the lab, in the same time.
    pub(crate) lab_cpu_s: f64,
    /// The most memory that a process had at once, in bytes.
    pub(crate) peak_memory: u64,
    /// The largest answer, in bytes.
    pub(crate) largest_answer: usize,
    /// What the runs have logged, in bytes.
    pub(crate) log_bytes: usize,
    /// Connections to Nomad at once, and those that it did not let in.
    pub(crate) connections: usize,
    pub(crate) turned_away: usize,
}

impl Observed {
    /// Drains a second, up to the last one.
    pub(crate) fn rate(&self) -> f64 {
        number(self.posts - self.doubles) / self.last_drain_s
    }

    /// Calls to Nomad, or to AWS.
    pub(crate) fn calls_to(&self, nomad: bool) -> u64 {
        self.by_system.iter().filter(|(system, _)| (*system == "nomad") == nomad).map(|(_, n)| n).sum()
    }

    /// The lab's part of the CPU time.
    pub(crate) fn lab_share(&self) -> f64 {
        self.lab_cpu_s / (self.lab_cpu_s + self.function_cpu_s)
    }
}

/// How many of something, for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// Instances and their nodes, in groups of a hundred that the sweep looks after.
pub(crate) struct Fleet {
    pub(crate) lab: Lab,
    pub(crate) workers: Vec<Worker>,
}

impl Fleet {
    /// So many instances in service. Their nodes are empty, and nobody is told when they end.
    pub(crate) async fn of(instances: u32) -> anyhow::Result<Self> {
        let lab = Lab::start(Clock::running()).await?;
        lab.lose_events(true);
        lab.nomad.set_connection_limit(Some(NOMAD_CONNECTIONS));
        let mut workers = Vec::new();
        let mut left = instances;
        while left > 0 {
            let name = format!("fleet-{:03}", workers.len() / GROUP as usize);
            let settings = GroupSettings::named(&name).tag("nomad-drain", "on");
            lab.add_group_with(settings, [Models::hook(3600)])?;
            workers.extend(lab.add_workers(&name, left.min(GROUP))?);
            left = left.saturating_sub(GROUP);
        }
        Ok(Self { lab, workers })
    }

    /// The function as it is deployed with a sweep, with these variables besides.
    pub(crate) fn function(&self, bootstrap: &Path, variables: &[(&str, &str)]) -> Function {
        let deployed = [("SWEEP", "on"), ("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")];
        let function = self.lab.function(bootstrap).with_variables(&deployed).with_variables(variables);
        Function { timeout: Duration::from_mins(10), ..function }
    }

    /// Ends all instances at once: the hooks hold them.
    pub(crate) fn end(&self) -> anyhow::Result<()> {
        for worker in &self.workers {
            self.lab.aws.terminate_instance(&worker.instance_id)?;
        }
        Ok(())
    }

    /// Ends all instances, and lets a queue tell the function, at most so many times at once. Waits until nothing is left.
    pub(crate) async fn by_queue(&self, function: Function, at_once: usize) -> anyhow::Result<Observed> {
        let settings = QueueSettings {
            visibility_timeout: Duration::from_mins(6),
            ..QueueSettings::named("nomad-drain")
        };
        let mapping = EventSourceMapping { batch_size: BATCH, maximum_concurrency: at_once };
        self.lab.create_queue(settings, mapping);
        self.lab.deliver_by(Route::HookToQueue);
        self.lab.lose_events(false);
        let lambda = self.lab.deploy(Function { max_concurrency: at_once, ..function });
        let watch = Watch::begin()?;
        self.end()?;
        let patience = Duration::from_mins(5);
        if tokio::time::timeout(patience, self.lab.quiet()).await.is_err() {
            // The figures tell what has not been done.
            eprintln!("  {} instances were not seen through within {patience:?}", self.workers.len());
        }
        watch.end(self, lambda)
    }

    /// Ends all instances, and lets one sweep find them.
    pub(crate) async fn by_sweep(&self, function: Function) -> anyhow::Result<Observed> {
        self.by_sweeps(function, 1).await
    }

    /// Ends all instances, and lets sweeps find them, one after the other until none is held, and no more than so many.
    pub(crate) async fn by_sweeps(&self, function: Function, most: usize) -> anyhow::Result<Observed> {
        self.end()?;
        self.sweep(function, most).await
    }

    /// Sweeps until nothing is held, and no more than so often.
    pub(crate) async fn sweep(&self, function: Function, most: usize) -> anyhow::Result<Observed> {
        let lambda = self.lab.deploy_sweep(function);
        let watch = Watch::begin()?;
        for _ in 0..most {
            self.lab.sweep().await.context("nothing sweeps")?;
            if self.lab.aws.held().is_empty() {
                break;
            }
        }
        watch.end(self, lambda)
    }
}

/// Since when something is observed.
struct Watch {
    began: Timestamp,
    cpu_ns: u64,
}

impl Watch {
    fn begin() -> anyhow::Result<Self> {
        Ok(Self { began: Timestamp::now(), cpu_ns: process::cpu_ns(std::process::id())? })
    }

    fn end(self, fleet: &Fleet, lambda: &Lambda) -> anyhow::Result<Observed> {
        let Self { began, cpu_ns } = self;
        let ended = Timestamp::now();
        let lab_cpu = process::cpu_ns(std::process::id())?.saturating_sub(cpu_ns);
        let since = |at: Timestamp| at.duration_since(began).as_secs_f64();
        let connections = fleet.lab.nomad.connections();
        let mut seen = Observed {
            instances: fleet.workers.len(),
            took_s: since(ended),
            lab_cpu_s: Duration::from_nanos(lab_cpu).as_secs_f64(),
            first_drain_s: f64::NAN,
            last_drain_s: f64::NAN,
            connections: connections.most,
            turned_away: connections.turned_away,
            ..Observed::default()
        };
        let mut drained: BTreeSet<String> = BTreeSet::new();
        for entry in fleet.lab.journal.entries().into_iter().filter(|entry| entry.at >= began) {
            match entry.kind {
                Kind::Call => {
                    *seen.by_system.entry(name(entry.system)).or_default() += 1;
                    if entry.what == DRAIN {
                        seen.posts += 1;
                        seen.first_drain_s = seen.first_drain_s.min(since(entry.at));
                        seen.last_drain_s = since(entry.at);
                        seen.doubles += usize::from(!drained.insert(entry.subject));
                    }
                    *seen.calls.entry(entry.what).or_default() += 1;
                }
                Kind::Effect => seen.completed += usize::from(entry.what == "lifecycle action completed"),
            }
        }
        let got_one = |worker: &&Worker| drained.contains(&worker.node_id);
        seen.lost = fleet.workers.len() - fleet.workers.iter().filter(got_one).count();
        for run in lambda.invocations() {
            seen.count(&run);
        }
        Ok(seen)
    }
}

impl Observed {
    fn count(&mut self, run: &InvocationRecord) {
        self.invocations += 1;
        self.failed += usize::from(run.outcome.response().is_none());
        let lasted = run.init.unwrap_or_default() + run.duration;
        self.billed_ms += u64::try_from(lasted.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        self.function_cpu_s += run.cpu_total_time.unwrap_or_default().as_secs_f64();
        self.peak_memory = self.peak_memory.max(run.max_memory_used.unwrap_or_default());
        self.log_bytes += run.log.iter().map(|line| line.text.len() + 1).sum::<usize>();
        if let Outcome::Succeeded(answer) = &run.outcome {
            self.largest_answer = self.largest_answer.max(answer.to_string().len());
        }
    }
}

/// A system, in the words of the page.
fn name(system: System) -> String {
    serde_json::to_value(system).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

/// A program that is held to the share of a CPU that Lambda gives to so much memory.
pub(crate) struct Held {
    pub(crate) bootstrap: PathBuf,
    /// Removed after the processes have ended.
    pub(crate) quota: Quota,
}

impl Held {
    /// As far as this machine can do that.
    pub(crate) fn to_memory(function: &Path, scratch: &Path, memory_mb: u32) -> Result<Self, String> {
        let quota = Quota::of_memory(memory_mb.min(MEMORY_OF_ONE_VCPU))?;
        let bootstrap = scratch.join(format!("bootstrap-{memory_mb}-{:08x}", fastrand::u32(..)));
        let script = format!(
            "#!/bin/sh\necho $$ > '{}' && exec '{}'\n",
            quota.processes().display(),
            function.display()
        );
        let written = std::fs::write(&bootstrap, script)
            .and_then(|()| std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)));
        written.map_err(|error| format!("{}: {error}", bootstrap.display()))?;
        Ok(Self { bootstrap, quota })
    }
}
