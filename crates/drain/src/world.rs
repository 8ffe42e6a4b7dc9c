//! The world as the loop sees it: one method for each call to the outside. [`live`](crate::live) is the real one; tests
//! bring theirs.

use std::collections::BTreeMap;

use drain_core::decide::{DrainRequest, Urgency};
use drain_core::ids::{GroupName, InstanceId, NodeId};
use drain_core::observation::{Allocation, LastDrain, Member, Node, Sight, Target};
use drain_core::policy::ActionResult;
use jiff::{SignedDuration, Timestamp};

pub use crate::aws::autoscaling::{Group, GroupInstance, Hook, Waiting};
use crate::config::GroupSelection;
use crate::error::Error;

/// A node that takes no work, or whose client is down, as the list of nodes shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Idle {
    /// The node.
    pub node: NodeId,
    /// Whether its client is down.
    pub down: bool,
    /// Whether new allocations may be placed on it.
    pub eligible: bool,
    /// Its newest drain, if it has had one and the servers tell it.
    pub last_drain: Option<LastDrain>,
}

/// Nodes, counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// How many there are.
    pub nodes: usize,
    /// How many of them are down.
    pub down: usize,
}

/// The time.
pub trait Clock {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Sleeps until the time has come.
    fn sleep_until(&self, moment: Timestamp) -> impl Future<Output = ()>;

    /// How long to wait before the next attempt, after so many have failed.
    fn backoff(&self, attempts: u32) -> SignedDuration;
}

/// Auto Scaling, in one account and region. A call that fails in a way that may pass is tried again for a few seconds
/// before it gives up.
pub trait Account: Clock {
    /// From this moment on nothing is asked or done any more, in AWS or in any cluster.
    fn call_until(&self, moment: Timestamp);

    /// Restarts the timer of a lifecycle action. Where not all calls can be made, the more urgent ones are.
    fn heartbeat(&self, target: &Target, urgency: Urgency) -> impl Future<Output = Result<(), Error>>;

    /// Completes a lifecycle action.
    fn complete(&self, target: &Target, result: ActionResult) -> impl Future<Output = Result<(), Error>>;

    /// A group's hooks.
    fn hooks(&self, group: &GroupName) -> impl Future<Output = Result<Vec<Hook>, Error>>;

    /// A group; `None` if there is none of that name.
    fn group(&self, name: &GroupName) -> impl Future<Output = Result<Option<Group>, Error>>;

    /// The groups of a selection, with those of their members that wait.
    fn groups(&self, selection: &GroupSelection) -> impl Future<Output = Result<Vec<Group>, Error>>;

    /// What Auto Scaling says of these instances. One that is in no group is not in the answer.
    fn members(
        &self,
        instances: &[InstanceId],
    ) -> impl Future<Output = Result<BTreeMap<InstanceId, GroupInstance>, Error>>;

    /// The members of a group's warm pool that wait.
    fn warm_pool(&self, group: &GroupName) -> impl Future<Output = Result<Vec<Waiting>, Error>>;

    /// When the ends of a group's instances began: the newest scaling activity of each that is not over.
    fn ends_begun(
        &self,
        group: &GroupName,
    ) -> impl Future<Output = Result<BTreeMap<InstanceId, Timestamp>, Error>>;
}

/// Everything outside, as far as one cluster's instances are concerned. A call that fails in a way that may pass is tried
/// again for a few seconds before it gives up, except [`World::drain`].
pub trait World: Clock {
    /// What Auto Scaling is for it.
    type Account: Account;

    /// Auto Scaling.
    fn account(&self) -> &Self::Account;

    /// The nodes that carry these instances' ids, read in full, the newest first. Instances that no node carries are
    /// not in the answer.
    fn nodes_by_attribute(
        &self,
        instances: &[InstanceId],
    ) -> impl Future<Output = Result<BTreeMap<InstanceId, Vec<Node>>, Error>>;

    /// The nodes of an instance whose id no node carries: by its address, or by its agent. Errors of which
    /// [`Error::means_absent`] is true say that there are none.
    fn nodes_elsewhere(&self, instance: &InstanceId) -> impl Future<Output = Result<Vec<Node>, Error>>;

    /// A node that was found for the instance before; `None` if it is gone.
    fn node(&self, instance: &InstanceId, id: &NodeId) -> impl Future<Output = Result<Option<Node>, Error>>;

    /// The allocations on a node that our token shows us.
    fn allocations(&self, id: &NodeId) -> impl Future<Output = Result<Vec<Allocation>, Error>>;

    /// Which allocations our token shows us. Asked once for a token.
    fn sight(&self) -> impl Future<Output = Result<Sight, Error>>;

    /// Posts a drain, once; if it fails it may have taken effect all the same. Gives the raft index of the change.
    fn drain(&self, request: &DrainRequest) -> impl Future<Output = Result<u64, Error>>;

    /// Makes a node ineligible.
    fn make_ineligible(&self, id: &NodeId) -> impl Future<Output = Result<(), Error>>;

    /// Makes a node eligible, and ends the drain that runs on it, if one does.
    fn give_back(&self, id: &NodeId, ends_drain: bool) -> impl Future<Output = Result<(), Error>>;

    /// Removes a node from the cluster.
    fn purge(&self, id: &NodeId) -> impl Future<Output = Result<(), Error>>;

    /// The nodes that take no work, and those whose clients are down.
    fn idle_nodes(&self) -> impl Future<Output = Result<Vec<Idle>, Error>>;

    /// How many nodes carry these instances' ids, and how many of them are down.
    fn census(&self, instances: &[InstanceId]) -> impl Future<Output = Result<Census, Error>>;
}

/// What Auto Scaling's answer says of one of the instances that it was asked about.
pub(crate) fn member_of(members: &BTreeMap<InstanceId, GroupInstance>, instance: &InstanceId) -> Member {
    members.get(instance).map_or(Member::OfNoGroup, |member| Member::InState(member.state.clone()))
}
