//! Does what a hook says reach the function: through its topic, its queue, directly, or by `EventBridge`?

mod allowed;
mod patterns;
mod queues;
mod rules;

use drain::aws::autoscaling::Hook;
use drain::config::Config;

use super::{config, known, not_checked, ours};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Fact, Facts, Filter, Function, GroupFacts, Subscription};
use crate::doctor::finding::Finding;

use patterns::Passes;

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

impl Walked {
    /// The way ends here.
    pub(super) fn ends(finding: Finding) -> Self {
        Self { found: vec![finding], stations: Vec::new() }
    }
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
            Some(Fact::Known(None)) => return Walked::ends(self.missing("topic", arn)),
            Some(Fact::Unknown(why)) => {
                let what = format!("whether topic {} calls the function", name(arn));
                return Walked::ends(not_checked(why, AREA, &self.about, &what));
            }
            None => return Walked::ends(self.unread(arn)),
        };
        let mut found = self.may_send("sns:Publish", arn, topic.policy.as_ref());
        found.extend(self.may_use_key(topic.kms_key.as_deref(), &format!("topic {}", name(arn)), None));
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
            Walked::ends(
                self.finding(Code::TopicNotSubscribed, what).todo("Subscribe it:").command(subscribe),
            )
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
                    .todo("Nothing is delivered until it is. Subscribe it again, as the account that owns the function:")
                    .command(format!(
                        "aws sns subscribe --topic-arn {topic} --protocol {} --notification-endpoint {}",
                        one.protocol, one.endpoint
                    )),
            );
        }
        match &one.filter {
            Fact::Known(None) => {}
            Fact::Known(Some(filter)) => found.extend(self.by_filter(topic, one, filter)),
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
            found.extend(self.may_invoke("sns.amazonaws.com", topic, &one.endpoint));
        }
        Walked { found, stations }
    }

    /// Whether the filter of a subscription lets the hook's messages through.
    fn by_filter(&self, topic: &str, one: &Subscription, filter: &Filter) -> Option<Finding> {
        let Filter { policy, is_of_body } = filter;
        let (topic, endpoint) = (name(topic), name(&one.endpoint));
        let remove = format!(
            "aws sns set-subscription-attributes --subscription-arn {} --attribute-name FilterPolicy --attribute-value '{{}}'",
            one.arn
        );
        match patterns::passes(policy, *is_of_body, self.group, self.hook.name.as_str()) {
            Passes::Yes => None,
            Passes::No => {
                let why = if *is_of_body { "" } else { ": they have no attributes" };
                let what = format!(
                    "the subscription of {endpoint} to topic {topic} lets none of the hook's messages through{why}. Its filter is \
                     {policy}"
                );
                let finding = self.finding(Code::SubscriptionFiltersOut, what);
                Some(finding.todo("Take the filter away:").command(remove))
            }
            Passes::Perhaps => {
                let what = format!(
                    "the subscription of {endpoint} to topic {topic} lets only some messages through: {policy}"
                );
                let finding = self.finding(Code::SubscriptionFilters, what);
                Some(
                    finding
                        .todo("See whether it lets the hook's messages through, or take it away:")
                        .command(remove),
                )
            }
        }
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
        self.function.is(arn)
    }

    /// Whether the function reads this queue. If it is not known what it reads, it may.
    pub(super) fn reads(&self, queue: &str) -> bool {
        let mappings = self.function.mappings.known();
        mappings.is_none_or(|mappings| mappings.iter().any(|mapping| mapping.source == queue))
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

/// The partition of an ARN: `aws`, `aws-cn`, `aws-us-gov`.
fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).unwrap_or("aws")
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
mod tests;
