//! The jobs of the tests: for the lab as it wants them, and for a real cluster as programs that behave as described.

use std::time::Duration;

use drain_lab::nomad::JobSpec;
use serde_json::{Value, json};

/// A job of one task group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) id: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) count: usize,
    /// When its task ends by itself.
    pub(crate) runs_for: Option<Duration>,
    /// What its task does about the signal to stop.
    pub(crate) stops: Stops,
    pub(crate) kill_timeout: Duration,
    pub(crate) shutdown_delay: Duration,
}

/// What a task does about the signal to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stops {
    AtOnce,
    After(Duration),
    Never,
}

impl Job {
    pub(crate) fn new(id: &'static str, kind: &'static str) -> Self {
        Self {
            id,
            kind,
            count: 1,
            runs_for: None,
            stops: Stops::AtOnce,
            kill_timeout: Duration::from_secs(5),
            shutdown_delay: Duration::ZERO,
        }
    }

    pub(super) fn emulated(&self) -> JobSpec {
        let spec = match self.kind {
            "service" => JobSpec::service(self.id, self.count),
            "batch" => JobSpec::batch(self.id, self.count),
            "system" => JobSpec::system(self.id),
            "sysbatch" => JobSpec::sysbatch(self.id),
            kind => panic!("there are no {kind} jobs"),
        };
        let spec = spec
            .min_healthy_time(Duration::ZERO)
            .kill_timeout(self.kill_timeout)
            .shutdown_delay(self.shutdown_delay);
        let spec = match self.runs_for {
            Some(time) => spec.runs_for(time),
            None => spec,
        };
        match self.stops {
            Stops::AtOnce => spec.stop_takes(Duration::ZERO),
            Stops::After(time) => spec.stop_takes(time),
            Stops::Never => spec.ignores_signals(),
        }
    }

    /// The job for the nodes with these ids only.
    pub(super) fn real(&self, nodes: &[String]) -> Value {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
        let life = self.runs_for.map_or(3600.0, |time| time.as_secs_f32());
        let wait = format!(
            "end=$(($(date +%s%N)/1000000+{:.0})); while [ $(($(date +%s%N)/1000000)) -lt $end ]; do sleep 0.1; done",
            life * 1000.0
        );
        let script = match self.stops {
            Stops::AtOnce => format!("trap 'exit 0' INT TERM; {wait}"),
            Stops::After(time) => format!("trap 'sleep {}; exit 0' INT TERM; {wait}", time.as_secs_f32()),
            Stops::Never => format!("trap '' INT TERM; {wait}"),
        };
        let mut group = json!({
            "Name": "app", "Count": self.count,
            // What ends is not started again.
            "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 10_000_000_000_u64, "Delay": 0},
            "EphemeralDisk": {"SizeMB": 10},
            "Tasks": [{
                "Name": "task", "Driver": "raw_exec", "Config": {"command": "sh", "args": ["-c", script]},
                "Resources": {"CPU": 20, "MemoryMB": 20},
                "KillTimeout": nanoseconds(self.kill_timeout), "ShutdownDelay": nanoseconds(self.shutdown_delay),
                "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
            }],
        });
        if self.kind == "service" {
            group["Migrate"] = json!({
                "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 0,
                "HealthyDeadline": 30_000_000_000_u64,
            });
            group["Update"] = json!({
                "MaxParallel": self.count, "HealthCheck": "task_states", "MinHealthyTime": 0,
                "HealthyDeadline": 30_000_000_000_u64, "ProgressDeadline": 60_000_000_000_u64,
            });
        }
        json!({
            "ID": self.id, "Name": self.id, "Type": self.kind, "Datacenters": ["*"],
            "Constraints": [
                {"LTarget": "${node.unique.id}", "RTarget": nodes.join("|"), "Operand": "regexp"},
            ],
            "TaskGroups": [group],
        })
    }
}
