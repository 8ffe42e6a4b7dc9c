//! The journeys of instances: which hook holds one next, and what follows when no hook does.

use std::mem;

use jiff::{SignedDuration, Timestamp};

use super::Event;
use super::ec2_event::Ec2News;
use super::error::ApiError;
use super::hook::{ActionRef, ActionResult, LifecycleAction, LifecycleHook, Transition};
use super::instance::{Ec2State, Instance};
use super::lifecycle::{Journey, LifecycleState};
use super::notification::Notification;
use super::state::{Held, Interruption, Progress, State};
use crate::journal::System;

/// How long before its end EC2 warns an instance.
const WARNING: SignedDuration = SignedDuration::from_mins(2);

impl State {
    /// Adds a running instance in service, without asking a hook, and returns its place.
    pub(super) fn add(&mut self, mut instance: Instance) -> usize {
        instance.id = self.ids.instance();
        self.instances.push(Held { instance, progress: Progress::Settled, interruption: None })
    }

    /// Sends an instance on a journey.
    pub(super) fn begin(&mut self, index: usize, journey: Journey, at: Timestamp) {
        let id = self.instances[index].instance.id.clone();
        let group = self.instances[index].instance.group.clone();
        match journey {
            Journey::Launch | Journey::LaunchFromWarmPool => {
                self.begin_activity(index, format!("Launching a new EC2 instance: {id}"), at);
            }
            Journey::Terminate | Journey::TerminateFromWarmPool => {
                self.journal.effect(
                    at,
                    System::AutoScaling,
                    "instance terminating",
                    id.clone(),
                    group.clone(),
                );
                // Auto Scaling deregisters the instance from load balancers first, and only then asks the hooks.
                let started = at - self.activity_lead;
                self.begin_activity(index, format!("Terminating EC2 instance: {id}"), started);
            }
            Journey::ReturnToWarmPool => {
                self.journal.effect(
                    at,
                    System::AutoScaling,
                    "instance returning to warm pool",
                    id,
                    group.clone(),
                );
            }
            Journey::ReplaceRootVolume => {
                self.journal.effect(at, System::AutoScaling, "root volume replacement", id, group.clone());
            }
            Journey::LaunchWithNewRootVolume => {}
        }
        let transition = journey.facts().transition;
        let hooks = self.group(&group).map(|group| group.hooks.clone()).unwrap_or_default();
        let hooks = hooks.into_iter().filter(|hook| hook.transition == transition).collect();
        self.hold(index, journey, hooks, at);
    }

    /// Ends the action that the caller means.
    pub(super) fn complete(
        &mut self,
        meant: &ActionRef<'_>,
        result: ActionResult,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        let index = self.find(meant)?;
        let id = self.instances[index].instance.id.clone();
        let detail = format!("{} of {} by {}", result.as_str(), meant.hook, meant.by());
        self.journal.effect(at, System::AutoScaling, "lifecycle action completed", id, detail);
        self.end_action(index, result, at);
        Ok(())
    }

    /// Restarts the timer of the action that the caller means.
    pub(super) fn heartbeat(&mut self, meant: &ActionRef<'_>, at: Timestamp) -> Result<(), ApiError> {
        let index = self.find(meant)?;
        let timeout = self.hook_of(index).map_or(SignedDuration::ZERO, LifecycleHook::heartbeat);
        let mut held = self.instances.at(index);
        let Progress::Waiting { action, .. } = &mut held.progress else {
            return Err(meant.not_found());
        };
        action.heartbeat_deadline = at + timeout;
        action.heartbeats += 1;
        let detail = format!("{} held until {}", action.hook, action.due());
        let id = action.instance_id.clone();
        self.journal.effect(at, System::AutoScaling, "lifecycle action heartbeat", id, detail);
        Ok(())
    }

    /// What the hook that holds this instance does by itself.
    pub(super) fn default_result(&self, index: usize) -> ActionResult {
        self.hook_of(index).map_or(ActionResult::Abandon, |hook| hook.default_result)
    }

    /// Goes on after the action that holds this instance.
    pub(super) fn end_action(&mut self, index: usize, result: ActionResult, at: Timestamp) {
        let progress = mem::replace(&mut self.instances.at(index).progress, Progress::Settled);
        let Progress::Waiting { journey, next_hooks, .. } = progress else { return };
        match result {
            ActionResult::Continue => self.hold(index, journey, next_hooks, at),
            ActionResult::Abandon => self.abandon(index, journey, at),
        }
    }

    /// Tells a spot instance that it has two minutes.
    pub(super) fn interrupt(&mut self, index: usize, at: Timestamp) {
        let why = "spot interruption";
        self.instances.at(index).interruption = Some(Interruption { at: at + WARNING, why });
        self.announce(index, Ec2News::SpotInterruption, at);
    }

    /// Tells an instance of a capacity reservation that it has two minutes.
    pub(super) fn interrupt_reservation(&mut self, index: usize, at: Timestamp) {
        let (end, why) = (at + WARNING, "capacity reservation interruption");
        self.instances.at(index).interruption = Some(Interruption { at: end, why });
        self.announce(index, Ec2News::CapacityReservationInterruption { at: end }, at);
    }

    /// EC2 starts an instance.
    pub(super) fn start(&mut self, index: usize, at: Timestamp) {
        self.set_ec2_state(index, Ec2State::Pending, at);
        self.set_ec2_state(index, Ec2State::Running, at);
    }

    /// EC2 stops an instance, which keeps its disk and its address.
    pub(super) fn stop(&mut self, index: usize, at: Timestamp) {
        self.set_ec2_state(index, Ec2State::Stopping, at);
        self.set_ec2_state(index, Ec2State::Stopped, at);
    }

    /// A hook is gone. What it holds goes on: instances that end are let go, instances that come up are given up.
    pub(super) fn delete_hook(&mut self, group: &str, hook: &str, at: Timestamp) -> Result<(), ApiError> {
        let found = self.group_mut(group)?;
        let place = found.hooks.iter().position(|existing| existing.name == hook).ok_or_else(|| {
            ApiError::validation(format!(
                "No Lifecycle Hook found for AutoScalingGroup {group} with name {hook}"
            ))
        })?;
        let result = match found.hooks.remove(place).transition {
            Transition::Launching => ActionResult::Abandon,
            Transition::Terminating => ActionResult::Continue,
        };
        for index in 0..self.instances.len() {
            let mut held = self.instances.at(index);
            if let Progress::Waiting { action, next_hooks, .. } = &mut held.progress
                && action.group == group
            {
                next_hooks.retain(|next| next.name != hook);
                if action.hook == hook {
                    let id = action.instance_id.clone();
                    drop(held);
                    let detail = format!("{} as {hook} was deleted", result.as_str());
                    self.journal.effect(at, System::AutoScaling, "lifecycle action completed", id, detail);
                    self.end_action(index, result, at);
                }
            }
        }
        Ok(())
    }

    /// EC2 ends an instance. No hook is asked.
    pub(super) fn shut_down(&mut self, index: usize, at: Timestamp, why: &str) {
        let until = at.saturating_add(self.shutdown_time).unwrap_or(Timestamp::MAX);
        let mut held = self.instances.at(index);
        held.interruption = None;
        if held.instance.ec2_state == Ec2State::Terminated
            || matches!(held.progress, Progress::ShuttingDown { .. })
        {
            return;
        }
        held.progress = Progress::ShuttingDown { until };
        let state = &mut held.instance.lifecycle_state;
        *state = if state.is_warmed() {
            LifecycleState::WarmedTerminatingProceed
        } else {
            LifecycleState::TerminatingProceed
        };
        let id = held.instance.id.clone();
        drop(held);
        self.journal.effect(at, System::Ec2, "instance shutting down", id, why);
        self.set_ec2_state(index, Ec2State::ShuttingDown, at);
    }

    /// An instance is gone.
    pub(super) fn terminated(&mut self, index: usize, at: Timestamp) {
        let mut held = self.instances.at(index);
        let from_pool = held.instance.lifecycle_state.is_warmed();
        held.progress = Progress::Settled;
        held.instance.lifecycle_state = LifecycleState::Terminated;
        held.instance.private_ip = None;
        let id = held.instance.id.clone();
        drop(held);
        self.journal.effect(at, System::Ec2, "instance terminated", id, "");
        self.set_ec2_state(index, Ec2State::Terminated, at);
        let journey = if from_pool { Journey::TerminateFromWarmPool } else { Journey::Terminate };
        self.end_activity(index, journey, at);
    }

    /// Lets the first of `hooks` hold the instance, or lets it go on if there is none.
    fn hold(&mut self, index: usize, journey: Journey, hooks: Vec<LifecycleHook>, at: Timestamp) {
        let mut hooks = hooks.into_iter();
        let Some(hook) = hooks.next() else {
            self.proceed(index, journey, at);
            return;
        };
        self.instances.at(index).instance.lifecycle_state = journey.facts().waiting;
        let instance = &self.instances[index].instance;
        let action = LifecycleAction {
            token: self.ids.uuid(),
            group: instance.group.clone(),
            hook: hook.name.clone(),
            instance_id: instance.id.clone(),
            started_at: at,
            heartbeat_deadline: at + hook.heartbeat(),
            global_deadline: at + hook.global_timeout(),
            heartbeats: 0,
        };
        let id = action.instance_id.clone();
        self.journal.effect(at, System::AutoScaling, "lifecycle action started", id, hook.name.clone());
        self.notify(journey, &hook, &action);
        let next_hooks = hooks.collect();
        self.instances.at(index).progress = Progress::Waiting { journey, action, next_hooks };
    }

    /// No hook holds the instance any more.
    fn proceed(&mut self, index: usize, journey: Journey, at: Timestamp) {
        match journey {
            Journey::Launch | Journey::LaunchFromWarmPool | Journey::LaunchWithNewRootVolume => {
                self.instances.at(index).instance.lifecycle_state = LifecycleState::InService;
                self.end_activity(index, journey, at);
            }
            Journey::Terminate | Journey::TerminateFromWarmPool => {
                self.shut_down(index, at, "terminated by its group");
            }
            Journey::ReturnToWarmPool => {
                self.instances.at(index).instance.lifecycle_state = LifecycleState::WarmedStopped;
                self.stop(index, at);
            }
            Journey::ReplaceRootVolume => {
                self.announce(index, Ec2News::RootVolumeReplaced, at);
                self.begin(index, Journey::LaunchWithNewRootVolume, at);
            }
        }
    }

    /// A hook was abandoned: by its policy the group keeps the instance, or it ends.
    fn abandon(&mut self, index: usize, journey: Journey, at: Timestamp) {
        let instance = &self.instances[index].instance;
        let kept = match journey {
            // Whatever comes up wrong is replaced; its end asks the terminate hooks like any other.
            Journey::Launch | Journey::LaunchFromWarmPool | Journey::LaunchWithNewRootVolume => {
                self.begin(index, Journey::Terminate, at);
                return;
            }
            Journey::Terminate | Journey::ReplaceRootVolume => LifecycleState::TerminatingRetained,
            Journey::TerminateFromWarmPool => LifecycleState::WarmedTerminatingRetained,
            Journey::ReturnToWarmPool => LifecycleState::WarmedPendingRetained,
        };
        let id = instance.id.clone();
        let group = instance.group.clone();
        if self.group(&group).is_ok_and(|group| group.settings.retain_on_abandon) {
            self.instances.at(index).instance.lifecycle_state = kept;
            self.journal.effect(at, System::AutoScaling, "instance retained", id, kept.as_str());
        } else {
            self.shut_down(index, at, "terminated by its group");
        }
    }

    fn notify(&mut self, journey: Journey, hook: &LifecycleHook, action: &LifecycleAction) {
        let request_id = self.ids.uuid();
        if self.listeners.is_empty() {
            return;
        }
        let arn = self.group(&action.group).map(|group| group.arn.clone()).unwrap_or_default();
        let notification = Notification::held(&self.account, &arn, request_id, journey, hook, action);
        self.emit(&Event::Hook(Box::new(notification)));
    }

    fn find(&self, meant: &ActionRef<'_>) -> Result<usize, ApiError> {
        self.group(meant.group)?;
        if meant.token.is_none() && meant.instance_id.is_none() {
            return Err(meant.not_found());
        }
        let is_meant = |held: &Held| held.action().is_some_and(|action| meant.names(action));
        let found = match meant.instance_id {
            Some(id) => self.instances.place(id).filter(|index| is_meant(&self.instances[*index])),
            None => self.instances.iter().position(is_meant),
        };
        found.ok_or_else(|| meant.not_found())
    }

    fn hook_of(&self, index: usize) -> Option<&LifecycleHook> {
        let action = self.instances[index].action()?;
        self.group(&action.group).ok()?.hooks.iter().find(|hook| hook.name == action.hook)
    }
}
