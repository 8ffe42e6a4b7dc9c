//! The groups, their hooks, and whose they are.

use std::rc::Rc;

use drain::cluster::{self, Cluster};
use drain::live::LiveAccount;
use drain::world::{Account as _, Group};
use drain::{Error, Installation};
use drain_core::ids::GroupName;
use futures_util::future::join_all;

use super::why;
use crate::doctor::facts::{Fact, GroupFacts, Home};

/// Those that were named, else those that the sweep looks after.
pub(super) async fn facts(
    has_aws: bool,
    installation: &Installation,
    account: &LiveAccount,
    clusters: &[Rc<Cluster>],
    named: &[GroupName],
) -> Fact<Vec<GroupFacts>> {
    if !has_aws {
        return Fact::skipped("your AWS credentials");
    }
    let clusters: Vec<&Cluster> = clusters.iter().map(AsRef::as_ref).collect();
    let selection = cluster::watched(installation.config(), &clusters);
    let mut found: Vec<(GroupName, Fact<Option<Group>>)> = Vec::new();
    if named.is_empty() {
        let groups = match account.groups(&selection).await {
            Ok(groups) => groups,
            Err(error) => return Fact::Unknown(why(&error)),
        };
        // One that is named in the configuration and is not there is a finding.
        let is_missing = |name: &&GroupName| !groups.iter().any(|group| group.name == **name);
        let missing: Vec<GroupName> = selection.literals().filter(is_missing).cloned().collect();
        found.extend(groups.into_iter().map(|group| (group.name.clone(), Fact::Known(Some(group)))));
        found.extend(missing.into_iter().map(|name| (name, Fact::Known(None))));
    } else {
        let asked = named.iter().map(async |name| (name.clone(), known(account.group(name).await)));
        found.extend(join_all(asked).await);
    }
    let facts = found.into_iter().map(async |(name, group)| {
        let hooks = match &group {
            Fact::Known(Some(_)) => known(account.hooks(&name).await),
            Fact::Known(None) => Fact::skipped("the group"),
            Fact::Unknown(why) => Fact::Unknown(why.clone()),
        };
        let tags = group.known().and_then(Option::as_ref).map(|group| &group.tags);
        GroupFacts {
            watched: tags.is_some_and(|tags| selection.watches(&name, tags)),
            home: match cluster::home(&clusters, &name, tags) {
                cluster::Home::Of(place) => Home::Of(place),
                cluster::Home::Nobodys => Home::None("no cluster of the document is its".to_owned()),
                cluster::Home::Disputed(names) => Home::None(format!("it is claimed by clusters {names}")),
            },
            nodes: Fact::skipped("Nomad, above"),
            name,
            group,
            hooks,
        }
    });
    Fact::Known(join_all(facts).await)
}

fn known<T>(answer: Result<T, Error>) -> Fact<T> {
    answer.map_or_else(|error| Fact::Unknown(why(&error)), Fact::Known)
}
