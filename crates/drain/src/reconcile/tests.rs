//! The loop, against a world in which every answer is scripted.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use drain_core::decide::{DrainRequest, Urgency};
use drain_core::ids::{GroupName, HookName, InstanceId, NodeId};
use drain_core::observation::{
    Allocation, ByHand, Cause, ClientStatus, DrainDeadline, Errand, Hold, LastDrain, LastDrainStatus, Member,
    Node, NodeStatus, Origin, RunningDrain, Sight, Target,
};
use drain_core::policy::ActionResult;
use drain_http::HttpError;
use nomad_client::NomadError;

use super::*;
use crate::aws::AwsError;
use crate::config::GroupSelection;
use crate::world::{Account, Census, Clock, Group, GroupInstance, Hook, Idle, Waiting};

/// What becomes of a POST.
#[derive(Clone, Copy, Debug)]
enum Post {
    Accepted,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    Lost,
    /// It takes effect on an empty node, whose drain is over at once, and the answer is lost.
    AnswerLostAndDrained,
    Refused,
}

/// One node without allocations, and a clock that sleeping turns.
struct Scripted {
    posts: RefCell<VecDeque<Post>>,
    node: RefCell<Node>,
    calls: RefCell<Vec<&'static str>>,
    now: Cell<Timestamp>,
    /// Answers to reads of the node that are older than the POST.
    stale_reads: Cell<u32>,
    denied: Cell<bool>,
    /// The node goes down while its allocations are read.
    falls_silent: Cell<bool>,
    /// Reads of the node fail, and so late.
    hangs_until: Cell<Option<Timestamp>>,
    /// The instance's state, if Auto Scaling is asked.
    state: Cell<&'static str>,
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// When the invocation has no time left.
fn the_end() -> Timestamp {
    noon() + SignedDuration::from_secs(59)
}

fn instance() -> InstanceId {
    InstanceId::parse("i-0123456789abcdef0").unwrap()
}

fn idle_node() -> Node {
    Node {
        id: NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").unwrap(),
        name: "worker-1".to_owned(),
        status: NodeStatus::Ready,
        eligible: true,
        drain: None,
        last_drain: None,
        by_hand: ByHand::default(),
        availability_zone: None,
        modify_index: 10,
    }
}

fn lost() -> Error {
    Error::NomadUnavailable(NomadError::NoAnswer {
        operation: "POST".to_owned(),
        server: "http://nomad".to_owned(),
        source: HttpError::TimedOut { address: "nomad:80".to_owned(), after: Duration::from_secs(10) },
    })
}

impl Scripted {
    fn new(posts: &[Post]) -> Self {
        Self {
            posts: RefCell::new(posts.iter().copied().collect()),
            node: RefCell::new(idle_node()),
            calls: RefCell::default(),
            now: Cell::new(noon()),
            stale_reads: Cell::default(),
            denied: Cell::default(),
            falls_silent: Cell::default(),
            hangs_until: Cell::default(),
            state: Cell::new("InService"),
        }
    }

    fn call(&self, name: &'static str) {
        self.calls.borrow_mut().push(name);
    }

    fn take_effect(&self, meta: Option<&BTreeMap<String, String>>, status: LastDrainStatus) {
        let mut node = self.node.borrow_mut();
        node.eligible = false;
        node.modify_index = 20;
        node.drain = (status == LastDrainStatus::Draining).then(|| RunningDrain {
            deadline: DrainDeadline::At(noon() + SignedDuration::from_hours(1)),
            ignore_system_jobs: false,
            started_at: Some(noon()),
        });
        let meta = meta.cloned().unwrap_or_default();
        let (started_at, updated_at) = (Some(noon()), Some(self.now.get()));
        node.last_drain = Some(LastDrain { status, started_at, updated_at, meta });
    }
}

impl Clock for Scripted {
    fn now(&self) -> Timestamp {
        self.now.get()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        self.now.set(self.now.get().max(moment));
    }

    fn backoff(&self, _attempts: u32) -> SignedDuration {
        SignedDuration::from_secs(1)
    }
}

impl World for Scripted {
    type Account = Self;

    fn account(&self) -> &Self {
        self
    }

    async fn nodes_by_attribute(
        &self,
        _instances: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
        self.call("LIST");
        Ok(BTreeMap::from([(instance(), vec![self.node.borrow().clone()])]))
    }

    async fn nodes_elsewhere(&self, instance: &InstanceId) -> Result<Vec<Node>, Error> {
        Err(Error::NodeNotFound { instance: instance.clone(), searched: "everywhere".to_owned() })
    }

    async fn node(&self, _instance: &InstanceId, _id: &NodeId) -> Result<Option<Node>, Error> {
        self.call("GET");
        if let Some(late) = self.hangs_until.get() {
            self.now.set(late);
            return Err(lost());
        }
        let stale = self.stale_reads.get();
        self.stale_reads.set(stale.saturating_sub(1));
        Ok(Some(if stale > 0 { idle_node() } else { self.node.borrow().clone() }))
    }

    async fn allocations(&self, _id: &NodeId) -> Result<Vec<Allocation>, Error> {
        if !self.falls_silent.get() {
            return Ok(Vec::new());
        }
        let mut node = self.node.borrow_mut();
        (node.status, node.modify_index) = (NodeStatus::Down(noon()), 30);
        Ok(vec![Allocation {
            job: "web".to_owned(),
            namespace: "default".to_owned(),
            system: false,
            wanted: false,
            client: ClientStatus::Terminal,
            modified_at: Some(noon()),
            lost_at: Some(31),
        }])
    }

    async fn sight(&self) -> Result<Sight, Error> {
        Ok(Sight::Everything)
    }

    async fn drain(&self, request: &DrainRequest) -> Result<u64, Error> {
        self.call("POST");
        let meta = request.meta.as_ref();
        let post = self.posts.borrow_mut().pop_front().expect("a POST too many");
        match post {
            Post::Accepted => {
                self.take_effect(meta, LastDrainStatus::Complete);
                return Ok(20);
            }
            Post::AnswerLost => self.take_effect(meta, LastDrainStatus::Draining),
            Post::AnswerLostAndDrained => self.take_effect(meta, LastDrainStatus::Complete),
            Post::Lost => {}
            Post::Refused => {
                let source = "not a request".into();
                let (operation, server) = ("POST".to_owned(), "http://nomad".to_owned());
                return Err(Error::NomadRefused(NomadError::InvalidRequest { operation, server, source }));
            }
        }
        Err(lost())
    }

    async fn give_back(&self, _id: &NodeId, _ends_drain: bool) -> Result<(), Error> {
        self.call("GIVE BACK");
        Ok(())
    }

    async fn purge(&self, _id: &NodeId) -> Result<(), Error> {
        self.call("PURGE");
        Ok(())
    }

    async fn idle_nodes(&self) -> Result<Vec<Idle>, Error> {
        Ok(Vec::new())
    }

    async fn census(&self, _instances: &[InstanceId]) -> Result<Census, Error> {
        Ok(Census::default())
    }

    async fn make_ineligible(&self, _id: &NodeId) -> Result<(), Error> {
        self.call("INELIGIBLE");
        Ok(())
    }
}

impl Account for Scripted {
    fn call_until(&self, _moment: Timestamp) {}

    async fn heartbeat(&self, _target: &Target, _urgency: Urgency) -> Result<(), Error> {
        self.call("HEARTBEAT");
        if self.now.get() >= the_end() {
            return Err(Error::OutOfTime);
        }
        if self.hangs_until.get().is_none() {
            return Ok(());
        }
        let address = "autoscaling.eu-west-1.amazonaws.com:443".to_owned();
        let source = HttpError::TimedOut { address, after: Duration::from_millis(300) };
        let operation = "autoscaling:RecordLifecycleActionHeartbeat".to_owned();
        Err(Error::AutoScaling { group: None, source: AwsError::NoAnswer { operation, source } })
    }

    async fn complete(&self, _target: &Target, _result: ActionResult) -> Result<(), Error> {
        self.call("COMPLETE");
        if !self.denied.get() {
            return Ok(());
        }
        let operation = "autoscaling:CompleteLifecycleAction";
        let message = "no identity-based policy allows the autoscaling:CompleteLifecycleAction action";
        let source = AwsError::refused(operation, 403, "AccessDenied", message);
        Err(Error::AutoScaling { group: GroupName::parse("workers").ok(), source })
    }

    async fn hooks(&self, _group: &GroupName) -> Result<Vec<Hook>, Error> {
        Ok(Vec::new())
    }

    async fn group(&self, _name: &GroupName) -> Result<Option<Group>, Error> {
        Ok(None)
    }

    async fn groups(&self, _selection: &GroupSelection) -> Result<Vec<Group>, Error> {
        Ok(Vec::new())
    }

    async fn members(&self, _instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
        self.call("MEMBERS");
        let group = GroupName::parse("workers").unwrap();
        let state = self.state.get().to_owned();
        Ok(BTreeMap::from([(instance(), GroupInstance { instance: instance(), group, state })]))
    }

    async fn warm_pool(&self, _group: &GroupName) -> Result<Vec<Waiting>, Error> {
        Ok(Vec::new())
    }

    async fn ends_begun(&self, _group: &GroupName) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
        Ok(BTreeMap::new())
    }
}

async fn run(world: &Scripted, hold: Option<Hold>) -> Result<Vec<ReportEntry>, Error> {
    let policy = Policy::default();
    let looks = Looks {
        sweeping: false,
        poll_interval: SignedDuration::from_secs(5),
        linger_until: noon() + SignedDuration::from_secs(55),
        ends: the_end(),
        warned: Warned::default(),
        chronicle: Rc::default(),
        by_hand: None,
    };
    let rules = Rules { policy: &policy, looks: &looks, cluster: None };
    let target = Target {
        instance: instance(),
        group: GroupName::parse("workers").ok(),
        hook: HookName::parse("nomad-drain-hook").ok(),
        token: None,
        errand: Errand::Drain(Cause::Terminate),
        told_at: Some(noon()),
        hook_started_at: Some(noon()),
        origin: Origin::Event,
    };
    let found = Found::Nodes(vec![idle_node()], noon());
    let subject = Subject { target, hold, member: Member::Unknown, member_at: noon(), found, policy: None };
    reconcile(world, &rules, subject, Turn::default()).await
}

/// A sweep that comes upon the node of an instance that was in service when it was asked about, `ago`.
async fn give_back(world: &Scripted, ago: SignedDuration) -> Vec<ReportEntry> {
    let policy = Policy { sweep: true, ..Policy::default() };
    let looks = Looks {
        sweeping: true,
        poll_interval: SignedDuration::from_secs(5),
        linger_until: world.now() + SignedDuration::from_secs(30),
        ends: world.now() + SignedDuration::from_secs(50),
        warned: Warned::default(),
        chronicle: Rc::default(),
        by_hand: None,
    };
    let rules = Rules { policy: &policy, looks: &looks, cluster: None };
    let target = Target {
        instance: instance(),
        group: GroupName::parse("workers").ok(),
        hook: None,
        token: None,
        errand: Errand::GiveBack,
        told_at: None,
        hook_started_at: None,
        origin: Origin::Sweep,
    };
    let member = Member::InState("InService".to_owned());
    let found = Found::Listed(vec![idle_node().id]);
    let subject = Subject { target, hold: None, member, member_at: world.now() - ago, found, policy: None };
    reconcile(world, &rules, subject, Turn::default()).await.unwrap()
}

/// Drained for the warm pool half an hour ago, by us.
fn drained_for_the_warm_pool(state: &'static str) -> Scripted {
    let world = Scripted::new(&[]);
    let stamp = [
        ("managed-by", "nomad-drain"),
        ("instance-id", instance().as_str()),
        ("cause", "warm-pool"),
        ("was-eligible", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    world.take_effect(Some(&BTreeMap::from(stamp)), LastDrainStatus::Complete);
    world.now.set(noon() + SignedDuration::from_mins(30));
    world.state.set(state);
    world
}

#[tokio::test]
async fn a_node_is_given_back_on_fresh_word_of_its_instance() {
    let world = drained_for_the_warm_pool("Terminating:Wait");
    give_back(&world, SignedDuration::from_secs(1)).await;
    assert_eq!(*world.calls.borrow(), ["GET", "GIVE BACK"], "the sweep's own word is fresh");
    let world = drained_for_the_warm_pool("InService");
    give_back(&world, SignedDuration::from_secs(12)).await;
    assert_eq!(*world.calls.borrow(), ["GET", "MEMBERS", "GIVE BACK"]);
    let world = drained_for_the_warm_pool("Terminating:Wait");
    give_back(&world, SignedDuration::from_secs(12)).await;
    assert_eq!(*world.calls.borrow(), ["GET", "MEMBERS"]);
}

/// An event without a hook asks for the drain and nothing else.
async fn drain_only(world: &Scripted) -> Result<(&'static str, &'static str), Error> {
    let entries = run(world, None).await?;
    Ok((entries[0].outcome, entries[0].reason))
}

#[tokio::test]
async fn a_drain_that_is_accepted_is_one_call() {
    let world = Scripted::new(&[Post::Accepted]);
    assert_eq!(drain_only(&world).await.unwrap(), ("drain_started", "drain_posted"));
    assert_eq!(*world.calls.borrow(), ["POST"]);
}

#[tokio::test]
async fn a_post_without_an_answer_is_followed_by_a_read_and_not_by_a_post() {
    for post in [Post::AnswerLost, Post::AnswerLostAndDrained] {
        let world = Scripted::new(&[post]);
        assert_eq!(drain_only(&world).await.unwrap(), ("drain_started", "drain_posted"), "{post:?}");
        assert_eq!(*world.calls.borrow(), ["POST", "GET"], "{post:?}");
    }
}

#[tokio::test]
async fn a_post_that_never_arrived_is_sent_again_after_the_read() {
    let world = Scripted::new(&[Post::Lost, Post::Lost, Post::Accepted]);
    drain_only(&world).await.unwrap();
    assert_eq!(*world.calls.borrow(), ["POST", "GET", "POST", "GET", "POST"]);
}

#[tokio::test]
async fn when_no_time_is_left_the_failure_is_the_answer() {
    let world = Scripted::new(&[Post::Lost; 100]);
    assert_eq!(drain_only(&world).await.unwrap_err().name(), "NomadUnavailable");
    assert!(world.now() <= noon() + SignedDuration::from_secs(59));
}

#[tokio::test]
async fn a_refusal_that_will_not_pass_is_not_tried_again() {
    let world = Scripted::new(&[Post::Refused]);
    assert_eq!(drain_only(&world).await.unwrap_err().name(), "NomadRefused");
    assert_eq!(*world.calls.borrow(), ["POST"]);
}

#[tokio::test]
async fn an_empty_node_is_released_at_the_first_look_after_the_drain() {
    let world = Scripted::new(&[Post::Accepted]);
    let entries = run(&world, Some(Hold::default())).await.unwrap();
    assert_eq!((entries[0].outcome, entries[0].reason), ("completed", "drained"));
    assert_eq!(*world.calls.borrow(), ["POST", "GET", "COMPLETE"]);
}

#[tokio::test]
async fn an_answer_that_is_older_than_our_own_post_is_not_believed() {
    let world = Scripted::new(&[Post::Accepted]);
    world.stale_reads.set(2);
    let entries = run(&world, Some(Hold::default())).await.unwrap();
    assert_eq!(entries[0].outcome, "completed");
    let calls = world.calls.borrow();
    assert_eq!(calls.iter().filter(|call| **call == "POST").count(), 1, "{calls:?}");
    assert_eq!(calls.last(), Some(&"COMPLETE"));
}

#[tokio::test]
async fn what_servers_give_up_while_we_read_is_no_end_of_it() {
    let world = Scripted::new(&[Post::Accepted]);
    world.falls_silent.set(true);
    let entries = run(&world, Some(Hold::default())).await.unwrap();
    assert_eq!(entries[0].outcome, "left_to_hook");
    assert!(entries[0].message.contains("missed its heartbeats"), "{}", entries[0].message);
    assert!(!world.calls.borrow().contains(&"COMPLETE"));
}

#[tokio::test]
async fn a_heartbeat_for_which_no_time_was_left_does_not_hide_what_took_it() {
    for late in [the_end() - SignedDuration::from_secs(2), the_end()] {
        let world = Scripted::new(&[Post::Accepted]);
        world.hangs_until.set(Some(late));
        let entries = run(&world, Some(Hold::default())).await.unwrap();
        assert_eq!((entries[0].outcome, entries[0].reason), ("drain_started", "nomad_unreachable"));
        assert_eq!(*world.calls.borrow(), ["POST", "GET", "HEARTBEAT"]);
    }
}

#[tokio::test]
async fn a_denied_completion_is_one_warning_and_leaves_the_rest_to_the_hook() {
    let world = Scripted::new(&[Post::Accepted]);
    world.denied.set(true);
    let entries = run(&world, Some(Hold::default())).await.unwrap();
    assert_eq!((entries[0].outcome, entries[0].reason), ("left_to_hook", "completion_denied"));
    assert_eq!(world.calls.borrow().iter().filter(|call| **call == "COMPLETE").count(), 1);
}
