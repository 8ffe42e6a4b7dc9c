//! What is shown while drains run: a bar for each on a terminal, a line for each change elsewhere.

use std::cell::RefCell;

use drain::by_hand::{Drained, HandError, Seen};
use drain_core::decide::{Action, Decision};
use drain_core::ids::InstanceId;
use drain_core::observation::{Allocation, Nodes};
use drain_core::reason::{Outcome, Reason};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use terminal_size::{Width, terminal_size_of};

/// The view of drains that run. It is on standard error: standard output is the result.
pub(super) struct Progress {
    parts: Vec<Part>,
    all: MultiProgress,
    terminal: bool,
    lines: bool,
}

/// One drain.
struct Part {
    instance: InstanceId,
    bar: ProgressBar,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What was said last.
    said: String,
    /// The most allocations that were seen at once.
    most: usize,
    /// The nodes, and whether a drain runs on each.
    nodes: Vec<(String, bool)>,
    /// What ran at the last look, if that could be seen.
    left: Option<Vec<Allocation>>,
    over: bool,
}

/// How wide a bar is, on a terminal that is wide and on another one: what is beside it says more.
const WIDE: (u16, usize) = (100, 16);
const NARROW: usize = 8;

impl Progress {
    /// For these instances; `silent` if a document or a plan says it all at the end.
    pub(super) fn of(instances: &[InstanceId], silent: bool) -> Self {
        let target = ProgressDrawTarget::stderr();
        // A terminal that is dumb shows no bars, and gets lines too.
        let terminal = !target.is_hidden() && !silent;
        let target = if terminal { target } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let bar_width = bar_width();
        let parts = instances.iter().map(|instance| {
            // A bar of length 0 would be a full one.
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(style(&format!("{{prefix}} [{{bar:{bar_width}.cyan}}] {{wide_msg}}")));
            bar.set_prefix(instance.to_string());
            bar.set_message("looking for its node");
            Part { instance: instance.clone(), bar, state: RefCell::default() }
        });
        let parts = parts.collect();
        Self { parts, all, terminal, lines: !terminal && !silent }
    }

    /// Shows a look.
    pub(super) fn show(&self, place: usize, seen: &Seen) {
        let Some(part) = self.parts.get(place) else { return };
        let mut state = part.state.borrow_mut();
        let left = seen.left();
        if let Nodes::Known(nodes) = &seen.observation.nodes {
            let node = |seen: &drain_core::observation::SeenNode| {
                (seen.node.id.to_string(), seen.node.drain.is_some())
            };
            state.nodes = nodes.iter().map(node).collect();
        }
        if let Some(left) = &left {
            state.most = state.most.max(left.len());
            part.bar.set_length(state.most.max(1) as u64);
            part.bar.set_position((state.most - left.len()) as u64);
        }
        state.left = left.map(|left| left.into_iter().cloned().collect());
        if seen.decision == Decision::Act(Action::Heartbeat) {
            return;
        }
        let until = seen.deadline().map(|deadline| left_until(deadline, seen.at));
        part.bar.set_message(self.beside_the_bar(part, beside(seen, until.as_deref())));
        if state.said == seen.why {
            return;
        }
        seen.why.clone_into(&mut state.said);
        let line = format!("{:.0} {}: {}", seen.at, part.instance, seen.why);
        if self.lines {
            eprintln!("{line}{}", until.map_or_else(String::new, |until| format!("; {until}")));
        } else if is_worth_a_line(seen) {
            // There is no room for it beside the bar. A terminal that is gone is no reason to fail.
            let _ = self.all.println(line);
        }
    }

    /// As much of a text as there is room for.
    fn beside_the_bar(&self, part: &Part, text: String) -> String {
        let room = columns().saturating_sub(part.instance.as_str().len() + bar_width() + " [] ".len() + 1);
        if !self.terminal || text.chars().count() <= room {
            return text;
        }
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    }

    /// Shows the end of one.
    pub(super) fn end(&self, place: usize, drained: &Result<Drained, HandError>) {
        let Some(part) = self.parts.get(place) else { return };
        part.state.borrow_mut().over = true;
        let done = drained.as_ref().is_ok_and(Drained::is_done);
        let message = if done { "done" } else { "not done" };
        let (message, others_go_on) = (self.beside_the_bar(part, message.to_owned()), self.parts.len() > 1);
        if done {
            part.bar.finish_with_message(message);
        } else {
            part.bar.abandon_with_message(message);
        }
        if let (true, true, Some(why)) = (self.terminal, others_go_on, why_not(drained)) {
            // The others may take long. What is said at the end is said now.
            let _ = self.all.println(format!("not drained: {why}"));
        }
    }

    /// Takes the bars away: what became of the drains is printed instead.
    pub(super) fn finish(&self) {
        for part in &self.parts {
            part.bar.finish_and_clear();
        }
        // A terminal that is gone is no reason to fail.
        let _ = self.all.clear();
    }

    /// What ran on an instance at the last look, if that could be seen.
    pub(super) fn left(&self, place: usize) -> Option<Vec<Allocation>> {
        self.parts.get(place)?.state.borrow().left.clone()
    }

    /// What is said to whoever does not wait for the end.
    pub(super) fn nobody_looks(&self, signal: &str) -> String {
        self.finish();
        let mut lines = vec![format!("{signal}: nobody looks on any more.")];
        for part in self.parts.iter().filter(|part| !part.state.borrow().over) {
            let (state, instance) = (part.state.borrow(), &part.instance);
            if state.nodes.is_empty() {
                lines.push(format!(
                    "{instance}: its node was not seen yet. See nomad-drain drain --dry-run {instance}"
                ));
            }
            for (node, drains) in &state.nodes {
                let look_on = format!("look on: nomad-drain drain {instance}");
                let running = state.left.as_ref().map_or(0, Vec::len);
                lines.push(if *drains {
                    format!(
                        "{instance}: the drain of node {node} goes on\n  {look_on}\n  end it:  nomad node drain -disable {node}"
                    )
                } else if running > 0 {
                    let still = if running == 1 { "1 allocation was" } else { &format!("{running} allocations were") };
                    format!("{instance}: no drain runs on node {node}, and {still} still there\n  {look_on}")
                } else {
                    format!("{instance}: no drain was seen to run on node {node}\n  {look_on}")
                });
            }
        }
        lines.join("\n")
    }
}

/// Why something has not been done that was asked for.
fn why_not(drained: &Result<Drained, HandError>) -> Option<String> {
    match drained {
        Ok(drained) if drained.is_done() => None,
        Ok(drained) => drained.entries.first().map(|entry| entry.message.clone()),
        Err(error) => Some(error.to_string()),
    }
}

/// What is said beside a bar: what a running drain waits for, so short that it fits, or in words why nothing runs on.
fn beside(seen: &Seen, until: Option<&str>) -> String {
    let Some(jobs) = seen.left_by_job().filter(|jobs| !jobs.is_empty() && !is_worth_a_line(seen)) else {
        return seen.why.clone();
    };
    let all: usize = jobs.values().sum();
    let each: Vec<String> = jobs.iter().map(|(job, count)| format!("{job} {count}")).collect();
    let told_to_stop = seen.left().is_some_and(|left| left.iter().all(|one| !one.wanted));
    let how = until.or(told_to_stop.then_some("told to stop"));
    let how = how.map_or_else(String::new, |how| format!(", {how}"));
    format!("{all} left{how}: {}", each.join(", "))
}

/// Whether it does not go as a drain goes, so that the whole sentence is told.
fn is_worth_a_line(seen: &Seen) -> bool {
    let Decision::Wait { why, .. } = seen.decision else { return false };
    why.outcome() != Outcome::Draining || why == Reason::CannotSeeAllocations
}

/// How long a drain may still take.
fn left_until(deadline: Timestamp, now: Timestamp) -> String {
    let left = deadline.duration_since(now);
    if left.is_positive() {
        format!("deadline in {:#}", SignedDuration::from_secs(left.as_secs()))
    } else {
        "past the deadline".to_owned()
    }
}

/// How wide a bar is there.
fn bar_width() -> usize {
    if columns() < WIDE.0.into() { NARROW } else { WIDE.1 }
}

/// How wide the terminal is now.
fn columns() -> usize {
    terminal_size_of(std::io::stderr()).map_or(80, |(Width(width), _)| width.into())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
