//! The Lambda service: it runs the real function, as real processes.
//!
//! A [`Lambda`] hosts one function. Each of its execution environments is a process with a Runtime API of its own;
//! an environment serves one invocation after the other, and a new one is made when all are busy. Events are tried
//! again after an error, as Lambda does, at the times of the lab's clock; time-outs run in real time, as processes
//! do.

mod emulator;
mod environment;
mod event_source;
mod process;
mod queue;
mod record;
mod runtime_api;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::environment::{Environment, Run};
pub use self::event_source::EventSourceMapping;
use self::queue::Queue;
pub use self::record::{DeadLetter, InvocationRecord, InvocationType, LogLine, Outcome, Stream};
use self::runtime_api::Task;
use self::usage::Usage;
use crate::aws::Account;
use crate::aws::ids::Ids;
use crate::clock::Clock;
use crate::journal::{Journal, System};
use crate::sqs;

/// A function and its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The program that speaks the Runtime API.
    pub bootstrap: PathBuf,
    /// Its memory in MB. The process is told, and not held to it.
    pub memory_mb: u32,
    /// How long a run may take, in real time.
    pub timeout: Duration,
    /// Its environment variables, beside those that Lambda sets.
    pub env: BTreeMap<String, String>,
    /// How many runs may go on at the same time.
    pub max_concurrency: usize,
    /// How long after an error an event is tried again, by the lab's clock: once per element.
    pub retry_after: Vec<Duration>,
}

impl Function {
    /// A function with 128 MB, 15 s, at most 10 runs at the same time, and the retries of Lambda: after one minute and
    /// after two more.
    pub fn new(name: &str, bootstrap: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            bootstrap: bootstrap.into(),
            memory_mb: 128,
            timeout: Duration::from_secs(15),
            env: BTreeMap::new(),
            max_concurrency: 10,
            retry_after: vec![Duration::from_mins(1), Duration::from_mins(2)],
        }
    }

    /// The same with these environment variables besides, or instead.
    #[must_use]
    pub fn with_variables(mut self, variables: &[(&str, &str)]) -> Self {
        self.env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }
}

/// A handle to the service. Cloning it gives another handle to the same service. When the last one is dropped, every
/// process of the function is killed.
#[derive(Clone, Debug)]
pub struct Lambda {
    service: Arc<Service>,
    queue: Arc<Queue>,
    /// What reads the queues to which the function is mapped.
    pollers: Arc<Mutex<JoinSet<()>>>,
}

impl Lambda {
    /// Hosts `function`, whose processes get the credentials of `account`'s role.
    pub fn new(function: Function, account: Account, clock: Clock, journal: Journal) -> Self {
        let slots = Semaphore::new(function.max_concurrency);
        // Two functions of one lab never share a request id.
        let seed = function
            .name
            .bytes()
            .fold(1, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let memory = Mutex::new(Memory {
            ids: Ids::seeded(seed),
            idle: vec![],
            invocations: vec![],
            dead_letters: vec![],
        });
        let service = Arc::new(Service { function, account, clock, journal, slots, memory });
        let queue = Arc::new(Queue::new(Arc::clone(&service)));
        Self { service, queue, pollers: Arc::default() }
    }

    /// The function's ARN.
    pub fn function_arn(&self) -> String {
        self.service.function_arn()
    }

    /// The function's settings.
    pub fn settings(&self) -> &Function {
        &self.service.function
    }

    /// Runs the function and waits for its end: the invocation type `RequestResponse`. A caller that stops waiting
    /// kills the run.
    pub async fn invoke(&self, payload: &Value) -> InvocationRecord {
        let request_id = self.service.memory().ids.uuid();
        let kind = InvocationType::RequestResponse;
        match self.service.slots.try_acquire() {
            Ok(_permit) => self.service.run(&request_id, kind, 1, payload).await,
            Err(_) => self.service.throttle(request_id, payload),
        }
    }

    /// Queues an event, to be tried again after errors: the invocation type `Event`. Returns its request id.
    pub fn invoke_async(&self, payload: Value) -> String {
        let request_id = self.service.memory().ids.uuid();
        self.queue.push(request_id.clone(), payload);
        request_id
    }

    /// Maps the function to a queue: from now on it is called with what is in there, as long as it is hosted. Such runs
    /// are no events of [`Lambda::quiet`]; the queue tells when it is quiet itself.
    pub fn add_event_source(&self, queue: &sqs::Queue, mapping: EventSourceMapping) {
        let poll = event_source::poll(Arc::clone(&self.service), queue.clone(), mapping);
        self.pollers.lock().unwrap_or_else(PoisonError::into_inner).spawn(poll);
    }

    /// Waits until no event runs or is due. Some may still wait for a retry: see [`Lambda::next_due`].
    pub async fn quiet(&self) {
        self.queue.quiet().await;
    }

    /// When the next event is tried again, by the lab's clock.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_due()
    }

    /// All runs that have ended, in the order of their ends.
    pub fn invocations(&self) -> Vec<InvocationRecord> {
        self.service.memory().invocations.clone()
    }

    /// The events that failed for the last time.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.service.memory().dead_letters.clone()
    }

    /// Everything that the function printed in runs that have ended.
    pub fn logs(&self) -> Vec<LogLine> {
        self.service.memory().invocations.iter().flat_map(|run| run.log.clone()).collect()
    }

    /// Forgets queued events and kills every process that nobody waits for, as a deployment of new code does. Returns
    /// when they are gone.
    pub async fn shutdown(&self) {
        self.queue.clear().await;
        let idle = std::mem::take(&mut self.service.memory().idle);
        for environment in idle {
            environment.close().await;
        }
    }
}

/// The part of the service that queued events share with the handles.
#[derive(Debug)]
struct Service {
    function: Function,
    account: Account,
    clock: Clock,
    journal: Journal,
    slots: Semaphore,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    ids: Ids,
    /// Environments that wait for an invocation; the one used last is taken first.
    idle: Vec<Environment>,
    invocations: Vec<InvocationRecord>,
    dead_letters: Vec<DeadLetter>,
}

impl Service {
    /// Runs the function once. The caller holds one of the slots.
    async fn run(
        &self,
        request_id: &str,
        kind: InvocationType,
        attempt: usize,
        payload: &Value,
    ) -> InvocationRecord {
        let started_at = self.clock.now();
        self.journal.effect(started_at, System::Lambda, "invoked", request_id, format!("attempt {attempt}"));
        let mut log = Vec::new();
        let mut init = None;
        let environment = if let Some(idle) = self.idle_environment() {
            Ok(idle)
        } else {
            let before_init = Instant::now();
            let (function, account) = (&self.function, &self.account);
            let new = Environment::start(function, account, &self.clock, request_id, &mut log).await;
            init = Some(before_init.elapsed());
            new
        };
        let before_run = Instant::now();
        let (outcome, used) = match environment {
            Err(outcome) => (outcome, Usage::default()),
            Ok(mut environment) => {
                let before = if init.is_some() { Usage::default() } else { environment.usage() };
                let task = self.task(request_id, payload);
                let Run { outcome, reusable } = environment.run(task, self.function.timeout, &mut log).await;
                let mut used = Usage::default();
                if reusable {
                    used = environment.usage();
                    used.cpu = used.cpu.map(|cpu| cpu.saturating_sub(before.cpu.unwrap_or_default()));
                    self.memory().idle.push(environment);
                }
                (outcome, used)
            }
        };
        self.note(InvocationRecord {
            request_id: request_id.to_owned(),
            kind,
            attempt,
            started_at,
            payload: payload.clone(),
            init,
            duration: before_run.elapsed(),
            max_memory_used: used.memory,
            cpu_total_time: used.cpu,
            outcome,
            log,
        })
    }

    /// Notes that the function could not run.
    fn throttle(&self, request_id: String, payload: &Value) -> InvocationRecord {
        self.note(InvocationRecord {
            request_id,
            kind: InvocationType::RequestResponse,
            attempt: 1,
            started_at: self.clock.now(),
            payload: payload.clone(),
            init: None,
            duration: Duration::ZERO,
            max_memory_used: None,
            cpu_total_time: None,
            outcome: Outcome::Throttled,
            log: vec![],
        })
    }

    fn note(&self, record: InvocationRecord) -> InvocationRecord {
        let (what, detail) = match &record.outcome {
            Outcome::Succeeded(_) => ("succeeded", ""),
            Outcome::Failed { error_type, .. } => ("failed", error_type.as_str()),
            Outcome::Throttled => ("throttled", ""),
        };
        self.journal.effect(self.clock.now(), System::Lambda, what, &record.request_id, detail);
        self.memory().invocations.push(record.clone());
        record
    }

    fn idle_environment(&self) -> Option<Environment> {
        let mut memory = self.memory();
        std::iter::from_fn(|| memory.idle.pop()).find_map(|mut found| found.is_alive().then_some(found))
    }

    fn task(&self, request_id: &str, payload: &Value) -> Task {
        let timeout = SignedDuration::try_from(self.function.timeout).unwrap_or(SignedDuration::MAX);
        let deadline = Timestamp::now().saturating_add(timeout).unwrap_or(Timestamp::MAX);
        let mut memory = self.memory();
        let (time, root, parent) = (memory.ids.digits(8), memory.ids.digits(24), memory.ids.digits(16));
        Task {
            request_id: request_id.to_owned(),
            deadline_ms: deadline.as_millisecond(),
            function_arn: self.function_arn(),
            trace_id: format!("Root=1-{time}-{root};Parent={parent};Sampled=0"),
            payload: payload.clone(),
        }
    }

    fn function_arn(&self) -> String {
        let Account { id, region, .. } = &self.account;
        format!("arn:aws:lambda:{region}:{id}:function:{}", self.function.name)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
