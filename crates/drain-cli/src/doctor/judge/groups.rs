//! Does each group exist, is it looked after, and has it our hook?

use drain::config::{Config, HOLD_TAG, is_on};
use drain_core::ids::HookName;

use super::{config, known, ours};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{ClusterFacts, Facts, GroupFacts, Home};
use crate::doctor::finding::Finding;
use crate::doctor::shell::word;

const AREA: Area = Area::Groups;

/// Which groups there are.
const LIST_GROUPS: &str =
    "aws autoscaling describe-auto-scaling-groups --query 'AutoScalingGroups[].AutoScalingGroupName'";

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let groups = match known(&facts.groups, AREA, "the groups", "which groups there are, and their hooks") {
        Ok(groups) => groups,
        Err(unknown) => return vec![unknown],
    };
    let Some(config) = config(facts) else { return Vec::new() };
    if groups.is_empty() {
        if !config.groups.tagged {
            let what = "no Auto Scaling group in this region matches AUTO_SCALING_GROUPS, and none was given";
            return vec![
                Finding::new(AREA, Code::NoGroups, "the groups", what)
                    .todo("Correct AUTO_SCALING_GROUPS or the region, or pass the group with --group NAME. These are there:")
                    .command(LIST_GROUPS),
            ];
        }
        let what = "no Auto Scaling group in this region has the tag nomad-drain, and none was given";
        return vec![
            Finding::new(AREA, Code::NoGroups, "the groups", what)
                .todo("Pass the group with --group NAME; with a sweep, tag the group:")
                .command(
                    "aws autoscaling create-or-update-tags --tags ResourceId=GROUP,ResourceType=auto-scaling-group,\
                     Key=nomad-drain,Value=on,PropagateAtLaunch=false",
                ),
        ];
    }
    groups.iter().flat_map(|group| of_group(config, group, facts)).collect()
}

fn of_group(config: &Config, facts: &GroupFacts, all: &Facts) -> Vec<Finding> {
    let name = facts.name.as_str();
    let group = match known(&facts.group, AREA, name, "whether it exists, its tags and its instances") {
        Ok(group) => group,
        Err(unknown) => return vec![unknown],
    };
    let Some(group) = group else {
        return vec![
            Finding::new(AREA, Code::GroupMissing, name, "there is no group of this name in this region")
                .todo("Correct the name, or the region with --region. These are there:")
                .command(LIST_GROUPS),
        ];
    };
    let mut found = Vec::new();
    // Without the clusters nobody knows whose it is; that has a finding of its own.
    if let (Home::None(why), true) = (&facts.home, all.clusters.known().is_some()) {
        found.push(Finding::new(AREA, Code::GroupOfNoCluster, name, why).todo(
            "Name it in the \"groups\" of one cluster of CLUSTERS_PARAMETER's document, or give its tag nomad-drain the \
             \"tag\" of one.",
        ));
    }
    if config.sweep && !facts.watched {
        found.push(not_watched(config, name));
    }
    if group.tags.get(HOLD_TAG).is_some_and(|value| is_on(value)) {
        let what = format!("its tag {HOLD_TAG} holds its instances: heartbeats only, no drain");
        found.push(
            Finding::new(AREA, Code::GroupOnHold, name, what)
                .todo("Take the tag away when the work may go on:")
                .command(format!(
                    "aws autoscaling delete-tags --tags {}",
                    word(&format!("ResourceId={name},ResourceType=auto-scaling-group,Key={HOLD_TAG}"))
                )),
        );
    }
    found.extend(hooks(config, facts, all));
    if found.is_empty() {
        let instances = match group.in_service.len() {
            1 => "1 instance".to_owned(),
            several => format!("{several} instances"),
        };
        let hooks: Vec<&str> = facts
            .hooks
            .known()
            .map(|hooks| ours(config, hooks).into_iter().map(|hook| hook.name.as_str()).collect())
            .unwrap_or_default();
        let what = format!("{instances} in service, hook {}", hooks.join(", "));
        found.push(Finding::new(AREA, Code::Group, name, what));
    }
    found
}

fn not_watched(config: &Config, name: &str) -> Finding {
    if config.groups.tagged {
        let what = "the sweep does not look after it: it has no tag nomad-drain, or one that says off";
        return Finding::new(AREA, Code::GroupNotWatched, name, what).todo("Tag it:").command(format!(
            "aws autoscaling create-or-update-tags --tags {}",
            word(&format!(
                "ResourceId={name},ResourceType=auto-scaling-group,Key=nomad-drain,Value=on,PropagateAtLaunch=false"
            ))
        ));
    }
    let what = "the sweep does not look after it: AUTO_SCALING_GROUPS does not name it";
    Finding::new(AREA, Code::GroupNotWatched, name, what)
        .todo(format!("Add {name} to the function's variable AUTO_SCALING_GROUPS."))
}

fn hooks(config: &Config, facts: &GroupFacts, all: &Facts) -> Vec<Finding> {
    let name = facts.name.as_str();
    let hooks = match known(&facts.hooks, AREA, name, "its lifecycle hooks") {
        Ok(hooks) => hooks,
        Err(unknown) => return vec![unknown],
    };
    let mut found = Vec::new();
    let ours = ours(config, hooks);
    if ours.is_empty() {
        found.push(hook_missing(config, facts));
    }
    if let Some(launch) = &config.launch_hook
        && !hooks.iter().any(|hook| !hook.terminating && hook.name == *launch)
    {
        let what =
            format!("ON_LAUNCH is wait, and it has no launch hook {launch}: nobody waits for its nodes");
        found.push(
            Finding::new(AREA, Code::LaunchHookMissing, name, what)
                .todo("Make it, or name the one that is there in LAUNCH_HOOK_NAME:")
                .command(format!(
                    "aws autoscaling put-lifecycle-hook --auto-scaling-group-name {} --lifecycle-hook-name {launch} \
                     --lifecycle-transition autoscaling:EC2_INSTANCE_LAUNCHING --heartbeat-timeout 600 --default-result ABANDON",
                    word(name)
                )),
        );
    }
    let cluster = cluster(all, &facts.home);
    for hook in ours {
        let (Some(cluster), Some(metadata)) = (cluster, &hook.metadata) else { continue };
        if let Err(problems) = cluster.config.overridden(metadata) {
            let what = format!("its NotificationMetadata is left out, all of it: {}", problems.join("; "));
            found.push(
                Finding::new(AREA, Code::HookMetadataInvalid, format!("{name}, {}", hook.name), what)
                    .todo("Correct it: docs/operations.md, \"NotificationMetadata\"."),
            );
        }
    }
    found
}

fn hook_missing(config: &Config, facts: &GroupFacts) -> Finding {
    let name = facts.name.as_str();
    let wanted = config.sweep_hooks().iter().map(HookName::as_str).collect::<Vec<_>>();
    let others: Vec<&str> = facts
        .hooks
        .known()
        .map(|hooks| hooks.iter().filter(|hook| hook.terminating).map(|hook| hook.name.as_str()).collect())
        .unwrap_or_default();
    let wanted = wanted.join(" or ");
    if let Some(other) = others.first() {
        let what = format!("it has no terminate hook {wanted}, but {}", others.join(", "));
        return Finding::new(AREA, Code::HookMissing, name, what)
            .todo(format!("If that one is ours, set LIFECYCLE_HOOK_NAME={other}; else make {wanted}."));
    }
    let timeout = if config.sweep { 300 } else { 4200 };
    Finding::new(AREA, Code::HookMissing, name, format!("it has no terminate hook {wanted}: nothing holds its instances"))
        .todo("Make it; without EventBridge also with --notification-target-arn and --role-arn (docs/deploy-by-hand.md, 6):")
        .command(format!(
            "aws autoscaling put-lifecycle-hook --auto-scaling-group-name {} --lifecycle-hook-name {} \
             --lifecycle-transition autoscaling:EC2_INSTANCE_TERMINATING --heartbeat-timeout {timeout} --default-result CONTINUE",
            word(name),
            config.sweep_hooks().first().map_or("nomad-drain-hook", |hook| hook.as_str())
        ))
}

/// The cluster of a group, if it is known.
pub(super) fn cluster<'a>(facts: &'a Facts, home: &Home) -> Option<&'a ClusterFacts> {
    match home {
        Home::Of(place) => facts.clusters.known()?.get(*place),
        Home::None(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::{Fact, Why};
    use crate::doctor::judge::scene::{check, facts, group_of, hook, variables};

    #[test]
    fn a_group_with_its_hook_is_fine() {
        check(judge(&facts()), &["group workers"]);
    }

    #[test]
    fn there_has_to_be_a_group() {
        let mut facts = facts();
        facts.groups = Fact::Known(Vec::new());
        check(judge(&facts), &["no-groups the groups"]);
        facts.groups =
            Fact::Unknown(Why::Denied { permission: "autoscaling:DescribeAutoScalingGroups".to_owned() });
        check(judge(&facts), &["not-checked the groups"]);
    }

    #[test]
    fn a_group_that_is_named_has_to_exist() {
        let mut facts = facts();
        group_of(&mut facts).group = Fact::Known(None);
        check(judge(&facts), &["group-missing workers"]);
    }

    #[test]
    fn with_a_sweep_the_group_has_to_be_watched() {
        let mut facts = facts();
        group_of(&mut facts).watched = false;
        check(judge(&facts), &["group-not-watched workers"]);
        let mut plain = variables(&[("SWEEP", "off")]);
        group_of(&mut plain).watched = false;
        check(judge(&plain), &["group workers"]);
    }

    #[test]
    fn a_group_belongs_to_one_cluster() {
        let mut facts = facts();
        group_of(&mut facts).home = Home::None("no cluster is its".to_owned());
        check(judge(&facts), &["group-of-no-cluster workers"]);
    }

    #[test]
    fn a_group_on_hold_is_told() {
        let mut facts = facts();
        let Fact::Known(Some(group)) = &mut group_of(&mut facts).group else { panic!() };
        group.tags.insert(HOLD_TAG.to_owned(), "on".to_owned());
        check(judge(&facts), &["group-on-hold workers"]);
    }

    #[test]
    fn without_a_hook_there_is_a_command_that_makes_it() {
        let mut facts = facts();
        group_of(&mut facts).hooks = Fact::Known(Vec::new());
        let found = judge(&facts);
        let command = found[0].command.clone().unwrap();
        assert!(command.contains("--lifecycle-hook-name nomad-drain-hook"), "{command}");
        check(found, &["hook-missing workers"]);
    }

    #[test]
    fn a_hook_of_another_name_is_named() {
        let mut facts = facts();
        let mut other = hook();
        other.name = HookName::parse("their-hook").unwrap();
        group_of(&mut facts).hooks = Fact::Known(vec![other.clone()]);
        let found = judge(&facts);
        assert!(found[0].todo.as_ref().unwrap().contains("LIFECYCLE_HOOK_NAME=their-hook"), "{found:?}");
        check(found, &["hook-missing workers"]);
        // Without a sweep, the messages of every hook that reach the function are acted on.
        let mut plain = variables(&[("SWEEP", "off")]);
        group_of(&mut plain).hooks = Fact::Known(vec![other]);
        check(judge(&plain), &["group workers"]);
    }

    #[test]
    fn waiting_for_launches_needs_a_launch_hook() {
        check(judge(&variables(&[("ON_LAUNCH", "wait")])), &["launch-hook-missing workers"]);
    }

    #[test]
    fn metadata_that_is_left_out_is_told() {
        let mut facts = facts();
        let mut with = hook();
        with.metadata = Some(r#"{"DRAIN_DEADLINE":"soon"}"#.to_owned());
        group_of(&mut facts).hooks = Fact::Known(vec![with]);
        check(judge(&facts), &["hook-metadata-invalid workers, nomad-drain-hook"]);
    }

    #[test]
    fn hooks_that_may_not_be_read_are_not_called_missing() {
        let mut facts = facts();
        group_of(&mut facts).hooks =
            Fact::Unknown(Why::Denied { permission: "autoscaling:DescribeLifecycleHooks".to_owned() });
        check(judge(&facts), &["not-checked workers"]);
    }
}
