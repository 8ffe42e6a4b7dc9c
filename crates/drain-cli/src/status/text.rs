//! What a look has shown, for people: a table where there is room for one, else a few lines for each instance.

mod time;
mod wrap;

use std::iter::once;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::view::{Attention, Row, View};
use time::{ago, exact, long, until};
use wrap::{clean, ellipsis, flow, width, wrap};

/// What has been seen so far by one who looks again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Newest {
    /// The newest look that succeeded.
    pub(super) view: Option<View>,
    /// When a later one failed, and why.
    pub(super) failed: Option<(Timestamp, String)>,
}

impl Newest {
    /// The newest look, and nothing of those before it.
    pub(super) fn without_the_old(&self) -> Self {
        let view = self.view.clone().filter(|_| self.failed.is_none());
        Self { view, failed: self.failed.clone() }
    }
}

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawing {
    /// The moment from which ages are counted.
    pub(super) now: Timestamp,
    /// How many characters fit beside each other.
    pub(super) width: usize,
    /// Whether words that matter are coloured. They say it without colours too.
    pub(super) colours: bool,
}

impl Drawing {
    fn paint(self, style: Style, text: &str) -> String {
        if self.colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// A sentence that begins with a word which says how bad it is.
    fn sentence(self, indent: usize, word: &str, how_bad: Attention, text: &str) -> Vec<String> {
        let mut lines = wrap(&format!("{word}: {}", clean(text)), self.width, indent);
        if let Some(first) = lines.first_mut() {
            let style = match how_bad {
                Attention::None => AnsiColor::Green.on_default(),
                Attention::Warning => AnsiColor::Yellow.on_default(),
                Attention::Error => AnsiColor::Red.on_default().bold(),
            };
            *first = first.replacen(word, &self.paint(style, word), 1);
        }
        lines
    }
}

/// What is shown to one who looks again and again.
pub(super) fn frame(newest: &Newest, drawing: &Drawing) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((at, error)) = &newest.failed {
        let told = format!("the look of {} failed: {error}", ago(*at, drawing.now));
        lines.extend(drawing.sentence(0, "error", Attention::Error, &told));
        let next = match newest.view {
            Some(_) => "The next look goes on. Below is what was seen before.",
            None => "The next look goes on.",
        };
        lines.extend(wrap(next, drawing.width, 0));
        lines.push(String::new());
    }
    match &newest.view {
        Some(view) => lines.extend(table(view, drawing)),
        None if newest.failed.is_none() => lines.push("Looking at the held instances.".to_owned()),
        None => {}
    }
    lines
}

/// One look, as lines without their ends.
pub(super) fn table(view: &View, drawing: &Drawing) -> Vec<String> {
    let mut lines = summary(view, drawing);
    for problem in &view.problems {
        lines.extend(drawing.sentence(0, "warning", Attention::Warning, problem));
    }
    let columns = Columns::of(&view.instances, drawing);
    if let Some(columns) = &columns {
        lines.push(String::new());
        lines.push(drawing.bold(&columns.header()));
    }
    let mut rows = view.instances.as_slice();
    while let Some(first) = rows.first() {
        let its = rows.iter().take_while(|row| row.auto_scaling_group == first.auto_scaling_group).count();
        let (group, rest) = rows.split_at(its);
        lines.extend([String::new(), drawing.bold(&heading(first, its))]);
        for row in group {
            lines.extend(match &columns {
                Some(columns) => once(columns.row(row, drawing)).collect(),
                None => block(row, drawing),
            });
            lines.extend(why(row, drawing));
        }
        rows = rest;
    }
    let hidden = view.held - view.instances.len();
    if hidden > 0 {
        lines.extend([String::new(), format!("And {hidden} more, which --limit leaves out.")]);
    }
    lines
}

/// How many there are, of which groups, and when that was.
fn summary(view: &View, drawing: &Drawing) -> Vec<String> {
    let counted = match view.held {
        0 => "No instance is held".to_owned(),
        1 => "1 instance is held".to_owned(),
        held => format!("{held} instances are held"),
    };
    let attention = match view.need_attention {
        0 => String::new(),
        1 => ", 1 needs attention".to_owned(),
        some => format!(", {some} need attention"),
    };
    let as_of = ago(view.as_of, drawing.now);
    let mut lines = wrap(&format!("{counted}{attention}. As of {as_of}."), drawing.width, 0);
    let watched = match view.groups.as_slice() {
        [] => "No group is watched.".to_owned(),
        [one] => format!("Watched is 1 group: {}.", clean(one)),
        several => format!("Watched are {} groups: {}.", several.len(), some_of(several)),
    };
    lines.extend(wrap(&watched, drawing.width, 0));
    lines
}

/// Names, the first few of them.
fn some_of(names: &[String]) -> String {
    const NAMED: usize = 8;
    let named = names.iter().take(NAMED).map(|name| clean(name)).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn heading(row: &Row, count: usize) -> String {
    let group = row.auto_scaling_group.as_deref().unwrap_or("no group");
    let cluster =
        row.nomad_cluster.as_ref().map_or_else(String::new, |name| format!(", cluster {}", clean(name)));
    format!("{}{cluster}: {count} held", clean(group))
}

/// What is waited for, or what a sweep would do.
fn why(row: &Row, drawing: &Drawing) -> Vec<String> {
    let word = match (row.attention, row.decision) {
        (Attention::Error, _) => "error",
        (Attention::Warning, _) => "warning",
        (Attention::None, "wait" | "nothing") => "waiting",
        (Attention::None, _) => "next",
    };
    let hooks = match row.lifecycle_hooks.as_slice() {
        [] | [_] => String::new(),
        several => format!(" (one of the hooks {} holds it)", several.join(", ")),
    };
    drawing.sentence(4, word, row.attention, &format!("{}{hooks}", row.why))
}

/// An instance where there is no room for a table.
fn block(row: &Row, drawing: &Drawing) -> Vec<String> {
    let now = drawing.now;
    let title = [row.instance_id.clone(), row.state.clone(), nodes(row)];
    let since = |what: &str, moment: Option<Timestamp>| match moment {
        Some(moment) => {
            format!("{what} for {} (since {})", long(now.duration_since(moment)), exact(moment, now))
        }
        None => String::new(),
    };
    let then = |what: &str, moment: Option<Timestamp>| match moment {
        Some(moment) => format!("{what} {} ({})", until(moment, now), exact(moment, now)),
        None => String::new(),
    };
    let held = row
        .held_since
        .map_or_else(|| "nobody knows since when".to_owned(), |since_then| since("held", Some(since_then)));
    let draining =
        row.drains_since.map_or_else(|| "no drain runs".to_owned(), |began| since("draining", Some(began)));
    let facts = [held, draining, then("next heartbeat", row.next_heartbeat), then("deadline", row.deadline)];
    let mut lines = flow(&title, drawing.width, 2, 0);
    lines.extend(flow(&facts, drawing.width, 4, 36));
    lines.extend(wrap(&left(row), drawing.width, 4));
    lines
}

/// The allocations that are left, by job.
fn left(row: &Row) -> String {
    let Some(jobs) = &row.allocations_left else { return "allocations left: nobody can tell".to_owned() };
    match jobs.values().sum::<usize>() {
        0 => "no allocation left".to_owned(),
        1 => format!("1 allocation left: {}", by_job(row)),
        all => format!("{all} allocations left: {}", by_job(row)),
    }
}

fn by_job(row: &Row) -> String {
    let jobs = row.allocations_left.iter().flatten();
    jobs.map(|(job, count)| format!("{} {count}", clean(job))).collect::<Vec<_>>().join(", ")
}

/// The names of its nodes, and their status if it is not the usual one.
fn nodes(row: &Row) -> String {
    let name = |node: &super::view::Node| match node.status {
        "ready" => clean(&node.name),
        status => format!("{} ({status})", clean(&node.name)),
    };
    match row.nodes.as_slice() {
        [] => "no node known".to_owned(),
        nodes => nodes.iter().map(name).collect::<Vec<_>>().join(" and "),
    }
}

/// The columns of a table, with their widths.
struct Columns([usize; COLUMNS]);

const COLUMNS: usize = 8;

const HEADERS: [&str; COLUMNS] =
    ["INSTANCE", "STATE", "NODE", "HELD FOR", "DRAINING FOR", "NEXT HEARTBEAT", "DEADLINE", "LEFT"];

/// Between two columns, and before the first one.
const GAP: usize = 2;

/// The widest name of a node that is shown in full.
const WIDEST_NODE: usize = 28;

/// Less room than this for the allocations is none.
const NARROWEST_LEFT: usize = 16;

impl Columns {
    /// `None` if there is no room for them, or nothing to show.
    fn of(rows: &[Row], drawing: &Drawing) -> Option<Self> {
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
        let node = node.min(WIDEST_NODE);
        let others = [instance, state, node, held, drains, heartbeat, deadline];
        let room = drawing.width.checked_sub(others.iter().sum::<usize>() + GAP * COLUMNS)?;
        if room < left.min(NARROWEST_LEFT) {
            return None;
        }
        Some(Self([instance, state, node, held, drains, heartbeat, deadline, left.min(room)]))
    }

    fn header(&self) -> String {
        self.line(&HEADERS.map(str::to_owned))
    }

    fn row(&self, row: &Row, drawing: &Drawing) -> String {
        self.line(&cells(row, drawing.now))
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
    let since = |moment: Option<Timestamp>| {
        moment.map(|moment| format!("{}, {}", long(now.duration_since(moment)), exact(moment, now)))
    };
    let then = |moment: Option<Timestamp>| {
        moment.map_or_else(
            || "-".to_owned(),
            |moment| format!("{}, {}", until(moment, now), exact(moment, now)),
        )
    };
    let left = match row.allocations_left.as_ref().map(|jobs| jobs.values().sum::<usize>()) {
        None => "nobody can tell".to_owned(),
        Some(0) => "0".to_owned(),
        Some(all) => format!("{all}: {}", by_job(row)),
    };
    [
        row.instance_id.clone(),
        row.state.clone(),
        nodes(row),
        since(row.held_since).unwrap_or_else(|| "not known".to_owned()),
        since(row.drains_since).unwrap_or_else(|| "no drain".to_owned()),
        then(row.next_heartbeat),
        then(row.deadline),
        left,
    ]
}

#[cfg(test)]
mod tests;
