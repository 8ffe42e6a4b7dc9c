//! The servers as the bearer of a token meets them, without HTTP: the same permissions, refusals and silences.

use super::acl::{Access, PolicyView, Rights, StoredToken, TokenError, TokenView};
use super::cluster::{Cluster, Node};
use super::membership::{EligibilityError, NodeNotFound};
use super::{AllocView, DrainRequest, NodeView, Nomad};

/// What it takes to see an allocation.
pub(super) const SEE: &str = "read-job";

/// The bearer of a token, or of none.
#[derive(Clone, Debug)]
pub struct Caller<'a> {
    nomad: &'a Nomad,
    secret: Option<&'a str>,
}

/// Why a call got no answer, or was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The network is cut: the connection is closed without a word.
    #[error("the servers cannot be reached")]
    Unreachable,
    /// HTTP 500.
    #[error("No cluster leader")]
    NoLeader,
    /// HTTP 403: the token is unknown, has expired, or lacks a capability.
    #[error("Permission denied")]
    Denied,
    /// The servers know no such node, policy or role: HTTP 404 on a read, 500 on a write.
    #[error("not found")]
    NotFound,
    /// HTTP 500: a draining node cannot be made eligible.
    #[error("the node is draining")]
    Draining,
}

impl Nomad {
    /// The servers as the bearer of this token meets them.
    pub fn caller<'a>(&'a self, secret: Option<&'a str>) -> Caller<'a> {
        Caller { nomad: self, secret }
    }

    /// The allocations on a node that the bearer of a token is shown: those in namespaces without `read-job` are left
    /// out, without a word.
    pub fn allocations_on_as(&self, secret: &str, node: &str) -> Result<Vec<AllocView>, CallError> {
        self.caller(Some(secret)).allocations_on(node)
    }
}

impl Caller<'_> {
    /// All nodes, by id: `GET /v1/nodes`.
    pub fn nodes(&self) -> Result<Vec<NodeView>, CallError> {
        self.read(|cluster, rights| {
            may(rights.node(Access::Read))?;
            Ok(cluster.nodes.values().map(Node::view).collect())
        })
    }

    /// The nodes of an EC2 instance, the newest first: `GET /v1/nodes?filter=`.
    pub fn nodes_of_instance(&self, instance_id: &str) -> Result<Vec<NodeView>, CallError> {
        self.read(|cluster, rights| {
            may(rights.node(Access::Read))?;
            Ok(cluster.nodes_of_instance(instance_id))
        })
    }

    /// A node: `GET /v1/node/:id`.
    pub fn node(&self, id: &str) -> Result<NodeView, CallError> {
        self.read(|cluster, rights| {
            may(rights.node(Access::Read))?;
            cluster.nodes.get(id).map(Node::view).ok_or(CallError::NotFound)
        })
    }

    /// The allocations on a node that the caller is shown: `GET /v1/node/:id/allocations`.
    pub fn allocations_on(&self, node: &str) -> Result<Vec<AllocView>, CallError> {
        self.read(|cluster, rights| {
            may(rights.node(Access::Read))?;
            let shown = cluster.on_node(node).filter(|alloc| rights.namespace(&alloc.job.0, SEE));
            Ok(shown.filter_map(|alloc| cluster.alloc_view(alloc)).collect())
        })
    }

    /// Begins, changes or cancels a drain, and answers the index of the write: `POST /v1/node/:id/drain`.
    pub fn drain(&self, node: &str, request: DrainRequest) -> Result<u64, CallError> {
        self.write(|cluster, now, accessor| Ok(cluster.update_drain(now, node, request, accessor)?))
    }

    /// Makes a node eligible or not: `POST /v1/node/:id/eligibility`. Answers the index of the write, or 0 if the node
    /// was so already.
    pub fn set_eligibility(&self, node: &str, eligible: bool) -> Result<u64, CallError> {
        self.write(|cluster, now, _| Ok(cluster.set_eligibility(now, node, eligible)?))
    }

    /// Forgets a node: `POST /v1/node/:id/purge`.
    pub fn purge(&self, node: &str) -> Result<u64, CallError> {
        self.write(|cluster, now, _| Ok(cluster.purge(now, node)?))
    }

    /// Who the caller is: `GET /v1/acl/token/self`. None without ACLs, and without a token.
    pub fn token(&self) -> Result<Option<TokenView>, CallError> {
        self.reach(|state, now| {
            let secret = self.secret.filter(|_| state.acl.enabled);
            Ok(secret.map(|secret| state.acl.token(secret, now)).transpose()?.map(StoredToken::view))
        })
    }

    /// What a policy grants: `GET /v1/acl/policy/:name`.
    pub fn policy(&self, name: &str) -> Result<PolicyView, CallError> {
        self.reach(|state, now| {
            may(state.acl.may_read_policy(self.secret, name, now))?;
            state.acl.policies.get(name).map(super::Policy::view).ok_or(CallError::NotFound)
        })
    }

    /// The names of a role's policies: `GET /v1/acl/role/:id`.
    pub fn role(&self, id: &str) -> Result<Vec<String>, CallError> {
        self.reach(|state, now| {
            may(state.acl.may_read_role(self.secret, id, now))?;
            state.acl.roles.get(id).map(|role| role.policies.clone()).ok_or(CallError::NotFound)
        })
    }

    fn reach<T>(
        &self,
        act: impl FnOnce(&super::State, jiff::Timestamp) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let now = self.nomad.clock.now();
        self.nomad.look(
            |state| {
                if state.doors.unreachable { Err(CallError::Unreachable) } else { act(state, now) }
            },
        )
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Cluster, &Rights<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.reach(|state, now| {
            if !state.cluster.leadership.is_held(now) {
                return Err(CallError::NoLeader);
            }
            read(&state.cluster, &state.acl.rights(self.secret, now)?)
        })
    }

    fn write<T>(
        &self,
        act: impl FnOnce(&mut Cluster, jiff::Timestamp, &str) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.nomad.change(|state, now| {
            if state.doors.unreachable {
                return Err(CallError::Unreachable);
            }
            if !state.cluster.leadership.is_held(now) {
                return Err(CallError::NoLeader);
            }
            let rights = state.acl.rights(self.secret, now)?;
            may(rights.node(Access::Write))?;
            act(&mut state.cluster, now, &format!("token:{}", rights.accessor))
        })
    }
}

fn may(permitted: bool) -> Result<(), CallError> {
    if permitted { Ok(()) } else { Err(CallError::Denied) }
}

impl From<TokenError> for CallError {
    fn from(_: TokenError) -> Self {
        Self::Denied
    }
}

impl From<NodeNotFound> for CallError {
    fn from(NodeNotFound: NodeNotFound) -> Self {
        Self::NotFound
    }
}

impl From<EligibilityError> for CallError {
    fn from(error: EligibilityError) -> Self {
        match error {
            EligibilityError::NodeNotFound(error) => error.into(),
            EligibilityError::Draining => Self::Draining,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::clock::Clock;
    use crate::faults::Faults;
    use crate::journal::Journal;
    use crate::nomad::{JobSpec, NodeSpec, Policy, Token};

    fn cluster() -> (Nomad, String) {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let nomad = Nomad::new(clock.clone(), Journal::off(clock), Faults::default());
        nomad.enable_acl();
        let node = nomad.add_node(NodeSpec::new("n").instance_id("i-0abc"));
        nomad.add_job(JobSpec::batch("seen", 1));
        nomad.add_job(JobSpec::batch("unseen", 1).namespace("secret"));
        (nomad, node)
    }

    #[test]
    fn a_token_is_shown_the_allocations_of_the_namespaces_that_it_may_read() {
        let (nomad, node) = cluster();
        let write = Policy::default().node(Access::Write);
        nomad.add_policy("none", write.clone());
        nomad.add_policy("one", write.namespace("default", &["read-job"]));
        nomad.add_policy("all", Policy::minimal());
        for (policy, shown) in [("none", 0), ("one", 1), ("all", 2)] {
            nomad.add_token(Token::client(policy, &[policy]));
            assert_eq!(nomad.allocations_on_as(policy, &node).unwrap().len(), shown, "{policy}");
        }
        assert_eq!(nomad.allocations_on(&node).len(), 2);
        assert_eq!(nomad.allocations_on_as("unknown", &node), Err(CallError::Denied));
        assert_eq!(nomad.allocations_on_as("all", "no such node"), Ok(vec![]), "as Nomad has it");
    }

    #[test]
    fn a_token_can_ask_what_it_is_good_for() {
        let (nomad, _) = cluster();
        nomad.add_policy("direct", Policy::default().node(Access::Write));
        nomad.add_policy("through-role", Policy::default().namespace("*", &["read-job"]));
        nomad.add_policy("foreign", Policy::minimal());
        let role = nomad.add_role("readers", &["through-role"]);
        let other = nomad.add_role("others", &["foreign"]);
        let accessor = nomad.add_token(Token::client("s", &["direct"]).role(&role));
        let caller = nomad.caller(Some("s"));
        let token = caller.token().unwrap().unwrap();
        assert_eq!((token.accessor, token.management), (accessor, false));
        assert_eq!((token.policies, token.roles), (vec!["direct".to_owned()], vec![role.clone()]));
        assert_eq!(caller.role(&role).unwrap(), ["through-role"]);
        assert_eq!(caller.policy("through-role").unwrap().namespaces["*"], ["read-job"]);
        assert_eq!(caller.policy("direct").unwrap().node, Access::Write);
        assert_eq!(caller.policy("foreign"), Err(CallError::Denied));
        assert_eq!(caller.role(&other), Err(CallError::Denied));
        nomad.delete_token("s");
        assert_eq!(caller.token(), Err(CallError::Denied));
    }

    #[test]
    fn a_role_gives_what_its_policies_grant() {
        let (nomad, node) = cluster();
        nomad.add_policy("all", Policy::minimal());
        let role = nomad.add_role("drainers", &["all"]);
        nomad.add_token(Token::client("s", &[]).role(&role));
        let caller = nomad.caller(Some("s"));
        assert_eq!(caller.allocations_on(&node).unwrap().len(), 2);
        assert!(caller.drain(&node, DrainRequest::with_deadline(SignedDuration::from_hours(1))).unwrap() > 0);
        assert_eq!(caller.set_eligibility(&node, true), Err(CallError::Draining));
        let last = caller.node(&node).unwrap().last_drain.unwrap();
        assert_eq!(last.accessor_id, format!("token:{}", caller.token().unwrap().unwrap().accessor));
    }

    #[test]
    fn nobody_is_answered_without_a_network_or_a_leader() {
        let (nomad, node) = cluster();
        nomad.add_token(Token::management("m"));
        let caller = nomad.caller(Some("m"));
        assert_eq!(caller.nodes_of_instance("i-0abc").unwrap().len(), 1);
        nomad.lose_leader(None);
        assert_eq!(caller.node(&node), Err(CallError::NoLeader));
        assert_eq!(caller.purge(&node), Err(CallError::NoLeader));
        nomad.elect_leader();
        nomad.set_unreachable(true);
        assert_eq!(caller.nodes(), Err(CallError::Unreachable));
        assert_eq!(caller.drain(&node, DrainRequest::cancel(false)), Err(CallError::Unreachable));
        assert_eq!(caller.token(), Err(CallError::Unreachable));
        nomad.set_unreachable(false);
        assert_eq!(caller.node("nobody"), Err(CallError::NotFound));
        assert!(caller.purge(&node).is_ok());
    }
}
