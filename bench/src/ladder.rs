//! The scale ladder: a hundred to fifteen thousand instances that end at once.

mod fleet;
mod growth;
mod page;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ground::Ground;
use crate::report::Section;

pub(crate) use fleet::{Fleet, Held, Observed};

/// The rungs.
const RUNGS: [u32; 4] = [100, 1_000, 5_000, 15_000];

/// Batches of the queue that are worked on at the same time: the lab's processes share this machine.
const AT_ONCE: usize = 8;

/// So many that Nomad's limit of connections is reached: two for each invocation.
const CROWD: usize = 60;

/// Instances where a limit is met.
const AT_A_LIMIT: u32 = 200;

/// Calls a second that the account takes in that case.
const AWS_CALLS_A_SECOND: u32 = 10;

/// Sweeps that follow each other in that case, at most: what one cannot begin the next one does.
const THROTTLED_SWEEPS: usize = 3;

/// The fleet that only stands there.
const IDLE: u32 = 50_000;

/// The sizes of functions for which is told what one sweep carries, and how many instances are held meanwhile.
const CARRIERS: [(u32, u32); 3] = [(128, 5_000), (512, 10_000), (1_769, 15_000)];

/// The time-out of such a sweep, in seconds; a deployed one has 90. It begins drains until a second before.
const CARRIES_FOR_S: u32 = 25;

/// Everything that was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Ladder {
    /// By a queue, one for each rung.
    queue: Vec<Observed>,
    /// By one sweep.
    sweep: Vec<Observed>,
    /// At Nomad's limit of connections.
    crowd: Observed,
    /// Throttled by AWS: the drains of the events, and those of sweeps.
    throttled_queue: Observed,
    throttled_sweep: Observed,
    /// The sweep of a fleet that only stands there.
    idle: Observed,
    /// By memory; or why there are none.
    carried: Result<Vec<(u32, Observed)>, String>,
}

/// Climbs it.
pub(crate) async fn measure(ground: &Ground) -> anyhow::Result<Section> {
    let mut ladder = Ladder {
        queue: Vec::new(),
        sweep: Vec::new(),
        crowd: Observed::default(),
        throttled_queue: Observed::default(),
        throttled_sweep: Observed::default(),
        idle: Observed::default(),
        carried: Ok(Vec::new()),
    };
    for instances in RUNGS {
        let fleet = Fleet::of(instances).await?;
        ladder.queue.push(told(fleet.by_queue(fleet.function(&ground.function, &[]), AT_ONCE).await?));
        let fleet = Fleet::of(instances).await?;
        // As long as it takes: what one sweep carries in its time is measured below.
        let patient = fleet.function(&ground.function, &[("SWEEP_LINGER", "9m")]);
        ladder.sweep.push(told(fleet.by_sweep(patient).await?));
    }
    let fleet = Fleet::of(AT_A_LIMIT * 5).await?;
    ladder.crowd = told(fleet.by_queue(fleet.function(&ground.function, &[]), CROWD).await?);
    // Side by side, as both do little but wait.
    let (queue, sweep) = (Fleet::of(AT_A_LIMIT).await?, Fleet::of(AT_A_LIMIT).await?);
    for fleet in [&queue, &sweep] {
        fleet.lab.aws.set_rate_limit(Some(AWS_CALLS_A_SECOND));
    }
    let (by_queue, by_sweep) = tokio::join!(
        queue.by_queue(queue.function(&ground.function, &[]), AT_ONCE),
        sweep.by_sweeps(sweep.function(&ground.function, &[]), THROTTLED_SWEEPS),
    );
    (ladder.throttled_queue, ladder.throttled_sweep) = (told(by_queue?), told(by_sweep?));
    drop((queue, sweep));
    let fleet = Fleet::of(IDLE).await?;
    ladder.idle = fleet.sweep(fleet.function(&ground.function, &[]), 1).await?;
    drop(fleet);
    ladder.carried = carried(ground).await?;
    Ok(page::section(&ladder))
}

/// What one sweep carries, by memory. The two small ones run side by side: together they use less than half a CPU.
async fn carried(ground: &Ground) -> anyhow::Result<Result<Vec<(u32, Observed)>, String>> {
    let [small, middle, large] = CARRIERS;
    let (small, middle) = tokio::join!(carry(ground, small), carry(ground, middle));
    let mut all = Vec::new();
    for one in [small?, middle?, carry(ground, large).await?] {
        match one {
            Ok(one) => all.push(one),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(all))
}

async fn carry(
    ground: &Ground,
    (memory_mb, instances): (u32, u32),
) -> anyhow::Result<Result<(u32, Observed), String>> {
    let held = match Held::to_memory(&ground.function, ground.scratch.path(), memory_mb) {
        Ok(held) => held,
        Err(why) => return Ok(Err(why)),
    };
    let fleet = Fleet::of(instances).await?;
    let mut function = fleet.function(&held.bootstrap, &[]);
    function.memory_mb = memory_mb;
    function.timeout = Duration::from_secs(CARRIES_FOR_S.into());
    let seen = told(fleet.by_sweep(function).await?);
    // Its processes end before its share of the CPU does.
    if let Some(sweeper) = fleet.lab.sweeper() {
        sweeper.shutdown().await;
    }
    drop(fleet);
    drop(held.quota);
    Ok(Ok((memory_mb, seen)))
}

/// Says on the terminal what was seen.
fn told(seen: Observed) -> Observed {
    eprintln!(
        "  {} instances: {} drains in {:.1} s, {} completed in {:.1} s, {} lost, {} twice",
        seen.instances, seen.posts, seen.last_drain_s, seen.completed, seen.took_s, seen.lost, seen.doubles
    );
    seen
}
