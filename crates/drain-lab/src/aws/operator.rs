//! What the operator of the account does, and what happens to instances from outside: for tests and demos.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::account::Decision;
use super::parameter::Parameter;
use super::rate::RateLimit;
use super::state::Group;
use super::{
    Account, ApiError, Aws, Content, Ec2News, Ec2State, Event, GroupSettings, HealthEntity, Instance,
    Journey, LifecycleHook, LifecycleState, Notification, NotificationTarget, ParameterType,
};

impl Aws {
    /// Takes an IAM action away from the function's role: `ssm:GetParameter`, `kms:Decrypt`.
    pub fn deny(&self, action: &str) {
        self.deny_to(&self.account().role, action);
    }

    /// Takes an IAM action on one ARN away from the function's role: completing the actions of one group.
    pub fn deny_on(&self, action: &str, resource: &str) {
        self.change(|state, _| {
            let role = state.account.role.clone();
            state.permissions.deny(&role, action, Some(resource));
        });
    }

    /// Takes an IAM action away from a role: [`super::OPERATOR`], [`super::HOOK_ROLE`].
    pub fn deny_to(&self, role: &str, action: &str) {
        self.change(|state, _| state.permissions.deny(role, action, None));
    }

    /// Lets a policy forbid the function's role an IAM action, whatever other policies allow.
    pub fn forbid(&self, action: &str) {
        self.change(|state, _| {
            let role = state.account.role.clone();
            state.permissions.set(&role, action, None, Decision::Forbidden);
        });
    }

    /// Lets the policies of the function's role allow an IAM action on a condition on this key, which really holds.
    pub fn allow_on_condition(&self, action: &str, key: &str) {
        self.change(|state, _| {
            let role = state.account.role.clone();
            state.permissions.set(&role, action, None, Decision::Conditional(key.to_owned()));
        });
    }

    /// Lets the service control policies of the organisation not allow an IAM action to the function's role.
    pub fn deny_by_organization(&self, action: &str) {
        self.change(|state, _| {
            let role = state.account.role.clone();
            state.permissions.set(&role, action, None, Decision::NotByOrganization);
        });
    }

    /// Gives an IAM action back to the function's role.
    pub fn allow(&self, action: &str) {
        self.allow_to(&self.account().role, action);
    }

    /// Gives an IAM action back to a role.
    pub fn allow_to(&self, role: &str, action: &str) {
        self.change(|state, _| state.permissions.allow(role, action));
    }

    /// Stores a parameter, or its next version.
    pub fn put_parameter(&self, name: &str, kind: ParameterType, value: &str) {
        self.change(|state, _| {
            let version = state.parameters.get(name).map_or(0, |parameter| parameter.version) + 1;
            let parameter = Parameter { value: value.to_owned(), kind, version };
            state.parameters.insert(name.to_owned(), parameter);
        });
    }

    /// Deletes a parameter.
    pub fn delete_parameter(&self, name: &str) {
        self.change(|state, _| state.parameters.remove(name));
    }

    /// Stores a secret, or its next version.
    pub fn put_secret(&self, name: &str, text: &str) {
        self.change(|state, _| state.secrets.insert(name.to_owned(), text.to_owned()));
    }

    /// Believes every caller from now on: for a function whose credentials come from another emulator.
    pub fn believe_everybody(&self) {
        self.change(|state, _| state.checks_signatures = false);
    }

    pub(super) fn checks_signatures(&self) -> bool {
        self.look(|state| state.checks_signatures)
    }

    /// The traces that calls were part of (`X-Amzn-Trace-Id`), in order.
    pub fn traces(&self) -> Vec<String> {
        self.look(|state| state.traces.clone())
    }

    pub(super) fn trace(&self, id: &str) {
        self.change(|state, _| state.traces.push(id.to_owned()));
    }

    /// How long EC2 takes to end an instance, 10 s if nothing else is said.
    pub fn set_shutdown_time(&self, time: Duration) {
        self.change(|state, _| state.shutdown_time = time);
    }

    /// Creates a group. A second one of the same name takes the place of the first, its hooks and its instances stay.
    pub fn create_group(&self, settings: GroupSettings) {
        self.change(|state, now| {
            if let Ok(group) = state.group_mut(&settings.name) {
                group.settings = settings;
                return;
            }
            let Account { id, region, .. } = &*state.account;
            let name = &settings.name;
            let uuid = state.ids.uuid();
            let arn = format!(
                "arn:aws:autoscaling:{region}:{id}:autoScalingGroup:{uuid}:autoScalingGroupName/{name}"
            );
            state.groups.push(Group { settings, arn, created_at: now, hooks: vec![], activities: vec![] });
        });
    }

    /// Adds a hook to a group, or changes the one of that name. A target gets a test message.
    pub fn put_lifecycle_hook(&self, group: &str, hook: LifecycleHook) -> Result<(), ApiError> {
        self.change(|state, now| {
            let request_id = state.ids.uuid();
            let target = hook.target.clone();
            let found = state.group_mut(group)?;
            let group_arn = found.arn.clone();
            match found.hooks.iter_mut().find(|existing| existing.name == hook.name) {
                Some(existing) => *existing = hook,
                None => found.hooks.push(hook),
            }
            if target != NotificationTarget::None {
                let group = group.to_owned();
                let (account, content) = (Arc::clone(&state.account), Content::Test);
                let test = Notification { at: now, target, group, group_arn, account, request_id, content };
                state.emit(&Event::Hook(Box::new(test)));
            }
            Ok(())
        })
    }

    /// Deletes a hook. What it holds goes on, as Auto Scaling has it: instances that end are let go.
    pub fn delete_lifecycle_hook(&self, group: &str, hook: &str) -> Result<(), ApiError> {
        self.change(|state, now| state.delete_hook(group, hook, now))
    }

    /// Puts a tag on a group, or takes one away.
    pub fn set_tag(&self, group: &str, key: &str, value: Option<&str>) -> Result<(), ApiError> {
        self.change(|state, _| {
            let tags = &mut state.group_mut(group)?.settings.tags;
            match value {
                Some(value) => tags.insert(key.to_owned(), value.to_owned()),
                None => tags.remove(key),
            };
            Ok(())
        })
    }

    /// How long before its hook holds an instance the scaling activity of its termination starts; zero unless it is
    /// set. Load balancers drain in that time.
    pub fn set_activity_lead(&self, lead: Duration) {
        let lead = SignedDuration::try_from(lead).unwrap_or(SignedDuration::MAX);
        self.change(|state, _| state.activity_lead = lead);
    }

    /// How many calls a second Auto Scaling takes, by the lab's clock, and as many at once after a second of rest; any
    /// number unless it is set. The others hear `Throttling`.
    pub fn set_rate_limit(&self, calls_per_second: Option<u32>) {
        self.change(|state, now| {
            state.rate_limit = calls_per_second.map(|calls| RateLimit::new(calls, now));
        });
    }

    /// Adds an instance that waits in its group's warm pool, stopped, and returns its id.
    pub fn add_warmed_instance(&self, group: &str, private_ip: Option<Ipv4Addr>) -> Result<String, ApiError> {
        let id = self.add_instance(group, private_ip)?;
        self.change(|state, now| {
            let index = state.managed(&id)?;
            state.instances.at(index).instance.lifecycle_state = LifecycleState::WarmedStopped;
            state.stop(index, now);
            Ok(id)
        })
    }

    /// Adds an instance that is in service already, and returns its id. It may have no address.
    pub fn add_instance(&self, group: &str, private_ip: Option<Ipv4Addr>) -> Result<String, ApiError> {
        self.add(group, private_ip, None)
    }

    /// Launches an instance and returns its id: in service at once, or held by the group's launch hooks.
    pub fn launch_instance(&self, group: &str, private_ip: Option<Ipv4Addr>) -> Result<String, ApiError> {
        self.add(group, private_ip, Some(Journey::Launch))
    }

    fn add(
        &self,
        group: &str,
        private_ip: Option<Ipv4Addr>,
        journey: Option<Journey>,
    ) -> Result<String, ApiError> {
        self.change(|state, now| {
            state.group(group)?;
            let index = state.add(Instance {
                id: String::new(),
                group: group.to_owned(),
                private_ip,
                lifecycle_state: LifecycleState::InService,
                ec2_state: Ec2State::Running,
                launched_at: now,
            });
            if let Some(journey) = journey {
                state.start(index, now);
                state.begin(index, journey, now);
            }
            Ok(state.instances[index].instance.id.clone())
        })
    }

    /// What a scale-in does, or `TerminateInstanceInAutoScalingGroup`: the terminate hooks hold the instance, and
    /// then it ends. An instance that was retained ends at once.
    pub fn terminate_instance(&self, id: &str) -> Result<(), ApiError> {
        use LifecycleState as S;
        self.change(|state, now| {
            let index = state.managed(id)?;
            match state.instances[index].instance.lifecycle_state {
                S::InService | S::PendingWait => state.begin(index, Journey::Terminate, now),
                S::WarmedStopped => state.begin(index, Journey::TerminateFromWarmPool, now),
                S::TerminatingRetained | S::WarmedPendingRetained | S::WarmedTerminatingRetained => {
                    state.shut_down(index, now, "a retained instance was terminated");
                }
                S::TerminatingWait
                | S::TerminatingProceed
                | S::Terminated
                | S::ReplacingRootVolumeWait
                | S::WarmedPendingWait
                | S::WarmedTerminatingWait
                | S::WarmedTerminatingProceed => return Err(busy(id)),
            }
            Ok(())
        })
    }

    /// What EC2's own `TerminateInstances` does: the instance ends and no hook is asked.
    pub fn terminate_without_hooks(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            state.shut_down(index, now, "EC2 TerminateInstances");
            Ok(())
        })
    }

    /// A scale-in of a group whose warm pool reuses instances.
    pub fn return_to_warm_pool(&self, id: &str) -> Result<(), ApiError> {
        self.set_out(id, LifecycleState::InService, Journey::ReturnToWarmPool)
    }

    /// A scale-out of a group with a warm pool.
    pub fn launch_from_warm_pool(&self, id: &str) -> Result<(), ApiError> {
        self.set_out(id, LifecycleState::WarmedStopped, Journey::LaunchFromWarmPool)
    }

    /// An instance refresh with the strategy `ReplaceRootVolume`.
    pub fn replace_root_volume(&self, id: &str) -> Result<(), ApiError> {
        self.set_out(id, LifecycleState::InService, Journey::ReplaceRootVolume)
    }

    fn set_out(&self, id: &str, from: LifecycleState, journey: Journey) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            if state.instances[index].instance.lifecycle_state != from {
                return Err(busy(id));
            }
            if journey == Journey::LaunchFromWarmPool {
                state.start(index, now);
            }
            state.begin(index, journey, now);
            Ok(())
        })
    }

    /// EC2 warns a spot instance, and takes it away two minutes later.
    pub fn interrupt_spot(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            state.interrupt(index, now);
            Ok(())
        })
    }

    /// EC2 warns an instance of an interruptible capacity reservation, and takes it away two minutes later.
    pub fn interrupt_capacity_reservation(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            state.interrupt_reservation(index, now);
            Ok(())
        })
    }

    /// AWS Health says that the host of an instance is retired in two weeks. Nothing happens to it.
    pub fn schedule_change(&self, id: &str, entity: HealthEntity) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            state.announce(index, Ec2News::ScheduledChange(entity), now);
            Ok(())
        })
    }

    /// What EC2's own `StopInstances` does. No hook is asked, and the group keeps the instance as it is: one with a
    /// health check would replace it.
    pub fn stop_instance(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            if state.instances[index].instance.ec2_state != Ec2State::Running {
                return Err(incorrect_state(id, "stopped"));
            }
            state.stop(index, now);
            Ok(())
        })
    }

    /// What EC2's own `StartInstances` does.
    pub fn start_instance(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            if state.instances[index].instance.ec2_state != Ec2State::Stopped {
                return Err(incorrect_state(id, "started"));
            }
            state.start(index, now);
            Ok(())
        })
    }

    /// EC2 says that a spot instance may be taken away before long. Nothing happens to it.
    pub fn recommend_rebalance(&self, id: &str) -> Result<(), ApiError> {
        self.change(|state, now| {
            let index = state.managed(id)?;
            state.announce(index, Ec2News::RebalanceRecommendation, now);
            Ok(())
        })
    }
}

fn busy(id: &str) -> ApiError {
    ApiError::new(400, "ScalingActivityInProgress", format!("Instance {id} is on its way somewhere else."))
}

fn incorrect_state(id: &str, done: &str) -> ApiError {
    let message = format!("The instance '{id}' is not in a state from which it can be {done}.");
    ApiError::new(400, "IncorrectInstanceState", message)
}
