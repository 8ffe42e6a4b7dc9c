//! An execution environment: one process, its Runtime API, and what goes on between them.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::Function;
use super::process::Process;
use super::record::{LogLine, Outcome, Stream};
use super::runtime_api::{self, Answer, Ask, Task};
use super::usage::Usage;
use crate::aws::Account;
use crate::clock::Clock;
use crate::http_face::Face;

/// A process has this long to ask for its first invocation.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A process that serves one invocation after the other. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Environment {
    process: Process,
    asks: UnboundedReceiver<Ask>,
    /// The process waits for its next invocation here.
    poller: Option<oneshot::Sender<Task>>,
    clock: Clock,
    /// Closes the Runtime API with the environment.
    _face: Face,
}

/// The end of a run.
pub(super) struct Run {
    pub(super) outcome: Outcome,
    /// The environment can serve another invocation.
    pub(super) reusable: bool,
}

/// What can happen while a process is waited for.
enum Happening {
    Said(Stream, String),
    Asked(Ask),
    Ended(Option<ExitStatus>),
    TimeUp,
}

impl Environment {
    /// Starts a process and waits until it asks for its first invocation. What it prints goes to `log`;
    /// `request_id` is the invocation that needs it, for error messages.
    pub(super) async fn start(
        function: &Function,
        account: &Account,
        clock: &Clock,
        request_id: &str,
        log: &mut Vec<LogLine>,
    ) -> Result<Self, Outcome> {
        let invalid = |error: std::io::Error| {
            let program = function.bootstrap.display();
            failed("Runtime.InvalidEntrypoint", request_id, &format!("fork/exec {program}: {error}"))
        };
        let (face, asks) = runtime_api::open().await.map_err(invalid)?;
        let env = environment_variables(function, account, &face);
        let process = Process::start(&function.bootstrap, &env).map_err(invalid)?;
        let mut environment = Self { process, asks, poller: None, clock: clock.clone(), _face: face };
        environment.init(request_id, log).await?;
        Ok(environment)
    }

    async fn init(&mut self, request_id: &str, log: &mut Vec<LogLine>) -> Result<(), Outcome> {
        let until = Instant::now() + INIT_TIMEOUT;
        loop {
            match self.happening(until).await {
                Happening::Said(stream, text) => log.push(self.line(None, stream, text)),
                Happening::Asked(Ask::Next(poller)) => {
                    self.poller = Some(poller);
                    return Ok(());
                }
                Happening::Asked(Ask::Answer { accepted, .. }) => _ = accepted.send(false),
                Happening::Asked(Ask::InitError(answer)) => {
                    self.end(None, log).await;
                    return Err(outcome(answer));
                }
                Happening::Ended(status) => {
                    self.end(None, log).await;
                    return Err(exited(request_id, status));
                }
                Happening::TimeUp => {
                    self.end(None, log).await;
                    return Err(timed_out(request_id, INIT_TIMEOUT));
                }
            }
        }
    }

    /// Gives the process a task, for at most `timeout` of real time. The run ends when the process asks for the next
    /// one, as in Lambda: the answer alone is not the end of what it has to do. What it prints goes to `log`.
    pub(super) async fn run(&mut self, task: Task, timeout: Duration, log: &mut Vec<LogLine>) -> Run {
        let until = Instant::now() + timeout;
        let request_id = task.request_id.clone();
        let id = Some(request_id.as_str());
        let mut answered = None;
        let mut task = self.hand_over(task);
        loop {
            match self.happening(until).await {
                Happening::Said(stream, text) => log.push(self.line(id, stream, text)),
                Happening::Asked(Ask::Next(poller)) => {
                    self.poller = Some(poller);
                    if let Some(outcome) = answered {
                        while let Some((stream, text)) = self.process.output.line_at_hand().await {
                            log.push(self.line(id, stream, text));
                        }
                        return Run { outcome, reusable: true };
                    }
                    task = task.and_then(|task| self.hand_over(task));
                }
                Happening::Asked(Ask::Answer { request_id: meant, answer, accepted }) => {
                    let fits = meant == request_id && answered.is_none();
                    _ = accepted.send(fits);
                    if fits {
                        answered = Some(outcome(answer));
                    }
                }
                // Too late for that: the process has asked for an invocation before.
                Happening::Asked(Ask::InitError(_)) => {}
                Happening::Ended(status) => {
                    self.end(id, log).await;
                    let outcome = answered.unwrap_or_else(|| exited(&request_id, status));
                    return Run { outcome, reusable: false };
                }
                Happening::TimeUp => {
                    self.end(id, log).await;
                    let outcome = answered.unwrap_or_else(|| timed_out(&request_id, timeout));
                    return Run { outcome, reusable: false };
                }
            }
        }
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn close(mut self) {
        self.process.kill().await;
    }

    /// Whether the process still lives, as far as one can tell without waiting.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.child.try_wait(), Ok(None))
    }

    /// What the process has used so far: nothing that is known, once it has ended.
    pub(super) fn usage(&self) -> Usage {
        self.process.child.id().map_or_else(Usage::default, Usage::of)
    }

    /// Gives a task to the process if it waits for one, and returns it if not.
    fn hand_over(&mut self, task: Task) -> Option<Task> {
        match self.poller.take() {
            Some(poller) => poller.send(task).err(),
            None => Some(task),
        }
    }

    /// Ends the process, and notes its last words.
    async fn end(&mut self, request_id: Option<&str>, log: &mut Vec<LogLine>) {
        for (stream, text) in self.process.kill().await {
            log.push(self.line(request_id, stream, text));
        }
    }

    async fn happening(&mut self, until: Instant) -> Happening {
        let Process { child, output, .. } = &mut self.process;
        // In this order: what a process prints before it asks is read before the question, and what it asks before it
        // ends is heard before the end.
        tokio::select! {
            biased;
            (stream, text) = output.line() => Happening::Said(stream, text),
            Some(ask) = self.asks.recv() => Happening::Asked(ask),
            status = child.wait() => Happening::Ended(status.ok()),
            () = sleep_until(until) => Happening::TimeUp,
        }
    }

    fn line(&self, request_id: Option<&str>, stream: Stream, text: String) -> LogLine {
        LogLine { at: self.clock.now(), request_id: request_id.map(str::to_owned), stream, text }
    }
}

/// What Lambda sets, and over it what the function wants.
fn environment_variables(function: &Function, account: &Account, face: &Face) -> BTreeMap<String, String> {
    let name = &function.name;
    let root = function.bootstrap.parent().unwrap_or(Path::new("/")).display().to_string();
    let mut variables: BTreeMap<String, String> = [
        ("AWS_LAMBDA_RUNTIME_API", face.address().to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("lab/[$LATEST]{}", face.address().port())),
        ("AWS_REGION", account.region.clone()),
        ("AWS_DEFAULT_REGION", account.region.clone()),
        ("AWS_ACCESS_KEY_ID", account.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", account.secret_access_key.clone()),
        ("AWS_SESSION_TOKEN", account.session_token.clone()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("LAMBDA_TASK_ROOT", root),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    variables.extend(function.env.clone());
    variables
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Response(response) => Outcome::Succeeded(response),
        Answer::Error { error_type, payload } => Outcome::Failed { error_type, payload },
    }
}

fn exited(request_id: &str, status: Option<ExitStatus>) -> Outcome {
    let how = match status {
        Some(status) if status.success() => "Runtime exited without providing a reason".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, signal) => {
                format!("Runtime exited with error: signal: {}", signal.unwrap_or_default())
            }
        },
        None => "Runtime exited".to_owned(),
    };
    failed("Runtime.ExitError", request_id, &how)
}

fn timed_out(request_id: &str, timeout: Duration) -> Outcome {
    let how = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
    failed("Sandbox.Timedout", request_id, &how)
}

fn failed(error_type: &str, request_id: &str, how: &str) -> Outcome {
    let message = format!("RequestId: {request_id} Error: {how}");
    let payload = json!({"errorType": error_type, "errorMessage": message});
    Outcome::Failed { error_type: error_type.to_owned(), payload }
}
