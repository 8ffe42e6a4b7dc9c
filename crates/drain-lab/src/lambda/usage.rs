//! What a process has used, as the kernel tells it under `/proc`. On another system nothing is known.

use std::path::PathBuf;
use std::time::Duration;

/// What a process has used in its life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Usage {
    /// The most memory that it had at once (`VmHWM`), in bytes.
    pub(super) memory: Option<u64>,
    /// The time that its threads spent on a processor; of those that have ended nothing is known.
    pub(super) cpu: Option<Duration>,
}

impl Usage {
    /// What the process with this id has used so far.
    pub(super) fn of(pid: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let memory = std::fs::read_to_string(folder.join("status")).ok().and_then(|status| peak(&status));
        let threads = std::fs::read_dir(folder.join("task")).ok();
        let cpu = threads.map(|threads| {
            let stats = threads.filter_map(|thread| {
                on_cpu(&std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?)
            });
            stats.sum()
        });
        Self { memory, cpu }
    }
}

/// `VmHWM: 5120 kB`, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The first number is the time on a processor in nanoseconds (Linux, `Documentation/scheduler/sched-stats.rst`).
fn on_cpu(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(peak("VmPeak:\t  9000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 1 kB\n"), Some(5120 * 1024));
        assert_eq!(peak("Name:\tx\n"), None);
        assert_eq!(on_cpu("1500000 20 7\n"), Some(Duration::from_micros(1500)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_lives_has_used_something() {
        let Usage { memory, cpu } = Usage::of(std::process::id());
        assert!(memory.unwrap() > 0 && cpu.is_some());
        assert_eq!(Usage::of(u32::MAX), Usage::default());
    }
}
