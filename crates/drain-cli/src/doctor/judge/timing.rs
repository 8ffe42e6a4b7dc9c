//! Do the hook's times and its default result, the group's instance lifecycle policy and the deadline fit together?

use drain::aws::autoscaling::{Group, Hook};
use drain::config::Config;
use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use jiff::SignedDuration;

use super::groups::cluster;
use super::{config, ours, span};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Facts, GroupFacts};
use crate::doctor::finding::Finding;
use crate::doctor::shell::word;

const AREA: Area = Area::Timing;

/// With a sweep, a shorter hook gets a heartbeat at every look, and does not outlive one that is missed
/// (docs/operations.md).
const SHORTEST_WITH_SWEEP: SignedDuration = SignedDuration::from_mins(5);

/// One call may take so long ("Bounds" in ARCHITECTURE.md). Lambda's own default is 3 s.
const SHORTEST_RUN: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let (Some(config), Some(groups)) = (config(facts), facts.groups.known()) else {
        return vec![Finding::new(
            AREA,
            Code::Skipped,
            "the times",
            "skipped: whether time-outs and deadline fit together. First see to the configuration and the groups",
        )];
    };
    let mut found: Vec<Finding> = groups.iter().flat_map(|group| of_group(config, facts, group)).collect();
    found.extend(function(config, facts));
    found
}

fn of_group(config: &Config, all: &Facts, facts: &GroupFacts) -> Vec<Finding> {
    // Each of these that is missing has a finding of its own.
    let (Some(Some(group)), Some(hooks), Some(cluster)) =
        (facts.group.known(), facts.hooks.known(), cluster(all, &facts.home))
    else {
        return Vec::new();
    };
    let of_hook = |hook: &Hook| {
        let metadata = hook.metadata.as_deref().unwrap_or_default();
        let own = cluster.config.overridden(metadata).ok().flatten();
        let policy = own.as_ref().unwrap_or(&cluster.config.policy);
        let about = format!("{}, {}", facts.name, hook.name);
        let mut found = times(config, policy, hook, &about, facts.name.as_str());
        found.extend(results(policy, hook, group, &about));
        if found.is_empty() {
            let what = format!(
                "deadline {}, HeartbeatTimeout {}, held for {} at most, then {}",
                span(policy.drain_deadline),
                span(hook.heartbeat_timeout),
                span(policy.max_hold.min(hook.global_timeout)),
                hook.default_result.as_str(),
            );
            found.push(Finding::new(AREA, Code::Timing, about, what));
        }
        found
    };
    ours(config, hooks).into_iter().flat_map(of_hook).collect()
}

/// How long things may take.
fn times(config: &Config, policy: &Policy, hook: &Hook, about: &str, group: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let Policy { drain_deadline, kill_grace, max_hold, .. } = policy;
    let whole = drain_deadline.saturating_add(*kill_grace);
    let heartbeat = hook.heartbeat_timeout;
    let set_timeout = |seconds: i64| {
        format!(
            "aws autoscaling put-lifecycle-hook --auto-scaling-group-name {} --lifecycle-hook-name {} \
             --heartbeat-timeout {seconds}",
            word(group),
            hook.name
        )
    };
    if config.sweep {
        if heartbeat < SHORTEST_WITH_SWEEP {
            let what = format!(
                "its HeartbeatTimeout is {}: an instance does not outlive a sweep that is late or missing",
                span(heartbeat)
            );
            found.push(
                Finding::new(AREA, Code::HeartbeatTimeoutShort, about, what)
                    .todo("300 s or more are supported with a sweep:")
                    .command(set_timeout(300)),
            );
        }
        if hook.global_timeout < whole {
            let what = format!(
                "it holds an instance for {} at most, and DRAIN_DEADLINE with KILL_GRACE is {}: the deadline is cut",
                span(hook.global_timeout),
                span(whole)
            );
            // A hook holds for a hundred of its time-outs, and for 48 hours.
            let seconds = (whole.as_secs() + 99) / 100;
            let finding = Finding::new(AREA, Code::DeadlineBeyondHook, about, what);
            found.push(if seconds <= 1728 {
                finding
                    .todo("A hook holds for a hundred of its time-outs, so that this one is long enough:")
                    .command(set_timeout(seconds.max(300)))
            } else {
                finding.todo("No hook holds for longer than 48 hours: shorten DRAIN_DEADLINE.")
            });
        }
        if *max_hold < whole {
            let what = format!(
                "MAX_HOLD is {}, and DRAIN_DEADLINE with KILL_GRACE is {}: instances go while work runs on them",
                span(*max_hold),
                span(whole)
            );
            found.push(Finding::new(AREA, Code::MaxHoldBelowDeadline, about, what).todo(
                "Take MAX_HOLD out (it is then twice the deadline), or make it longer than both together.",
            ));
        }
        return found;
    }
    // Nobody sends heartbeats once the invocation is over.
    if heartbeat < *drain_deadline {
        let what = format!(
            "its HeartbeatTimeout is {}, DRAIN_DEADLINE is {}, and there is no sweep: instances go while work runs on them",
            span(heartbeat),
            span(*drain_deadline)
        );
        found.push(
            Finding::new(AREA, Code::HeartbeatTimeoutBelowDeadline, about, what).todo(
                "Make the hook's time-out longer than the deadline and the longest kill_timeout (7200 s at most), shorten \
                 DRAIN_DEADLINE, or deploy the sweep.",
            ),
        );
    } else if heartbeat < whole {
        let what = format!(
            "its HeartbeatTimeout is {}: tasks that are still stopping after DRAIN_DEADLINE ({}) are cut off",
            span(heartbeat),
            span(*drain_deadline)
        );
        found.push(
            Finding::new(AREA, Code::HeartbeatTimeoutTight, about, what)
                .todo("Leave room for the longest kill_timeout:")
                .command(set_timeout(whole.as_secs().min(7200))),
        );
    }
    found
}

/// What ends an instance, and what becomes of it then.
fn results(policy: &Policy, hook: &Hook, group: &Group, about: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let abandons = policy.on_drain_timeout == ActionResult::Abandon
        || policy.on_node_not_found == OnNodeNotFound::Complete(ActionResult::Abandon);
    let by_default = hook.default_result == ActionResult::Abandon;
    if group.retains_abandoned {
        if by_default || abandons {
            let what =
                "what is abandoned is kept as Terminating:Retained, and costs money until somebody ends it";
            found.push(
                Finding::new(AREA, Code::AbandonRetains, about, what)
                    .todo("Watch the metric GroupTerminatingRetainedInstances of Auto Scaling."),
            );
        }
        return found;
    }
    if by_default {
        let what =
            "its DefaultResult is ABANDON: a time-out ends the instance and skips the group's other hooks";
        found.push(
            Finding::new(AREA, Code::DefaultResultAbandon, about, what)
                .todo("Set it to CONTINUE, or give the group an instance lifecycle policy that retains:")
                .command(format!(
                    "aws autoscaling put-lifecycle-hook --auto-scaling-group-name {} --lifecycle-hook-name {} \
                     --default-result CONTINUE",
                    word(group.name.as_str()),
                    hook.name
                )),
        );
    }
    if abandons {
        let what = "ON_DRAIN_TIMEOUT or ON_NODE_NOT_FOUND is abandon, and the group retains nothing: instances end all the same";
        found.push(
            Finding::new(AREA, Code::AbandonEndsInstances, about, what)
                .todo("Set both to continue, or let the group retain what is abandoned:")
                .command(format!(
                    "aws autoscaling update-auto-scaling-group --auto-scaling-group-name {} --instance-lifecycle-policy \
                     'RetentionTriggers={{TerminateHookAbandon=retain}}'",
                    word(group.name.as_str())
                )),
        );
    }
    found
}

/// With a sweep the function has to have time to begin; without one, to see a drain through.
fn function(config: &Config, facts: &Facts) -> Option<Finding> {
    let function = facts.function.known()?.as_ref()?;
    if config.sweep {
        return (function.timeout < SHORTEST_RUN).then(|| {
            let what = format!(
                "its time-out is {}, and one call that is slow takes 10s: it may be cut off before a drain has begun",
                span(function.timeout)
            );
            Finding::new(AREA, Code::FunctionTimeoutShort, &function.name, what)
                .todo("Give it a minute, of which it uses what it needs:")
                .command(set_function_timeout(&function.name, 60))
        });
    }
    let deadlines = facts.clusters.known()?.iter().map(|cluster| cluster.config.policy.drain_deadline);
    let deadline = deadlines.max()?;
    if function.timeout >= deadline {
        return None;
    }
    let what = format!(
        "its time-out is {}: drains that take longer (DRAIN_DEADLINE is {}) are ended by the hook's time-out, not when they are over",
        span(function.timeout),
        span(deadline)
    );
    let finding = Finding::new(AREA, Code::FunctionTimeoutShort, &function.name, what);
    Some(if function.timeout < SignedDuration::from_mins(15) {
        finding
            .todo("Give it the longest that Lambda allows, or deploy the sweep:")
            .command(set_function_timeout(&function.name, 900))
    } else {
        finding.todo("Deploy the sweep if drains last longer than that: docs/deploy-by-hand.md, step 7.")
    })
}

fn set_function_timeout(name: &str, seconds: u32) -> String {
    format!("aws lambda update-function-configuration --function-name {name} --timeout {seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::Fact;
    use crate::doctor::judge::scene::{check, facts, function_of, group_of, hook, variables};

    const ABOUT: &str = "workers, nomad-drain-hook";

    fn with_hook(mut facts: Facts, change: impl FnOnce(&mut Hook)) -> Vec<Finding> {
        let mut one = hook();
        change(&mut one);
        group_of(&mut facts).hooks = Fact::Known(vec![one]);
        judge(&facts)
    }

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn codes(found: &[Finding]) -> Vec<&'static str> {
        found.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn times_that_fit_are_told() {
        let found = judge(&facts());
        check(found, &[&format!("timing {ABOUT}")]);
    }

    #[test]
    fn with_a_sweep_the_hook_outlives_a_missed_one() {
        let found = with_hook(facts(), |hook| hook.heartbeat_timeout = secs(120));
        check(found, &[&format!("heartbeat-timeout-short {ABOUT}")]);
    }

    #[test]
    fn the_hooks_limit_has_to_leave_room_for_the_deadline() {
        let found =
            with_hook(variables(&[("DRAIN_DEADLINE", "12h")]), |hook| hook.global_timeout = secs(30_000));
        assert!(found[0].command.as_ref().unwrap().ends_with("--heartbeat-timeout 434"), "{found:?}");
        check(found, &[&format!("deadline-beyond-hook {ABOUT}")]);
        let longer =
            with_hook(variables(&[("DRAIN_DEADLINE", "60h")]), |hook| hook.global_timeout = secs(172_800));
        assert_eq!(longer[0].command, None, "no time-out is long enough");
    }

    #[test]
    fn max_hold_has_to_outlast_the_deadline() {
        let found = judge(&variables(&[("MAX_HOLD", "1h")]));
        check(found, &[&format!("max-hold-below-deadline {ABOUT}")]);
    }

    #[test]
    fn without_a_sweep_the_hooks_own_time_has_to_be_enough() {
        let plain = || variables(&[("SWEEP", "off")]);
        let of = |seconds| codes(&with_hook(plain(), |hook| hook.heartbeat_timeout = secs(seconds)));
        assert_eq!(of(900)[0], "heartbeat-timeout-below-deadline");
        assert_eq!(of(3600)[0], "heartbeat-timeout-tight");
        assert_eq!(of(4200)[0], "timing");
    }

    #[test]
    fn without_a_sweep_one_invocation_sees_the_drain_through() {
        let found = judge(&variables(&[("SWEEP", "off")]));
        assert!(codes(&found).contains(&"function-timeout-short"), "{found:?}");
        let short = judge(&variables(&[("SWEEP", "off"), ("DRAIN_DEADLINE", "50s")]));
        assert!(!codes(&short).contains(&"function-timeout-short"), "{short:?}");
    }

    #[test]
    fn with_a_sweep_an_invocation_has_time_to_begin() {
        let of = |seconds| {
            let mut facts = facts();
            function_of(&mut facts).timeout = secs(seconds);
            codes(&judge(&facts))
        };
        assert_eq!(of(3), ["timing", "function-timeout-short"]);
        assert_eq!(of(10), ["timing"]);
    }

    #[test]
    fn abandon_is_told_and_what_it_does_depends_on_the_group() {
        let found = with_hook(facts(), |hook| hook.default_result = ActionResult::Abandon);
        check(found, &[&format!("default-result-abandon {ABOUT}")]);
        check(
            judge(&variables(&[("ON_DRAIN_TIMEOUT", "abandon")])),
            &[&format!("abandon-ends-instances {ABOUT}")],
        );
        check(
            judge(&variables(&[("ON_NODE_NOT_FOUND", "abandon")])),
            &[&format!("abandon-ends-instances {ABOUT}")],
        );
        let mut retaining = variables(&[("ON_DRAIN_TIMEOUT", "abandon")]);
        let Fact::Known(Some(group)) = &mut group_of(&mut retaining).group else { panic!() };
        group.retains_abandoned = true;
        check(judge(&retaining), &[&format!("abandon-retains {ABOUT}")]);
    }

    #[test]
    fn what_the_hook_says_of_its_own_instances_counts() {
        let found = with_hook(facts(), |hook| {
            hook.metadata = Some(r#"{"DRAIN_DEADLINE":"12h"}"#.to_owned());
            hook.global_timeout = secs(30_000);
        });
        check(found, &[&format!("deadline-beyond-hook {ABOUT}")]);
    }

    #[test]
    fn without_groups_there_is_nothing_to_compare() {
        let mut facts = facts();
        facts.groups = Fact::skipped("your credentials");
        check(judge(&facts), &["skipped the times"]);
    }
}
