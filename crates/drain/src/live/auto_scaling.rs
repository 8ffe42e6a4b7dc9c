//! Auto Scaling's calls, page after page, tried again while they fail in a way that may pass.

use std::cell::Cell;
use std::collections::BTreeMap;

use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::Target;
use drain_core::policy::ActionResult;
use jiff::Timestamp;

use super::{Live, Patience};
use crate::aws::AwsError;
use crate::aws::autoscaling::{self as api, ActionRef, GroupQuery, MAX_INSTANCES, Page};
use crate::config::{GroupSelection, WATCH_TAG};
use crate::error::Error;
use crate::world::{Group, GroupInstance, Hook, Waiting};

/// Names in one call: what Auto Scaling takes for certain.
const NAMES_AT_ONCE: usize = 50;

/// Pages of a group's history that are read for the ends that are going on: they are its newest lines.
const PAGES_OF_HISTORY: usize = 10;

pub(super) async fn heartbeat(live: &Live<'_>, target: &Target) -> Result<(), Error> {
    let action = action(target)?;
    // The next look sends another: nobody looks at the instance meanwhile.
    live.ask_aws(Patience::Tries(2), async |timeout| {
        api::record_heartbeat(&live.aws, &action, timeout).await.map_err(about(target.group.as_ref()))
    })
    .await
}

/// An action that is over after an attempt without an answer was ended by that attempt.
pub(super) async fn complete(live: &Live<'_>, target: &Target, result: ActionResult) -> Result<(), Error> {
    let action = action(target)?;
    let unanswered = Cell::new(false);
    live.ask_aws(Patience::Briefly, async |timeout| {
        let done = api::complete(&live.aws, &action, result, timeout).await;
        match done {
            Err(error) if error.is_no_active_action() && unanswered.get() => Ok(()),
            Err(error) => {
                unanswered.set(matches!(error, AwsError::NoAnswer { .. } | AwsError::Unreadable { .. }));
                Err(about(target.group.as_ref())(error))
            }
            Ok(()) => Ok(()),
        }
    })
    .await
}

pub(super) async fn hooks(live: &Live<'_>, group: &GroupName) -> Result<Vec<Hook>, Error> {
    live.ask_aws(Patience::Tries(3), async |timeout| {
        api::describe_lifecycle_hooks(&live.aws, group, timeout).await.map_err(about(None))
    })
    .await
}

pub(super) async fn group(live: &Live<'_>, name: &GroupName) -> Result<Option<Group>, Error> {
    let query = GroupQuery::Named(vec![name.clone()]);
    let groups = all_groups(live, &query, Patience::Tries(3)).await?;
    Ok(groups.into_iter().find(|group| group.name == *name))
}

/// The groups that the sweep watches, in as few calls as the selection allows.
pub(super) async fn groups(live: &Live<'_>) -> Result<Vec<Group>, Error> {
    let selection = &live.config.groups;
    let queries = match selection {
        GroupSelection::Tagged => vec![GroupQuery::Tagged(WATCH_TAG.to_owned())],
        GroupSelection::Patterns(patterns) => {
            let names: Option<Vec<GroupName>> =
                patterns.iter().map(|pattern| pattern.literal().cloned()).collect();
            match names {
                Some(names) => {
                    names.chunks(NAMES_AT_ONCE).map(|names| GroupQuery::Named(names.to_vec())).collect()
                }
                None => vec![GroupQuery::All],
            }
        }
    };
    let mut groups = Vec::new();
    for query in queries {
        groups.extend(all_groups(live, &query, Patience::Briefly).await?);
    }
    groups.retain(|group| selection.watches(&group.name, &group.tags));
    Ok(groups)
}

pub(super) async fn members(
    live: &Live<'_>,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
    let mut members = BTreeMap::new();
    for some in instances.chunks(MAX_INSTANCES) {
        let described = live
            .ask_aws(Patience::Tries(3), async |timeout| {
                api::describe_instances(&live.aws, some, timeout).await.map_err(about(None))
            })
            .await?;
        members.extend(described.into_iter().map(|one| (one.instance.clone(), one)));
    }
    Ok(members)
}

pub(super) async fn warm_pool(live: &Live<'_>, group: &GroupName) -> Result<Vec<Waiting>, Error> {
    pages(live, Patience::Tries(3), usize::MAX, async |next, timeout| {
        api::describe_warm_pool(&live.aws, group, next, timeout).await
    })
    .await
}

/// Read once in an invocation for each group.
pub(super) async fn ends_begun(
    live: &Live<'_>,
    group: &GroupName,
) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
    let mut known = live.ends_begun.lock().await;
    if let Some(begun) = known.get(group) {
        return Ok(begun.clone());
    }
    let activities = pages(live, Patience::Tries(3), PAGES_OF_HISTORY, async |next, timeout| {
        api::describe_scaling_activities(&live.aws, group, next, timeout).await
    })
    .await?;
    let mut begun: BTreeMap<InstanceId, Timestamp> = BTreeMap::new();
    for activity in activities.into_iter().filter(|activity| !activity.ended) {
        if let Some(instance) = activity.instance {
            let newest = begun.entry(instance).or_insert(activity.started_at);
            *newest = activity.started_at.max(*newest);
        }
    }
    known.insert(group.clone(), begun.clone());
    Ok(begun)
}

async fn all_groups(live: &Live<'_>, query: &GroupQuery, patience: Patience) -> Result<Vec<Group>, Error> {
    pages(live, patience, usize::MAX, async |next, timeout| {
        api::describe_groups(&live.aws, query, next, timeout).await
    })
    .await
}

/// All pages of a list, or the first so many.
async fn pages<T>(
    live: &Live<'_>,
    patience: Patience,
    most: usize,
    call: impl AsyncFn(Option<&str>, std::time::Duration) -> Result<Page<T>, AwsError>,
) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..most {
        let page = live
            .ask_aws(patience, async |timeout| call(next.as_deref(), timeout).await.map_err(about(None)))
            .await?;
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(all)
}

/// A failure about this group. Describe calls' permissions name no group.
fn about(group: Option<&GroupName>) -> impl FnOnce(AwsError) -> Error {
    move |source| Error::AutoScaling { group: group.cloned(), source }
}

/// The lifecycle action of a target.
fn action(target: &Target) -> Result<ActionRef<'_>, Error> {
    let (Some(group), Some(hook)) = (&target.group, &target.hook) else {
        return Err(Error::NoLifecycleAction { instance: target.instance.clone() });
    };
    Ok(ActionRef { group, hook, instance: &target.instance, token: target.token.as_deref() })
}
