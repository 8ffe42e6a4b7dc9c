//! The function: its configuration, who may call it, what it reads.

use std::collections::{BTreeMap, BTreeSet};

use drain::aws::Aws;
use futures_util::future::{join_all, join4};
use jiff::SignedDuration;

use super::way::Brought;
use super::{asked, cannot};
use crate::aws::lambda;
use crate::doctor::facts::{Fact, Function, GroupFacts, Mapping, Topic, qualifier};

/// Everything about the function of this name.
pub(super) async fn facts(aws: Option<&Aws>, name: Option<&str>) -> Fact<Option<Function>> {
    let Some(name) = name else {
        let said = "Neither --function nor a hook's target names it".to_owned();
        return cannot(said, "Pass the deployed function's name: --function NAME.");
    };
    let configuration =
        match asked(aws, async |aws| lambda::get_function_configuration(aws, name).await).await {
            Fact::Known(Some(configuration)) => configuration,
            Fact::Known(None) => return Fact::Known(None),
            Fact::Unknown(why) => return Fact::Unknown(why),
        };
    let keeps = configuration.dead_letter_config.target_arn.as_ref().is_some_and(|arn| !arn.is_empty());
    let (policy, mappings, on_failure, reserved_concurrency) = join4(
        asked(aws, async |aws| lambda::get_policy(aws, name, None).await),
        asked(aws, async |aws| lambda::list_event_source_mappings(aws, Some(name), None).await),
        asked(aws, async |aws| lambda::on_failure(aws, name).await),
        asked(aws, async |aws| lambda::reserved_concurrency(aws, name).await),
    )
    .await;
    let lambda::Configuration {
        function_name,
        function_arn,
        role,
        timeout,
        state,
        state_reason,
        vpc_config,
        ..
    } = configuration;
    Fact::Known(Some(Function {
        arn: unqualified(&function_arn).to_owned(),
        name: function_name,
        role,
        // Older answers lack it.
        state: if state.is_empty() { "Active".to_owned() } else { state },
        state_reason,
        timeout: SignedDuration::from_secs(timeout.into()),
        in_vpc: !vpc_config.subnet_ids.is_empty(),
        reserved_concurrency,
        policy,
        qualified: BTreeMap::new(),
        mappings: match mappings {
            Fact::Known(all) => Fact::Known(all.into_iter().map(mapping).collect()),
            Fact::Unknown(why) => Fact::Unknown(why),
        },
        has_dead_letters: match on_failure {
            _ if keeps => Fact::Known(true),
            Fact::Known(destination) => Fact::Known(destination.is_some()),
            Fact::Unknown(why) => Fact::Unknown(why),
        },
    }))
}

/// What is known of a function's versions and aliases only: who may invoke those that are stations of a way, and which queues
/// on a way they read. (Each has a policy of its own, and Lambda lists the mappings of each by themselves.)
pub(super) async fn add_qualified(aws: Option<&Aws>, function: &mut Function, stations: &BTreeSet<String>) {
    let name = function.name.clone();
    let ours = stations.iter().filter(|arn| function.is(arn));
    let qualifiers: BTreeSet<&str> = ours.filter_map(|arn| qualifier(arn)).collect();
    let policies = qualifiers.into_iter().map(async |one| {
        let policy = asked(aws, async |aws| lambda::get_policy(aws, &name, Some(one)).await).await;
        (one.to_owned(), policy)
    });
    let qualified = join_all(policies).await.into_iter().collect();
    let Fact::Known(known) = &function.mappings else {
        function.qualified = qualified;
        return;
    };
    let is_read = |arn: &String| known.iter().any(|mapping| mapping.source == *arn);
    let unread = stations.iter().filter(|arn| super::way::is_of("sqs", arn) && !is_read(arn));
    let readers = unread.map(async |arn| {
        asked(aws, async |aws| lambda::list_event_source_mappings(aws, None, Some(arn)).await).await
    });
    let mut more = Vec::new();
    for found in join_all(readers).await {
        let found = found.known().cloned().unwrap_or_default();
        more.extend(found.into_iter().filter(|one| function.is(&one.function_arn)).map(mapping));
    }
    if let Fact::Known(mappings) = &mut function.mappings {
        mappings.extend(more);
    }
    function.qualified = qualified;
}

fn mapping(mapping: lambda::Mapping) -> Mapping {
    Mapping {
        id: mapping.uuid,
        source: mapping.event_source_arn,
        state: mapping.state,
        reports_failures: mapping
            .function_response_types
            .iter()
            .any(|kind| kind == "ReportBatchItemFailures"),
        filters: mapping.filter_criteria.filters.into_iter().map(|filter| filter.pattern).collect(),
    }
}

/// The function that a hook's messages reach, if nobody has said which it is: it is the target of the hook, of its topic, of
/// its queue or of a rule.
pub(super) async fn guess(
    aws: Option<&Aws>,
    groups: &[GroupFacts],
    topics: &BTreeMap<String, Fact<Option<Topic>>>,
    brought: &Fact<Vec<Brought>>,
) -> Option<String> {
    let hooks = groups.iter().filter_map(|group| group.hooks.known()).flatten();
    let targets: Vec<Option<&str>> =
        hooks.filter(|hook| hook.terminating).map(|hook| hook.target.as_deref()).collect();
    let mut queues = Vec::new();
    let mut ways = Vec::new();
    for target in targets.iter().flatten() {
        match topics.get(*target) {
            Some(Fact::Known(Some(topic))) => {
                let subscriptions = topic.subscriptions.known().into_iter().flatten();
                ways.extend(subscriptions.map(|one| one.endpoint.clone()));
            }
            Some(_) => {}
            None => ways.push((*target).to_owned()),
        }
    }
    if targets.iter().any(Option::is_none) {
        let all = brought.known().into_iter().flatten().flat_map(|(_, targets)| targets);
        ways.extend(all.map(|target| target.arn.clone()));
    }
    for arn in ways {
        if arn.contains(":lambda:") {
            return Some(name_of(&arn).to_owned());
        }
        if arn.contains(":sqs:") {
            queues.push(arn);
        }
    }
    for queue in queues {
        let mappings =
            asked(aws, async |aws| lambda::list_event_source_mappings(aws, None, Some(&queue)).await).await;
        if let Some(first) = mappings.known().and_then(|all| all.first()) {
            return Some(name_of(&first.function_arn).to_owned());
        }
    }
    None
}

/// The name of a function, of which this is the name or the ARN, perhaps with a version or an alias.
pub(super) fn name_of(function: &str) -> &str {
    let rest = function.split_once(":function:").map_or(function, |(_, rest)| rest);
    rest.split(':').next().unwrap_or(rest)
}

/// A function's ARN without its version or alias.
fn unqualified(arn: &str) -> &str {
    match arn.match_indices(':').nth(6) {
        Some((end, _)) => arn.get(..end).unwrap_or(arn),
        None => arn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:drain";

    #[test]
    fn a_function_is_named_by_its_name_or_its_arn() {
        for named in ["drain", "drain:live", ARN, "arn:aws:lambda:eu-west-1:123456789012:function:drain:7"] {
            assert_eq!(name_of(named), "drain", "{named}");
        }
        assert_eq!(unqualified(ARN), ARN);
        assert_eq!(unqualified(&format!("{ARN}:live")), ARN);
    }
}
