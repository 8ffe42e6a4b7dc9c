//! The lab's jobs for a real cluster: programs that behave as the job says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::nomad::{JobKind, JobSpec};

/// How long a task runs that does not end by itself.
const FOREVER: Duration = Duration::from_hours(1);

/// What is registered so that the job runs on the nodes with these ids, and spreads over them.
pub(super) fn register(spec: &JobSpec, nodes: &[String]) -> Value {
    let mut group = json!({
        "Name": "app", "Count": spec.count,
        // What ends is not started again.
        "RestartPolicy": {"Attempts": 0, "Mode": "fail", "Interval": 10_000_000_000_u64, "Delay": 0},
        "EphemeralDisk": {"SizeMB": 10},
        "Tasks": [{
            "Name": "task", "Driver": "raw_exec", "Config": {"command": "sh", "args": ["-c", script(spec)]},
            "Resources": {"CPU": 20, "MemoryMB": 20},
            "KillTimeout": nanoseconds(spec.kill_timeout), "ShutdownDelay": nanoseconds(spec.shutdown_delay),
            "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
        }],
    });
    let mut job = json!({
        "ID": spec.id, "Name": spec.id, "Namespace": spec.namespace, "Type": spec.kind.as_str(), "Datacenters": ["*"],
        "Constraints": [{"LTarget": "${node.unique.id}", "RTarget": nodes.join("|"), "Operand": "regexp"}],
    });
    if spec.kind == JobKind::Service {
        // By default a task has to run for ten seconds before it counts as healthy.
        let healthy = json!({
            "HealthCheck": "task_states", "MinHealthyTime": nanoseconds(spec.min_healthy_time),
            "HealthyDeadline": 60_000_000_000_u64,
        });
        group["Migrate"] = healthy.clone();
        group["Migrate"]["MaxParallel"] = spec.max_parallel.into();
        group["Update"] = healthy;
        group["Update"]["MaxParallel"] = spec.count.into();
        group["Update"]["ProgressDeadline"] = 120_000_000_000_u64.into();
    }
    if matches!(spec.kind, JobKind::Service | JobKind::Batch) {
        job["Spreads"] = json!([{"Attribute": "${node.unique.id}", "Weight": 100}]);
    }
    job["TaskGroups"] = json!([group]);
    job
}

/// The task: it runs for so long, and does about the signal to stop what the job says.
fn script(spec: &JobSpec) -> String {
    let on_signal = if spec.stop_takes == Duration::ZERO {
        "exit 0".to_owned()
    } else if spec.stop_takes > spec.kill_timeout {
        String::new()
    } else {
        format!("sleep {}; exit 0", spec.stop_takes.as_secs_f32())
    };
    let lasts = spec.runs_for.unwrap_or(FOREVER).as_millis();
    format!(
        "trap '{on_signal}' INT TERM; now() {{ echo $(($(date +%s%N) / 1000000)); }}; end=$(($(now) + {lasts})); \
         while [ $(now) -lt $end ]; do sleep 0.2; done"
    )
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
