//! The account, the cluster and the function, and the questions that scenarios ask of them.

use std::path::Path;
use std::time::{Duration, Instant};

use drain_lab::aws::ParameterType;
use drain_lab::clock::Clock;
use drain_lab::lab::{Lab, TOKEN_PARAMETER, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda, Outcome};
use drain_lab::real_nomad::Cluster;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The group of every worker.
pub(crate) const GROUP: &str = "workers";

/// How long an invocation may take that begins a drain: some scenarios wait for the end of it.
const BRIEF: Duration = Duration::from_secs(4);

/// The same of one that sees the drain through, five seconds of which are kept back.
const LONG: Duration = Duration::from_secs(15);

/// What the documentation tells people to give the function's token.
const POLICY: &str = include_str!("../../../../deploy/nomad/nomad-drain.policy.hcl");

/// An account of the lab, and a real cluster on its instances: the first two know which instances they are.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) workers: Vec<Worker>,
    lab: Lab,
    token: String,
}

impl World {
    /// Starts it all and waits until it is ready.
    pub(crate) async fn start(nomad: &Path) -> Self {
        let lab = Lab::start(Clock::running()).await.unwrap();
        lab.add_group(GROUP, 3600).unwrap();
        let mut cluster = Cluster::start(nomad).await.unwrap();
        let token = cluster.token("nomad-drain", POLICY).await.unwrap();
        lab.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, &token);
        let mut workers = Vec::new();
        for number in 1..=3 {
            let private_ip = cluster.address(number);
            let instance_id = lab.aws.add_instance(GROUP, Some(private_ip)).unwrap();
            let metadata = (number < 3).then_some(instance_id.as_str());
            cluster.start_client(number, metadata).await.unwrap();
            workers.push(Worker {
                instance_id,
                node_id: String::new(),
                name: format!("client-{number}"),
                private_ip,
            });
        }
        for (worker, node_id) in workers.iter_mut().zip(cluster.ready().await.unwrap()) {
            worker.node_id = node_id;
        }
        Self { cluster, workers, lab, token }
    }

    /// Nomad's.
    pub(crate) async fn version(&self) -> String {
        let agent = self.cluster.get("/v1/agent/self").await.unwrap();
        agent["config"]["Version"]["Version"].as_str().unwrap().to_owned()
    }

    /// Sends the hook's message for a worker to a new function with these variables.
    pub(crate) async fn invoke(&self, worker: &Worker, variables: &[(&str, &str)]) -> InvocationRecord {
        self.invoke_with(&message(&worker.instance_id), variables).await
    }

    /// The same with any event, and checks that the token is nowhere in what the function says.
    pub(crate) async fn invoke_with(&self, event: &Value, variables: &[(&str, &str)]) -> InvocationRecord {
        self.invoke_for(BRIEF, event, variables).await
    }

    async fn invoke_for(
        &self,
        timeout: Duration,
        event: &Value,
        variables: &[(&str, &str)],
    ) -> InvocationRecord {
        let mut function = self.lab.function(Path::new(env!("CARGO_BIN_EXE_bootstrap")));
        function.timeout = timeout;
        let ours = [
            ("NOMAD_ADDR", self.cluster.url()),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("RUST_LOG", "trace"),
            ("POLL_INTERVAL", "200ms"),
        ];
        let function = function.with_variables(&ours).with_variables(variables);
        let (clock, journal) = (self.lab.clock.clone(), self.lab.journal.clone());
        let run = Lambda::new(function, self.lab.aws.account().clone(), clock, journal).invoke(event).await;
        let said = format!("{:?}", (&run.outcome, &run.log));
        assert!(!said.contains(&self.token), "the token was printed: {said}");
        run
    }

    /// Ends a worker's instance, which the hook holds from now on. Each instance ends once.
    pub(crate) fn terminate(&self, worker: &Worker) {
        self.lab.aws.terminate_instance(&worker.instance_id).unwrap();
    }

    /// Sends the message of the hook that holds a worker, and lets the function see it through.
    pub(crate) async fn see_through(&self, worker: &Worker, variables: &[(&str, &str)]) -> InvocationRecord {
        let action = self.lab.aws.lifecycle_action(&worker.instance_id).unwrap();
        let mut message = message(&worker.instance_id);
        message["LifecycleHookName"] = action.hook.into();
        message["LifecycleActionToken"] = action.token.into();
        message["Time"] = format!("{:.3}", action.started_at).into();
        self.invoke_for(LONG, &message, variables).await
    }

    /// When the function completed the lifecycle action of a worker.
    pub(crate) fn released_at(&self, worker: &Worker) -> Option<Timestamp> {
        let entries = self.lab.journal.entries().into_iter();
        let mut done = entries.filter(|entry| {
            entry.what == "lifecycle action completed" && entry.subject == worker.instance_id
        });
        done.next().map(|entry| entry.at)
    }

    /// Gives the function's token another secret, or its own again.
    pub(crate) fn set_token(&self, secret: Option<&str>) {
        let secret = secret.unwrap_or(&self.token);
        self.lab.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, secret);
    }

    /// A worker's node, as the server shows it.
    pub(crate) async fn node(&self, worker: &Worker) -> Value {
        self.cluster.node(&worker.node_id).await.unwrap()
    }

    /// A worker's node that may be drained again.
    pub(crate) async fn eligible(&self, index: usize) -> &Worker {
        let worker = &self.workers[index];
        self.cluster.make_eligible(&worker.node_id).await.unwrap();
        worker
    }

    /// The node when its drain has ended, for which it waits.
    pub(crate) async fn drained(&self, worker: &Worker) -> Value {
        eventually(&format!("{} is drained", worker.name), async || {
            let node = self.node(worker).await;
            let drained = node["SchedulingEligibility"] == "ineligible"
                && node["DrainStrategy"].is_null()
                && node["LastDrain"]["Status"] == "complete";
            drained.then_some(node)
        })
        .await
    }

    /// Waits until the servers miss a worker's client.
    pub(crate) async fn down(&self, worker: &Worker) {
        eventually(&format!("{} is down", worker.name), async || {
            (self.node(worker).await["Status"] == "down").then_some(())
        })
        .await;
    }

    /// Waits until an allocation of a job is as wanted.
    pub(crate) async fn allocation(&self, job: &str, is_so: impl Fn(&Value) -> bool) {
        eventually(&format!("{job} is so"), async || {
            self.cluster.allocations(job).await.unwrap().iter().any(&is_so).then_some(())
        })
        .await;
    }
}

/// A job of one long task that runs only on this worker.
pub(crate) fn job(id: &str, kind: &str, worker: &Worker) -> Value {
    let second = 1_000_000_000_i64;
    let mut job = json!({
        "ID": id, "Name": id, "Type": kind, "Datacenters": ["*"],
        "Constraints": [{"LTarget": "${node.unique.id}", "RTarget": worker.node_id, "Operand": "="}],
        "TaskGroups": [{
            "Name": "group", "Count": 1,
            "Tasks": [{
                "Name": "task", "Driver": "raw_exec", "Config": {"command": "sleep", "args": ["3600"]},
                "Resources": {"CPU": 20, "MemoryMB": 20}, "KillTimeout": second,
            }],
        }],
    });
    if kind == "service" {
        // Well as soon as it runs: by default a task has to run for ten seconds first.
        job["Update"] = json!({
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 0,
            "HealthyDeadline": 30 * second, "ProgressDeadline": 60 * second,
        });
    }
    job
}

/// A message for an instance that names no hook: the drain is begun, and there is nothing to complete.
pub(crate) fn message(instance_id: &str) -> Value {
    json!({
        "Origin": "AutoScalingGroup", "Destination": "EC2",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroupName": GROUP,
        "Service": "AWS Auto Scaling", "Time": format!("{:.3}", Timestamp::now()), "EC2InstanceId": instance_id,
        "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
    })
}

/// The one result of an invocation that succeeded.
#[track_caller]
pub(crate) fn result(run: &InvocationRecord) -> &Value {
    let results = run.outcome.response().unwrap_or_else(|| panic!("failed: {:?}", run.outcome));
    let [result] = &results["results"].as_array().unwrap()[..] else { panic!("{results}") };
    result
}

/// The type and the message of an invocation that failed.
#[track_caller]
pub(crate) fn failure(run: &InvocationRecord) -> (&str, &str) {
    let Outcome::Failed { error_type, payload } = &run.outcome else {
        panic!("not failed: {:?}", run.outcome)
    };
    (error_type, payload["errorMessage"].as_str().unwrap())
}

/// Waits until there is something; fails with `what` after half a minute.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < give_up, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
