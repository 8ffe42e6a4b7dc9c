//! A drain by hand: the loop of every invocation, for one who waits for its end.

use std::rc::Rc;

use drain_core::ids::InstanceId;
use drain_core::observation::{Cause, Errand, Hold, Member, Origin, Target};

use super::{ByHand, HandError, hook, looks};
use crate::config::Config;
use crate::reconcile::Rules;
use crate::report::ReportEntry;
use crate::sites::{Site, Where, see_through_at};
use crate::together::{Asked, see_through};
use crate::world::{Clock as _, World};

/// What became of an instance.
#[derive(Debug)]
pub struct Drained {
    /// One for each of its nodes, or one if it has none.
    pub entries: Vec<ReportEntry>,
}

/// Drains the nodes of an instance, and waits until every allocation has stopped or nothing can change any more. With
/// `completes`, the lifecycle action that holds the instance is kept alive meanwhile and completed at the end; without it,
/// the hook, if there is one, is left to others. Dropping this leaves the drain running.
pub async fn drain<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    instance: &InstanceId,
    completes: bool,
    by_hand: ByHand,
) -> Result<Drained, HandError> {
    let looks = looks(account.now(), config.poll_interval, false, by_hand);
    let became = if completes {
        let (place, asked) = hook::held(account, sites, config, &looks, instance).await?;
        let Some(site) = sites.get(place) else { return Ok(Drained { entries: Vec::new() }) };
        let mut policy = site.policy(&looks);
        // Somebody goes on looking until the end: us.
        policy.sweep = true;
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
    Ok(Drained { entries })
}
