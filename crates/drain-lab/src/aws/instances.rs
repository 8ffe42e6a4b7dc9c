//! The instances of the account, and who is where: no call costs more because there are thousands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut, Index};

use jiff::Timestamp;

use super::instance::Instance;
use super::state::Held;

/// Every instance that there ever was, by its place, the oldest first. None is ever taken out.
#[derive(Debug, Default)]
pub(super) struct Instances {
    all: Vec<Held>,
    by_id: BTreeMap<String, usize>,
    /// By the name of the group.
    of_group: BTreeMap<String, Vec<usize>>,
    /// Those to which something happens by itself, by when.
    due: BTreeSet<(Timestamp, usize)>,
}

impl Instances {
    /// Adds one, and returns its place. Its id and its group never change.
    pub(super) fn push(&mut self, held: Held) -> usize {
        let index = self.all.len();
        let Instance { id, group, .. } = &held.instance;
        self.by_id.insert(id.clone(), index);
        self.of_group.entry(group.clone()).or_default().push(index);
        self.due.extend(held.due().map(|at| (at, index)));
        self.all.push(held);
        index
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.all.iter()
    }

    /// The place of the instance with this id.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The instance with this id.
    pub(super) fn get(&self, id: &str) -> Option<&Held> {
        self.all.get(self.place(id)?)
    }

    /// Those of a group, the oldest first.
    pub(super) fn of_group(&self, group: &str) -> impl Iterator<Item = &Held> {
        self.of_group.get(group).into_iter().flatten().filter_map(|index| self.all.get(*index))
    }

    /// To which something happens by itself next, and when.
    pub(super) fn next_due(&self) -> Option<(Timestamp, usize)> {
        self.due.first().copied()
    }

    /// The instance at a place, to be changed.
    pub(super) fn at(&mut self, index: usize) -> Changing<'_> {
        let before = self[index].due();
        Changing { instances: self, index, before }
    }
}

impl Index<usize> for Instances {
    type Output = Held;

    fn index(&self, index: usize) -> &Held {
        &self.all[index]
    }
}

/// An instance that is being changed. What is due for it is known again when this is dropped.
pub(super) struct Changing<'a> {
    instances: &'a mut Instances,
    index: usize,
    /// When something was due for it before.
    before: Option<Timestamp>,
}

impl Deref for Changing<'_> {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.instances.all[self.index]
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Held {
        &mut self.instances.all[self.index]
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let after = self.due();
        if self.before != after {
            let due = &mut self.instances.due;
            self.before.map(|at| due.remove(&(at, self.index)));
            due.extend(after.map(|at| (at, self.index)));
        }
    }
}
