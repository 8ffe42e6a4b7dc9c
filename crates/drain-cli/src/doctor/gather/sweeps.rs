//! When sweeps ran: what they count themselves, and the rules by which they are called.

use drain::aws::Aws;
use drain::config::Config;
use futures_util::future::{join, join_all, join3};
use jiff::Timestamp;

use super::{asked, function};
use crate::aws::cloudwatch::{self, Metric};
use crate::aws::{events, lambda};
use crate::doctor::facts::{Fact, Function, Schedule, Sweeps, qualifier};

/// Everything about the sweep. Without one there is nothing to look for.
pub(super) async fn facts(
    aws: Option<&Aws>,
    config: &Config,
    rules: &Fact<Vec<events::Rule>>,
    ours: Option<&Function>,
    now: Timestamp,
) -> Sweeps {
    if !config.sweep {
        return Sweeps { counted: Fact::Known(None), schedules: Fact::Known(Vec::new()) };
    }
    let watched = Metric {
        namespace: &config.metrics_namespace,
        name: "WatchedGroups",
        dimension: None,
        statistic: "SampleCount",
    };
    let (counted, schedules) = join(newest(aws, watched, now), schedules(aws, rules, ours, now)).await;
    Sweeps { counted, schedules }
}

/// The newest minute in which something was counted.
async fn newest(aws: Option<&Aws>, metric: Metric<'_>, now: Timestamp) -> Fact<Option<Timestamp>> {
    let minutes = asked(aws, async |aws| cloudwatch::minutes(aws, metric, now).await).await;
    match minutes {
        Fact::Known(minutes) => Fact::Known(minutes.last().map(|(minute, _)| *minute)),
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}

/// The rules that call the function, or one with the same role, by the clock.
async fn schedules(
    aws: Option<&Aws>,
    rules: &Fact<Vec<events::Rule>>,
    ours: Option<&Function>,
    now: Timestamp,
) -> Fact<Vec<Schedule>> {
    let (rules, Some(ours)) = (rules, ours) else { return Fact::skipped("the function, above") };
    let rules = match rules {
        Fact::Known(rules) => rules,
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let scheduled = rules.iter().filter_map(|rule| Some((rule, rule.schedule_expression.as_deref()?)));
    let found = scheduled.map(async |(rule, expression)| {
        let targets = match asked(aws, async |aws| events::list_targets_by_rule(aws, &rule.name).await).await
        {
            Fact::Known(targets) => targets,
            Fact::Unknown(why) => return Err(why),
        };
        let functions =
            targets.iter().map(|target| target.arn.as_str()).filter(|arn| arn.contains(":lambda:"));
        let schedules = functions.map(async |arn| {
            let is_ours = is_ours(aws, ours, function::name_of(arn)).await;
            is_ours.then_some(of_function(aws, rule, expression, arn, now).await)
        });
        Ok(join_all(schedules).await.into_iter().flatten().collect::<Vec<_>>())
    });
    let all: Result<Vec<Vec<Schedule>>, _> = join_all(found).await.into_iter().collect();
    match all {
        Ok(all) => Fact::Known(all.into_iter().flatten().collect()),
        Err(why) => Fact::Unknown(why),
    }
}

/// Two functions from one package have one role: that tells them from what else an account does by the clock.
async fn is_ours(aws: Option<&Aws>, ours: &Function, name: &str) -> bool {
    if name == ours.name {
        return true;
    }
    let configuration = asked(aws, async |aws| lambda::get_function_configuration(aws, name).await).await;
    matches!(configuration, Fact::Known(Some(configuration)) if configuration.role == ours.role)
}

async fn of_function(
    aws: Option<&Aws>,
    rule: &events::Rule,
    expression: &str,
    arn: &str,
    now: Timestamp,
) -> Schedule {
    let name = function::name_of(arn);
    let counted = |metric| Metric {
        namespace: "AWS/Lambda",
        name: metric,
        dimension: Some(("FunctionName", name)),
        statistic: "Sum",
    };
    let (policy, runs, failures) = join3(
        asked(aws, async |aws| lambda::get_policy(aws, name, qualifier(arn)).await),
        asked(aws, async |aws| cloudwatch::minutes(aws, counted("Invocations"), now).await),
        asked(aws, async |aws| cloudwatch::minutes(aws, counted("Errors"), now).await),
    )
    .await;
    let ran = match &runs {
        Fact::Known(minutes) => Fact::Known(minutes.last().map(|(minute, _)| *minute)),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    };
    let succeeded = match (runs, failures) {
        (Fact::Known(runs), Fact::Known(failures)) => {
            let failed = |minute: Timestamp| {
                failures.iter().find(|(one, _)| *one == minute).map_or(0.0, |(_, count)| *count)
            };
            let mut good = runs.into_iter().filter(|(minute, count)| *count > failed(*minute));
            Fact::Known(good.next_back().map(|(minute, _)| minute))
        }
        (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => Fact::Unknown(why),
    };
    Schedule {
        rule: rule.name.clone(),
        arn: rule.arn.clone(),
        expression: expression.to_owned(),
        enabled: is_enabled(rule),
        function: name.to_owned(),
        policy,
        ran,
        succeeded,
    }
}

/// Whether a rule does anything.
pub(super) fn is_enabled(rule: &events::Rule) -> bool {
    rule.state.starts_with("ENABLED")
}
