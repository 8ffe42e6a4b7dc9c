//! The Nomad clusters: how each is reached, whose it is, and what this process keeps of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use drain_core::ids::GroupName;
use jiff::{SignedDuration, Timestamp};

use zeroize::Zeroizing;

use crate::config::{
    ClusterConfig, ClusterDocument, ClusterSection, Config, ConfigurationError, GroupPattern, GroupSelection,
    NomadClusters, Place, WATCH_TAG,
};
use crate::error::Error;
use crate::live::Kept;

/// One Nomad cluster.
#[derive(Debug)]
pub struct Cluster {
    /// What the document calls it; `None` if the environment says everything of the only one.
    name: Option<String>,
    /// The groups whose instances are its, in a document.
    groups: Vec<GroupPattern>,
    /// The value of their tag, in a document.
    tag: Option<String>,
    /// The text that it was made of.
    text: String,
    /// Everything that is set for it.
    pub(crate) config: ClusterConfig,
    /// What is known of it from earlier invocations.
    pub(crate) kept: Kept,
}

impl Cluster {
    /// The only one, of which nothing is known yet.
    pub fn only(config: ClusterConfig) -> Self {
        let (groups, text) = (Vec::new(), String::new());
        Self { name: None, groups, tag: None, text, config, kept: Kept::default() }
    }

    fn of_section(section: ClusterSection) -> Self {
        let ClusterSection { name, groups, tag, config, warnings, text } = section;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Self { name: Some(name), groups, tag, text, config, kept: Kept::default() }
    }

    /// Everything that is set for it.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Its name, if it is one of many.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Says in every invocation what nobody should forget.
    pub(crate) fn warn(&self) {
        if self.config.tls.skip_verify {
            let whose = self.name().map_or_else(String::new, |name| format!(" for cluster {name}"));
            tracing::warn!(
                "NOMAD_SKIP_VERIFY is on{whose}: whoever is between this function and Nomad can read the token. Set NOMAD_CACERT \
                 and NOMAD_TLS_SERVER_NAME instead"
            );
        }
    }
}

/// The clusters of this function.
#[derive(Debug)]
pub(crate) enum Clusters {
    /// One for all groups.
    One([Rc<Cluster>; 1]),
    /// Those of a document.
    Document { source: ClusterDocument, kept: RefCell<Option<KeptClusters>> },
}

/// The document as it was read.
#[derive(Debug)]
pub(crate) struct KeptClusters {
    text: String,
    read_at: Timestamp,
    /// From when on it is read again.
    renew_at: Timestamp,
    clusters: Vec<Rc<Cluster>>,
}

/// How long a document is good. A change of it is seen that much later.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);

/// How soon it is tried again to read one that could not be read or used.
const TRY_AGAIN: SignedDuration = SignedDuration::from_mins(1);

impl Clusters {
    pub(crate) fn new(clusters: NomadClusters) -> Self {
        match clusters {
            NomadClusters::One(config) => Self::One([Rc::new(Cluster::only(*config))]),
            NomadClusters::Document(source) => Self::Document { source, kept: RefCell::default() },
        }
    }

    /// The clusters as they are now. `read` gives the document's text, and is called if that `is_needed` and the text was
    /// not read lately. A document that cannot be read or used is no reason to stop while there is an older one: instances
    /// go on ending.
    pub(crate) async fn at(
        &self,
        now: Timestamp,
        is_needed: bool,
        read: impl AsyncFnOnce(&Place) -> Result<Zeroizing<String>, Error>,
    ) -> Result<Vec<Rc<Cluster>>, Error> {
        let (source, kept) = match self {
            Self::One(only) => return Ok(only.to_vec()),
            Self::Document { source, kept } => (source, kept),
        };
        if let Some(known) = kept.borrow().as_ref().filter(|known| now < known.renew_at || !is_needed) {
            return Ok(known.clusters.clone());
        }
        if !is_needed {
            return Ok(Vec::new());
        }
        let error = match read(&source.place).await {
            Ok(text) => match changed(kept, source, &text, now) {
                Ok(clusters) => return Ok(clusters),
                Err(error) => error.into(),
            },
            Err(error) => error,
        };
        let mut kept = kept.borrow_mut();
        let Some(known) = kept.as_mut() else { return Err(error) };
        known.renew_at = crate::later(now, TRY_AGAIN);
        tracing::error!(
            error_type = error.name(),
            "{} Going on with the clusters as they were at {:.0}",
            error.explanation(),
            known.read_at
        );
        Ok(known.clusters.clone())
    }
}

/// Takes a document over. A cluster whose section has not changed is the same one: its token and connections go on.
fn changed(
    kept: &RefCell<Option<KeptClusters>>,
    source: &ClusterDocument,
    text: &str,
    now: Timestamp,
) -> Result<Vec<Rc<Cluster>>, ConfigurationError> {
    if let Some(known) = kept.borrow_mut().as_mut().filter(|known| known.text == text) {
        (known.read_at, known.renew_at) = (now, crate::later(now, GOOD_FOR));
        return Ok(known.clusters.clone());
    }
    let sections = source.parse(text)?;
    let known = kept.take().map(|known| known.clusters).unwrap_or_default();
    let clusters: Vec<Rc<Cluster>> = sections
        .into_iter()
        .map(|section| {
            let same = |known: &&Rc<Cluster>| {
                known.name.as_ref() == Some(&section.name) && known.text == section.text
            };
            known.iter().find(same).cloned().unwrap_or_else(|| Rc::new(Cluster::of_section(section)))
        })
        .collect();
    let (text, renew_at) = (text.to_owned(), crate::later(now, GOOD_FOR));
    kept.replace(Some(KeptClusters { text, read_at: now, renew_at, clusters: clusters.clone() }));
    Ok(clusters)
}

/// Whose a group is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Home {
    /// The cluster at this place.
    Of(usize),
    /// No cluster's.
    Nobodys,
    /// That of several, which are named.
    Disputed(String),
}

/// Which group belongs to which of these clusters. Names come first; the tag counts for groups that nobody names.
pub fn home(clusters: &[&Cluster], group: &GroupName, tags: Option<&BTreeMap<String, String>>) -> Home {
    if let [Cluster { name: None, .. }] = clusters {
        return Home::Of(0);
    }
    let some = |is_its: &dyn Fn(&Cluster) -> bool| -> Vec<usize> {
        clusters.iter().enumerate().filter(|(_, cluster)| is_its(cluster)).map(|(place, _)| place).collect()
    };
    let named = some(&|cluster| cluster.groups.iter().any(|pattern| pattern.matches(group)));
    let tag = tags.and_then(|tags| tags.get(WATCH_TAG)).map(|value| value.trim());
    let found = if named.is_empty() {
        some(&|cluster| tag.is_some() && cluster.tag.as_deref() == tag)
    } else {
        named
    };
    match found.as_slice() {
        [] => Home::Nobodys,
        [place] => Home::Of(*place),
        several => {
            let names = several.iter().filter_map(|place| clusters.get(*place)?.name());
            Home::Disputed(names.collect::<Vec<_>>().join(" and "))
        }
    }
}

/// Whether the tag of a group may say whose it is: then it is worth a call.
pub(crate) fn asks_for_tag(clusters: &[&Cluster], group: &GroupName) -> bool {
    clusters.iter().any(|cluster| cluster.tag.is_some()) && home(clusters, group, None) == Home::Nobodys
}

/// The groups that the sweep looks after: those of `AUTO_SCALING_GROUPS`, or else those that are tagged and those that a
/// cluster names.
pub fn watched(config: &Config, clusters: &[&Cluster]) -> GroupSelection {
    let mut selection = config.groups.clone();
    if selection.tagged {
        selection.patterns.extend(clusters.iter().flat_map(|cluster| cluster.groups.iter().cloned()));
    }
    selection
}

#[cfg(test)]
mod tests;
