//! An instance where there is no room for a table.

use jiff::Timestamp;

use super::super::view::Row;
use super::Drawing;
use super::time::{exact, long, until};
use super::words::{has_no_node, heartbeat, left, nodes};
use super::wrap::{flow, wrap};

/// Facts that are shorter stand below each other. Two of them fit in 80 columns.
const COLUMN: usize = 36;

/// The lines of an instance.
pub(super) fn block(row: &Row, drawing: &Drawing) -> Vec<String> {
    let now = drawing.now;
    let node = if has_no_node(row) { "no node".to_owned() } else { format!("node {}", nodes(row)) };
    let title = [row.instance_id.clone(), row.state.clone(), node];
    let since = |what, moment: Timestamp| {
        format!("{what} for {} (since {})", long(now.duration_since(moment)), exact(moment, now))
    };
    let held = match row.held_since {
        Some(moment) => since("held", moment),
        None => "held, nobody knows since when".to_owned(),
    };
    let draining = match (row.drains_since, &row.nodes) {
        (Some(moment), _) => since("draining", moment),
        (None, Some(_)) => "no drain runs".to_owned(),
        (None, None) => String::new(),
    };
    let beat = |due| format!("next heartbeat {}", heartbeat(due, now, [" (", ")"]));
    let deadline = |moment| format!("deadline {} ({})", until(moment, now), exact(moment, now));
    let facts = [
        held,
        draining,
        row.next_heartbeat.map(beat).unwrap_or_default(),
        row.deadline.map(deadline).unwrap_or_default(),
    ];
    let title = flow(&title, drawing.width, 2, 0);
    let mut lines: Vec<String> = title.iter().map(|line| drawing.bold(line)).collect();
    lines.extend(flow(&facts, drawing.width, 4, COLUMN));
    if !has_no_node(row) {
        lines.extend(wrap(&left(row), drawing.width, 4));
    }
    lines
}
