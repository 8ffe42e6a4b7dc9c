//! As much of a CPU as Lambda gives to so much memory.

use std::path::{Path, PathBuf};

/// A function with so much memory has one whole vCPU (AWS Lambda Developer Guide, "Configure Lambda function memory").
pub(crate) const MEMORY_OF_ONE_VCPU: u32 = 1769;

/// The kernel hands out the share anew after so many microseconds. Lambda's own are about as long.
const PERIOD_US: u32 = 20_000;

/// A control group whose processes share a part of one CPU. It goes when it is dropped; its processes must have ended.
#[derive(Debug)]
pub(crate) struct Quota {
    folder: PathBuf,
}

impl Quota {
    /// The share of a function with so much memory. An error says why this machine cannot do that.
    pub(crate) fn of_memory(memory_mb: u32) -> Result<Self, String> {
        let us = PERIOD_US * memory_mb / MEMORY_OF_ONE_VCPU;
        let name = format!("drain-bench-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let (v2, v1) = (Path::new("/sys/fs/cgroup"), Path::new("/sys/fs/cgroup/cpu"));
        let quotas: [(&Path, &[(&str, String)]); 2] = [
            (v2, &[("cpu.max", format!("{us} {PERIOD_US}"))]),
            (v1, &[("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", us.to_string())]),
        ];
        let mut problems = Vec::new();
        for (root, settings) in quotas {
            match Self::make(root.join(&name), settings) {
                Ok(quota) => return Ok(quota),
                Err(problem) => problems.push(problem),
            }
        }
        Err(format!("no control group can be made with a CPU quota: {}", problems.join("; ")))
    }

    fn make(folder: PathBuf, settings: &[(&str, String)]) -> Result<Self, String> {
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // It is removed whatever happens from here on.
        let quota = Self { folder };
        for (file, value) in settings {
            let path = quota.folder.join(file);
            // A controller that is not there has no such file, and none can be created.
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(quota)
    }

    /// Where a process writes its id to belong to it.
    pub(crate) fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // A process that was killed a moment ago may still be on its way out.
        for _ in 0..100 {
            match std::fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}
