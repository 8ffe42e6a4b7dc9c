//! The folder of a cluster, and everything that its agents leave behind when they are killed: tasks with their
//! executors, mounts, cgroups and files.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long processes that were killed may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the kernel shows cgroups, of either version.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A cluster's folder. Dropping it ends every process that was started in it and removes it: the agents are to be dead
/// by then, as they would start tasks again.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    name: String,
}

impl Home {
    pub(super) fn create() -> io::Result<Self> {
        let name = format!("drain-lab-nomad-{:016x}", fastrand::u64(..));
        // Without symbolic links, so that it is spelled as the kernel does in its list of mounts.
        let path = std::env::temp_dir().canonicalize()?.join(&name);
        fs::create_dir(&path)?;
        fs::create_dir(path.join("tmp"))?;
        Ok(Self { path, name })
    }

    /// A file or a folder in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The name of a cgroup for one client's tasks.
    pub(super) fn cgroup(&self, client: &str) -> String {
        format!("{}-{client}", self.name)
    }

    /// How the names of the cluster's cgroups begin. In version 2 they are below those that [`Home::cgroup`] names; in
    /// version 1 Nomad has one parent for the whole machine, and each task's has the name of its allocation.
    fn cgroup_names(&self) -> Vec<OsString> {
        let allocations = subfolders(&self.path).flat_map(|agent| subfolders(&agent.join("alloc")));
        let allocations = allocations.filter_map(|folder| folder.file_name().map(OsString::from));
        allocations.chain([OsString::from(&self.name)]).collect()
    }

    /// What a process of the cluster has in its environment, and hands down to those that it starts: by it they are
    /// recognised.
    pub(super) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("HOME", self.path.clone()), ("TMPDIR", self.path("tmp"))]
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        end_processes(&self.path);
        unmount(&self.path);
        remove_cgroups(Path::new(CGROUPS), &self.cgroup_names());
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("{} is left behind: {error}", self.path.display());
        }
    }
}

/// Kills those who know this folder, until there are none: one of them may be starting another.
fn end_processes(folder: &Path) {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let processes = processes_of(folder);
        if processes.is_empty() {
            return;
        }
        if Instant::now() > give_up {
            tracing::warn!("of {} there still run {processes:?}", folder.display());
            return;
        }
        for process in processes {
            // An error says that it has ended by itself.
            _ = kill_process(process, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The processes whose environment names this folder. One that has ended shows none.
fn processes_of(folder: &Path) -> Vec<Pid> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let names_it = |pid: &Pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.windows(folder.len()).any(|part| part == folder))
    };
    let pids = subfolders(Path::new("/proc"))
        .filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?));
    pids.filter(names_it).collect()
}

/// Unmounts what is mounted in this folder: the tasks' secrets are, and are not removed otherwise.
fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|mount| mount.split(' ').nth(1));
    let inside: Vec<&str> = points.filter(|point| Path::new(point).starts_with(folder)).collect();
    // The last one may lie in the first.
    for point in inside.into_iter().rev() {
        match Command::new("umount").arg(point).status() {
            Ok(status) if status.success() => {}
            problem => tracing::warn!("{point} stays mounted: {problem:?}"),
        }
    }
}

/// Removes the cgroups below this one whose names begin with one of these.
fn remove_cgroups(parent: &Path, names: &[OsString]) {
    for cgroup in subfolders(parent) {
        let name = cgroup.file_name().unwrap_or_default().as_encoded_bytes();
        if names.iter().any(|begin| name.starts_with(begin.as_encoded_bytes())) {
            remove_cgroup(&cgroup);
        } else {
            remove_cgroups(&cgroup, names);
        }
    }
}

/// The files in a cgroup cannot be removed and do not have to be.
fn remove_cgroup(cgroup: &Path) {
    for child in subfolders(cgroup) {
        remove_cgroup(&child);
    }
    if let Err(error) = fs::remove_dir(cgroup) {
        tracing::warn!("{} is left behind: {error}", cgroup.display());
    }
}

/// None where there is no such folder.
fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}
