//! A few nodes of a cluster, and what a test can do with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use drain_http::{HttpClient, Limits, Tls, Trust};
use drain_lab::Face;
use drain_lab::clock::Clock;
use drain_lab::faults::Faults;
use drain_lab::journal::Journal;
use drain_lab::nomad::{Access, JobSpec, NodeSpec, Nomad, Policy, Token as LabToken};
use drain_lab::real_nomad::Cluster;
use jiff::{SignedDuration, Timestamp};
use nomad_client::{Allocation, BaseUrl, DrainRequest, DrainSpec, LastDrain, Node, NomadClient, Token};
use serde_json::{Value, json};
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinSet;

/// No call to a server on this machine takes longer.
pub(crate) const CALL: Duration = Duration::from_secs(20);

/// No wait of a test is longer: of real time, or of the lab's.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a drain is looked at that stays open although nothing runs: for more than five seconds.
const LOOKS_AT_AN_OPEN_DRAIN: usize = 100;

/// What we tell people to give the function's token.
const POLICY: &str = include_str!("../../../../deploy/nomad/nomad-drain.policy.hcl");

/// Secrets of the lab's tokens.
const LAB_ADMIN: &str = "11f0e5a2-0000-4000-8000-000000000001";
const LAB_DRAIN: &str = "11f0e5a2-0000-4000-8000-000000000002";
const LAB_OTHER: &str = "11f0e5a2-0000-4000-8000-000000000003";

/// A few nodes of a cluster.
pub(crate) struct Stage {
    /// The client under test, with the token that the function is given.
    pub(crate) nomad: NomadClient,
    /// A node by its place: its id, and the instance that it names.
    nodes: Vec<(String, Option<String>)>,
    url: String,
    admin: String,
    http: HttpClient,
    ground: Ground,
    /// The jobs that were registered.
    jobs: Mutex<Vec<String>>,
}

enum Ground {
    Emulated { nomad: Nomad, clock: Clock, _face: Face, _running: JoinSet<()> },
    Real(Arc<RwLock<Cluster>>),
}

/// A real cluster, of which tests share the nodes out.
pub(crate) struct Real {
    pub(crate) cluster: Arc<RwLock<Cluster>>,
    nodes: Vec<(String, Option<String>)>,
    url: String,
    admin: String,
    drain: String,
}

/// Whether a node's agent is older than Nomad 1.11, in which some things changed that we do not rely on.
pub(crate) fn is_before_1_11(node: &Node) -> bool {
    let version = node.attributes.get("nomad.version").map_or("", String::as_str);
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version < (1, 11))
}

/// A service with so many allocations, whose tasks are healthy as soon as they run and stop at once.
pub(crate) fn service(id: &str, count: usize) -> JobSpec {
    JobSpec::service(id, count).min_healthy_time(Duration::ZERO).stop_takes(Duration::ZERO)
}

/// A batch job of one task that stops at once.
pub(crate) fn batch(id: &str) -> JobSpec {
    JobSpec::batch(id, 1).stop_takes(Duration::ZERO)
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Nomad-Index`.
    pub(crate) index: Option<u64>,
    pub(crate) text: String,
}

impl Real {
    pub(crate) async fn new(cluster: RwLock<Cluster>, nodes: Vec<(String, Option<String>)>) -> Self {
        let (url, admin, drain) = {
            let cluster = cluster.read().await;
            let drain = cluster.token("nomad-drain", POLICY).await.unwrap();
            let admin = json!({"Name": "admin", "Type": "management"});
            let admin = cluster.post("/v1/acl/token", &admin).await.unwrap();
            (cluster.url().to_owned(), admin["SecretID"].as_str().unwrap().to_owned(), drain)
        };
        Self { cluster: Arc::new(cluster), nodes, url, admin, drain }
    }

    /// Those of its nodes.
    pub(crate) fn stage(&self, nodes: &[usize]) -> Stage {
        let nodes = nodes.iter().map(|&place| self.nodes[place].clone()).collect();
        let ground = Ground::Real(Arc::clone(&self.cluster));
        Stage::new(&self.url, &self.drain, &self.admin, nodes, ground)
    }
}

impl Stage {
    /// A cluster of the lab, with two nodes, a third that names the instance of the second, and one that names none. The
    /// last two take no work.
    pub(crate) async fn emulated() -> Self {
        // Time stands still except where a test waits.
        let clock = Clock::stopped_at(Timestamp::now());
        let nomad = Nomad::new(clock.clone(), Journal::new(clock.clone()), Faults::default());
        nomad.enable_acl();
        nomad.add_policy("nomad-drain", Policy::minimal().agent(Access::Read));
        nomad.add_token(LabToken::management(LAB_ADMIN));
        nomad.add_token(LabToken::client(LAB_DRAIN, &["nomad-drain"]));
        let instances = ["i-00000000000000001", "i-00000000000000002"].map(str::to_owned);
        let spec =
            |number: usize| NodeSpec::new(format!("client-{number}")).address(format!("127.0.1.{number}"));
        let [one, two] = &instances;
        let specs = [
            spec(1).instance_id(one),
            spec(2).instance_id(two),
            spec(3).instance_id(two).ineligible(),
            spec(4).ineligible(),
        ];
        let ids = nomad.add_nodes(specs);
        let of = [Some(one), Some(two), Some(two), None].map(Option::<&String>::cloned);
        let face = nomad.serve().await.unwrap();
        let url = face.url();
        let mut running = JoinSet::new();
        running.spawn({
            let nomad = nomad.clone();
            async move { nomad.run().await }
        });
        let ground = Ground::Emulated { nomad, clock, _face: face, _running: running };
        Self::new(&url, LAB_DRAIN, LAB_ADMIN, ids.into_iter().zip(of).collect(), ground)
    }

    fn new(
        url: &str,
        token: &str,
        admin: &str,
        nodes: Vec<(String, Option<String>)>,
        ground: Ground,
    ) -> Self {
        let http = HttpClient::new(&Tls::new(Trust::web())).unwrap();
        let (url, admin, jobs) = (url.to_owned(), admin.to_owned(), Mutex::default());
        let nomad = client(&http, &url, token);
        Self { nomad, nodes, url, admin, http, ground, jobs }
    }

    /// Ends what the test before has left, on a real cluster: on the lab's there was none.
    pub(crate) async fn clear(&self) {
        for job in std::mem::take(&mut *self.jobs.lock().await) {
            self.stop(&job).await;
        }
        for place in 0..self.nodes.len() {
            let node = self.node(place).await;
            if node.status == "down" {
                continue;
            }
            if node.drain_strategy.is_some() {
                self.nomad.end_drain(&node.id, CALL).await.unwrap();
            }
            self.nomad.make_eligible(&node.id, CALL).await.unwrap();
            self.eventually("nothing runs any more", async || self.live(place).await.is_empty()).await;
        }
    }

    /// A client of the same cluster with another token.
    pub(crate) fn with_token(&self, token: &str) -> NomadClient {
        client(&self.http, &self.url, token)
    }

    /// A token with these rules of the policy only: `node`, `namespace`, `agent`.
    pub(crate) async fn token(&self, rules: &[&str], lasts: Option<Duration>) -> String {
        match &self.ground {
            Ground::Emulated { nomad, clock, .. } => {
                let policy = rules.iter().fold(Policy::default(), |policy, rule| match *rule {
                    "node" => policy.node(Access::Write),
                    "namespace" => policy.namespace("*", &["read-job"]),
                    "agent" => policy.agent(Access::Read),
                    rule => panic!("the policy has no rule {rule}"),
                });
                nomad.add_policy("other", policy);
                let token = LabToken::client(LAB_OTHER, &["other"]);
                let ends = |lasts| clock.now() + SignedDuration::try_from(lasts).unwrap();
                nomad.add_token(match lasts {
                    Some(lasts) => token.expires(ends(lasts)),
                    None => token,
                });
                LAB_OTHER.to_owned()
            }
            Ground::Real(cluster) => {
                let is_wanted = |block: &&str| {
                    let opens = block.lines().find(|line| line.ends_with('{')).unwrap_or_default();
                    rules.iter().any(|rule| opens.starts_with(rule))
                };
                let rules: Vec<&str> = POLICY.split("\n\n").filter(is_wanted).collect();
                cluster.read().await.token_lasting("other", &rules.join("\n"), lasts).await.unwrap()
            }
        }
    }

    /// The id of a node.
    pub(crate) fn id(&self, place: usize) -> &str {
        &self.nodes[place].0
    }

    /// The instance that a node names.
    pub(crate) fn instance(&self, place: usize) -> &str {
        self.nodes[place].1.as_deref().unwrap()
    }

    pub(crate) async fn node(&self, place: usize) -> Node {
        self.nomad.node(self.id(place), CALL).await.unwrap()
    }

    /// The allocations of a job on a node.
    pub(crate) async fn allocations(&self, place: usize, job: &str) -> Vec<Allocation> {
        let mut all = self.nomad.allocations(self.id(place), CALL).await.unwrap();
        all.retain(|one| one.job_id == job);
        all
    }

    /// How many allocations of a job run on a node, as its client says.
    pub(crate) async fn running(&self, place: usize, job: &str) -> usize {
        self.allocations(place, job).await.iter().filter(|one| one.client_status == "running").count()
    }

    /// The allocations on a node that have not ended.
    pub(crate) async fn live(&self, place: usize) -> Vec<Allocation> {
        let mut all = self.nomad.allocations(self.id(place), CALL).await.unwrap();
        all.retain(|one| matches!(one.client_status.as_str(), "pending" | "running"));
        all
    }

    /// Registers a job, and waits until so many of its allocations run on a node.
    pub(crate) async fn run(&self, job: &JobSpec, place: usize, count: usize) {
        self.jobs.lock().await.push(job.id().to_owned());
        match &self.ground {
            Ground::Emulated { nomad, .. } => nomad.add_job(job.clone()),
            Ground::Real(cluster) => {
                let nodes: Vec<String> = self.nodes.iter().map(|(id, _)| id.clone()).collect();
                cluster.read().await.add_job(job, &nodes).await.unwrap();
            }
        }
        self.eventually("the job runs", async || self.running(place, job.id()).await >= count).await;
    }

    /// The same on one node only: so many allocations, all of them there.
    pub(crate) async fn run_on(&self, job: &JobSpec, place: usize, count: usize) {
        let mut others = Vec::new();
        for other in (0..self.nodes.len()).filter(|&other| other != place) {
            if self.node(other).await.scheduling_eligibility == "eligible" {
                self.nomad.make_ineligible(self.id(other), CALL).await.unwrap();
                others.push(other);
            }
        }
        self.run(job, place, count).await;
        for other in others {
            self.nomad.make_eligible(self.id(other), CALL).await.unwrap();
        }
    }

    /// Stops a job, as `nomad job stop` does.
    pub(crate) async fn stop(&self, job: &str) {
        match &self.ground {
            Ground::Emulated { nomad, .. } => nomad.stop_job("default", job),
            Ground::Real(cluster) => cluster.read().await.stop_job(job).await.unwrap(),
        }
    }

    /// Drains a node with a deadline in seconds, and says who did.
    pub(crate) async fn drain(&self, place: usize, seconds: i64, who: &str) {
        self.drain_with(place, seconds, false, Some(who)).await;
    }

    pub(crate) async fn drain_with(
        &self,
        place: usize,
        seconds: i64,
        ignore_system_jobs: bool,
        who: Option<&str>,
    ) {
        let request = DrainRequest {
            drain_spec: DrainSpec { deadline: seconds * 1_000_000_000, ignore_system_jobs },
            mark_eligible: false,
            meta: who.map(|who| BTreeMap::from([("who".to_owned(), who.to_owned())])),
        };
        let index = self.nomad.drain(self.id(place), &request, CALL).await.unwrap();
        assert!(index > 0, "a drain is a write");
    }

    /// The node when the drain has ended. Now and then a real Nomad overlooks the end of the last allocation, and the drain
    /// stays open; as the function does, this has it look again then.
    pub(crate) async fn drained(&self, place: usize) -> Node {
        let mut empty = 0;
        self.found("the drain ends", async || {
            let node = self.node(place).await;
            let Some(strategy) = &node.drain_strategy else {
                return (last_drain(&node).status == "complete").then_some(node);
            };
            let counts = |one: &Allocation| one.job_type.as_deref() != Some("system");
            empty = if self.live(place).await.iter().any(counts) { 0 } else { empty + 1 };
            if empty == LOOKS_AT_AN_OPEN_DRAIN {
                crate::say("contract: Nomad overlooks the end of a drain, and is asked to look again");
                self.drain_with(place, -1, strategy.ignore_system_jobs, None).await;
            }
            None
        })
        .await
    }

    /// Ends the client's process on a node, and waits until the servers miss it.
    pub(crate) async fn kill_client(&self, place: usize) {
        match &self.ground {
            Ground::Emulated { nomad, .. } => nomad.kill_client(self.id(place)).unwrap(),
            Ground::Real(cluster) => {
                let name = self.node(place).await.name;
                cluster.write().await.kill_client(&name);
            }
        }
        self.eventually("the node is down", async || self.node(place).await.status == "down").await;
    }

    /// Takes the servers away.
    pub(crate) async fn stop_servers(&self) {
        match &self.ground {
            Ground::Emulated { nomad, .. } => {
                nomad.lose_leader(None);
                nomad.set_unreachable(true);
            }
            Ground::Real(cluster) => cluster.write().await.kill_server(),
        }
    }

    /// Brings them back.
    pub(crate) async fn start_servers(&self) {
        match &self.ground {
            Ground::Emulated { nomad, .. } => {
                nomad.set_unreachable(false);
                nomad.elect_leader();
            }
            Ground::Real(cluster) => cluster.write().await.restart_server().await.unwrap(),
        }
    }

    /// What comes to a request of somebody who may do everything.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("x-nomad-token", &self.admin)
            .body(Bytes::from(body))
            .unwrap();
        let limits = Limits { timeout: PATIENCE, body: 1 << 24 };
        let answer = self.http.send(request, limits).await.unwrap();
        let index = answer.headers().get("x-nomad-index").and_then(|index| index.to_str().ok()?.parse().ok());
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        Answer { status: answer.status().as_u16(), index, text }
    }

    /// Waits until `look` finds something; fails with `what` when patience is over.
    pub(crate) async fn found<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let (began, began_there) = (Instant::now(), self.lab_time());
        loop {
            if let Some(found) = look().await {
                return found;
            }
            let waited = match (self.lab_time(), began_there) {
                (Some(now), Some(began)) => now.duration_since(began).unsigned_abs(),
                _ => began.elapsed(),
            };
            assert!(waited < PATIENCE, "never happened: {what}. {}", self.state().await);
            self.pause().await;
        }
    }

    /// Waits until it is so; fails with `what` when patience is over.
    pub(crate) async fn eventually(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        self.found(what, async || look().await.then_some(())).await;
    }

    /// Looks at it again and again for so long; fails with `what` when it is not so any more.
    pub(crate) async fn stays(&self, what: &str, time: Duration, mut look: impl AsyncFnMut() -> bool) {
        let (began, began_there) = (Instant::now(), self.lab_time());
        loop {
            assert!(look().await, "not any more: {what}");
            let waited = match (self.lab_time(), began_there) {
                (Some(now), Some(began)) => now.duration_since(began).unsigned_abs(),
                _ => began.elapsed(),
            };
            if waited >= time {
                return;
            }
            self.pause().await;
        }
    }

    /// What the nodes are doing, for those who have to find out why a test fails.
    async fn state(&self) -> String {
        let mut state = Vec::new();
        for (id, _) in &self.nodes {
            let node = self.nomad.node(id, CALL).await;
            let allocations = self.nomad.allocations(id, CALL).await;
            state.push(format!("{node:?} runs {allocations:?}"));
        }
        state.join("\n")
    }

    fn lab_time(&self) -> Option<Timestamp> {
        match &self.ground {
            Ground::Emulated { clock, .. } => Some(clock.now()),
            Ground::Real(_) => None,
        }
    }

    /// Lets a moment pass.
    pub(crate) async fn pause(&self) {
        match &self.ground {
            Ground::Emulated { clock, .. } => {
                clock.advance(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
            Ground::Real(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The node's newest drain.
#[track_caller]
pub(crate) fn last_drain(node: &Node) -> &LastDrain {
    node.last_drain.as_ref().unwrap()
}

/// What happened to a node since the drain of `who` began, oldest first.
pub(crate) fn messages(node: &Node) -> Vec<&str> {
    node.events.iter().map(|event| event.message.as_str()).collect()
}

fn client(http: &HttpClient, url: &str, token: &str) -> NomadClient {
    let token = Token::parse(token.to_owned()).unwrap();
    NomadClient::new(http.clone(), BaseUrl::parse(url).unwrap(), None, Some(token))
}
