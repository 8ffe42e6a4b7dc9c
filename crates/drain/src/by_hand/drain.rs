//! A drain by hand: the loop of every invocation, for one who waits for its end.

use std::rc::Rc;

use drain_core::ids::InstanceId;
use drain_core::observation::{Cause, Errand, Hold, Member, Origin, Target};
use drain_core::reason::{Outcome, Reason};

use super::{ByHand, HandError, Wishes, hook, looks};
use crate::config::Config;
use crate::reconcile::Rules;
use crate::report::ReportEntry;
use crate::sites::{Site, Where, see_through_at};
use crate::together::{Asked, see_through};
use crate::world::{Clock as _, World};

/// The outcome of a node that was drained by hand.
const DRAINED: &str = "drained";

/// The outcome of one on which work was not seen to end.
const NOT_DRAINED: &str = "not_drained";

/// What became of an instance.
#[derive(Debug)]
pub struct Drained {
    /// One for each of its nodes, or one if it has none.
    pub entries: Vec<ReportEntry>,
    /// Whether nothing but a plan was asked for.
    only_planned: bool,
}

impl Drained {
    /// Whether everything that was asked for has happened. With `DRY_RUN` on, a drain has not.
    pub fn is_done(&self) -> bool {
        let done = |entry: &ReportEntry| {
            [DRAINED, Outcome::Completed.as_str(), Outcome::Abandoned.as_str()].contains(&entry.outcome)
                || self.only_planned && entry.reason == Reason::DryRun.as_str()
        };
        !self.entries.is_empty() && self.entries.iter().all(done)
    }
}

/// Drains the nodes of an instance, and waits until every allocation has stopped or nothing can change any more. With
/// `completes`, the lifecycle action that holds the instance is kept alive meanwhile and completed at the end, unless work has
/// outlived its deadline: [`release`](super::release()) with force is for that. Without it, the hook, if there is one, is left to
/// others. Dropping this leaves the drain running.
pub async fn drain<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    instance: &InstanceId,
    completes: bool,
    by_hand: ByHand,
) -> Result<Drained, HandError> {
    let Wishes { dry_run: only_planned, despite_pause, .. } = by_hand.wishes;
    let looks = looks(account.now(), config.poll_interval, false, by_hand);
    let became = if completes {
        let (place, mut asked) = hook::held(account, sites, config, &looks, instance).await?;
        let Some(site) = sites.get(place) else { return Ok(Drained { entries: Vec::new(), only_planned }) };
        let mut policy = site.policy(&looks);
        // Somebody goes on looking until the end: us.
        policy.sweep = true;
        // The tag of a group is a pause like the other one.
        for hold in asked.iter_mut().filter_map(|one| one.hold.as_mut()) {
            hold.paused &= !despite_pause;
        }
        let rules = Rules { policy: &policy, looks: &looks, cluster: site.cluster.name() };
        see_through(site.world, &rules, asked).await
    } else {
        let target = Target {
            instance: instance.clone(),
            group: None,
            hook: None,
            token: None,
            errand: Errand::Drain(Cause::Manual),
            told_at: None,
            hook_started_at: None,
            origin: Origin::Event,
        };
        let hold = Some(Hold { by_hand: true, ..Hold::default() });
        let asked = Asked { target, hold, member: Member::Unknown, node: None, policy: None, state: None };
        see_through_at(sites, &looks, vec![(Where::Anywhere, asked)]).await
    };
    let mut entries = Vec::new();
    for one in became {
        entries.extend(one.map_err(|error: Rc<_>| HandError::Failed(error))?);
    }
    for entry in &mut entries {
        // Nothing was completed there: the words are those of a hook that is.
        if entry.reason == Reason::DrainTimeout.as_str() {
            entry.outcome = NOT_DRAINED;
        } else if !completes && entry.outcome == Outcome::Completed.as_str() {
            entry.outcome = if entry.reason == Reason::Drained.as_str() { DRAINED } else { NOT_DRAINED };
        }
    }
    Ok(Drained { entries, only_planned })
}
