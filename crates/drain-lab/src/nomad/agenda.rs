//! What will happen by itself to nodes and allocations, by when it will. Kept up to date by every change, so that a
//! cluster of thousands of nodes is asked as quickly as a small one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::leadership::Leadership;
use super::timeline::Due;

/// What is due for nodes and allocations.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeSet<(Timestamp, Due)>,
    /// What stands there for a node or an allocation, by its id.
    of: BTreeMap<String, Vec<(Timestamp, Due)>>,
    /// Nodes that have changed since their moments were reckoned.
    pub(super) nodes: BTreeSet<String>,
    /// Allocations that have.
    pub(super) allocs: BTreeSet<String>,
    /// What the moments were reckoned with.
    pub(super) leadership: Leadership,
}

impl Agenda {
    /// Notes all that is due for a node or an allocation, in place of what stood there for it.
    pub(super) fn put(&mut self, id: &str, due: Vec<(Timestamp, Due)>) {
        let before = if due.is_empty() {
            self.of.remove(id)
        } else {
            self.entries.extend(due.iter().cloned());
            self.of.insert(id.to_owned(), due)
        };
        let now = self.of.get(id).map_or(&[][..], Vec::as_slice);
        for old in before.into_iter().flatten().filter(|old| !now.contains(old)) {
            self.entries.remove(&old);
        }
    }

    /// What is due first.
    pub(super) fn first(&self) -> Option<&(Timestamp, Due)> {
        self.entries.first()
    }
}
