//! Auto Scaling's calls, page after page, tried again while they fail in a way that may pass.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use drain_core::decide::Urgency;
use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::Target;
use drain_core::policy::ActionResult;
use jiff::Timestamp;

use super::{LiveAccount, Patience};
use crate::aws::AwsError;
use crate::aws::autoscaling::{self as api, ActionRef, GroupQuery, MAX_INSTANCES, Page};
use crate::config::{GroupSelection, WATCH_TAG};
use crate::error::Error;
use crate::world::{Group, GroupInstance, Hook, Waiting};

/// Names in one call: what Auto Scaling takes for certain.
const NAMES_AT_ONCE: usize = 50;

/// Pages of a group's history that are read for the ends that are going on: they are its newest lines.
const PAGES_OF_HISTORY: usize = 10;

pub(super) async fn heartbeat(account: &LiveAccount, target: &Target, urgency: Urgency) -> Result<(), Error> {
    let action = action(target)?;
    // The next look sends another: nobody looks at the instance meanwhile.
    account
        .ask_when(urgency, Patience::Tries(2), async |timeout| {
            api::record_heartbeat(&account.aws, &action, timeout).await.map_err(about(target.group.as_ref()))
        })
        .await
}

/// An action that is over after an attempt without an answer was ended by that attempt.
pub(super) async fn complete(
    account: &LiveAccount,
    target: &Target,
    result: ActionResult,
) -> Result<(), Error> {
    let action = action(target)?;
    let unanswered = Cell::new(false);
    account
        .ask(Patience::Briefly, async |timeout| {
            let done = api::complete(&account.aws, &action, result, timeout).await;
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

pub(super) async fn hooks(account: &LiveAccount, group: &GroupName) -> Result<Vec<Hook>, Error> {
    account
        .ask(Patience::Tries(3), async |timeout| {
            api::describe_lifecycle_hooks(&account.aws, group, timeout).await.map_err(about(None))
        })
        .await
}

pub(super) async fn group(account: &LiveAccount, name: &GroupName) -> Result<Option<Group>, Error> {
    let query = GroupQuery::Named(vec![name.clone()]);
    let groups = all_groups(account, &query, Patience::Tries(3)).await?;
    Ok(groups.into_iter().find(|group| group.name == *name))
}

/// The groups of a selection, in as few calls as it allows.
pub(super) async fn groups(account: &LiveAccount, selection: &GroupSelection) -> Result<Vec<Group>, Error> {
    let literals: Vec<GroupName> = selection.literals().cloned().collect();
    let queries = if literals.len() < selection.patterns.len() {
        vec![GroupQuery::All]
    } else {
        let tagged = selection.tagged.then(|| GroupQuery::Tagged(WATCH_TAG.to_owned()));
        let named = literals.chunks(NAMES_AT_ONCE).map(|names| GroupQuery::Named(names.to_vec()));
        tagged.into_iter().chain(named).collect()
    };
    let mut groups: Vec<Group> = Vec::new();
    for query in queries {
        let found = all_groups(account, &query, Patience::Briefly).await?;
        // A group may be tagged and named.
        let known: BTreeSet<GroupName> = groups.iter().map(|group| group.name.clone()).collect();
        groups.extend(found.into_iter().filter(|group| !known.contains(&group.name)));
    }
    groups.retain(|group| selection.watches(&group.name, &group.tags));
    Ok(groups)
}

pub(super) async fn members(
    account: &LiveAccount,
    instances: &[InstanceId],
) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
    let mut members = BTreeMap::new();
    for some in instances.chunks(MAX_INSTANCES) {
        let described = account
            .ask(Patience::Tries(3), async |timeout| {
                api::describe_instances(&account.aws, some, timeout).await.map_err(about(None))
            })
            .await?;
        members.extend(described.into_iter().map(|one| (one.instance.clone(), one)));
    }
    Ok(members)
}

pub(super) async fn warm_pool(account: &LiveAccount, group: &GroupName) -> Result<Vec<Waiting>, Error> {
    pages(account, Patience::Tries(3), usize::MAX, async |next, timeout| {
        api::describe_warm_pool(&account.aws, group, next, timeout).await
    })
    .await
}

/// Read once in an invocation for each group.
pub(super) async fn ends_begun(
    account: &LiveAccount,
    group: &GroupName,
) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
    let mut known = account.ends_begun.lock().await;
    if let Some(begun) = known.get(group) {
        return Ok(begun.clone());
    }
    let activities = pages(account, Patience::Tries(3), PAGES_OF_HISTORY, async |next, timeout| {
        api::describe_scaling_activities(&account.aws, group, next, timeout).await
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

async fn all_groups(
    account: &LiveAccount,
    query: &GroupQuery,
    patience: Patience,
) -> Result<Vec<Group>, Error> {
    pages(account, patience, usize::MAX, async |next, timeout| {
        api::describe_groups(&account.aws, query, next, timeout).await
    })
    .await
}

/// All pages of a list, or the first so many.
async fn pages<T>(
    account: &LiveAccount,
    patience: Patience,
    most: usize,
    call: impl AsyncFn(Option<&str>, std::time::Duration) -> Result<Page<T>, AwsError>,
) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..most {
        let page = account
            .ask(patience, async |timeout| call(next.as_deref(), timeout).await.map_err(about(None)))
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
