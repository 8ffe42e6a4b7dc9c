//! A lab with a group of workers, and the tool at a terminal in it.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use drain_lab::clock::Clock;
use drain_lab::journal::Kind;
use drain_lab::lab::{Lab, TOKEN, Worker};
use drain_lab::nomad::JobSpec;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::process::{Child, Command};

/// The group of every test.
pub(crate) const GROUP: &str = "workers";

/// A lab whose account tells nobody of what happens, so that only the tool acts.
pub(crate) struct Stage {
    lab: Lab,
}

impl Deref for Stage {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Stage {
    /// A lab with the group, in which time runs.
    pub(crate) async fn set_up() -> Self {
        let lab = Lab::start(Clock::running()).await.unwrap();
        lab.add_group(GROUP, 3600).unwrap();
        lab.nomad.set_batch_interval(SignedDuration::from_millis(50));
        lab.lose_events(true);
        Self { lab }
    }

    /// A worker whose instance is being terminated, held by the hook.
    pub(crate) fn ending(&self, number: u8) -> Worker {
        let worker = self.lab.add_worker(GROUP, number).unwrap();
        self.lab.aws.terminate_instance(&worker.instance_id).unwrap();
        worker
    }

    /// A worker that the hook holds while its service takes longer to stop than any test.
    pub(crate) async fn busy(&self) -> Worker {
        let worker = self.lab.add_worker(GROUP, 1).unwrap();
        let long = Duration::from_mins(30);
        let service = JobSpec::service("web", 1).min_healthy_time(Duration::ZERO);
        self.lab.nomad.add_job(service.kill_timeout(2 * long).stop_takes(long));
        let runs = || !self.lab.nomad.allocations_on(&worker.node_id).is_empty();
        eventually("the service runs", runs).await;
        self.lab.aws.terminate_instance(&worker.instance_id).unwrap();
        worker
    }

    /// The tool, with the variables of the lab's function, and credentials in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.envs(self.lab.function(Path::new("none")).env);
        let account = self.lab.aws.account();
        command
            .env("AWS_REGION", &account.region)
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &account.secret_access_key)
            .env("AWS_SESSION_TOKEN", &account.session_token)
            .envs([("AUTO_SCALING_GROUPS", GROUP), ("POLL_INTERVAL", "50ms")]);
        command
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments)).await
    }

    /// Starts it. It is killed when the answer is dropped.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// The tool on a terminal of this kind, as `script` makes one; `None` where there is no such program.
    pub(crate) fn on_a_terminal(&self, kind: &str, arguments: &[&str]) -> Option<Child> {
        let tool = self.command(arguments);
        // Without `exec` it would be the shell that Ctrl-C ends.
        let line = format!("exec {} {}", env!("CARGO_BIN_EXE_nomad-drain"), arguments.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
        let variables = tool.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
        script.envs(variables).env("TERM", kind).env("PATH", std::env::var_os("PATH")?);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        script.spawn().ok()
    }

    /// Presses Ctrl-C, and waits for its end.
    pub(crate) async fn interrupt(&self, child: Child) -> Ran {
        let process = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        Ran::to_the_end(child.wait_with_output()).await
    }
}

/// The tool with nothing in its environment: no credentials, no home.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad-drain"));
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    // Nobody answers at EC2's metadata address here.
    command.env("AWS_EC2_METADATA_DISABLED", "true").args(arguments);
    command
}

/// What the tool has said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Runs a command to its end. The Nomad token is nowhere in what it says, whatever happens.
    pub(crate) async fn of(mut command: Command) -> Self {
        Self::to_the_end(command.output()).await
    }

    /// The same of a command that has been started.
    pub(crate) async fn to_the_end(running: impl Future<Output = io::Result<Output>>) -> Self {
        let output = tokio::time::timeout(Duration::from_mins(1), running).await;
        Self::from(output.unwrap_or_else(|_| panic!("it goes on after a minute")).unwrap())
    }

    /// What it printed, as one document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "the token was printed: {out}{err}");
        assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "escapes without a terminal: {out}{err}");
        Self { status: output.status.code().unwrap_or(-1), out, err }
    }
}

/// How many calls of this operation have reached the lab.
pub(crate) fn count(stage: &Stage, operation: &str) -> usize {
    let entries = stage.journal.entries().into_iter();
    entries.filter(|entry| entry.kind == Kind::Call && entry.what == operation).count()
}

/// Waits until `condition` holds; fails with `what` after half a minute.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < give_up, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
