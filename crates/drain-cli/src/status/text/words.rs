//! The facts of an instance, as words that its table row and its block share.

use jiff::Timestamp;

use super::super::view::{Node, Row};
use super::time::{exact, until};
use super::wrap::clean;

/// The names of its nodes, and their status if it is not the usual one.
pub(super) fn nodes(row: &Row) -> String {
    let name = |node: &Node| match node.status {
        "ready" => clean(&node.name),
        status => format!("{} ({status})", clean(&node.name)),
    };
    match row.nodes.as_deref() {
        None => "not known".to_owned(),
        Some([]) => "none".to_owned(),
        Some(nodes) => nodes.iter().map(name).collect::<Vec<_>>().join(" and "),
    }
}

/// Nothing can run where there is no node.
pub(super) fn has_no_node(row: &Row) -> bool {
    row.nodes.as_ref().is_some_and(Vec::is_empty)
}

/// When a heartbeat is sent. One that is due goes with the next sweep, whenever that is.
pub(super) fn heartbeat(due: Timestamp, now: Timestamp, [before, after]: [&str; 2]) -> String {
    if due <= now {
        "due now".to_owned()
    } else {
        format!("{}{before}{}{after}", until(due, now), exact(due, now))
    }
}

/// How many allocations are left; `None` if nobody can tell.
pub(super) fn count(row: &Row) -> Option<usize> {
    Some(row.allocations_left.as_ref()?.values().sum())
}

/// The allocations that are left, by job.
pub(super) fn left(row: &Row) -> String {
    match count(row) {
        None => "allocations left: nobody can tell".to_owned(),
        Some(0) => "no allocation left".to_owned(),
        Some(1) => format!("1 allocation left: {}", by_job(row)),
        Some(all) => format!("{all} allocations left: {}", by_job(row)),
    }
}

/// How many of each job.
pub(super) fn by_job(row: &Row) -> String {
    let jobs = row.allocations_left.iter().flatten();
    jobs.map(|(job, count)| format!("{} {count}", clean(job))).collect::<Vec<_>>().join(", ")
}
