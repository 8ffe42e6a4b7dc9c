//! What a test puts into the cluster: nodes, jobs, drains.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::SignedDuration;

use super::view::{JobKind, NodeStatus};

/// The attribute by which a node says on which EC2 instance it runs.
pub const INSTANCE_ID_ATTRIBUTE: &str = "unique.platform.aws.instance-id";

/// A node that registers.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    pub(super) name: String,
    pub(super) datacenter: String,
    pub(super) class: String,
    pub(super) pool: String,
    pub(super) address: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) meta: BTreeMap<String, String>,
    pub(super) status: NodeStatus,
    pub(super) eligible: bool,
}

impl NodeSpec {
    /// A ready, eligible node on Linux with Nomad 2.0.5, and without the attributes of EC2.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let attributes = [("kernel.name", "linux"), ("os.name", "amazon"), ("nomad.version", "2.0.5")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .chain([("unique.hostname".to_owned(), name.clone())])
            .collect();
        Self {
            name,
            datacenter: "dc1".to_owned(),
            class: String::new(),
            pool: "default".to_owned(),
            address: "127.0.0.1".to_owned(),
            attributes,
            meta: BTreeMap::new(),
            status: NodeStatus::Ready,
            eligible: true,
        }
    }

    /// Carries the attribute of this EC2 instance.
    #[must_use]
    pub fn instance_id(self, id: &str) -> Self {
        self.attribute(INSTANCE_ID_ATTRIBUTE, id)
    }

    /// Has this IP address.
    #[must_use]
    pub fn address(mut self, ip: impl Into<String>) -> Self {
        self.address = ip.into();
        self
    }

    /// Is in this datacenter.
    #[must_use]
    pub fn datacenter(mut self, name: impl Into<String>) -> Self {
        self.datacenter = name.into();
        self
    }

    /// Is of this node class.
    #[must_use]
    pub fn class(mut self, name: impl Into<String>) -> Self {
        self.class = name.into();
        self
    }

    /// Is in this node pool.
    #[must_use]
    pub fn pool(mut self, name: impl Into<String>) -> Self {
        self.pool = name.into();
        self
    }

    /// Carries one more attribute.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.attributes.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Carries one more key in its client metadata.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Registers with this status.
    #[must_use]
    pub fn status(mut self, status: NodeStatus) -> Self {
        self.status = status;
        self
    }

    /// Registers as ineligible.
    #[must_use]
    pub fn ineligible(mut self) -> Self {
        self.eligible = false;
        self
    }

    /// The version of Nomad that it runs.
    pub(super) fn version(&self) -> &str {
        self.attributes.get("nomad.version").map_or("", String::as_str)
    }

    /// Whether it runs on this EC2 instance: by its attribute, or if it has none, by its address.
    pub(super) fn runs_on(&self, instance_id: &str, address: Option<Ipv4Addr>) -> bool {
        match self.instance() {
            Some(id) => id == instance_id,
            None => address.is_some_and(|address| self.address.parse() == Ok(address)),
        }
    }

    /// The EC2 instance on which it says it runs.
    pub(super) fn instance(&self) -> Option<&str> {
        self.attributes.get(INSTANCE_ID_ATTRIBUTE).map(String::as_str)
    }
}

/// A job with one task group of one task.
#[derive(Clone, Debug)]
pub struct JobSpec {
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) kind: JobKind,
    pub(crate) count: usize,
    pub(crate) max_parallel: usize,
    pub(crate) min_healthy_time: Duration,
    pub(crate) kill_timeout: Duration,
    pub(crate) stop_takes: Duration,
    pub(crate) shutdown_delay: Duration,
    pub(crate) runs_for: Option<Duration>,
}

impl JobSpec {
    /// A service with so many allocations, of which one may migrate at a time.
    pub fn service(id: impl Into<String>, count: usize) -> Self {
        Self::new(id, JobKind::Service, count)
    }

    /// A batch job with so many allocations, which run until they are stopped.
    pub fn batch(id: impl Into<String>, count: usize) -> Self {
        Self::new(id, JobKind::Batch, count)
    }

    /// A system job: one allocation on every eligible node.
    pub fn system(id: impl Into<String>) -> Self {
        Self::new(id, JobKind::System, 1)
    }

    /// A sysbatch job: one allocation on every eligible node, which run until they are stopped.
    pub fn sysbatch(id: impl Into<String>) -> Self {
        Self::new(id, JobKind::Sysbatch, 1)
    }

    fn new(id: impl Into<String>, kind: JobKind, count: usize) -> Self {
        Self {
            id: id.into(),
            namespace: "default".to_owned(),
            kind,
            count,
            max_parallel: 1,
            min_healthy_time: Duration::from_secs(10),
            kill_timeout: Duration::from_secs(5),
            stop_takes: Duration::from_secs(1),
            shutdown_delay: Duration::ZERO,
            runs_for: None,
        }
    }

    /// Its id, which is its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Is in this namespace and not in `default`.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// `migrate.max_parallel`; 0 holds every allocation back until the drain's deadline.
    #[must_use]
    pub fn max_parallel(mut self, allocations: usize) -> Self {
        self.max_parallel = allocations;
        self
    }

    /// `migrate.min_healthy_time`: how long a new allocation runs before it counts as healthy.
    #[must_use]
    pub fn min_healthy_time(mut self, time: Duration) -> Self {
        self.min_healthy_time = time;
        self
    }

    /// `kill_timeout`: the longest that a task may take to end. A test that lets it take longer has it killed.
    #[must_use]
    pub fn kill_timeout(mut self, time: Duration) -> Self {
        self.kill_timeout = time;
        self
    }

    /// How long its task really takes to end once it has been told to.
    #[must_use]
    pub fn stop_takes(mut self, time: Duration) -> Self {
        self.stop_takes = time;
        self
    }

    /// Its task ignores the signal to end: it is killed when its `kill_timeout` has passed.
    #[must_use]
    pub fn ignores_signals(self) -> Self {
        self.stop_takes(Duration::MAX)
    }

    /// `shutdown_delay`: how long its task is left alone before it is told to end.
    #[must_use]
    pub fn shutdown_delay(mut self, time: Duration) -> Self {
        self.shutdown_delay = time;
        self
    }

    /// How long an allocation runs before it ends by itself. Only batch and sysbatch jobs do.
    #[must_use]
    pub fn runs_for(mut self, time: Duration) -> Self {
        self.runs_for = Some(time);
        self
    }

    /// From the moment an allocation is told to stop until its client says that it has.
    pub(super) fn stop_lag(&self) -> Duration {
        self.shutdown_delay + self.stop_takes.min(self.kill_timeout)
    }
}

/// A request to drain a node, or to stop draining it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DrainRequest {
    /// What to do; nothing cancels a running drain.
    pub spec: Option<DrainSpec>,
    /// Whether a cancelled drain leaves the node eligible.
    pub mark_eligible: bool,
    /// What `LastDrain.Meta` is to hold. Empty keeps what a running drain has.
    pub meta: BTreeMap<String, String>,
}

impl DrainRequest {
    /// Drain, and force what is left after `deadline`: zero never does, a negative one does at once.
    pub fn with_deadline(deadline: SignedDuration) -> Self {
        Self { spec: Some(DrainSpec { deadline, ignore_system_jobs: false }), ..Self::default() }
    }

    /// Cancel the drain that runs.
    pub fn cancel(mark_eligible: bool) -> Self {
        Self { mark_eligible, ..Self::default() }
    }

    /// Leave system jobs where they are.
    #[must_use]
    pub fn ignoring_system_jobs(mut self) -> Self {
        if let Some(spec) = &mut self.spec {
            spec.ignore_system_jobs = true;
        }
        self
    }

    /// Put one more key into `LastDrain.Meta`.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// How to drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainSpec {
    /// When to force what is left, from now: zero never does, a negative one does at once.
    pub deadline: SignedDuration,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
}

/// The ways in which old releases of Nomad differ from the present one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quirks {
    /// How `?filter=` is understood.
    pub filtering: Filtering,
    /// A drain is complete as soon as the last allocation was *told* to stop (before 1.6.0, 1.5.4, 1.4.9).
    pub completes_when_told: bool,
    /// A batch allocation that a drain stops is placed again (before 1.11.0).
    pub replaces_batch: bool,
    /// Unknown and expired tokens have error texts of their own (before 1.5.0).
    pub old_token_errors: bool,
    /// What the servers say that they are: the tag `build` of each.
    pub version: &'static str,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            filtering: Filtering::default(),
            completes_when_told: false,
            replaces_batch: false,
            old_token_errors: false,
            version: "2.0.5",
        }
    }
}

/// How `?filter=` is understood.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Filtering {
    /// As by Nomad 1.6 and later: a map key that is not there compares as unequal.
    #[default]
    Current,
    /// As with go-bexpr 0.1.11 (Nomad 1.3.0 to 1.5.3): a map key that is not there is an error.
    V0_1_11,
    /// As by Nomad 1.2 and earlier: the parameter is ignored and everything is answered.
    Ignored,
}
