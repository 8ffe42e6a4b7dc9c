//! The world of one invocation: the lab's models, called directly, with a gate before and after every effect.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use drain::Error;
use drain::aws::AwsError;
use drain::config::GroupSelection;
use drain::world::{Account, Census, Clock, Group, GroupInstance, Hook, Idle, Waiting, World};
use drain_core::decide::{DrainRequest, Urgency};
use drain_core::ids::{GroupName, HookName, InstanceId, NodeId};
use drain_core::observation::{Allocation, Node, Sight, Target};
use drain_core::policy::ActionResult;
use drain_lab::aws as lab;
use drain_lab::nomad as model;
use jiff::{SignedDuration, Timestamp};

use crate::faults::{self, Call};
use crate::gate::Gate;
use crate::ground::Ground;
use crate::setup::{GROUP, HIDDEN, OURS};
use crate::translate;

/// What one invocation calls.
pub(crate) struct Walked {
    ground: Rc<Ground>,
    gate: Gate,
    invocation: usize,
    /// The token is read once in an invocation.
    sees_everything: bool,
    sight: OnceCell<Sight>,
    ends_begun: RefCell<BTreeMap<GroupName, BTreeMap<InstanceId, Timestamp>>>,
}

impl Walked {
    pub(crate) fn new(ground: Rc<Ground>, gate: Gate, invocation: usize) -> Self {
        let sees_everything = ground.sees_everything.get();
        let (sight, ends_begun) = (OnceCell::new(), RefCell::default());
        Self { ground, gate, invocation, sees_everything, sight, ends_begun }
    }

    /// One call to the outside.
    async fn call<T>(
        &self,
        call: Call,
        subject: &str,
        effect: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.gate.turn().await;
        let Self { ground, invocation, .. } = self;
        ground.tally.borrow_mut().call();
        let fault = ground.fault(call);
        let done = match fault {
            Some(kind) if !kind.has_effect() => Err(faults::error(call, kind)),
            Some(_) | None => effect(),
        };
        ground.say(|| {
            let answer = match (&done, fault) {
                (_, Some(kind)) => format!("{kind:?}"),
                (Ok(_), None) => "ok".to_owned(),
                (Err(error), None) => error.name().to_owned(),
            };
            format!("    #{invocation} {call:?} {} -> {answer}", ground.name(subject))
        });
        ground.settle();
        self.gate.turn().await;
        match fault {
            Some(kind) => Err(faults::error(call, kind)),
            None => done,
        }
    }

    /// A call about the lifecycle action of a target.
    fn action<T>(
        &self,
        target: &Target,
        operation: &str,
        act: impl FnOnce(&lab::ActionRef<'_>) -> Result<T, lab::ApiError>,
    ) -> Result<T, Error> {
        let (Some(group), Some(hook)) = (&target.group, &target.hook) else {
            return Err(Error::NoLifecycleAction { instance: target.instance.clone() });
        };
        let meant = lab::ActionRef {
            group: group.as_str(),
            hook: hook.as_str(),
            token: target.token.as_deref(),
            instance_id: Some(target.instance.as_str()),
        };
        let refused =
            |error: lab::ApiError| Error::AutoScaling { group: None, source: refusal(operation, &error) };
        if hook.as_str() != OURS {
            let mut ledger = self.ground.ledger.borrow_mut();
            ledger.broken.get_or_insert(format!("{operation} for a hook of somebody else"));
        }
        act(&meant).map_err(refused)
    }

    fn members(&self, group: &str, warm: bool) -> Vec<Waiting> {
        let members = self.ground.aws.instances(group).into_iter().filter(|one| {
            one.lifecycle_state.is_warmed() == warm && one.lifecycle_state.as_str().ends_with(":Wait")
        });
        let waiting = members.map(|one| Waiting {
            instance: InstanceId::parse(&one.id).unwrap(),
            state: one.lifecycle_state.as_str().to_owned(),
        });
        waiting.collect()
    }

    fn described(&self, settings: &lab::GroupSettings) -> Group {
        let mut tags = settings.tags.clone();
        if settings.name == GROUP && self.ground.held_by_tag.get() {
            tags.insert("nomad-drain-hold".to_owned(), "on".to_owned());
        }
        Group {
            name: GroupName::parse(&settings.name).unwrap(),
            arn: String::new(),
            tags,
            has_warm_pool: true,
            waiting: self.members(&settings.name, false),
            in_service: Vec::new(),
            retains_abandoned: false,
            service_linked_role: None,
        }
    }

    async fn read(&self, id: &str) -> Result<Option<Node>, Error> {
        let node = self.call(Call::Node, id, || Ok(self.ground.nomad.node(id))).await?;
        self.ground.ledger.borrow_mut().shown(self.invocation, id);
        Ok(node.as_ref().map(translate::node))
    }
}

impl Clock for Walked {
    fn now(&self) -> Timestamp {
        self.ground.now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        self.gate.sleep_until(moment).await;
    }

    fn backoff(&self, attempts: u32) -> SignedDuration {
        SignedDuration::from_millis(100 << attempts.min(5))
    }
}

impl World for Walked {
    type Account = Self;

    fn account(&self) -> &Self {
        self
    }

    async fn nodes_by_attribute(
        &self,
        instances: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, Vec<Node>>, Error> {
        let list = || {
            let list = instances.iter().map(|instance| {
                self.ground.ledger.borrow_mut().listed(&self.ground, self.invocation, instance.as_str());
                (instance, self.ground.nodes_of(instance.as_str()))
            });
            Ok(list.collect::<Vec<_>>())
        };
        let listed = self.call(Call::Nodes, "", list).await?;
        let mut found: BTreeMap<InstanceId, Vec<Node>> = BTreeMap::new();
        for (instance, stubs) in listed {
            for stub in stubs {
                if let Some(node) = self.read(&stub.id).await? {
                    found.entry(instance.clone()).or_default().push(node);
                }
            }
        }
        Ok(found)
    }

    async fn nodes_elsewhere(&self, instance: &InstanceId) -> Result<Vec<Node>, Error> {
        Err(Error::NodeNotFound { instance: instance.clone(), searched: "by its attribute".to_owned() })
    }

    async fn node(&self, _: &InstanceId, id: &NodeId) -> Result<Option<Node>, Error> {
        self.read(id.as_str()).await
    }

    async fn allocations(&self, id: &NodeId) -> Result<Vec<Allocation>, Error> {
        let list = || {
            self.ground.ledger.borrow_mut().read(&self.ground, self.invocation, id.as_str());
            let mut list = self.ground.nomad.allocations_on(id.as_str());
            list.retain(|alloc| self.sees_everything || alloc.namespace != HIDDEN);
            Ok(list.iter().map(translate::allocation).collect())
        };
        self.call(Call::Allocations, id.as_str(), list).await
    }

    async fn sight(&self) -> Result<Sight, Error> {
        if let Some(sight) = self.sight.get() {
            return Ok(sight.clone());
        }
        let sight = if self.sees_everything { Sight::Everything } else { Sight::NotEverything };
        let sight = self.call(Call::Token, "", || Ok(sight)).await?;
        Ok(self.sight.get_or_init(|| sight).clone())
    }

    async fn drain(&self, request: &DrainRequest) -> Result<u64, Error> {
        let id = request.node.as_str();
        self.ground.ledger.borrow_mut().posts(&self.ground, self.invocation, id);
        let post = || {
            let nomad = &self.ground.nomad;
            let gone = || faults::node_gone(Call::Drain);
            let before = nomad.node(id).ok_or_else(gone)?;
            let deadline = request.spec.deadline;
            self.ground.say(|| format!("    drain within {deadline:#} ({})", request.reason.as_str()));
            self.ground.ledger.borrow_mut().drains(&self.ground, &before, deadline);
            let spec = model::DrainSpec { deadline, ignore_system_jobs: request.spec.ignore_system_jobs };
            let meta = request.meta.clone().unwrap_or_default();
            let drain = model::DrainRequest { spec: Some(spec), mark_eligible: false, meta };
            nomad.drain(id, drain).map_err(|_| gone())?;
            Ok(nomad.node(id).ok_or_else(gone)?.modify_index)
        };
        self.call(Call::Drain, id, post).await
    }

    async fn make_ineligible(&self, id: &NodeId) -> Result<(), Error> {
        let set = || {
            let done = self.ground.nomad.set_eligibility(id.as_str(), false);
            done.map_err(|_| faults::node_gone(Call::Ineligible))
        };
        self.call(Call::Ineligible, id.as_str(), set).await
    }

    async fn give_back(&self, id: &NodeId, ends_drain: bool) -> Result<(), Error> {
        let set = || {
            let gone = |_| faults::node_gone(Call::GiveBack);
            let nomad = &self.ground.nomad;
            if let Some(node) = nomad.node(id.as_str()) {
                self.ground.ledger.borrow_mut().gives_back(&self.ground, &node);
            }
            if ends_drain {
                nomad.drain(id.as_str(), model::DrainRequest::cancel(true)).map_err(gone)
            } else {
                let done = nomad.set_eligibility(id.as_str(), true);
                done.map_err(|_| faults::node_gone(Call::GiveBack))
            }
        };
        self.call(Call::GiveBack, id.as_str(), set).await
    }

    async fn purge(&self, id: &NodeId) -> Result<(), Error> {
        let purge = || {
            let mut ledger = self.ground.ledger.borrow_mut();
            ledger.broken.get_or_insert("a node was purged, and PURGE_NODES is off".to_owned());
            Ok(())
        };
        self.call(Call::Purge, id.as_str(), purge).await
    }

    async fn idle_nodes(&self) -> Result<Vec<Idle>, Error> {
        let list = || Ok(self.ground.nomad.nodes().iter().filter_map(translate::idle).collect());
        self.call(Call::Drained, "", list).await
    }

    async fn census(&self, _instances: &[InstanceId]) -> Result<Census, Error> {
        Ok(Census::default())
    }
}

impl Account for Walked {
    /// A walk decides how long an invocation lasts.
    fn call_until(&self, _moment: Timestamp) {}

    async fn heartbeat(&self, target: &Target, _urgency: Urgency) -> Result<(), Error> {
        let beat = || {
            self.action(target, "autoscaling:RecordLifecycleActionHeartbeat", |meant| {
                self.ground.aws.record_lifecycle_action_heartbeat(meant)
            })
        };
        self.call(Call::Heartbeat, target.instance.as_str(), beat).await
    }

    async fn complete(&self, target: &Target, result: ActionResult) -> Result<(), Error> {
        let id = target.instance.as_str();
        let end = || {
            let result = match result {
                ActionResult::Continue => lab::ActionResult::Continue,
                ActionResult::Abandon => lab::ActionResult::Abandon,
            };
            self.action(target, "autoscaling:CompleteLifecycleAction", |meant| {
                let held_by = self.ground.aws.lifecycle_action(id);
                let ground = &self.ground;
                ground.ledger.borrow_mut().watch(ground);
                if held_by.is_some_and(|action| {
                    action.hook == meant.hook && meant.token.is_none_or(|token| token == action.token)
                }) {
                    ground.ledger.borrow_mut().completes(ground, self.invocation, id);
                    ground.ledger.borrow_mut().ended(id);
                }
                ground.aws.complete_lifecycle_action(meant, result)
            })
        };
        self.call(Call::Complete, id, end).await
    }

    async fn members(&self, instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
        let describe = || {
            let described = instances.iter().filter_map(|id| {
                let instance = self.ground.aws.instance(id.as_str())?;
                let gone = instance.lifecycle_state == lab::LifecycleState::Terminated;
                let member = GroupInstance {
                    instance: id.clone(),
                    group: GroupName::parse(&instance.group).unwrap(),
                    state: instance.lifecycle_state.as_str().to_owned(),
                };
                (!gone).then(|| (id.clone(), member))
            });
            Ok(described.collect())
        };
        self.call(Call::Members, "", describe).await
    }

    async fn hooks(&self, group: &GroupName) -> Result<Vec<Hook>, Error> {
        let describe = || {
            let hooks = self.ground.groups.iter().filter(|(settings, _)| settings.name == group.as_str());
            Ok(hooks.flat_map(|(_, hooks)| hooks).map(hook).collect())
        };
        self.call(Call::Hooks, group.as_str(), describe).await
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, Error> {
        let describe = || {
            let mut groups = self.ground.groups.iter().map(|(settings, _)| settings);
            let group = groups.find(|settings| settings.name == name.as_str());
            Ok(group.map(|settings| self.described(settings)))
        };
        self.call(Call::Group, name.as_str(), describe).await
    }

    async fn groups(&self, _: &GroupSelection) -> Result<Vec<Group>, Error> {
        let describe =
            || Ok(self.ground.groups.iter().map(|(settings, _)| self.described(settings)).collect());
        self.call(Call::Groups, "", describe).await
    }

    async fn warm_pool(&self, group: &GroupName) -> Result<Vec<Waiting>, Error> {
        self.call(Call::WarmPool, group.as_str(), || Ok(self.members(group.as_str(), true))).await
    }

    async fn ends_begun(&self, group: &GroupName) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
        if let Some(known) = self.ends_begun.borrow().get(group) {
            return Ok(known.clone());
        }
        let describe = || {
            let activities = self.ground.aws.activities(group.as_str()).into_iter();
            let ends = activities
                .filter(|line| line.ended_at.is_none() && line.description.starts_with("Terminating"));
            Ok(ends.map(|line| (InstanceId::parse(&line.instance_id).unwrap(), line.started_at)).collect())
        };
        let begun: BTreeMap<InstanceId, Timestamp> =
            self.call(Call::Activities, group.as_str(), describe).await?;
        self.ends_begun.borrow_mut().insert(group.clone(), begun.clone());
        Ok(begun)
    }
}

fn hook(hook: &lab::LifecycleHook) -> Hook {
    Hook {
        name: HookName::parse(&hook.name).unwrap(),
        terminating: hook.transition == lab::Transition::Terminating,
        heartbeat_timeout: SignedDuration::from_secs(i64::from(hook.heartbeat_timeout)),
        global_timeout: hook.global_timeout(),
        default_result: match hook.default_result {
            lab::ActionResult::Continue => ActionResult::Continue,
            lab::ActionResult::Abandon => ActionResult::Abandon,
        },
        metadata: hook.notification_metadata.clone(),
        target: None,
        role: None,
    }
}

fn refusal(operation: &str, error: &lab::ApiError) -> AwsError {
    faults::refusal_of_aws(operation, error.status, error.code, &error.message)
}
