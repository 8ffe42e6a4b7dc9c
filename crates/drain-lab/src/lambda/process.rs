//! A function's process: its whole group dies with it, and what it prints is read line by line.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Split};
use tokio::process::{Child, Command};
use tokio::task::coop::unconstrained;
use tokio::time::timeout;

use super::record::Stream;

/// How long the last words of a dead process are waited for. They are in the pipe already; a process that escaped from
/// the group could keep the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running process in a group of its own. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    /// To be waited for.
    pub(super) child: Child,
    /// What it prints.
    pub(super) output: Output,
    group: Option<Pid>,
}

impl Process {
    /// Starts `program` with exactly this environment.
    pub(super) fn start(program: &Path, env: &BTreeMap<String, String>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.env_clear().envs(env).process_group(0).kill_on_drop(true);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let stdout = child.stdout.take().map(|pipe| lines(Box::new(pipe)));
        let stderr = child.stderr.take().map(|pipe| lines(Box::new(pipe)));
        Ok(Self { child, output: Output { stdout, stderr }, group })
    }

    /// Kills the process and everything that it started, and waits until it is gone. Returns what it had still to say.
    pub(super) async fn kill(&mut self) -> Vec<(Stream, String)> {
        self.kill_group();
        // An error says that it is not our child any more.
        _ = self.child.wait().await;
        self.output.rest().await
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
    }
}

/// What a process prints.
pub(super) struct Output {
    stdout: Option<Lines>,
    stderr: Option<Lines>,
}

type Lines = Split<BufReader<Box<dyn AsyncRead + Send + Unpin>>>;

impl Output {
    /// The next line. Never returns after the last one. May be abandoned and called again.
    pub(super) async fn line(&mut self) -> (Stream, String) {
        tokio::select! {
            biased;
            Some(line) = next(&mut self.stdout) => (Stream::Stdout, line),
            Some(line) = next(&mut self.stderr) => (Stream::Stderr, line),
            else => std::future::pending().await,
        }
    }

    /// A line that is there already.
    pub(super) async fn line_at_hand(&mut self) -> Option<(Stream, String)> {
        // Otherwise a task that has done much gets nothing, whatever is there.
        timeout(Duration::ZERO, unconstrained(self.line())).await.ok()
    }

    /// Everything up to the end.
    async fn rest(&mut self) -> Vec<(Stream, String)> {
        let mut rest = Vec::new();
        _ = timeout(LAST_WORDS, async {
            while let Some(line) = next(&mut self.stdout).await {
                rest.push((Stream::Stdout, line));
            }
            while let Some(line) = next(&mut self.stderr).await {
                rest.push((Stream::Stderr, line));
            }
        })
        .await;
        rest
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

fn lines(pipe: Box<dyn AsyncRead + Send + Unpin>) -> Lines {
    BufReader::new(pipe).split(b'\n')
}

/// The next line, or nothing after the last one.
async fn next(lines: &mut Option<Lines>) -> Option<String> {
    let line = lines.as_mut()?.next_segment().await;
    if let Ok(Some(line)) = line {
        return Some(String::from_utf8_lossy(&line).into_owned());
    }
    *lines = None;
    None
}
