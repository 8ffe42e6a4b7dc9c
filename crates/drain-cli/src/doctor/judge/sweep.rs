//! Has a sweep run in the last three minutes?

use jiff::{SignedDuration, Timestamp};

use super::{config, not_checked, span};
use crate::aws::policy::{Principal, Request, Verdict};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Fact, Facts, Schedule};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Sweep;

/// As the alarm `SweepMissing` has it (deploy/alarms.json).
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(3);

/// What a sweep is called in findings.
const ABOUT: &str = "the sweep";

/// Schedules that come once a minute.
const EVERY_MINUTE: [&str; 2] = ["rate(1 minute)", "cron(* * * * ? *)"];

pub(super) fn judge(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let Some(config) = config(facts) else {
        let what = "skipped: whether it runs. First see to the configuration";
        return vec![Finding::new(AREA, Code::Skipped, ABOUT, what)];
    };
    if !config.sweep {
        return Vec::new();
    }
    let schedules = facts.sweeps.schedules.known().map_or(&[][..], Vec::as_slice);
    let counted = facts.sweeps.counted.known().copied().flatten();
    let succeeded = schedules.iter().filter_map(|one| one.succeeded.known().copied().flatten());
    let last = succeeded.chain(counted).max();
    if let Some(since) = last.map(|last| now.duration_since(last)).filter(|since| *since <= LONGEST_PAUSE) {
        let enabled: Vec<&Schedule> = schedules.iter().filter(|one| one.enabled).collect();
        let is_slow = |one: &&Schedule| !EVERY_MINUTE.contains(&one.expression.as_str());
        return vec![match enabled.first() {
            Some(first) if enabled.iter().all(is_slow) => too_slow(first),
            _ => Finding::new(AREA, Code::Sweep, ABOUT, format!("it ran {} ago", ago(since))),
        }];
    }
    vec![missing(facts, schedules, last, now)]
}

/// No sweep has succeeded lately: why, as far as it is known.
fn missing(facts: &Facts, schedules: &[Schedule], last: Option<Timestamp>, now: Timestamp) -> Finding {
    let unseen = last.map_or_else(
        || "none has run in three hours".to_owned(),
        |last| format!("the last one ran {} ago", ago(now.duration_since(last))),
    );
    match (&facts.sweeps.counted, &facts.sweeps.schedules) {
        (Fact::Unknown(why), Fact::Unknown(_)) => {
            return not_checked(why, AREA, ABOUT, "whether it has run in the last three minutes");
        }
        (_, Fact::Known(schedules)) if schedules.is_empty() => {
            let what = format!(
                "SWEEP is on, {unseen}, and no rule of EventBridge calls a function of ours by the clock"
            );
            return Finding::new(AREA, Code::SweepNotScheduled, ABOUT, what)
                .todo(
                    "If EventBridge Scheduler calls it, or nomad-drain sweep runs as a process, look there: neither is seen from \
                     here. Else make the rule, its target and its permission (docs/deploy-by-hand.md, step 7):",
                )
                .command("aws events put-rule --name nomad-drain-sweep --schedule-expression 'rate(1 minute)'");
        }
        _ => {}
    }
    if let Some(disabled) = schedules.iter().find(|one| !one.enabled)
        && schedules.iter().all(|one| !one.enabled)
    {
        let what = format!("SWEEP is on, {unseen}, and its rule {} is disabled", disabled.rule);
        return Finding::new(AREA, Code::SweepScheduleDisabled, ABOUT, what)
            .todo("Enable it:")
            .command(format!("aws events enable-rule --name {}", disabled.rule));
    }
    for one in schedules.iter().filter(|one| one.enabled) {
        if let Some(finding) = of_schedule(one, &unseen, now) {
            return finding;
        }
    }
    let what = format!("SWEEP is on, and {unseen}: nobody keeps held instances alive");
    Finding::new(AREA, Code::SweepMissing, ABOUT, what)
        .todo(
            "See whether its rule is enabled and calls the function (docs/operations.md, \"SweepMissing\"):",
        )
        .command("aws events list-rules --query \"Rules[?ScheduleExpression]\"")
}

/// What keeps this schedule from working.
fn of_schedule(one: &Schedule, unseen: &str, now: Timestamp) -> Option<Finding> {
    let request = Request {
        principal: Principal::Service("events.amazonaws.com"),
        action: "lambda:InvokeFunction",
        source_arn: Some(&one.arn),
    };
    let verdict = one
        .policy
        .known()
        .map(|policy| policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(&request)));
    if matches!(verdict, Some(Verdict::NotAllowed | Verdict::Denied)) {
        let what =
            format!("SWEEP is on, {unseen}, and {} does not let its rule {} call it", one.function, one.rule);
        return Some(Finding::new(AREA, Code::SweepNotAllowed, ABOUT, what).todo("Allow it:").command(format!(
            "aws lambda add-permission --function-name {} --statement-id sweep --action lambda:InvokeFunction --principal \
             events.amazonaws.com --source-arn {}",
            one.function, one.arn
        )));
    }
    let ran = one.ran.known().copied().flatten()?;
    if now.duration_since(ran) <= LONGEST_PAUSE {
        let what = format!(
            "{} runs every minute, and every run fails: nobody keeps held instances alive",
            one.function
        );
        return Some(
            Finding::new(AREA, Code::SweepFails, ABOUT, what)
                .todo("Read what it says:")
                .command(format!("aws logs tail /aws/lambda/{} --since 5m", one.function)),
        );
    }
    if !EVERY_MINUTE.contains(&one.expression.as_str()) {
        return Some(too_slow(one));
    }
    None
}

fn too_slow(one: &Schedule) -> Finding {
    let what = format!(
        "its rule {} says {}: heartbeats, and what is released, wait for that; once a minute is what times are made for",
        one.rule, one.expression
    );
    Finding::new(AREA, Code::SweepScheduleSlow, ABOUT, what)
        .todo("Let it come once a minute:")
        .command(format!("aws events put-rule --name {} --schedule-expression 'rate(1 minute)'", one.rule))
}

/// Samples are counted by the minute: nothing shorter is known.
fn ago(since: SignedDuration) -> String {
    let minutes = since.as_mins();
    if minutes < 1 { "less than a minute".to_owned() } else { span(SignedDuration::from_mins(minutes)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::Why;
    use crate::doctor::judge::scene::{check, facts, minutes_ago, now, schedule, variables};

    fn denied<T>() -> Fact<T> {
        Fact::Unknown(Why::Denied { permission: "cloudwatch:GetMetricStatistics".to_owned() })
    }

    /// Counted so many minutes ago, by schedules of which so much is known.
    fn with(counted: Option<i64>, schedules: Vec<Schedule>) -> Vec<Finding> {
        let mut facts = facts();
        facts.sweeps.counted = Fact::Known(counted.map(minutes_ago));
        facts.sweeps.schedules = Fact::Known(schedules);
        judge(&facts, now())
    }

    fn silent() -> Schedule {
        Schedule { ran: Fact::Known(None), succeeded: Fact::Known(None), ..schedule() }
    }

    #[test]
    fn a_sweep_runs_every_minute() {
        check(judge(&facts(), now()), &["sweep the sweep"]);
        check(with(Some(3), vec![silent()]), &["sweep the sweep"]);
        check(with(None, vec![schedule()]), &["sweep the sweep"]);
        check(with(Some(4), vec![silent()]), &["sweep-missing the sweep"]);
        let mut elsewhere = facts();
        elsewhere.sweeps.schedules = denied();
        check(judge(&elsewhere, now()), &["sweep the sweep"]);
    }

    #[test]
    fn why_none_runs_is_told() {
        check(with(None, vec![]), &["sweep-not-scheduled the sweep"]);
        check(
            with(None, vec![Schedule { enabled: false, ..silent() }]),
            &["sweep-schedule-disabled the sweep"],
        );
        check(
            with(None, vec![Schedule { policy: Fact::Known(None), ..silent() }]),
            &["sweep-not-allowed the sweep"],
        );
        let fails = Schedule { succeeded: Fact::Known(None), ..schedule() };
        check(with(None, vec![fails]), &["sweep-fails the sweep"]);
    }

    #[test]
    fn a_slower_schedule_is_told() {
        let slow = || Schedule { expression: "rate(5 minutes)".to_owned(), ..schedule() };
        check(with(None, vec![slow()]), &["sweep-schedule-slow the sweep"]);
        let ran = Fact::Known(Some(minutes_ago(4)));
        let pausing = Schedule { ran: ran.clone(), succeeded: ran, ..slow() };
        check(with(None, vec![pausing]), &["sweep-schedule-slow the sweep"]);
    }

    #[test]
    fn without_one_there_is_nothing_to_look_for() {
        check(judge(&variables(&[("SWEEP", "off")]), now()), &[]);
    }

    #[test]
    fn who_may_read_nothing_does_not_know() {
        let mut facts = facts();
        facts.sweeps.counted = denied();
        facts.sweeps.schedules = denied();
        check(judge(&facts, now()), &["not-checked the sweep"]);
    }
}
