//! Nomad, emulated: servers with nodes, jobs, allocations, drains and ACLs.
//!
//! [`Nomad`] is one model with two faces. Tests and operators call it directly; the function that is tested talks to
//! what [`Nomad::serve`] and [`Nomad::serve_agent`] put on loopback.
//!
//! **Invariant:** nothing in here moves by itself. Every look at the model first applies what has become due by the
//! lab's clock, in order and each at its own moment (`timeline`). [`Nomad::run`] only looks in time.

mod acl;
mod agenda;
mod caller;
mod cluster;
mod drainer;
mod filter;
mod http;
mod json;
mod leadership;
mod machine;
mod membership;
mod scheduler;
mod spec;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

pub use self::acl::{Access, AuthMethod, Policy, PolicyView, Token, TokenView};
use self::acl::{Acl, Role};
pub use self::caller::{CallError, Caller};
use self::cluster::{Cluster, Joining};
pub use self::http::Connections;
use self::http::Doors;
pub(crate) use self::http::describe_call;
use self::leadership::Leadership;
pub use self::membership::{EligibilityError, NodeNotFound};
pub use self::spec::{DrainRequest, DrainSpec, Filtering, INSTANCE_ID_ATTRIBUTE, JobSpec, NodeSpec, Quirks};
pub use self::view::{
    AllocView, ClientStatus, DesiredStatus, DrainStatus, DrainStrategy, JobKind, LastDrain, NodeEvent,
    NodeStatus, NodeView,
};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::Journal;

/// How long Nomad's drainer collects migrations before it writes them.
pub const BATCH_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// The name of every job's one task group.
const TASK_GROUP: &str = "app";

/// A Nomad cluster. Cloning it gives another handle to the same cluster.
#[derive(Clone, Debug)]
pub struct Nomad {
    clock: Clock,
    journal: Journal,
    faults: Faults,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct State {
    cluster: Cluster,
    acl: Acl,
    doors: Doors,
    /// When the next thing happens by itself; kept up to date by every change, so that a look that comes before it
    /// costs next to nothing.
    due: Option<Timestamp>,
    /// What a follower that lags behind answers to reads that may be stale.
    lagging: Option<Box<Cluster>>,
}

impl Nomad {
    /// An empty cluster with a leader and without ACLs.
    pub fn new(clock: Clock, journal: Journal, faults: Faults) -> Self {
        let state = State {
            cluster: Cluster::new(journal.clone()),
            acl: Acl::default(),
            doors: Doors::default(),
            due: None,
            lagging: None,
        };
        Self { clock, journal, faults, state: Arc::new(Mutex::new(state)), changed: Arc::default() }
    }

    /// Registers a node now, and answers its id.
    pub fn add_node(&self, spec: NodeSpec) -> String {
        self.change(|state, now| {
            let id = state.cluster.new_id();
            state.cluster.register(now, &id, spec);
            id
        })
    }

    /// Registers many nodes now, and answers their ids. Work is placed once, when all are there.
    pub fn add_nodes(&self, specs: impl IntoIterator<Item = NodeSpec>) -> Vec<String> {
        self.change(|state, now| {
            let cluster = &mut state.cluster;
            let enrol = |spec| {
                let id = cluster.new_id();
                cluster.enrol(now, &id, spec);
                id
            };
            let ids = specs.into_iter().map(enrol).collect();
            cluster.place(now);
            ids
        })
    }

    /// Has a node register at a later moment, and answers the id that it will have.
    pub fn add_node_at(&self, moment: Timestamp, spec: NodeSpec) -> String {
        self.change(|state, _| {
            let id = state.cluster.new_id();
            state.cluster.joining.push(Joining { at: moment, id: id.clone(), spec });
            id
        })
    }

    /// Sets a node's status. The allocations of a node that is down are lost and placed elsewhere.
    pub fn set_status(&self, node: &str, status: NodeStatus) -> Result<(), NodeNotFound> {
        self.change(|state, now| state.cluster.set_status(now, node, status))
    }

    /// Ends the machine under a node: nothing on it reports any more, its agent does not answer, and the servers find
    /// it down when its heartbeats have been missing for 20 seconds.
    pub fn kill_client(&self, node: &str) -> Result<(), NodeNotFound> {
        self.change(|state, now| state.cluster.silence(now, node))
    }

    /// Ends the machine of an EC2 instance, with every client on it, registered already or not. Clients that do not know
    /// their instance are found by its address.
    pub fn end_machine(&self, instance_id: &str, address: Option<Ipv4Addr>) {
        self.change(|state, now| state.cluster.end_machine(now, instance_id, address));
    }

    /// Starts the machine of an EC2 instance again: its clients are back as they were.
    pub fn start_machine(&self, instance_id: &str, address: Option<Ipv4Addr>) {
        self.change(|state, now| state.cluster.start_machine(now, instance_id, address));
    }

    /// Gives the machine of an EC2 instance a new disk: its clients fall silent for good, and new ones register half a
    /// minute later.
    pub fn rebuild_machine(&self, instance_id: &str, address: Option<Ipv4Addr>) {
        self.change(|state, now| state.cluster.rebuild_machine(now, instance_id, address));
    }

    /// Makes a node eligible or ineligible, as an operator would.
    pub fn set_eligibility(&self, node: &str, eligible: bool) -> Result<(), EligibilityError> {
        self.change(|state, now| state.cluster.set_eligibility(now, node, eligible).map(drop))
    }

    /// Begins, changes or cancels a drain, as an operator would.
    pub fn drain(&self, node: &str, request: DrainRequest) -> Result<(), NodeNotFound> {
        let operator = "token:operator";
        self.change(|state, now| state.cluster.update_drain(now, node, request, operator).map(drop))
    }

    /// Purges a node. If its client is still alive, it registers again 10 seconds later, fresh and eligible and under the
    /// same id; if its machine is stopped, when that starts.
    pub fn purge(&self, node: &str) -> Result<(), NodeNotFound> {
        self.change(|state, now| state.cluster.purge(now, node).map(drop))
    }

    /// Registers a job and places its allocations.
    pub fn add_job(&self, spec: JobSpec) {
        self.change(|state, now| state.cluster.add_job(now, spec));
    }

    /// Stops a job and its allocations.
    pub fn stop_job(&self, namespace: &str, job: &str) {
        self.change(|state, now| state.cluster.stop_job(now, &(namespace.to_owned(), job.to_owned())));
    }

    /// A node, if the servers know it.
    pub fn node(&self, id: &str) -> Option<NodeView> {
        self.look(|state| state.cluster.nodes.get(id).map(cluster::Node::view))
    }

    /// The nodes that say they run on an EC2 instance, the one that registered last first.
    pub fn nodes_of_instance(&self, instance_id: &str) -> Vec<NodeView> {
        self.look(|state| state.cluster.nodes_of_instance(instance_id))
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> Vec<NodeView> {
        self.look(|state| state.cluster.nodes.values().map(cluster::Node::view).collect())
    }

    /// The allocations on a node, oldest first, those that ended too.
    pub fn allocations_on(&self, node: &str) -> Vec<AllocView> {
        self.look(|state| {
            let cluster = &state.cluster;
            cluster.on_node(node).filter_map(|alloc| cluster.alloc_view(alloc)).collect()
        })
    }

    /// The allocations of a job in all namespaces, oldest first, those that ended too.
    pub fn allocations_of(&self, job: &str) -> Vec<AllocView> {
        self.look(|state| {
            let cluster = &state.cluster;
            let keys = cluster.allocs_of_job.keys().filter(|(_, id)| id == job);
            keys.flat_map(|key| cluster.of_job(key)).filter_map(|alloc| cluster.alloc_view(alloc)).collect()
        })
    }

    /// How many allocations wait for a node.
    pub fn queued(&self) -> usize {
        self.look(|state| state.cluster.queue.len())
    }

    /// The index of the last entry in the raft log.
    pub fn index(&self) -> u64 {
        self.look(|state| state.cluster.index)
    }

    /// Behaves like an old release.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.change(|state, _| state.cluster.quirks = quirks);
    }

    /// How long the drainer collects migrations before it writes them; [`BATCH_INTERVAL`] unless it is set.
    pub fn set_batch_interval(&self, interval: SignedDuration) {
        self.change(|state, _| state.cluster.batch_interval = interval);
    }

    /// The servers lose their leader, until a moment or until [`Nomad::elect_leader`]. Until then nothing is written:
    /// no drain moves on, and no allocation is seen to end.
    pub fn lose_leader(&self, until: Option<Timestamp>) {
        self.change(|state, _| state.cluster.leadership = Leadership::Lost { until });
    }

    /// The servers have a leader again, from now on.
    pub fn elect_leader(&self) {
        self.change(|state, now| {
            state.cluster.leadership = match state.cluster.leadership {
                Leadership::Held => Leadership::Held,
                Leadership::Lost { .. } => Leadership::Lost { until: Some(now) },
            }
        });
    }

    /// One follower stops following: from now on it answers every read with `?stale` from what it knows now.
    pub fn freeze_follower(&self) {
        self.change(|state, _| state.lagging = Some(Box::new(state.cluster.clone())));
    }

    /// The follower catches up, and follows again.
    pub fn thaw_follower(&self) {
        self.change(|state, _| state.lagging = None);
    }

    /// Whether the servers' network is cut: then every connection is closed without a word.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.change(|state, _| state.doors.unreachable = unreachable);
    }

    /// How many connections at a time the servers serve (`limits.http_max_conns_per_client`); the next one hears 429.
    pub fn set_connection_limit(&self, connections: Option<usize>) {
        self.change(|state, _| state.doors.connection_limit = connections);
    }

    /// How crowded it has been at the servers' door so far.
    pub fn connections(&self) -> Connections {
        self.lock().doors.connections
    }

    /// Whether the agent that is asked forwards to another one: errors then begin with `rpc error: `.
    pub fn set_forwarding(&self, forwarding: bool) {
        self.change(|state, _| state.doors.forwarding = forwarding);
    }

    /// Turns ACLs on. Without a token, calls have the rights of the policy `anonymous`, if there is one.
    pub fn enable_acl(&self) {
        self.change(|state, _| state.acl.enabled = true);
    }

    /// Turns ACLs off: everybody may do everything, and tokens mean nothing.
    pub fn disable_acl(&self) {
        self.change(|state, _| state.acl.enabled = false);
    }

    /// Adds or replaces a policy.
    pub fn add_policy(&self, name: impl Into<String>, policy: Policy) {
        self.change(|state, _| state.acl.policies.insert(name.into(), policy));
    }

    /// Adds a token, and answers its accessor id.
    pub fn add_token(&self, token: Token) -> String {
        self.change(|state, now| {
            let accessor = state.cluster.new_id();
            state.acl.add(now, accessor.clone(), token);
            accessor
        })
    }

    /// Adds a role with these policies, and answers its id.
    pub fn add_role(&self, name: &str, policies: &[&str]) -> String {
        self.change(|state, _| {
            let id = state.cluster.new_id();
            state.acl.roles.insert(id.clone(), Role::new(name, policies));
            id
        })
    }

    /// Deletes the token with this secret id.
    pub fn delete_token(&self, secret: &str) {
        self.change(|state, _| state.acl.tokens.remove(secret));
    }

    /// The secret ids of all tokens, those of logins too: for tests that look for them where they must not be.
    pub fn token_secrets(&self) -> Vec<String> {
        self.look(|state| state.acl.tokens.keys().cloned().collect())
    }

    /// Adds a method by which JWTs are exchanged for tokens.
    pub fn add_auth_method(&self, name: impl Into<String>, method: AuthMethod) {
        self.change(|state, _| state.acl.methods.insert(name.into(), method));
    }

    /// When the next thing happens by itself.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.look(|state| state.due)
    }

    /// Looks whenever something is due, for ever. Without it things happen when somebody looks.
    pub async fn run(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            self.wait(&mut changed, None).await;
        }
    }

    /// Waits until something changes, becomes due, or a moment comes.
    async fn wait(&self, changed: &mut watch::Receiver<()>, until: Option<Timestamp>) {
        let next = self.next_due().into_iter().chain(until).min();
        let due = async {
            match next {
                Some(moment) => self.clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = changed.changed() => {}
            () = due => {}
        }
    }

    /// Does something with the state as it is now, and wakes whoever waits for changes.
    fn change<T>(&self, act: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let before = (state.cluster.index, state.due);
        state.catch_up(now);
        let done = act(&mut state, now);
        // What an act makes due at once belongs to it: an empty node is drained before anybody can look.
        state.cluster.pace(now);
        state.due = state.cluster.catch_up(now);
        if before != (state.cluster.index, state.due) {
            self.changed.send_replace(());
        }
        done
    }

    /// Reads, after everything that was due has happened.
    fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.catch_up(now) {
            self.changed.send_replace(());
        }
        read(&state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Applies what is due at `now` or before; answers whether anything was.
    fn catch_up(&mut self, now: Timestamp) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = self.cluster.catch_up(now);
        }
        is_due
    }
}
