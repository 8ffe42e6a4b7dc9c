//! `nomad-drain sweep`: the function's sweep, without the function.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use drain_lab::faults::Fault;
use drain_lab::lab::Worker;
use drain_lab::models::Models;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::stage::{GROUP, Stage, count, eventually};

const GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";

/// A sweep that runs.
struct Running {
    child: Child,
    /// Where `/healthz` is.
    address: SocketAddr,
    /// What it says from here on, until it ends.
    log: JoinHandle<Vec<Value>>,
}

impl Running {
    async fn start(stage: &Stage) -> Self {
        let arguments = ["sweep", "--every", "1s", "--listen", "127.0.0.1:0", "--json"];
        let mut child = stage.start(&arguments);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        let first: Value = serde_json::from_str(&first.unwrap().unwrap().unwrap()).unwrap();
        let (_, address) = first["message"].as_str().unwrap().split_once("/healthz is at ").unwrap();
        let address = address.parse().unwrap();
        let log = tokio::spawn(async move {
            let mut log = Vec::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                log.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")));
            }
            log
        });
        Self { child, address, log }
    }

    /// What `/healthz` says: its status, and the document.
    async fn health(&self) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
    }

    /// Asks for its health until it is this, and the document has these words.
    async fn becomes(&self, status: u16, words: &str) -> Value {
        let give_up = tokio::time::Instant::now() + Duration::from_secs(50);
        loop {
            let (said, told) = self.health().await;
            if said == status && told.to_string().contains(words) {
                return told;
            }
            assert!(tokio::time::Instant::now() < give_up, "never {status} {words:?}, but {said} {told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends SIGTERM, waits for its end, which is a success, and gives what it has said.
    async fn end(self) -> Vec<Value> {
        let process = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let mut child = self.child;
        let status = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
        self.log.await.unwrap()
    }
}

fn is_held(stage: &Stage, worker: &Worker) -> bool {
    stage.aws.lifecycle_action(&worker.instance_id).is_some()
}

#[tokio::test]
async fn what_a_lost_event_has_left_is_drained_and_released_and_sigterm_ends_it() {
    let stage = Stage::set_up().await;
    let running = Running::start(&stage).await;
    running.becomes(200, "groups watched: 1, instances held: 0").await;

    let worker = stage.ending(1);

    eventually("the instance is released", || !is_held(&stage, &worker)).await;
    assert_eq!(count(&stage, "POST /v1/node/:id/drain"), 1);
    running.becomes(200, "instances held: 0").await;
    let log = running.end().await;
    let said = |words: &str| log.iter().any(|line| line.to_string().contains(words));
    assert!(said("ended by SIGTERM") && said("drain_posted") && said(&worker.instance_id), "{log:?}");
    assert!(!said("_aws"), "metrics that nobody asked for: {log:?}");
}

#[tokio::test]
async fn it_ends_soon_while_it_waits_for_a_slow_job() {
    let stage = Stage::set_up().await;
    let worker = stage.busy().await;
    let running = Running::start(&stage).await;
    let told = running.becomes(200, "allocations_running").await;
    assert_eq!((&told["last_sweep"]["held"], &told["healthy"]), (&1.into(), &true.into()), "{told}");
    running.end().await;
    assert!(is_held(&stage, &worker), "released while its work ran");
}

#[tokio::test]
async fn health_is_what_the_sweeps_were_like() {
    let stage = Stage::set_up().await;
    stage.aws.deny(GROUPS);
    let running = Running::start(&stage).await;
    running.becomes(503, "no sweep has succeeded yet").await;
    stage.aws.allow(GROUPS);
    running.becomes(200, "the last sweep ended at").await;
    stage.aws.deny(GROUPS);
    // So slowly that nobody misses the first of three.
    stage.faults.always("DescribeAutoScalingGroups", &Fault::Delay(Duration::from_secs(3)));
    running.becomes(200, "the last sweep has failed").await;
    let told = running.becomes(503, "the last 3 sweeps have failed").await;
    assert!(told["message"].as_str().unwrap().contains(GROUPS), "it says why: {told}");
    stage.faults.clear_scope("DescribeAutoScalingGroups");
    stage.aws.allow(GROUPS);
    running.becomes(200, "the last sweep ended at").await;
    running.end().await;
}

#[tokio::test]
async fn an_outage_of_nomad_is_no_reason_to_restart_it_and_the_instance_is_kept() {
    let stage = Stage::set_up().await;
    stage.aws.put_lifecycle_hook(GROUP, Models::hook(300)).unwrap();
    stage.nomad.set_unreachable(true);
    let worker = stage.ending(1);
    let running = Running::start(&stage).await;
    let told = running.becomes(200, "instances held: 1").await;
    assert_eq!(told["last_sweep"]["reasons"], serde_json::json!({"nomad_unreachable": 1}));
    assert!(is_held(&stage, &worker));
    assert!(count(&stage, "RecordLifecycleActionHeartbeat") >= 1, "not kept alive");

    stage.nomad.set_unreachable(false);

    eventually("the instance is released", || !is_held(&stage, &worker)).await;
    running.end().await;
}

#[tokio::test]
async fn one_sweep_does_what_there_is_to_do_and_tells_metrics_if_asked() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    let ran = stage.run(&["sweep", "--once", "--every", "10s", "--metrics", "--json"]).await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(!is_held(&stage, &worker), "{ran:?}");
    assert!(ran.out.contains(r#""CloudWatchMetrics""#) && ran.out.contains("HeldInstances"), "{ran:?}");

    stage.aws.deny(GROUPS);
    let ran = stage.run(&["sweep", "--once"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.contains(GROUPS), "{ran:?}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_at_once() {
    let stage = Stage::set_up().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = stage.run(&["sweep", "--listen", &address]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.contains(&address) && ran.err.contains("--listen"), "{ran:?}");
    let ran = stage.run(&["sweep", "--listen", "8080"]).await;
    assert!(ran.status == 2 && ran.err.contains("such as 0.0.0.0:8080"), "{ran:?}");
}

#[tokio::test]
async fn the_job_file_is_one_that_nomad_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nomad/nomad-drain-sweep.nomad.hcl");
    let mut nomad = Command::new("nomad");
    // No agent is asked: what the file says is all that is looked at.
    nomad.args(["job", "validate", "-address", "http://127.0.0.1:1"]).arg(&file);
    let Ok(ran) = nomad.stdin(Stdio::null()).output().await else {
        println!("skipped: there is no program `nomad` on PATH to validate the job file with");
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("Job validation successful"), "{said}");
}
