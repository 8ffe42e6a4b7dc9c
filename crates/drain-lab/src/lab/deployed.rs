//! A lab's deployment, as AWS describes it: everything right, and then one thing broken.
//!
//! [`Lab::deployed`] describes what `deploy/sam/template.yaml` makes, for the functions, the groups and the route of a
//! lab. Every method of [`Deployment`] that changes something breaks one thing, as people do. Nothing of this changes
//! what the lab delivers.

mod broken;

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Lab, Route};
use crate::aws::deployed::{
    Deployed, DeployedFunction, DeployedQueue, EventInvokeConfig, EventSource, Redrive, Rule, Run, Sample,
    Statement, Subscription, Topic, Trigger,
};
use crate::aws::{Account, Aws, LifecycleHook, NotificationTarget, Transition};
use crate::lambda::{Function, Lambda};
use crate::models::{HOOK, LAUNCH_HOOK, TOPIC};

/// The rule that sweeps.
const SWEEP_RULE: &str = "nomad-drain-sweep";

/// The rule that hears of hooks.
const HOOK_RULE: &str = "nomad-drain-hooks";

/// The queue of what was given up.
const DEAD_LETTERS: &str = "nomad-drain-dead-letters";

/// The metric that every sweep that succeeds writes (docs/operations.md).
const WATCHED_GROUPS: &str = "WatchedGroups";

/// How many of the last minutes had a sweep.
const SWEPT_MINUTES: i64 = 5;

/// What a lab has deployed. It is only a handle: cloning it gives another one.
#[derive(Clone, Debug)]
pub struct Deployment {
    aws: Aws,
    route: Route,
    /// The name of the function that gets the events.
    function: String,
    /// The name of the function that sweeps: another, or the same.
    sweeper: String,
    /// The name of the queue, if the route has one.
    queue: String,
}

impl Lab {
    /// Describes what is deployed, with nothing wrong in it, and answers a handle by which something can be broken.
    ///
    /// The functions are those that the lab hosts, or would: [`Lab::function`] and [`Lab::sweep_function`], told to look
    /// after every group there is. The route is that of [`Lab::deliver_by`], or else a topic to which the function is
    /// subscribed; the hooks of the groups that are there now get the target that fits it. The sweep ran in each of the
    /// last minutes.
    pub fn deployed(&self) -> Deployment {
        let route = *self.wiring.route.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.deployed_by(route.unwrap_or(Route::TopicToFunction))
    }

    /// The same by another route.
    pub fn deployed_by(&self, route: Route) -> Deployment {
        let unhosted = Path::new("bootstrap");
        let mut deployed = Deployed::default();
        let function = self.describe_function(self.lambda(), self.function(unhosted), &mut deployed);
        let sweeper = match (self.wiring.sweep.get(), self.lambda()) {
            // One function does both.
            (None, Some(_)) => function.clone(),
            (hosted, _) => self.describe_function(hosted, self.sweep_function(unhosted), &mut deployed),
        };
        let queue = self.queue().map_or("nomad-drain", |queue| &queue.settings().name).to_owned();
        let deployment = Deployment { aws: self.aws.clone(), route, function, sweeper, queue };
        deployment.describe_failures(&mut deployed);
        deployment.describe_sweep(&mut deployed, self.clock.now());
        deployment.describe_route(&mut deployed);
        if let (Some(described), Some(hosted)) = (deployed.queues.get_mut(&deployment.queue), self.queue()) {
            described.visibility_timeout = hosted.settings().visibility_timeout;
            described.hosted = Some(hosted.clone());
        }
        self.aws.change_deployed(|all| {
            // Whoever has created other topics still has them.
            let mut topics = std::mem::take(&mut all.topics);
            topics.remove(TOPIC);
            deployed.topics.append(&mut topics);
            *all = deployed;
        });
        deployment.aim_hooks();
        deployment
    }

    /// Describes a function that is hosted, or would be, and answers its name.
    fn describe_function(
        &self,
        hosted: Option<&Lambda>,
        otherwise: Function,
        deployed: &mut Deployed,
    ) -> String {
        let settings = hosted.map_or(otherwise, |hosted| hosted.settings().clone());
        let mut function = DeployedFunction::new(&settings, self.aws.account());
        let groups: Vec<String> = self.aws.groups().into_iter().map(|group| group.name).collect();
        let variables = &mut function.environment;
        variables.entry("AUTO_SCALING_GROUPS".to_owned()).or_insert_with(|| groups.join(","));
        variables.entry("SWEEP".to_owned()).or_insert_with(|| "on".to_owned());
        function.hosted = hosted.cloned();
        deployed.functions.insert(settings.name.clone(), function);
        settings.name
    }
}

impl Deployment {
    /// The ARN of the function that gets the events.
    pub fn function_arn(&self) -> String {
        function_arn(self.aws.account(), &self.function)
    }

    /// The ARN of the function that sweeps.
    pub fn sweeper_arn(&self) -> String {
        function_arn(self.aws.account(), &self.sweeper)
    }

    /// The topic's ARN.
    pub fn topic_arn(&self) -> &'static str {
        TOPIC
    }

    /// The queue's ARN.
    pub fn queue_arn(&self) -> String {
        self.aws.account().arn("sqs", &self.queue)
    }

    /// The ARN of the queue of what was given up.
    pub fn dead_letters_arn(&self) -> String {
        self.aws.account().arn("sqs", DEAD_LETTERS)
    }

    /// The ARN of the rule that hears of hooks.
    pub fn hook_rule_arn(&self) -> String {
        rule_arn(self.aws.account(), HOOK_RULE)
    }

    /// The queue of dead letters, and that events which fail go there. A sweep of its own has no retries: the next is one.
    fn describe_failures(&self, deployed: &mut Deployed) {
        let config = |retries, age, on_failure| EventInvokeConfig {
            maximum_retry_attempts: retries,
            maximum_event_age: age,
            on_failure,
        };
        self.sweeper(deployed).event_invoke_config = Some(config(0, Duration::from_mins(1), None));
        self.function(deployed).event_invoke_config =
            Some(config(2, Duration::from_hours(1), Some(self.dead_letters_arn())));
        let mut queue = DeployedQueue::new(DEAD_LETTERS);
        queue.policy.push(Statement::for_source(
            "events",
            "events.amazonaws.com",
            "sqs:SendMessage",
            &self.dead_letters_arn(),
            &self.aws.account().arn("events", "rule/*"),
        ));
        deployed.queues.insert(queue.name.clone(), queue);
    }

    fn describe_sweep(&self, deployed: &mut Deployed, now: Timestamp) {
        let trigger = Trigger::Schedule("rate(1 minute)".to_owned());
        let rule = Rule::new(trigger, &self.sweeper_arn(), &self.dead_letters_arn());
        deployed.rules.insert(SWEEP_RULE.to_owned(), rule);
        let rule_arn = rule_arn(self.aws.account(), SWEEP_RULE);
        let sweeper = self.sweeper(deployed);
        sweeper.policy.push(may_invoke("sweep", "events.amazonaws.com", &self.sweeper_arn(), &rule_arn));
        let namespace = sweeper.environment.get("METRICS_NAMESPACE").map_or("NomadDrain", String::as_str);
        let namespace = namespace.to_owned();
        let swept = (0..SWEPT_MINUTES).map(|minutes| now - SignedDuration::from_mins(minutes));
        sweeper.runs = swept.clone().map(|at| Run { at, failed: false }).collect();
        deployed.samples = swept
            .map(|at| Sample {
                namespace: namespace.clone(),
                name: WATCHED_GROUPS.to_owned(),
                at,
                value: 1.0,
            })
            .collect();
    }

    fn function<'a>(&self, deployed: &'a mut Deployed) -> &'a mut DeployedFunction {
        described(deployed, &self.function)
    }

    fn sweeper<'a>(&self, deployed: &'a mut Deployed) -> &'a mut DeployedFunction {
        described(deployed, &self.sweeper)
    }

    fn describe_route(&self, deployed: &mut Deployed) {
        let function_arn = self.function_arn();
        // Who sends to the function or to the queue: a service, for a source.
        let (service, source) = match self.route {
            Route::TopicToFunction | Route::TopicToQueue | Route::TopicToQueueRaw => {
                let (protocol, endpoint) = if self.route.has_queue() {
                    ("sqs", self.queue_arn())
                } else {
                    ("lambda", function_arn.clone())
                };
                let mut subscription = Subscription::new(TOPIC, protocol, &endpoint);
                subscription.raw = self.route == Route::TopicToQueueRaw;
                let topic = Topic {
                    policy: vec![topic_owner(self.aws.account())],
                    kms_key: None,
                    subscriptions: vec![subscription],
                };
                deployed.topics.insert(TOPIC.to_owned(), topic);
                ("sns.amazonaws.com", Some(TOPIC.to_owned()))
            }
            Route::RuleToFunction | Route::RuleToQueue => {
                let endpoint = if self.route.has_queue() { self.queue_arn() } else { function_arn.clone() };
                let rule = Rule::new(Trigger::Pattern(hook_pattern()), &endpoint, &self.dead_letters_arn());
                deployed.rules.insert(HOOK_RULE.to_owned(), rule);
                ("events.amazonaws.com", Some(self.hook_rule_arn()))
            }
            // The role of the hook needs no queue's policy.
            Route::HookToQueue => ("", None),
            Route::HookToFunction => {
                let role = self.aws.account().service_role_arn();
                let may = Statement::for_role("hook", &role, "lambda:InvokeFunction", &function_arn);
                self.function(deployed).policy.push(may);
                ("", None)
            }
        };
        if self.route.has_queue() {
            let mut queue = DeployedQueue::new(&self.queue);
            // Six times the function's time-out (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
            queue.visibility_timeout = self.function(deployed).timeout.saturating_mul(6);
            let dead_letter_arn = self.dead_letters_arn();
            queue.redrive = Some(Redrive { dead_letter_arn, max_receive_count: 5 });
            if let Some(source) = &source {
                let arn = self.queue_arn();
                queue.policy.push(Statement::for_source("trigger", service, "sqs:SendMessage", &arn, source));
            }
            deployed.queues.insert(queue.name.clone(), queue);
            let queue_arn = self.queue_arn();
            self.function(deployed).event_sources.push(EventSource {
                queue_arn,
                enabled: true,
                batch_size: 10,
                reports_failures: true,
                qualifier: None,
                filter_pattern: None,
            });
        } else if let Some(source) = &source {
            let may = may_invoke("trigger", service, &function_arn, source);
            self.function(deployed).policy.push(may);
        }
    }

    /// Gives the terminate hooks of our name the target that fits the route.
    fn aim_hooks(&self) {
        let target = match self.route {
            Route::TopicToFunction | Route::TopicToQueue | Route::TopicToQueueRaw => {
                NotificationTarget::Sns { topic_arn: TOPIC.to_owned() }
            }
            Route::HookToQueue => NotificationTarget::Sqs { queue_arn: self.queue_arn() },
            Route::HookToFunction => NotificationTarget::Lambda { function_arn: self.function_arn() },
            Route::RuleToFunction | Route::RuleToQueue => NotificationTarget::None,
        };
        for group in self.aws.groups() {
            self.change_hook(&group.name, |hook| hook.target = target.clone());
        }
    }

    /// Changes a group's terminate hook of our name, if it has one: its `HeartbeatTimeout`, its `DefaultResult`, its
    /// target. Nothing is announced unless it really changes.
    pub fn change_hook(&self, group: &str, change: impl Fn(&mut LifecycleHook)) {
        let hooks = self.aws.lifecycle_hooks(group).into_iter();
        for hook in hooks.filter(|hook| hook.name == HOOK && hook.transition == Transition::Terminating) {
            let mut changed = hook.clone();
            change(&mut changed);
            if changed != hook {
                // The group is there: its hook has just been read.
                _ = self.aws.put_lifecycle_hook(group, changed);
            }
        }
    }
}

/// A function that has been described: the names of a deployment are those of its functions.
fn described<'a>(deployed: &'a mut Deployed, name: &str) -> &'a mut DeployedFunction {
    deployed
        .functions
        .entry(name.to_owned())
        .or_insert_with(|| DeployedFunction::new(&Function::new(name, "bootstrap"), &Account::default()))
}

/// The policy that every topic has from the beginning: its account's roles may do with it what their own policies allow.
/// (Amazon SNS Developer Guide, "Overview of managing access in Amazon SNS".)
fn topic_owner(account: &Account) -> Statement {
    Statement {
        principal: json!({"AWS": "*"}),
        condition: Some(json!({"StringEquals": {"AWS:SourceOwner": account.id}})),
        ..Statement::for_role("__default_statement_ID", "", "SNS:Publish", TOPIC)
    }
}

fn may_invoke(sid: &str, service: &str, function_arn: &str, source_arn: &str) -> Statement {
    Statement::for_source(sid, service, "lambda:InvokeFunction", function_arn, source_arn)
}

/// Lifecycle actions of our hooks.
fn hook_pattern() -> Value {
    json!({
        "source": ["aws.autoscaling"],
        "detail-type": ["EC2 Instance-terminate Lifecycle Action", "EC2 Instance-launch Lifecycle Action"],
        "detail": {"LifecycleHookName": [HOOK, LAUNCH_HOOK]},
    })
}

fn function_arn(account: &Account, name: &str) -> String {
    account.arn("lambda", &format!("function:{name}"))
}

fn rule_arn(account: &Account, name: &str) -> String {
    account.arn("events", &format!("rule/{name}"))
}

#[cfg(test)]
mod tests;
