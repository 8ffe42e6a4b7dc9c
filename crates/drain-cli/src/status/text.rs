//! What a look has shown, for people: a table where there is room for one, else a few lines for each instance.

mod block;
mod columns;
mod time;
mod words;
mod wrap;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::view::{Attention, Row, View};
use block::block;
use columns::Columns;
use time::ago;
use words::left;
use wrap::{clean, wrap};

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
        let told = format!("the look at {} has failed: {error}", ago(*at, drawing.now));
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
        lines.push(String::new());
        lines.extend(wrap(&heading(first, its), drawing.width, 0).iter().map(|line| drawing.bold(line)));
        for row in group {
            match &columns {
                Some(columns) => {
                    lines.push(columns.row(row, drawing));
                    if columns.cuts_what_is_left(row, drawing) {
                        lines.extend(wrap(&left(row), drawing.width, 4));
                    }
                }
                None => lines.extend(block(row, drawing)),
            }
            lines.extend(why(row, drawing));
        }
        rows = rest;
    }
    let hidden = view.held - view.instances.len();
    if hidden > 0 {
        lines.push(String::new());
        lines.extend(wrap(&format!("And {hidden} more, which --limit leaves out."), drawing.width, 0));
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
        [one] => format!("1 group is watched: {}.", clean(one)),
        several => format!("{} groups are watched: {}.", several.len(), some_of(several)),
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

#[cfg(test)]
mod tests;
