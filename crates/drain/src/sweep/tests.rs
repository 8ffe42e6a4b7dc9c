//! Sweeps of thousands, in a world in which every call takes time and nothing else does.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use drain_core::decide::{DrainRequest, Urgency};
use drain_core::ids::NodeId;
use drain_core::observation::{
    Allocation, ByHand, ClientStatus, DrainDeadline, LastDrain, LastDrainStatus, Node, NodeStatus,
    RunningDrain, Sight,
};
use drain_core::policy::ActionResult;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::report::ReportEntry;
use crate::world::{Census, Clock, GroupInstance};

/// Instances that a hook holds, each with a node whose work does not end.
struct Crowd {
    instances: Vec<InstanceId>,
    /// Drains by node, as they were stamped.
    drains: RefCell<BTreeMap<NodeId, BTreeMap<String, String>>>,
    /// Noon.
    began: Instant,
    /// How long a call takes. One after the other: it is the processor that is short.
    call_takes: Duration,
    processor: Semaphore,
    /// From then on no call is made.
    calls_end: Cell<Timestamp>,
    last_call: Cell<Timestamp>,
    /// Lookups that go on, and the most that went on at once.
    looking_up: Cell<usize>,
    most_looking_up: Cell<usize>,
}

fn noon() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

impl Crowd {
    fn of(count: usize, call_takes: Duration) -> Self {
        let instances = (0..count).map(|number| InstanceId::parse(&format!("i-{number:017x}")).unwrap());
        Self {
            instances: instances.collect(),
            drains: RefCell::default(),
            began: Instant::now(),
            call_takes,
            processor: Semaphore::new(1),
            calls_end: Cell::new(Timestamp::MAX),
            last_call: Cell::new(noon()),
            looking_up: Cell::new(0),
            most_looking_up: Cell::new(0),
        }
    }

    async fn call(&self) -> Result<(), Error> {
        let _alone = self.processor.acquire().await.unwrap();
        if self.now() >= self.calls_end.get() {
            return Err(Error::OutOfTime);
        }
        tokio::time::sleep(self.call_takes).await;
        self.last_call.set(self.now());
        Ok(())
    }

    fn node_of(instance: &InstanceId) -> NodeId {
        let number = u64::from_str_radix(instance.as_str().trim_start_matches("i-"), 16).unwrap();
        NodeId::parse(&format!("f7476465-4d6e-c0de-26d0-{number:012x}")).unwrap()
    }

    fn seen(&self, id: NodeId) -> Node {
        let stamp = self.drains.borrow().get(&id).cloned();
        let started_at = Some(noon());
        Node {
            name: "worker".to_owned(),
            status: NodeStatus::Ready,
            eligible: stamp.is_none(),
            drain: stamp.is_some().then(|| RunningDrain {
                deadline: DrainDeadline::At(noon() + SignedDuration::from_hours(1)),
                ignore_system_jobs: false,
                started_at,
            }),
            last_drain: stamp.map(|meta| LastDrain {
                status: LastDrainStatus::Draining,
                started_at,
                updated_at: started_at,
                meta,
            }),
            by_hand: ByHand::default(),
            availability_zone: None,
            modify_index: 10,
            id,
        }
    }

    /// One sweep that may take so many seconds.
    async fn swept_within(&self, seconds: i64) -> (Vec<ReportEntry>, Times) {
        let variables = [
            ("SWEEP", "on"),
            ("AUTO_SCALING_GROUPS", "workers"),
            ("NOMAD_ADDR", "http://nomad:4646"),
            ("NOMAD_ACL", "off"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ];
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let config = Config::parse(lookup).unwrap();
        let cluster = Cluster::only(config.cluster().unwrap().clone());
        let site = Site { cluster: &cluster, world: self };
        let times = Times { looks_end: after(seconds - 5), ends: after(seconds - 1) };
        let swept = sweep(self, std::slice::from_ref(&site), &config, times, &Rc::default()).await;
        (swept.unwrap().report.results, times)
    }
}

fn count(entries: &[ReportEntry], reason: &str) -> usize {
    entries.iter().filter(|entry| entry.reason == reason).count()
}

impl Clock for Crowd {
    fn now(&self) -> Timestamp {
        noon() + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let left = moment.duration_since(self.now());
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    }

    fn backoff(&self, _attempts: u32) -> SignedDuration {
        SignedDuration::from_secs(1)
    }
}

impl World for Crowd {
    type Account = Self;

    fn account(&self) -> &Self {
        self
    }

    async fn nodes_by_attribute(
        &self,
        instances: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
        self.looking_up.set(self.looking_up.get() + 1);
        self.most_looking_up.set(self.most_looking_up.get().max(self.looking_up.get()));
        let called = self.call().await;
        self.looking_up.set(self.looking_up.get() - 1);
        called?;
        Ok(instances.iter().map(|one| (one.clone(), vec![self.seen(Self::node_of(one))])).collect())
    }

    async fn nodes_elsewhere(&self, instance: &InstanceId) -> Result<Vec<Node>, Error> {
        Err(Error::NodeNotFound { instance: instance.clone(), searched: "everywhere".to_owned() })
    }

    async fn node(&self, _instance: &InstanceId, id: &NodeId) -> Result<Option<Node>, Error> {
        self.call().await?;
        Ok(Some(self.seen(id.clone())))
    }

    async fn allocations(&self, _id: &NodeId) -> Result<Vec<Allocation>, Error> {
        self.call().await?;
        Ok(vec![Allocation {
            job: "web".to_owned(),
            namespace: "default".to_owned(),
            system: false,
            wanted: false,
            client: ClientStatus::Live,
            modified_at: Some(noon()),
            lost_at: None,
        }])
    }

    async fn sight(&self) -> Result<Sight, Error> {
        Ok(Sight::Everything)
    }

    async fn drain(&self, request: &DrainRequest) -> Result<u64, Error> {
        self.call().await?;
        self.drains.borrow_mut().insert(request.node.clone(), request.meta.clone().unwrap_or_default());
        Ok(10)
    }

    async fn make_ineligible(&self, _id: &NodeId) -> Result<(), Error> {
        self.call().await
    }

    async fn give_back(&self, _id: &NodeId, _ends_drain: bool) -> Result<(), Error> {
        self.call().await
    }

    async fn purge(&self, _id: &NodeId) -> Result<(), Error> {
        self.call().await
    }

    async fn idle_nodes(&self) -> Result<Vec<Idle>, Error> {
        Ok(Vec::new())
    }

    async fn census(&self, _instances: &[InstanceId]) -> Result<Census, Error> {
        Ok(Census::default())
    }
}

impl Account for Crowd {
    fn call_until(&self, moment: Timestamp) {
        self.calls_end.set(moment);
    }

    async fn heartbeat(&self, _target: &Target, _urgency: Urgency) -> Result<(), Error> {
        self.call().await
    }

    async fn complete(&self, _target: &Target, _result: ActionResult) -> Result<(), Error> {
        self.call().await
    }

    async fn hooks(&self, _group: &GroupName) -> Result<Vec<Hook>, Error> {
        Ok(vec![Hook {
            name: HookName::parse("nomad-drain-hook").unwrap(),
            terminating: true,
            heartbeat_timeout: SignedDuration::from_hours(1),
            global_timeout: SignedDuration::from_hours(48),
            default_result: ActionResult::Continue,
            metadata: None,
            target: None,
            role: None,
        }])
    }

    async fn group(&self, _name: &GroupName) -> Result<Option<Group>, Error> {
        Ok(None)
    }

    async fn groups(&self, _selection: &GroupSelection) -> Result<Vec<Group>, Error> {
        let waiting = self
            .instances
            .iter()
            .map(|one| Waiting { instance: one.clone(), state: "Terminating:Wait".to_owned() });
        Ok(vec![Group {
            name: GroupName::parse("workers").unwrap(),
            arn: String::new(),
            tags: BTreeMap::new(),
            has_warm_pool: false,
            waiting: waiting.collect(),
            in_service: Vec::new(),
            retains_abandoned: false,
            service_linked_role: None,
        }])
    }

    async fn members(&self, _instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
        Ok(BTreeMap::new())
    }

    async fn warm_pool(&self, _group: &GroupName) -> Result<Vec<Waiting>, Error> {
        Ok(Vec::new())
    }

    async fn ends_begun(&self, _group: &GroupName) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
        Ok(self.instances.iter().map(|one| (one.clone(), noon())).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_of_many_stops_so_early_that_it_has_time_to_tell_of_all() {
    let call_takes = Duration::from_millis(4);
    for (held, reserve_ms) in [(50, 49), (1_200, 1_190)] {
        let crowd = Crowd::of(held, call_takes);
        let (results, times) = crowd.swept_within(60).await;
        let told: BTreeSet<_> = results.iter().map(|entry| entry.instance_id.clone()).collect();
        assert_eq!((results.len(), told.len()), (held, held), "each is told of once");
        // A call that was made in time may end a little later.
        let kept_back = times.ends.duration_since(crowd.last_call.get()).as_millis() + 5;
        assert!(kept_back >= reserve_ms, "{held}: {kept_back} ms");
        assert_eq!(crowd.drains.borrow().len(), held, "all have begun");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_when_the_time_is_over_costs_nothing_more() {
    let crowd = Crowd::of(3_000, Duration::from_millis(10));
    let (results, _) = crowd.swept_within(10).await;
    assert_eq!(results.len(), 3_000);
    let (begun, left) = (crowd.drains.borrow().len(), count(&results, "out_of_time"));
    assert!(begun > 0 && left > 2_000, "{begun} have begun, and {left} are left");
    // It is not looked up: all at once, thousands would take more memory than the function has.
    assert!(crowd.most_looking_up.get() <= 3, "{} lookups at once", crowd.most_looking_up.get());
}
