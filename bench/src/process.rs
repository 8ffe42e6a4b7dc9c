//! A contestant's process. It dies with its owner, and so does everything that it has started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::quota::Quota;

/// How a process is in a control group before its program is loaded: a shell joins it, says that it is ready, waits for a
/// word, and becomes the program.
const READY: &str =
    r#"echo $$ > "$1" || exit 1; echo ready; read -r word || exit 1; shift; exec "$@" < /dev/null"#;

/// How long a shell may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: BTreeMap<OsString, OsString>,
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
    /// Reads what it prints, and keeps the end of it.
    output: JoinHandle<String>,
    /// When its program was started.
    pub(crate) started_at: Timestamp,
}

impl Process {
    /// Spawns a program with exactly its variables.
    pub(crate) fn spawn(program: &Program) -> anyhow::Result<Self> {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).stdin(Stdio::null());
        let started_at = Timestamp::now();
        let mut child =
            contained(&mut command, program).spawn().context(program.path.display().to_string())?;
        let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        Self::new(child, stdout, started_at)
    }

    /// Starts a program within a quota. The clock starts when the shell that has joined it is told to become the program;
    /// before that it rests for `pause`, so that it leaves none of its quota used.
    pub(crate) async fn start_within(
        quota: &Quota,
        pause: Duration,
        program: &Program,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", READY, "sh"]).arg(quota.processes()).arg(&program.path).args(&program.arguments);
        command.stdin(Stdio::piped());
        let mut child = contained(&mut command, program).spawn().context("/bin/sh does not start")?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut first = String::new();
        let ready = tokio::time::timeout(PATIENCE, stdout.read_line(&mut first)).await;
        if !matches!(ready, Ok(Ok(_))) || first.trim() != "ready" {
            bail!("a shell cannot join {quota:?}");
        }
        let mut this = Self::new(child, stdout, Timestamp::now())?;
        tokio::time::sleep(pause).await;
        this.started_at = Timestamp::now();
        stdin.write_all(b"go\n").await?;
        Ok(this)
    }

    fn new(
        mut child: Child,
        mut stdout: BufReader<ChildStdout>,
        started_at: Timestamp,
    ) -> anyhow::Result<Self> {
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut stderr = child.stderr.take().context("no pipe")?;
        let output = tokio::spawn(async move {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            _ = tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err));
            let all = [out, err].concat();
            String::from_utf8_lossy(&all[all.len().saturating_sub(2000)..]).into_owned()
        });
        Ok(Self { child, group, output, started_at })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Asks it to end, waits for that, and returns the end of what it has printed.
    pub(crate) async fn terminate(mut self) -> String {
        if let Some(group) = self.group {
            _ = kill_process_group(group, Signal::TERM);
        }
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.kill_group();
            _ = self.child.wait().await;
        }
        self.kill_group();
        (&mut self.output).await.unwrap_or_default()
    }

    /// Kills it, waits until it is gone, and returns the end of what it has printed.
    pub(crate) async fn kill(mut self) -> String {
        self.kill_group();
        _ = self.child.wait().await;
        (&mut self.output).await.unwrap_or_default()
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // An error says that nobody of the group is left.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
        self.output.abort();
    }
}

/// In a group of its own that can be killed as a whole, with these variables and no others.
fn contained<'a>(command: &'a mut Command, program: &Program) -> &'a mut Command {
    command.env_clear().envs(&program.variables).process_group(0).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Nanoseconds of CPU that a process has used so far, all its threads together (`/proc/PID/task/*/schedstat`).
pub(crate) fn cpu_ns(id: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let used = text.split_whitespace().next().and_then(|used| used.parse::<u64>().ok());
        sum += used.context("the kernel keeps no schedstat")?;
    }
    Ok(sum)
}

/// A field of `/proc/PID/status` in bytes: `VmHWM` is the largest resident set so far.
pub(crate) fn memory(id: u32, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{id}/status");
    let text = std::fs::read_to_string(Path::new(&path)).with_context(|| path.clone())?;
    status_kb(&text, field).map(|kb| kb * 1024).with_context(|| format!("{path} has no {field}"))
}

fn status_kb(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> Program {
        let variables = [("PATH".into(), "/usr/bin:/bin".into()), ("X".into(), "seen".into())];
        let arguments = vec!["-c".into(), script.into()];
        Program { path: "/bin/sh".into(), arguments, variables: variables.into() }
    }

    #[tokio::test]
    async fn a_process_dies_with_what_it_has_started() {
        let script = "echo $X $HOME; sleep 1000 & echo $!; wait";
        let process = Process::spawn(&program(script)).unwrap();
        let id = process.id().unwrap();
        while cpu_ns(id).unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(memory(id, "VmHWM").unwrap() > 0);
        let children = format!("/proc/{id}/task/{id}/children");
        let children = loop {
            let children = std::fs::read_to_string(&children).unwrap();
            if !children.trim().is_empty() {
                break children;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let printed = process.kill().await;
        assert_eq!(printed.lines().next(), Some("seen"), "{printed}");
        let child = format!("/proc/{}", children.split_whitespace().next().unwrap());
        let is_gone =
            || std::fs::read_to_string(format!("{child}/stat")).is_ok_and(|stat| !stat.contains(") Z"));
        for _ in 0..1000 {
            if !is_gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the child lives on");
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            status_kb("Name:\tbootstrap\nVmHWM:\t    6124 kB\nVmRSS:\t 6000 kB\n", "VmHWM"),
            Some(6124)
        );
        assert_eq!(status_kb("Name:\tbootstrap\n", "VmHWM"), None);
    }
}
