//! What is between the hooks and the function: topics, queues, rules, and the roles of hooks.

use std::collections::{BTreeMap, BTreeSet};

use drain::aws::Aws;
use futures_util::future::{join, join_all};

use super::asked;
use super::sweeps::is_enabled;
use crate::aws::{events, iam, sns, sqs};
use crate::doctor::facts::{Decision, Fact, Function, GroupFacts, Queue, Rule, Subscription, Topic};
use jiff::SignedDuration;

/// What the terminate hooks of these groups send to, and with which roles.
fn targets(groups: &[GroupFacts]) -> BTreeSet<(&str, Option<&str>)> {
    let hooks = groups.iter().filter_map(|group| group.hooks.known()).flatten();
    hooks
        .filter(|hook| hook.terminating)
        .filter_map(|hook| Some((hook.target.as_deref()?, hook.role.as_deref())))
        .collect()
}

/// Whether this is an ARN of a service.
pub(super) fn is_of(service: &str, arn: &str) -> bool {
    arn.split(':').nth(2) == Some(service)
}

/// Every rule of the bus.
pub(super) async fn all_rules(aws: Option<&Aws>) -> Fact<Vec<events::Rule>> {
    asked(aws, async |aws| events::list_rules(aws).await).await
}

/// A rule, and where it brings events.
pub(super) type Brought = (events::Rule, Vec<events::Target>);

/// The rules that hear of what Auto Scaling does, and where they bring it.
pub(super) async fn brought(aws: Option<&Aws>, rules: &Fact<Vec<events::Rule>>) -> Fact<Vec<Brought>> {
    let rules = match rules {
        Fact::Known(rules) => rules,
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let hears = |rule: &&events::Rule| {
        rule.event_pattern.as_ref().is_some_and(|pattern| pattern.contains("aws.autoscaling"))
    };
    let found = rules.iter().filter(hears).map(async |rule| {
        match asked(aws, async |aws| events::list_targets_by_rule(aws, &rule.name).await).await {
            Fact::Known(targets) => Ok((rule.clone(), targets)),
            Fact::Unknown(why) => Err(why),
        }
    });
    let answers: Result<Vec<Brought>, _> = join_all(found).await.into_iter().collect();
    answers.map_or_else(Fact::Unknown, Fact::Known)
}

/// The ARNs of everything to which hooks, topics and rules send.
pub(super) fn stations(
    groups: &[GroupFacts],
    topics: &BTreeMap<String, Fact<Option<Topic>>>,
    brought: &Fact<Vec<Brought>>,
) -> BTreeSet<String> {
    let subscribed = topics.values().filter_map(|topic| topic.known()?.as_ref()?.subscriptions.known());
    let brought = brought.known().into_iter().flatten().flat_map(|(_, targets)| targets);
    let mut arns: BTreeSet<String> = targets(groups).into_iter().map(|(arn, _)| arn.to_owned()).collect();
    arns.extend(subscribed.flatten().map(|one| one.endpoint.clone()));
    arns.extend(brought.map(|target| target.arn.clone()));
    arns
}

/// The topics that hooks send to.
pub(super) async fn topics(
    aws: Option<&Aws>,
    groups: &[GroupFacts],
) -> BTreeMap<String, Fact<Option<Topic>>> {
    let arns: BTreeSet<&str> =
        targets(groups).into_iter().map(|(arn, _)| arn).filter(|arn| is_of("sns", arn)).collect();
    join_all(arns.into_iter().map(async |arn| (arn.to_owned(), topic(aws, arn).await)))
        .await
        .into_iter()
        .collect()
}

async fn topic(aws: Option<&Aws>, arn: &str) -> Fact<Option<Topic>> {
    let (topic, subscriptions) = join(
        asked(aws, async |aws| sns::topic(aws, arn).await),
        asked(aws, async |aws| sns::list_subscriptions_by_topic(aws, arn).await),
    )
    .await;
    let sns::Topic { policy, kms_key } = match topic {
        Fact::Known(Some(topic)) => topic,
        Fact::Known(None) => return Fact::Known(None),
        Fact::Unknown(why) => return Fact::Unknown(why),
    };
    let subscriptions = match subscriptions {
        Fact::Known(all) => Fact::Known(join_all(all.into_iter().map(|one| subscription(aws, one))).await),
        Fact::Unknown(why) => Fact::Unknown(why),
    };
    Fact::Known(Some(Topic { policy, kms_key, subscriptions }))
}

async fn subscription(aws: Option<&Aws>, one: sns::Subscription) -> Subscription {
    let sns::Subscription { arn, protocol, endpoint } = one;
    let pending = !arn.starts_with("arn:");
    // What has no ARN yet has no attributes; of e-mail addresses nobody wants to know.
    let matters = matches!(protocol.as_str(), "lambda" | "sqs") && !pending;
    let filter =
        if matters { asked(aws, async |aws| sns::filter(aws, &arn).await).await } else { Fact::Known(None) };
    Subscription { arn, protocol, endpoint, pending, filter }
}

/// The queues on the way: those that hooks and topics send to, and those that the function reads.
pub(super) async fn queues(
    aws: Option<&Aws>,
    groups: &[GroupFacts],
    topics: &BTreeMap<String, Fact<Option<Topic>>>,
    function: Option<&Function>,
) -> BTreeMap<String, Fact<Option<Queue>>> {
    let mut arns: BTreeSet<String> = targets(groups).into_iter().map(|(arn, _)| arn.to_owned()).collect();
    let subscribed = topics.values().filter_map(|topic| topic.known()?.as_ref()?.subscriptions.known());
    let read = function.and_then(|function| function.mappings.known());
    let is_read = |arn: &str| read.is_none_or(|all| all.iter().any(|mapping| mapping.source == arn));
    arns.extend(subscribed.flatten().map(|one| one.endpoint.clone()).filter(|arn| is_read(arn)));
    arns.extend(read.into_iter().flatten().map(|mapping| mapping.source.clone()));
    arns.retain(|arn| is_of("sqs", arn));
    let asked = arns.into_iter().map(async |arn| {
        let fact = queue(aws, &arn).await;
        (arn, fact)
    });
    join_all(asked).await.into_iter().collect()
}

async fn queue(aws: Option<&Aws>, arn: &str) -> Fact<Option<Queue>> {
    let queue = match asked(aws, async |aws| sqs::queue(aws, arn).await).await {
        Fact::Known(Some(queue)) => queue,
        Fact::Known(None) => return Fact::Known(None),
        Fact::Unknown(why) => return Fact::Unknown(why),
    };
    let dead_letters_exist = match &queue.dead_letters {
        Some(arn) => asked(aws, async |aws| sqs::exists(aws, arn).await).await,
        None => Fact::Known(true),
    };
    Fact::Known(Some(Queue {
        visibility_timeout: SignedDuration::from_secs(queue.visibility_timeout.into()),
        max_receive_count: queue.max_receive_count,
        dead_letters_exist,
        kms_key: queue.kms_key,
        policy: queue.policy,
    }))
}

/// The rules that bring what Auto Scaling says to the function, or to a queue that it reads.
pub(super) fn rules(brought: &Fact<Vec<Brought>>, function: Option<&Function>) -> Fact<Vec<Rule>> {
    let Some(function) = function else { return Fact::skipped("the function, above") };
    let brought = match brought {
        Fact::Known(brought) => brought,
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let mappings = function.mappings.known();
    let is_ours = |target: &&events::Target| {
        function.is(&target.arn)
            || mappings.is_some_and(|all| all.iter().any(|mapping| mapping.source == target.arn))
    };
    let of_rule = |(rule, targets): &Brought| {
        targets.iter().filter(is_ours).map(|target| of_target(rule, target)).collect::<Vec<_>>()
    };
    Fact::Known(brought.iter().flat_map(of_rule).collect())
}

fn of_target(rule: &events::Rule, target: &events::Target) -> Rule {
    Rule {
        name: rule.name.clone(),
        arn: rule.arn.clone(),
        enabled: is_enabled(rule),
        pattern: rule.event_pattern.as_ref().and_then(|pattern| serde_json::from_str(pattern).ok()),
        changes_event: target.input.is_some()
            || target.input_path.is_some()
            || target.input_transformer.is_some(),
        target: target.arn.clone(),
    }
}

/// Whether the roles of hooks may send to their targets.
pub(super) async fn hook_roles(
    aws: Option<&Aws>,
    groups: &[GroupFacts],
) -> BTreeMap<(String, String), Fact<Decision>> {
    let simulated = targets(groups).into_iter().filter_map(|(arn, role)| {
        let action = match arn.split(':').nth(2)? {
            "sns" => "sns:Publish",
            "sqs" => "sqs:SendMessage",
            _ => return None,
        };
        let role = role?;
        Some(async move {
            let said =
                asked(aws, async |aws| iam::simulate_principal_policy(aws, role, &[action], arn).await).await;
            let decision = match said {
                Fact::Known(said) => Fact::Known(said.get(action).cloned().unwrap_or(Decision::NotAllowed)),
                Fact::Unknown(why) => Fact::Unknown(why),
            };
            ((role.to_owned(), arn.to_owned()), decision)
        })
    });
    join_all(simulated).await.into_iter().collect()
}
