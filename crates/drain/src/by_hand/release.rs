//! A release by hand: the lifecycle action of one instance is completed, if nothing runs there any more.

use drain_core::decide::{Action, Decision};
use drain_core::ids::{HookName, InstanceId};
use drain_core::observation::{Nodes, Sight};
use drain_core::policy::ActionResult;

use super::{HandError, Seen, hook, lets_go_of_work, only_looking};
use crate::config::Config;
use crate::reconcile::Rules;
use crate::sites::Site;
use crate::together::look_at;
use crate::world::{Account as _, Clock as _, World};

/// What became of it.
#[derive(Debug)]
pub enum Release {
    /// The lifecycle action of this hook was completed.
    Done {
        /// The hook.
        hook: HookName,
        /// What ran there, if that was asked.
        seen: Option<Box<Seen>>,
    },
    /// Nothing was done.
    Refused {
        /// Why.
        why: Refusal,
        /// What was seen.
        seen: Box<Seen>,
        /// What has kept us from seeing more.
        problems: Vec<String>,
    },
}

/// Why an instance is not released without force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Allocations run on its node ([`Seen::left`]).
    Running,
    /// Nobody can tell what runs there ([`Seen::why`]).
    Unknown,
    /// Nothing runs there, and work may be placed there at any moment: the node is not drained.
    TakesWork,
}

/// Completes the lifecycle action that holds an instance. Without `force`, only if the loop would and no work has outlived its
/// deadline, or if nothing can run there: no node, or nodes that take no work and run nothing.
pub async fn release<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    instance: &InstanceId,
    result: ActionResult,
    force: bool,
) -> Result<Release, HandError> {
    let looks = only_looking(account.now(), config.poll_interval);
    let (place, asked) = hook::held(account, sites, config, &looks, instance).await?;
    let targets: Vec<_> = asked.iter().map(|one| one.target.clone()).collect();
    let mut seen = None;
    if let (Some(site), false) = (sites.get(place), force) {
        let policy = site.policy(&looks);
        let rules = Rules { policy: &policy, looks: &looks, cluster: site.cluster.name() };
        for one in look_at(site.world, &rules, asked).await {
            let one = one.map_err(HandError::Failed)?;
            if let Some(why) = refusal(&one) {
                return Ok(Release::Refused { why, seen: Box::new(one), problems: looks.warned.told() });
            }
            seen = Some(Box::new(one));
        }
    }
    // Auto Scaling does not say which of our hooks holds it.
    for target in targets {
        let Some(hook) = target.hook.clone() else { continue };
        match account.complete(&target, result).await {
            Ok(()) => return Ok(Release::Done { hook, seen }),
            Err(error) if error.is_no_active_action() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(HandError::NoActiveAction(instance.clone()))
}

/// What speaks against a release.
fn refusal(seen: &Seen) -> Option<Refusal> {
    if matches!(seen.decision, Decision::Act(Action::Complete { .. })) && !lets_go_of_work(&seen.decision) {
        return None;
    }
    match &seen.observation.nodes {
        Nodes::Absent | Nodes::Gone => None,
        Nodes::Unknown(_) => Some(Refusal::Unknown),
        Nodes::Known(nodes) => match seen.left() {
            Some(left) if !left.is_empty() => Some(Refusal::Running),
            Some(_) if seen.observation.sight != Sight::Everything => Some(Refusal::Unknown),
            Some(_) if nodes.iter().any(|one| one.node.eligible) => Some(Refusal::TakesWork),
            Some(_) => None,
            None => Some(Refusal::Unknown),
        },
    }
}
