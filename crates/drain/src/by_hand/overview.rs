//! Every held instance, and why we are waiting.

use std::rc::Rc;

use futures_util::future::join_all;
use tracing::Instrument as _;

use super::{Seen, only_looking};
use crate::cluster::{self, Cluster};
use crate::config::Config;
use crate::error::Error;
use crate::reconcile::Rules;
use crate::sites::Site;
use crate::sweep;
use crate::together::look_at;
use crate::world::{Account as _, Clock as _, World};

/// The instances that terminate hooks of ours hold.
#[derive(Debug, Default)]
pub struct Overview {
    /// How many groups are watched.
    pub groups: usize,
    /// Each of them, once for each hook of ours that may hold it.
    pub held: Vec<Held>,
    /// What keeps instances from being shown, one sentence each.
    pub problems: Vec<String>,
}

/// An instance that a hook holds.
#[derive(Debug)]
pub struct Held {
    /// Its `LifecycleState`, such as `Terminating:Wait`.
    pub state: String,
    /// What was seen; if that failed for a reason that is not its own, why.
    pub seen: Result<Seen, Rc<Error>>,
}

/// Looks at every instance that the sweep would look after, once, and changes nothing.
pub async fn overview<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
) -> Result<Overview, Error> {
    let looks = only_looking(account.now(), config.poll_interval);
    let clusters: Vec<&Cluster> = sites.iter().map(|site| site.cluster).collect();
    let selection = cluster::watched(config, &clusters);
    let groups = account.groups(&selection).await?;
    let watched = groups.len();
    sweep::warn_of_missing_groups(&selection, &looks.warned, &groups);
    let (groups, problems) = sweep::by_cluster(&clusters, groups);
    let looked = sites.iter().zip(&groups).map(|(site, groups)| {
        let looks = &looks;
        async move {
            let policy = site.policy(looks);
            let rules = Rules { policy: &policy, looks, cluster: site.cluster.name() };
            let asked = sweep::find(account, site, config, looks, groups).await;
            let asked: Vec<_> = asked.into_iter().filter(|one| one.target.cause().is_some()).collect();
            let states: Vec<String> = asked.iter().map(|one| one.state.clone().unwrap_or_default()).collect();
            let seen = look_at(site.world, &rules, asked).await;
            states.into_iter().zip(seen).map(|(state, seen)| Held { state, seen }).collect::<Vec<_>>()
        }
        .instrument(site.span())
    });
    let held = join_all(looked).await.into_iter().flatten().collect();
    Ok(Overview { groups: watched, held, problems })
}
