//! One start of one contestant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Contestant;
use crate::ground::Ground;
use crate::process::{Process, Program};
use crate::quota::{MEMORY_OF_ONE_VCPU, Quota};
use crate::runtime_api::RuntimeApi;
use crate::stage::{Certificates, Stage};

/// After this a process hangs. The old way needs 15 s at the smallest size.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long the process that is to become the program rests first, at least: one period of the quota.
const REST_MS: u64 = 20;

/// What is started.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    function: PathBuf,
    floor: PathBuf,
    python: PathBuf,
    baseline: PathBuf,
}

impl Programs {
    pub(super) fn of(ground: &Ground) -> anyhow::Result<Self> {
        Ok(Self {
            function: ground.function.clone(),
            floor: ground.floor.clone(),
            python: ground.python.clone().context("the old way was not installed")?,
            baseline: ground.workspace.join("bench/baseline"),
        })
    }
}

/// One start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) contestant: Contestant,
    pub(super) memory_mb: Option<u32>,
}

/// What was seen of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// To its first poll.
    pub(super) init: Duration,
    /// To the drain's POST.
    pub(super) drain: Option<Duration>,
}

impl Trial {
    /// Starts the contestant on a stage of its own, gives it the message of an instance that ends, and ends it when it has
    /// posted the drain.
    pub(super) async fn run(
        self,
        programs: &Programs,
        certificates: &Certificates,
    ) -> anyhow::Result<Sample> {
        let Self { contestant, memory_mb } = self;
        let stage = Stage::start(certificates).await?;
        let workers = stage.add_workers(1, Duration::from_hours(9))?;
        let worker = workers.first().context("no worker")?;
        let (_agent, agent_url) = stage.serve_agent(worker, certificates).await?;
        let mut api = RuntimeApi::open().await?;
        let mut variables = stage.variables(api.address(), memory_mb.unwrap_or(MEMORY_OF_ONE_VCPU));
        variables.insert("NOMAD_AGENT_URL".into(), agent_url.into());
        let program = match contestant {
            Contestant::Function => Program { path: programs.function.clone(), arguments: vec![], variables },
            Contestant::FunctionWithSweep => {
                Stage::swept(&mut variables);
                Program { path: programs.function.clone(), arguments: vec![], variables }
            }
            Contestant::Floor => Program { path: programs.floor.clone(), arguments: vec![], variables },
            Contestant::OldWay => {
                old_way(&mut variables, &programs.baseline);
                let arguments = ["-m", "awslambdaric", "lambda_function.handler"].map(Into::into).into();
                Program { path: programs.python.clone(), arguments, variables }
            }
        };
        let quota = memory_mb.map(Quota::of_memory).transpose().map_err(anyhow::Error::msg)?;
        let process = match &quota {
            None => Process::spawn(&program)?,
            Some(quota) => {
                let rest = Duration::from_millis(REST_MS + fastrand::u64(0..=REST_MS));
                Process::start_within(quota, rest, &program).await?
            }
        };
        let since = process.started_at;
        match seen(contestant, since, &stage, worker, &mut api).await {
            Ok(sample) => {
                process.kill().await;
                Ok(sample)
            }
            Err(error) => {
                let printed = process.kill().await;
                Err(error.context(format!("{contestant:?} at {memory_mb:?} MB, which printed: {printed}")))
            }
        }
    }
}

async fn seen(
    contestant: Contestant,
    since: Timestamp,
    stage: &Stage,
    worker: &drain_lab::lab::Worker,
    api: &mut RuntimeApi,
) -> anyhow::Result<Sample> {
    let poll = api.poll(PATIENCE).await?;
    let init = poll.at.duration_since(since).unsigned_abs();
    if contestant == Contestant::Floor {
        return Ok(Sample { init, drain: None });
    }
    poll.give(stage.terminate(worker)?);
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(at) = stage.drained_at(since) {
            return Ok(Sample { init, drain: Some(at.duration_since(since).unsigned_abs()) });
        }
        if Instant::now() > give_up {
            let calls: Vec<String> = stage.calls().into_iter().map(|call| call.what).collect();
            bail!("no drain within {PATIENCE:?}; it called {calls:?}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What Lambda's own runtime for Python sets.
fn old_way(
    variables: &mut std::collections::BTreeMap<std::ffi::OsString, std::ffi::OsString>,
    baseline: &Path,
) {
    variables.insert("_HANDLER".into(), "lambda_function.handler".into());
    variables.insert("LAMBDA_TASK_ROOT".into(), baseline.into());
    variables.insert("PYTHONPATH".into(), baseline.into());
    // The package of a function is read-only: nothing is compiled into it.
    variables.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
}
