//! What can be wrong with a deployment: one method for each.

mod function;

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEAD_LETTERS, Deployment, HOOK_RULE, SWEEP_RULE};
use crate::aws::HOOK_ROLE;
use crate::aws::deployed::{
    Deployed, DeployedFunction, DeployedQueue, Effect, Rule, Statement, Subscription, Topic, Trigger,
};
use crate::models::TOPIC;

/// The topic, and who hears it.
impl Deployment {
    /// Nobody is subscribed to the topic.
    pub fn unsubscribe(&self) {
        self.change_topic(|topic| topic.subscriptions.clear());
    }

    /// The subscription waits for its confirmation, and nothing is delivered.
    pub fn leave_subscription_unconfirmed(&self) {
        self.change_subscription(|subscription| subscription.confirmed = false);
    }

    /// Something else is subscribed to the topic: an older function's ARN, another queue's.
    pub fn subscribe_instead(&self, endpoint_arn: &str) {
        self.change_subscription(|subscription| endpoint_arn.clone_into(&mut subscription.endpoint));
    }

    /// The subscription lets only those messages through whose attributes match: Auto Scaling's have none.
    pub fn filter_subscription(&self, filter_policy: &Value) {
        self.change_subscription(|subscription| subscription.filter_policy = Some(filter_policy.clone()));
    }

    /// The subscription lets only those messages through whose text, which is JSON, matches.
    pub fn filter_subscription_by_text(&self, filter_policy: &Value) {
        self.filter_subscription(filter_policy);
        self.change_subscription(|subscription| subscription.filters_body = true);
    }

    /// The topic is encrypted with this key.
    pub fn encrypt_topic(&self, key: &str) {
        self.change_topic(|topic| topic.kms_key = Some(key.to_owned()));
    }

    /// The topic's policy denies the role of the hook to publish, whatever that role's own policies allow.
    pub fn deny_publishing(&self) {
        let role = self.aws.account().hook_role_arn();
        self.change_topic(|topic| {
            let statement = Statement::for_role("nobody", &role, "SNS:Publish", TOPIC);
            topic.policy.push(Statement { effect: Effect::Deny, ..statement });
        });
    }

    /// The topic's policy is another one.
    pub fn set_topic_policy(&self, statements: Vec<Statement>) {
        self.change_topic(|topic| topic.policy = statements);
    }

    /// The topic to which the hooks publish has been deleted.
    pub fn delete_topic(&self) {
        self.change(|deployed| deployed.topics.remove(TOPIC));
    }

    /// The role by which Auto Scaling notifies the hook's target may not publish to topics, or send to queues.
    pub fn take_rights_of_hook_role(&self) {
        for action in ["sns:Publish", "sqs:SendMessage", "sqs:GetQueueUrl"] {
            self.aws.deny_to(HOOK_ROLE, action);
        }
    }
}

/// The queue, and who reads it.
impl Deployment {
    /// A message that was received is visible again after this: less than six times the function's time-out is too short.
    pub fn set_visibility_timeout(&self, timeout: Duration) {
        self.change_queue(|queue| queue.visibility_timeout = timeout);
    }

    /// The queue has no dead-letter queue.
    pub fn remove_dead_letter_queue(&self) {
        self.change_queue(|queue| queue.redrive = None);
    }

    /// A message goes to the dead-letter queue when it has been received so often.
    pub fn set_max_receive_count(&self, count: u32) {
        self.change_queue(|queue| {
            if let Some(redrive) = &mut queue.redrive {
                redrive.max_receive_count = count;
            }
        });
    }

    /// The queue's policy lets nobody send: neither the topic nor the rule.
    pub fn remove_queue_policy(&self) {
        self.change_queue(|queue| queue.policy.clear());
    }

    /// The queue's policy lets its service send for another source only.
    pub fn admit_other_source_to_queue(&self, source_arn: &str) {
        self.change_queue(|queue| admit_only(&mut queue.policy, source_arn));
    }

    /// The queue is encrypted with this key.
    pub fn encrypt_queue(&self, key: &str) {
        self.change_queue(|queue| queue.kms_key = Some(key.to_owned()));
    }

    /// The queue of what was given up has been deleted.
    pub fn delete_dead_letter_queue(&self) {
        self.change(|deployed| deployed.queues.remove(DEAD_LETTERS));
    }

    /// Lambda gives the function only those messages of the queue that match, and deletes the others.
    pub fn filter_event_source(&self, pattern: &Value) {
        self.change_function(|function| {
            function.event_sources.iter_mut().for_each(|one| one.filter_pattern = Some(pattern.to_string()));
        });
    }

    /// The queue has been deleted.
    pub fn delete_queue(&self) {
        self.change(|deployed| deployed.queues.remove(&self.queue));
    }

    /// So many messages lie in the dead-letter queue.
    pub fn add_dead_letters(&self, count: usize) {
        self.change(|deployed| deployed.queues.get_mut(DEAD_LETTERS).map(|queue| queue.messages += count));
    }

    /// Lambda reads no queue for the function.
    pub fn remove_event_source(&self) {
        self.change_function(|function| function.event_sources.clear());
    }

    /// The event source mapping is disabled.
    pub fn disable_event_source(&self) {
        self.change_function(|function| {
            function.event_sources.iter_mut().for_each(|one| one.enabled = false);
        });
    }

    /// The event source mapping lacks `ReportBatchItemFailures`: what the function says of single messages is not heard.
    pub fn ignore_batch_item_failures(&self) {
        self.change_function(|function| {
            function.event_sources.iter_mut().for_each(|one| one.reports_failures = false);
        });
    }
}

/// The rules, and the sweep.
impl Deployment {
    /// The rule that hears of hooks is disabled.
    pub fn disable_rule(&self) {
        self.change_rule(HOOK_RULE, |rule| rule.enabled = false);
    }

    /// There is no rule that hears of hooks.
    pub fn remove_rule(&self) {
        self.change(|deployed| deployed.rules.remove(HOOK_RULE));
    }

    /// The rule that hears of hooks sends them somewhere else.
    pub fn retarget_rule(&self, target_arn: &str) {
        self.change_rule(HOOK_RULE, |rule| aim(rule, target_arn));
    }

    /// The rule that hears of hooks matches other events.
    pub fn set_rule_pattern(&self, pattern: &Value) {
        self.change_rule(HOOK_RULE, |rule| rule.trigger = Trigger::Pattern(pattern.clone()));
    }

    /// The rule that hears of hooks sends a part of the event only: `$.detail`.
    pub fn send_part_of_event(&self, input_path: &str) {
        self.change_rule(HOOK_RULE, |rule| {
            rule.targets.iter_mut().for_each(|target| target.input_path = Some(input_path.to_owned()));
        });
    }

    /// The rule that hears of hooks hears of those of one group only.
    pub fn narrow_rule_to_group(&self, group: &str) {
        self.set_rule_pattern(&json!({
            "source": ["aws.autoscaling"],
            "detail-type": ["EC2 Instance-terminate Lifecycle Action"],
            "detail": {"AutoScalingGroupName": [group]},
        }));
    }

    /// The sweep's schedule is disabled.
    pub fn disable_schedule(&self) {
        self.change_rule(SWEEP_RULE, |rule| rule.enabled = false);
    }

    /// There is no schedule for the sweep.
    pub fn remove_schedule(&self) {
        self.change(|deployed| deployed.rules.remove(SWEEP_RULE));
    }

    /// The sweep comes that often: `rate(5 minutes)`.
    pub fn set_schedule(&self, expression: &str) {
        let trigger = Trigger::Schedule(expression.to_owned());
        self.change_rule(SWEEP_RULE, |rule| rule.trigger = trigger.clone());
    }

    /// The sweep's schedule invokes something else.
    pub fn retarget_schedule(&self, target_arn: &str) {
        self.change_rule(SWEEP_RULE, |rule| aim(rule, target_arn));
    }

    /// The sweep's schedule may not invoke the function.
    pub fn remove_schedule_permission(&self) {
        self.change_sweeper(|function| function.policy.clear());
    }

    /// The sweep has not run at all, as far as `CloudWatch` knows; what a hosted function ran still counts.
    pub fn forget_sweeps(&self) {
        self.change_sweeper(|function| function.runs.clear());
        self.change(|deployed| deployed.samples.clear());
    }

    /// The last sweep that ran is so long ago, and none came after it.
    pub fn stop_sweeping_for(&self, ago: Duration) {
        self.change_sweeper(|function| {
            let Some(last) = function.runs.iter().map(|run| run.at).max() else { return };
            function.runs.retain(|run| last.duration_since(run.at).unsigned_abs() >= ago);
        });
        self.change(|deployed| {
            let Some(last) = deployed.samples.iter().map(|sample| sample.at).max() else { return };
            deployed.samples.retain(|sample| last.duration_since(sample.at).unsigned_abs() >= ago);
        });
    }

    /// Every sweep ended in an error, before it could count anything.
    pub fn fail_sweeps(&self) {
        self.change_sweeper(|function| function.runs.iter_mut().for_each(|run| run.failed = true));
        self.change(|deployed| deployed.samples.clear());
    }
}

impl Deployment {
    /// Does to what is deployed whatever no other method does.
    pub fn change<T>(&self, change: impl FnOnce(&mut Deployed) -> T) {
        self.aws.change_deployed(change);
    }

    fn change_topic(&self, change: impl FnOnce(&mut Topic)) {
        self.change(|deployed| deployed.topics.get_mut(TOPIC).map(change));
    }

    fn change_subscription(&self, change: impl Fn(&mut Subscription)) {
        self.change_topic(|topic| topic.subscriptions.iter_mut().for_each(change));
    }

    fn change_queue(&self, change: impl FnOnce(&mut DeployedQueue)) {
        self.change(|deployed| deployed.queues.get_mut(&self.queue).map(change));
    }

    fn change_function<T>(&self, change: impl FnOnce(&mut DeployedFunction) -> T) {
        self.change(|deployed| change(self.function(deployed)));
    }

    fn change_sweeper(&self, change: impl FnOnce(&mut DeployedFunction)) {
        self.change(|deployed| change(self.sweeper(deployed)));
    }

    fn change_both(&self, change: impl Fn(&mut DeployedFunction)) {
        self.change(|deployed| deployed.functions.values_mut().for_each(change));
    }

    fn change_rule(&self, name: &str, change: impl FnOnce(&mut Rule)) {
        self.change(|deployed| deployed.rules.get_mut(name).map(change));
    }
}

/// Sends what a rule brings to another target.
fn aim(rule: &mut Rule, target_arn: &str) {
    rule.targets.iter_mut().for_each(|target| target_arn.clone_into(&mut target.arn));
}

/// Makes statements that admit a service do so for this source only.
fn admit_only(policy: &mut [Statement], source_arn: &str) {
    for statement in policy.iter_mut().filter(|statement| statement.condition.is_some()) {
        statement.condition = Some(json!({"ArnLike": {"AWS:SourceArn": source_arn}}));
    }
}
