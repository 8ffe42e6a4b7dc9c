//! Cold start: from a process's start to its first poll, and to the drain's POST, against the floor and the old way.

mod page;
mod trial;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::ground::Ground;
use crate::quota::{MEMORY_OF_ONE_VCPU, Quota};
use crate::report::Section;
use crate::stage::Certificates;
use trial::{Programs, Trial};

/// Starts of each at each size; of the function and the floor, whose ratio is small, there are twice as many.
const STARTS: usize = 20;

/// The sizes of functions, in MB of memory.
const MEMORY_MB: [u32; 4] = [MEMORY_OF_ONE_VCPU, 512, 256, 128];

/// How much of the machine may be busy with processes that are held to their quotas, at the same time. So much lower than
/// the whole that each finds a CPU free whenever it may run.
const BUSY: f64 = 0.3;

/// Who is compared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Contestant {
    /// Called by the hook's topic and by nobody else, as the old way is.
    Function,
    /// Deployed as the templates do, with a sweep: what it does depends on the group too.
    FunctionWithSweep,
    Floor,
    OldWay,
}

impl Contestant {
    const ALL: [Self; 4] = [Self::Function, Self::FunctionWithSweep, Self::Floor, Self::OldWay];
}

/// What was measured of one contestant at one size, in milliseconds from its start.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Samples {
    contestant: Contestant,
    /// The memory whose share of a CPU it had; a whole machine if none.
    memory_mb: Option<u32>,
    /// To its first poll.
    init_ms: Vec<f64>,
    /// To the drain's POST: the floor has none.
    drain_ms: Vec<f64>,
}

/// Starts all of them, in turn.
pub(crate) async fn measure(ground: &Ground) -> anyhow::Result<Section> {
    let certificates = Certificates::make(ground.scratch.path())?;
    let programs = Programs::of(ground)?;
    let quotas = Quota::of_memory(MEMORY_OF_ONE_VCPU).map(drop);
    let mut sizes = vec![None];
    if quotas.is_ok() {
        sizes.extend(MEMORY_MB.map(Some));
    }
    let mut all = Vec::new();
    for memory_mb in sizes {
        all.extend(at_size(&programs, &certificates, memory_mb).await?);
    }
    Ok(page::section(&all, quotas.err().as_deref()))
}

async fn at_size(
    programs: &Programs,
    certificates: &Certificates,
    memory_mb: Option<u32>,
) -> anyhow::Result<Vec<Samples>> {
    let mut all = Contestant::ALL.map(|contestant| Samples {
        contestant,
        memory_mb,
        init_ms: Vec::new(),
        drain_ms: Vec::new(),
    });
    // The first of each fills the caches, and is not counted.
    for contestant in Contestant::ALL {
        Trial { contestant, memory_mb: None }.run(programs, certificates).await?;
    }
    // In turn: what disturbs the machine for a while disturbs all of them.
    let round = [
        Contestant::Function,
        Contestant::Floor,
        Contestant::FunctionWithSweep,
        Contestant::OldWay,
        Contestant::Floor,
        Contestant::Function,
    ];
    let mut waiting: VecDeque<Contestant> = (0..STARTS).flat_map(|_| round).collect();
    let mut running = JoinSet::new();
    loop {
        while running.len() < lanes(memory_mb)
            && let Some(contestant) = waiting.pop_front()
        {
            let trial = Trial { contestant, memory_mb };
            let (programs, certificates) = (programs.clone(), certificates.clone());
            running.spawn(async move { (contestant, trial.run(&programs, &certificates).await) });
        }
        let Some(ended) = running.join_next().await else { break };
        let (contestant, sample) = ended?;
        let sample = sample?;
        for samples in all.iter_mut().filter(|samples| samples.contestant == contestant) {
            samples.init_ms.push(milliseconds(sample.init));
            samples.drain_ms.extend(sample.drain.map(milliseconds));
        }
    }
    Ok(all.into())
}

/// How many processes run side by side: one, unless each may use a small part of a CPU only.
fn lanes(memory_mb: Option<u32>) -> usize {
    let Some(memory_mb) = memory_mb else { return 1 };
    let share = f64::from(memory_mb) / f64::from(MEMORY_OF_ONE_VCPU);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "there are few cores"
    )]
    let lanes = (cores as f64 * BUSY / share) as usize;
    lanes.max(1)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
