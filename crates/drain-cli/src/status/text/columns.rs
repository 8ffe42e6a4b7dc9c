//! A table, where there is room for one.

use jiff::Timestamp;

use super::super::view::Row;
use super::Drawing;
use super::time::{exact, long, until};
use super::words::{by_job, count, has_no_node, heartbeat, nodes};
use super::wrap::{ellipsis, width};

/// The columns of a table, with their widths.
pub(super) struct Columns([usize; COLUMNS]);

const COLUMNS: usize = 8;

const HEADERS: [&str; COLUMNS] =
    ["INSTANCE", "STATE", "NODE", "HELD FOR", "DRAINING FOR", "NEXT HEARTBEAT", "DEADLINE", "LEFT"];

/// Between two columns, and before the first one.
const GAP: usize = 2;

/// The widest name of a node that is shown in full.
const WIDEST_NODE: usize = 28;

/// The narrowest columns for the names of nodes and for the allocations, if they need as much. They are cut before the table is
/// given up.
const NARROWEST: usize = 12;

impl Columns {
    /// `None` if there is no room for them, or nothing to show.
    pub(super) fn of(rows: &[Row], drawing: &Drawing) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let mut widths = HEADERS.map(width);
        for row in rows {
            for (widest, cell) in widths.iter_mut().zip(cells(row, drawing.now)) {
                *widest = width(&cell).max(*widest);
            }
        }
        let [instance, state, node, held, drains, heartbeat, deadline, left] = widths;
        let others = instance + state + held + drains + heartbeat + deadline + GAP * COLUMNS;
        let room = drawing.width.checked_sub(others)?;
        let for_nodes = room.checked_sub(left.min(NARROWEST))?;
        if for_nodes < node.min(NARROWEST) {
            return None;
        }
        let node = node.min(WIDEST_NODE).min(for_nodes);
        Some(Self([instance, state, node, held, drains, heartbeat, deadline, left.min(room - node)]))
    }

    pub(super) fn header(&self) -> String {
        self.line(&HEADERS.map(str::to_owned))
    }

    pub(super) fn row(&self, row: &Row, drawing: &Drawing) -> String {
        self.line(&cells(row, drawing.now))
    }

    /// Whether there is no room in its column for all jobs that have allocations left.
    pub(super) fn cuts_what_is_left(&self, row: &Row, drawing: &Drawing) -> bool {
        let Self([.., room]) = self;
        cells(row, drawing.now).last().is_some_and(|left| width(left) > *room)
    }

    fn line(&self, cells: &[String; COLUMNS]) -> String {
        let mut line = String::new();
        for (cell, wide) in cells.iter().zip(self.0) {
            let cell = ellipsis(cell, wide);
            line.push_str(&" ".repeat(GAP));
            line.push_str(&cell);
            line.push_str(&" ".repeat(wide.saturating_sub(width(&cell))));
        }
        line.trim_end().to_owned()
    }
}

fn cells(row: &Row, now: Timestamp) -> [String; COLUMNS] {
    let since = |moment| format!("{}, {}", long(now.duration_since(moment)), exact(moment, now));
    let deadline = |moment| format!("{}, {}", until(moment, now), exact(moment, now));
    let draining = match (row.drains_since, &row.nodes) {
        (Some(moment), _) => since(moment),
        (None, Some(_)) => "no drain".to_owned(),
        (None, None) => "not known".to_owned(),
    };
    let left = match count(row) {
        None if has_no_node(row) => "-".to_owned(),
        None => "not known".to_owned(),
        Some(0) => "0".to_owned(),
        Some(all) => format!("{all}: {}", by_job(row)),
    };
    let none = || "-".to_owned();
    [
        row.instance_id.clone(),
        row.state.clone(),
        nodes(row),
        row.held_since.map_or_else(|| "not known".to_owned(), since),
        draining,
        row.next_heartbeat.map_or_else(none, |due| heartbeat(due, now, [", ", ""])),
        row.deadline.map_or_else(none, deadline),
        left,
    ]
}
