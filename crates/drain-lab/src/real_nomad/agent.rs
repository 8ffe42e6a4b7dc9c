//! A Nomad agent: a process in a group of its own, its configuration and its log.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::time::Instant;

use super::debris::Home;

/// How much of its log an agent that failed may show.
const LAST_LINES: usize = 15;

/// A running agent. Dropping it kills it; its tasks outlive it, as everywhere: [`Home`] ends those.
#[derive(Debug)]
pub(super) struct Agent {
    name: String,
    /// Until it has been killed.
    child: Option<Child>,
    log: PathBuf,
}

impl Agent {
    /// Starts an agent. Of our own environment it gets the search path only: Nomad takes part of its configuration
    /// from there, and does not even start with some of what is set where people work with AWS (`AWS_CA_BUNDLE`).
    pub(super) fn start(
        nomad: &Path,
        home: &Home,
        name: &str,
        config: &Value,
        variables: &[(&str, String)],
    ) -> io::Result<Self> {
        let file = home.path(&format!("{name}.json"));
        fs::write(&file, config.to_string())?;
        let log = home.path(&format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(nomad);
        command.arg("agent").arg("-config").arg(&file).process_group(0);
        command.env_clear().envs(home.variables()).envs(variables.iter().cloned());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
        Ok(Self { name: name.to_owned(), child: Some(child), log })
    }

    /// Fails, with the end of the log, if the agent has ended or it is too late.
    pub(super) fn must_run(&mut self, give_up: Instant) -> io::Result<()> {
        let trouble = match self.child.as_mut().map(Child::try_wait).transpose()? {
            Some(None) if Instant::now() < give_up => return Ok(()),
            Some(None) => "is not ready".to_owned(),
            Some(Some(status)) => format!("has ended: {status}"),
            None => "has been killed".to_owned(),
        };
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        Err(io::Error::other(format!("the Nomad agent {} {trouble}; its last words:\n{last}", self.name)))
    }

    /// Kills it and whatever is left of its group, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Errors say that nobody is left.
        _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        _ = child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}
