//! A look: everything that the next decision depends on.

use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::{Allocations, HookSettings, Node, Nodes, Obstacle, Origin, SeenNode, Sight};

use jiff::Timestamp;

use super::case::{Case, Found};
use super::note;
use super::step::took_effect;
use crate::error::Error;
use crate::world::{Account as _, World};

impl<W: World> Case<'_, W> {
    /// Reads everything that the next decision depends on. What cannot be read is unknown, and the loop goes on; a
    /// failure that will not pass, before anything has begun, is the answer of an event.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        let ended = self.seen.hold.as_ref().is_some_and(|hold| hold.ended);
        if std::mem::take(&mut self.fresh) || ended {
            return Ok(());
        }
        // Whoever looks on wants to see it all the same.
        if self.is_paused() && self.rules.looks.by_hand.is_none() {
            // MAX_HOLD bounds a pause too.
            self.read_start().await;
            return Ok(());
        }
        match self.read_nodes().await {
            Ok(nodes) => {
                if nodes != Nodes::Absent {
                    self.failure = None;
                }
                self.seen.nodes = self.believe(nodes);
            }
            Err(error) if error.means_absent() => {
                self.seen.nodes = Nodes::Absent;
                self.failure = Some(error);
            }
            // Nothing can be asked or done any more: what was seen last, and what kept us from seeing, stands.
            Err(Error::OutOfTime) => {
                self.failure.get_or_insert(Error::OutOfTime);
                return Ok(());
            }
            Err(error) => {
                if !self.rules.looks.sweeping && !self.has_begun() && !error.is_transient() {
                    return Err(error);
                }
                self.note(&error, "the nodes of the instance could not be read");
                self.seen.nodes = Nodes::Unknown(error.obstacle());
                self.failure = Some(error);
            }
        }
        if self.is_departure() {
            self.read_allocations().await;
            self.read_sight().await;
            self.read_start().await;
            self.remember_the_drain();
        }
        Ok(())
    }

    async fn read_nodes(&mut self) -> Result<Nodes, Error> {
        let instance = self.seen.target.instance.clone();
        match self.found.take() {
            Some(Found::Nodes(nodes, at)) => {
                (self.read_at, self.listed_at) = (at, at);
                return Ok(known(nodes));
            }
            Some(Found::Nothing) => return self.elsewhere().await,
            Some(Found::Failed(obstacle)) => return Ok(Nodes::Unknown(obstacle)),
            Some(Found::Listed(ids)) => self.known = ids,
            None => {}
        }
        self.read_at = self.world.now();
        let mut nodes = Vec::new();
        for id in &self.known {
            nodes.extend(self.world.node(&instance, id).await?);
        }
        if !nodes.is_empty() && nodes.iter().all(|node| node.status.reports()) {
            return Ok(known(nodes));
        }
        // An agent that is silent may have started afresh, as another node. One that is gone was purged, perhaps while
        // its client lives: then it registers again.
        match self.list().await? {
            Some(nodes) => Ok(known(nodes)),
            None if !nodes.is_empty() => Ok(known(nodes)),
            None if self.known.is_empty() => self.elsewhere().await,
            None => Ok(Nodes::Gone),
        }
    }

    /// The nodes that carry the instance's id now.
    pub(super) async fn list(&mut self) -> Result<Option<Vec<Node>>, Error> {
        let instance = self.seen.target.instance.clone();
        let asked_at = self.world.now();
        let mut found = self.world.nodes_by_attribute(std::slice::from_ref(&instance)).await?;
        self.listed_at = asked_at;
        Ok(found.remove(&instance))
    }

    /// An answer that is older than our own write is not believed.
    fn believe(&mut self, nodes: Nodes) -> Nodes {
        let Nodes::Known(seen) = &nodes else { return nodes };
        let older = |seen: &SeenNode| {
            self.written.get(&seen.node.id).is_some_and(|index| seen.node.modify_index < *index)
        };
        if seen.iter().any(older) {
            return Nodes::Unknown(Obstacle::Stale);
        }
        let known: Vec<NodeId> = seen.iter().map(|seen| seen.node.id.clone()).collect();
        if known != self.known {
            let ids: Vec<&str> = known.iter().map(NodeId::as_str).collect();
            tracing::Span::current().record("node_id", ids.join(","));
            self.known = known;
        }
        nodes
    }

    /// For an instance whose id no node carries. Tried once in an invocation, until it has an answer.
    async fn elsewhere(&mut self) -> Result<Nodes, Error> {
        // EC2 tells everybody of every instance of the account: whose node carries no id of ours is a stranger's, and a
        // stranger's agent is sent no token.
        let ours = self.seen.target.origin != Origin::Broadcast;
        if self.tried_elsewhere || !ours {
            return Ok(Nodes::Absent);
        }
        let nodes = self.world.nodes_elsewhere(&self.seen.target.instance).await;
        self.tried_elsewhere = match &nodes {
            Ok(_) => true,
            Err(error) => error.means_absent(),
        };
        nodes.map(known)
    }

    async fn read_allocations(&mut self) {
        if self.seen.hold.is_none() {
            return;
        }
        let Nodes::Known(nodes) = &mut self.seen.nodes else { return };
        // Whoever looks on wants to know what runs, even where no decision depends on it.
        let all = self.rules.looks.by_hand.is_some();
        for seen in nodes.iter_mut().filter(|seen| all || seen.node.asks_for_allocations()) {
            if let Err(error) = what_runs(self.world, &self.seen.target.instance, seen).await {
                if !all {
                    note(&error, "the allocations could not be read");
                }
                seen.allocations = Allocations::Unknown(error.obstacle());
                self.failure = Some(error);
            }
        }
    }

    /// What our token shows us is asked when it matters: once a drain has begun.
    async fn read_sight(&mut self) {
        let Nodes::Known(nodes) = &self.seen.nodes else { return };
        let listed = nodes.iter().any(|seen| matches!(seen.allocations, Allocations::Listed(_)));
        if self.seen.sight != Sight::Unknown || !listed {
            return;
        }
        match self.world.sight().await {
            Ok(sight) => self.seen.sight = sight,
            Err(error) => {
                self.note(&error, "what the token may see could not be found out");
                self.failure = Some(error);
            }
        }
    }

    /// Where no event says when the hook began, our stamp says it, else the scaling activity does. Without a sweep nothing
    /// that depends on it is asked for.
    async fn read_start(&mut self) {
        let target = &self.seen.target;
        let Some(group) = &target.group else { return };
        let plain = matches!(target.origin, Origin::Event | Origin::Bus) && !self.policy().sweep;
        if plain || target.hook_started_at.is_some() || self.asked_start {
            return;
        }
        if let Some(started) = self.stamped_start() {
            self.seen.target.hook_started_at = Some(started);
            return;
        }
        match self.world.account().ends_begun(group).await {
            Ok(begun) => {
                self.asked_start = true;
                self.seen.target.hook_started_at = begun.get(&self.seen.target.instance).copied();
            }
            Err(error) => {
                self.asked_start = self.warn_if_denied(&error);
                note(&error, "when the hook began could not be found out");
            }
        }
    }

    /// What our stamp says, unless the node has taken work since: then it may be the stamp of an earlier action.
    fn stamped_start(&self) -> Option<Timestamp> {
        let Nodes::Known(nodes) = &self.seen.nodes else { return None };
        let drained = nodes.iter().filter(|seen| seen.node.drain.is_some() || !seen.node.eligible);
        let stamps = drained.filter_map(|seen| seen.node.last_drain.as_ref()?.stamp());
        let ours = stamps.filter(|stamp| stamp.instance == self.seen.target.instance.as_str());
        ours.filter_map(|stamp| stamp.hook_started_at).max()
    }

    /// Hook calls may be made once a drain runs, whoever began it. A drain whose answer was lost counts as ours if the
    /// node shows it.
    pub(super) fn remember_the_drain(&mut self) {
        let Nodes::Known(nodes) = &self.seen.nodes else { return };
        let drains = nodes.iter().any(|seen| seen.node.drain.is_some() || !seen.node.eligible);
        if let Some(request) = self.unanswered.take() {
            if took_effect(&request, nodes) {
                self.tell_posted(&request);
                self.begun = Some(request);
            } else {
                self.failures += 1;
            }
        }
        self.drain_seen |= drains;
        if let Some(hold) = &mut self.seen.hold {
            hold.drain_begun |= drains;
        }
    }

    /// Whether the hook's settings would help and were not asked for: without a sweep only once the drain has begun.
    pub(super) fn wants_settings(&self) -> bool {
        self.seen.hold.as_ref().is_some_and(|hold| hold.drain_begun) && !self.asked_settings
    }

    pub(super) async fn read_settings(&mut self) {
        self.asked_settings = true;
        self.fresh = true;
        let (Some(group), Some(hook)) = (&self.seen.target.group, &self.seen.target.hook) else { return };
        match self.world.account().hooks(group).await {
            Ok(hooks) => {
                let ours = hooks.into_iter().find(|one| one.name == *hook);
                if let (Some(hold), Some(ours)) = (&mut self.seen.hold, ours) {
                    hold.settings = Some(HookSettings {
                        heartbeat_timeout: ours.heartbeat_timeout,
                        global_timeout: ours.global_timeout,
                    });
                }
            }
            Err(error) => {
                if !self.warn_if_denied(&error) {
                    note(&error, "the hook's settings could not be read");
                }
            }
        }
    }
}

/// Reads a node's allocations, and the node again if they are of a later time in which it went down.
async fn what_runs(world: &impl World, instance: &InstanceId, seen: &mut SeenNode) -> Result<(), Error> {
    seen.allocations = Allocations::Listed(world.allocations(&seen.node.id).await?);
    if seen.has_gone_down_since()
        && let Some(node) = world.node(instance, &seen.node.id).await?
    {
        seen.node = node;
    }
    Ok(())
}

fn known(nodes: Vec<Node>) -> Nodes {
    let seen = nodes.into_iter().map(|node| SeenNode { node, allocations: Allocations::NotRead });
    Nodes::Known(seen.collect())
}
