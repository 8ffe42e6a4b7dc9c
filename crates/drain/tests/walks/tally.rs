//! What a run of walks consisted of.

use std::collections::BTreeMap;
use std::fmt;

use crate::faults::Kind;

/// Counts of everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    walks: u64,
    lengths: BTreeMap<usize, u64>,
    steps: BTreeMap<&'static str, u64>,
    faults: BTreeMap<String, u64>,
    outcomes: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    ends: BTreeMap<&'static str, u64>,
    calls: u64,
    invocations: u64,
}

impl Tally {
    pub(crate) fn walk(&mut self, steps: usize) {
        self.walks += 1;
        *self.lengths.entry(steps).or_default() += 1;
    }

    pub(crate) fn step(&mut self, name: &'static str) {
        *self.steps.entry(name).or_default() += 1;
    }

    pub(crate) fn fault(&mut self, kind: Kind) {
        *self.faults.entry(format!("{kind:?}")).or_default() += 1;
    }

    pub(crate) fn result(&mut self, outcome: &'static str, reason: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// How a lifecycle action of ours came to its end.
    pub(crate) fn end(&mut self, how: &'static str) {
        *self.ends.entry(how).or_default() += 1;
    }

    pub(crate) fn call(&mut self) {
        self.calls += 1;
    }

    pub(crate) fn invocation(&mut self) {
        self.invocations += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        fn add<K: Clone + Ord>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *to.entry(key.clone()).or_default() += count;
            }
        }
        self.walks += other.walks;
        self.calls += other.calls;
        self.invocations += other.invocations;
        add(&mut self.lengths, &other.lengths);
        add(&mut self.steps, &other.steps);
        add(&mut self.faults, &other.faults);
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.reasons, &other.reasons);
        add(&mut self.ends, &other.ends);
    }

    /// The median number of steps of a walk.
    pub(crate) fn median(&self) -> usize {
        let mut left = self.walks / 2;
        for (length, count) in &self.lengths {
            match left.checked_sub(*count) {
                Some(rest) => left = rest,
                None => return *length,
            }
        }
        0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let words: Vec<String> = counts.iter().map(|(key, count)| format!("{key} {count}")).collect();
            words.join(", ")
        }
        let Self { walks, calls, invocations, .. } = self;
        writeln!(
            f,
            "{walks} walks, median {} steps, {invocations} invocations, {calls} calls",
            self.median()
        )?;
        writeln!(f, "steps: {}", list(&self.steps))?;
        writeln!(f, "faults: {}", list(&self.faults))?;
        writeln!(f, "outcomes: {}", list(&self.outcomes))?;
        writeln!(f, "reasons: {}", list(&self.reasons))?;
        write!(f, "ends of our lifecycle actions: {}", list(&self.ends))
    }
}
