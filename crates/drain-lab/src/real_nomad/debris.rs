//! The folder of a cluster, and everything that its agents leave behind when they are killed: tasks with their
//! executors, mounts, cgroups and files.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What tidies up.
const CLEAN_UP: &str = include_str!("clean_up.sh");

/// A cluster's folder. When it is dropped every process that was started in it ends and it is removed: the agents are to
/// be dead by then, as they would start tasks again.
///
/// A process of its own sees to that, which waits for the end of its input. So it happens as well when this process is
/// killed, from a keyboard or otherwise, and nobody drops anything.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    name: String,
    cleaner: Child,
}

impl Home {
    pub(super) fn create() -> io::Result<Self> {
        let name = format!("drain-lab-nomad-{:016x}", fastrand::u64(..));
        // Without symbolic links, so that it is spelled as the kernel does in its list of mounts.
        let path = std::env::temp_dir().canonicalize()?.join(&name);
        fs::create_dir(&path)?;
        fs::create_dir(path.join("tmp"))?;
        let cleaner = Command::new("sh")
            .args(["-c", CLEAN_UP, "clean_up.sh"])
            .arg(&path)
            .arg(&name)
            // Whoever interrupts us from a keyboard does not mean it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { path, name, cleaner })
    }

    /// A file or a folder in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The name of a cgroup for one client's tasks.
    pub(super) fn cgroup(&self, client: &str) -> String {
        format!("{}-{client}", self.name)
    }

    /// What a process of the cluster has in its environment, and hands down to those that it starts: by it they are
    /// recognised.
    pub(super) fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [("HOME", self.path.clone()), ("TMPDIR", self.path("tmp"))]
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        if let Err(error) = self.cleaner.wait() {
            tracing::warn!("what {} leaves behind is not removed: {error}", self.path.display());
        }
    }
}
