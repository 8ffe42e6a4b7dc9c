//! What still runs on a node, as a list: by job, so that somebody can go and look at each.

use std::collections::BTreeMap;

use drain_core::observation::Allocation;
use serde_json::{Value, json};

/// A line for each job, indented.
pub(crate) fn list(left: &[&Allocation]) -> String {
    let mut jobs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in left {
        *jobs.entry((&one.namespace, &one.job)).or_default() += 1;
    }
    let line = |((namespace, job), count): ((&str, &str), usize)| {
        format!("\n  {count} × {job} (namespace {namespace})")
    };
    jobs.into_iter().map(line).collect()
}

/// The same for machines: one for each allocation.
pub(crate) fn document(left: &[&Allocation]) -> Value {
    left.iter().map(|one| json!({ "job": one.job, "namespace": one.namespace })).collect()
}
