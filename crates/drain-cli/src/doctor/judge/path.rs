//! Does what a hook says reach the function: through its topic, its queue, directly, or by `EventBridge`?

use drain::aws::autoscaling::Hook;
use drain::config::Config;

use super::{config, known, not_checked, ours, rules};
use crate::aws::policy::{Document, Principal, Request, Verdict};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Decision, Fact, Facts, Function, GroupFacts, Subscription};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Path;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let (Some(config), Some(groups)) = (config(facts), facts.groups.known()) else {
        let what = "skipped: whether hooks reach the function. First see to the configuration and the groups";
        return vec![Finding::new(AREA, Code::Skipped, "the hooks", what)];
    };
    let name = facts.function_name.as_deref().unwrap_or("the function");
    let function = match known(&facts.function, AREA, name, "whether hooks reach it") {
        Ok(Some(function)) => function,
        Ok(None) => {
            let what = "skipped: whether hooks reach it. There is no such function";
            return vec![Finding::new(AREA, Code::Skipped, name, what)];
        }
        Err(unknown) => return vec![unknown],
    };
    let of_group = |group: &GroupFacts| {
        let hooks = group.hooks.known().map_or(&[][..], Vec::as_slice);
        let of_hook = |hook: &Hook| {
            let about = format!("{}, {}", group.name, hook.name);
            Way { config, facts, function, hook, group: group.name.as_str(), about }.walk()
        };
        ours(config, hooks).into_iter().flat_map(of_hook).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}

/// The way of one hook's messages.
pub(super) struct Way<'a> {
    pub(super) config: &'a Config,
    pub(super) facts: &'a Facts,
    pub(super) function: &'a Function,
    pub(super) hook: &'a Hook,
    pub(super) group: &'a str,
    pub(super) about: String,
}

/// What was found on a way, and the stations of it.
pub(super) struct Walked {
    pub(super) found: Vec<Finding>,
    pub(super) stations: Vec<String>,
}

impl Way<'_> {
    fn walk(&self) -> Vec<Finding> {
        let Walked { mut found, stations } = match self.hook.target.as_deref() {
            None => rules::walk(self),
            Some(arn) if service(arn) == "sns" => self.by_topic(arn),
            Some(arn) if service(arn) == "sqs" => self.by_own_queue(arn),
            Some(arn) if service(arn) == "lambda" => self.directly(arn),
            Some(arn) => Walked {
                found: vec![
                    self.finding(
                        Code::TargetElsewhere,
                        format!("its target {arn} is nothing that reaches the function"),
                    )
                    .todo("Name a topic, a queue or the function as its target, or none, for EventBridge."),
                ],
                stations: Vec::new(),
            },
        };
        if found.is_empty() {
            let stations: Vec<&str> = std::iter::once("the hook")
                .chain(stations.iter().map(String::as_str))
                .chain([self.function.name.as_str()])
                .collect();
            found.push(self.finding(Code::Path, stations.join(" → ")));
        }
        found
    }

    pub(super) fn finding(&self, code: Code, what: impl Into<String>) -> Finding {
        Finding::new(AREA, code, &self.about, what)
    }

    fn by_topic(&self, arn: &str) -> Walked {
        let topic = match self.facts.topics.get(arn) {
            Some(Fact::Known(Some(topic))) => topic,
            Some(Fact::Known(None)) => return self.ends(self.missing("topic", arn)),
            Some(Fact::Unknown(why)) => {
                let what = format!("whether topic {} calls the function", name(arn));
                return self.ends(not_checked(why, AREA, &self.about, &what));
            }
            None => return self.ends(self.unread(arn)),
        };
        let mut found = self.may_send("sns:Publish", arn, topic.policy.as_ref());
        let mut stations = vec![format!("topic {}", name(arn))];
        match &topic.subscriptions {
            Fact::Unknown(why) => {
                let what = format!("whether the function is subscribed to topic {}", name(arn));
                found.push(not_checked(why, AREA, &self.about, &what));
            }
            Fact::Known(all) => {
                let after = self.by_subscription(arn, all);
                found.extend(after.found);
                stations.extend(after.stations);
            }
        }
        Walked { found, stations }
    }

    /// From the topic to the function, on the best of its subscriptions.
    fn by_subscription(&self, topic: &str, all: &[Subscription]) -> Walked {
        let is_ours = |one: &&Subscription| match one.protocol.as_str() {
            "lambda" => self.is_function(&one.endpoint),
            "sqs" => self.reads(&one.endpoint),
            _ => false,
        };
        let walked = all.iter().filter(is_ours).map(|one| self.on_subscription(topic, one));
        walked.min_by_key(|walked| errors(&walked.found)).unwrap_or_else(|| {
            let others: Vec<&str> =
                all.iter().filter(|one| one.protocol != "email").map(|one| name(&one.endpoint)).collect();
            let others = match others.as_slice() {
                [] => String::new(),
                some => format!(" (but {})", some.join(", ")),
            };
            let what =
                format!("{} is not subscribed to its topic {}{others}", self.function.name, name(topic));
            let subscribe = format!(
                "aws sns subscribe --topic-arn {topic} --protocol lambda --notification-endpoint {}",
                self.function.arn
            );
            self.ends(self.finding(Code::TopicNotSubscribed, what).todo("Subscribe it:").command(subscribe))
        })
    }

    fn on_subscription(&self, topic: &str, one: &Subscription) -> Walked {
        let mut found = Vec::new();
        let mut stations = Vec::new();
        if one.pending {
            let what = format!(
                "the subscription of {} to topic {} is not confirmed",
                name(&one.endpoint),
                name(topic)
            );
            found.push(
                self.finding(Code::SubscriptionPending, what)
                    .todo("Take it away and subscribe again, with the topic's owner."),
            );
        }
        match &one.filter {
            Fact::Known(None) => {}
            Fact::Known(Some(filter)) => {
                let what = format!(
                    "the subscription to topic {} lets only some messages through: {filter}",
                    name(topic)
                );
                let todo = "Take the filter away, or see that it lets the hook's messages through.";
                found.push(self.finding(Code::SubscriptionFilters, what).todo(todo));
            }
            Fact::Unknown(why) => {
                let what = "whether the subscription filters messages";
                found.push(not_checked(why, AREA, &self.about, what));
            }
        }
        if one.protocol == "sqs" {
            let after = self.by_queue(&one.endpoint, "sns.amazonaws.com", topic);
            found.extend(after.found);
            stations.extend(after.stations);
        } else {
            found.extend(self.may_invoke("sns.amazonaws.com", topic));
        }
        Walked { found, stations }
    }

    /// A queue that is the hook's own target.
    fn by_own_queue(&self, arn: &str) -> Walked {
        let mut walked = self.on_queue(arn);
        if let Some(Fact::Known(Some(queue))) = self.facts.queues.get(arn) {
            walked.found.extend(self.may_send("sqs:SendMessage", arn, queue.policy.as_ref()));
        }
        walked
    }

    /// A queue to which a service sends for a topic or a rule.
    pub(super) fn by_queue(&self, arn: &str, sender: &str, source: &str) -> Walked {
        let mut walked = self.on_queue(arn);
        let Some(Fact::Known(Some(queue))) = self.facts.queues.get(arn) else { return walked };
        let request = Request {
            principal: Principal::Service(sender),
            action: "sqs:SendMessage",
            source_arn: Some(source),
        };
        let verdict = queue.policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(&request));
        match verdict {
            Verdict::Allowed => {}
            Verdict::Denied | Verdict::NotAllowed => {
                let what = format!("queue {} does not let {} send to it", name(arn), name(source));
                walked.found.push(self.finding(Code::QueueDenies, what).todo(format!(
                    "Add to the queue's policy: {{\"Effect\":\"Allow\",\"Principal\":{{\"Service\":\"{sender}\"}},\
                     \"Action\":\"sqs:SendMessage\",\"Resource\":\"{arn}\",\"Condition\":{{\"ArnEquals\":\
                     {{\"aws:SourceArn\":\"{source}\"}}}}}}"
                )));
            }
            Verdict::Depends(on) => {
                let what = format!(
                    "not checked: whether queue {} lets {} send to it. It depends on {on}",
                    name(arn),
                    name(source)
                );
                walked.found.push(self.finding(Code::NotChecked, what));
            }
        }
        walked
    }

    /// From the queue to the function.
    fn on_queue(&self, arn: &str) -> Walked {
        let stations = vec![format!("queue {}", name(arn))];
        match self.facts.queues.get(arn) {
            Some(Fact::Known(None)) => return self.ends(self.missing("queue", arn)),
            None => return self.ends(self.unread(arn)),
            // Its own settings have findings of their own; what reads it is known from the function.
            Some(Fact::Known(Some(_)) | Fact::Unknown(_)) => {}
        }
        let mappings =
            match known(&self.function.mappings, AREA, &self.about, "whether the function reads the queue") {
                Ok(mappings) => mappings,
                Err(unknown) => return Walked { found: vec![unknown], stations },
            };
        let mut found = Vec::new();
        let function = &self.function.name;
        match mappings.iter().find(|mapping| mapping.source == arn) {
            None => {
                let what = format!("{function} does not read queue {}", name(arn));
                found.push(self.finding(Code::QueueNotRead, what).todo("Let it:").command(format!(
                    "aws lambda create-event-source-mapping --function-name {function} --batch-size 10 \
                     --function-response-types ReportBatchItemFailures --event-source-arn {arn}"
                )));
            }
            Some(mapping) => {
                let id = &mapping.id;
                let update =
                    |what: &str| format!("aws lambda update-event-source-mapping --uuid {id} {what}");
                if mapping.state.starts_with("Disabl") {
                    let what = format!(
                        "{function} has stopped reading queue {}: its mapping is {}",
                        name(arn),
                        mapping.state
                    );
                    found.push(
                        self.finding(Code::QueueReaderDisabled, what)
                            .todo("Start it again:")
                            .command(update("--enabled")),
                    );
                }
                if !mapping.reports_failures {
                    let what =
                        format!("of a batch of queue {} a message that fails is taken for done", name(arn));
                    found.push(
                        self.finding(Code::BatchFailuresNotReported, what)
                            .todo("Let the function say which ones failed:")
                            .command(update("--function-response-types ReportBatchItemFailures")),
                    );
                }
            }
        }
        found.extend(self.needs_sweep("a queue"));
        Walked { found, stations }
    }

    /// A hook that calls a function itself.
    fn directly(&self, arn: &str) -> Walked {
        if !self.is_function(arn) {
            let what = format!("it calls {}, not {}", name(arn), self.function.name);
            return self.ends(
                self.finding(Code::TargetElsewhere, what)
                    .todo("Look at that function with --function NAME, or change the hook's target."),
            );
        }
        let mut found = Vec::new();
        let account = arn.split(':').nth(4).unwrap_or_default();
        let partition = arn.split(':').nth(1).unwrap_or("aws");
        let usual = format!(
            "arn:{partition}:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        );
        let role = self.service_linked_role().unwrap_or(usual);
        let request =
            Request { principal: Principal::Role(&role), action: "lambda:InvokeFunction", source_arn: None };
        let add = format!(
            "aws lambda add-permission --function-name {} --statement-id auto-scaling --action lambda:InvokeFunction \
             --principal {role}",
            self.function.name
        );
        found.extend(self.invocation(&request, "Auto Scaling", &add));
        Walked { found, stations: Vec::new() }
    }

    /// The role with which Auto Scaling acts for the group.
    fn service_linked_role(&self) -> Option<String> {
        let groups = self.facts.groups.known()?;
        let group = groups.iter().find(|one| one.name.as_str() == self.group)?.group.known()?.as_ref()?;
        group.service_linked_role.clone()
    }

    /// Whether a service may call the function for a topic or a rule.
    pub(super) fn may_invoke(&self, service: &str, source: &str) -> Option<Finding> {
        let request = Request {
            principal: Principal::Service(service),
            action: "lambda:InvokeFunction",
            source_arn: Some(source),
        };
        let add = format!(
            "aws lambda add-permission --function-name {} --statement-id {} --action lambda:InvokeFunction --principal {service} \
             --source-arn {source}",
            self.function.name,
            service.split('.').next().unwrap_or_default(),
        );
        let kind = if service == "sns.amazonaws.com" { "topic" } else { "rule" };
        self.invocation(&request, &format!("{kind} {}", name(source)), &add)
    }

    fn invocation(&self, request: &Request<'_>, who: &str, add: &str) -> Option<Finding> {
        let policy = match known(&self.function.policy, AREA, &self.about, "who may call the function") {
            Ok(policy) => policy,
            Err(unknown) => return Some(unknown),
        };
        let function = &self.function.name;
        match policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(request)) {
            Verdict::Allowed => None,
            Verdict::Denied | Verdict::NotAllowed => Some(
                self.finding(
                    Code::FunctionPermissionMissing,
                    format!("function {function} does not let {who} call it"),
                )
                .todo("Allow it:")
                .command(add),
            ),
            Verdict::Depends(on) => {
                let what = format!(
                    "not checked: whether function {function} lets {who} call it. It depends on {on}"
                );
                Some(self.finding(Code::NotChecked, what))
            }
        }
    }

    /// Whether the hook's role may send to its target.
    fn may_send(&self, action: &str, arn: &str, policy: Option<&Document>) -> Vec<Finding> {
        let Some(role) = self.hook.role.as_deref() else { return Vec::new() };
        let mut found = Vec::new();
        let request = Request { principal: Principal::Role(role), action, source_arn: None };
        let verdict = policy.map(|policy| policy.verdict(&request));
        let is_foreign = account(role) != account(arn);
        if verdict == Some(Verdict::Denied) || (is_foreign && verdict == Some(Verdict::NotAllowed)) {
            let what =
                format!("the policy of {} does not let the hook's role {} send to it", name(arn), name(role));
            found.push(
                self.finding(Code::TargetDenies, what).todo(format!("Allow {role} {action} in that policy.")),
            );
        }
        match self.facts.hook_roles.get(&(role.to_owned(), arn.to_owned())) {
            None | Some(Fact::Known(Decision::Allowed)) => {}
            Some(Fact::Known(Decision::NotAllowed | Decision::Forbidden)) => {
                let what = format!("its role {} may not send to {}", name(role), name(arn));
                found.push(self.finding(Code::HookRoleCannotSend, what).todo("Allow it:").command(format!(
                    "aws iam attach-role-policy --role-name {} --policy-arn \
                     arn:aws:iam::aws:policy/service-role/AutoScalingNotificationAccessRole",
                    name(role)
                )));
            }
            Some(Fact::Unknown(why)) => {
                let what = format!("whether the hook's role may send to {}", name(arn));
                found.push(not_checked(why, AREA, &self.about, &what));
            }
        }
        found
    }

    pub(super) fn needs_sweep(&self, by: &str) -> Option<Finding> {
        if self.config.sweep {
            return None;
        }
        let what = format!(
            "it reaches the function by {by}: a message is done with when its drain has begun, and nobody completes it"
        );
        Some(
            self.finding(Code::NeedsSweep, what)
                .todo("Deploy the sweep, and set SWEEP=on: docs/deploy-by-hand.md, step 7."),
        )
    }

    /// Whether this is the ARN of the function, perhaps of one of its versions or aliases.
    pub(super) fn is_function(&self, arn: &str) -> bool {
        arn.strip_prefix(&self.function.arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Whether the function reads this queue. If it is not known what it reads, it may.
    pub(super) fn reads(&self, queue: &str) -> bool {
        let mappings = self.function.mappings.known();
        mappings.is_none_or(|mappings| mappings.iter().any(|mapping| mapping.source == queue))
    }

    pub(super) fn ends(&self, finding: Finding) -> Walked {
        Walked { found: vec![finding], stations: Vec::new() }
    }

    fn missing(&self, what: &str, arn: &str) -> Finding {
        self.finding(Code::TargetMissing, format!("its {what} {arn} does not exist")).todo(format!(
            "Make the {what}, or give the hook another target: docs/deploy-by-hand.md, steps 5 and 6."
        ))
    }

    fn unread(&self, arn: &str) -> Finding {
        self.finding(Code::Skipped, format!("skipped: {arn} was not looked at"))
    }
}

/// How many of these would make a drain fail.
pub(super) fn errors(found: &[Finding]) -> usize {
    use crate::doctor::code::Severity;
    found.iter().filter(|finding| finding.severity() == Severity::Error).count()
}

/// The service of an ARN.
fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// The account of an ARN.
fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The name at the end of an ARN.
pub(super) fn name(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
