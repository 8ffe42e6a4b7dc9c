//! What is shown while drains run: a bar for each on a terminal, a line for each change elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal as _;

use drain::by_hand::{Drained, HandError, Seen};
use drain_core::ids::InstanceId;
use drain_core::observation::Nodes;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

/// The view of drains that run. It is on standard error: standard output is the result.
pub(super) struct Progress {
    parts: Vec<Part>,
    all: MultiProgress,
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
    /// The nodes on which a drain runs.
    draining: Vec<String>,
    over: bool,
}

impl Progress {
    /// For these instances; `silent` if a document or a plan says it all at the end.
    pub(super) fn of(instances: &[InstanceId], silent: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !silent;
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        let parts = instances.iter().map(|instance| {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style("{prefix} [{bar:16.cyan}] {wide_msg}"));
            bar.set_prefix(instance.to_string());
            bar.set_message("looking");
            Part { instance: instance.clone(), bar, state: RefCell::default() }
        });
        let parts = parts.collect();
        Self { parts, all, lines: !terminal && !silent }
    }

    /// Shows a look.
    pub(super) fn show(&self, place: usize, seen: &Seen) {
        let Some(part) = self.parts.get(place) else { return };
        let mut state = part.state.borrow_mut();
        if let Nodes::Known(nodes) = &seen.observation.nodes {
            let draining = nodes.iter().filter(|seen| seen.node.drain.is_some());
            state.draining = draining.map(|seen| seen.node.id.to_string()).collect();
        }
        if let Some(left) = seen.left().map(|left| left.len()) {
            state.most = state.most.max(left);
            part.bar.set_length(state.most as u64);
            part.bar.set_position((state.most - left) as u64);
        }
        let until = seen.deadline().map(|deadline| left_until(deadline, seen.at));
        let shown = left_by_job(seen).unwrap_or_else(|| seen.why.clone());
        part.bar.set_message(match &until {
            Some(until) => format!("{shown}; {until}"),
            None => shown,
        });
        if self.lines && state.said != seen.why {
            eprintln!("{:.0} {}: {}", seen.at, part.instance, seen.why);
        }
        seen.why.clone_into(&mut state.said);
    }

    /// Shows the end of one.
    pub(super) fn end(&self, place: usize, drained: &Result<Drained, HandError>) {
        let Some(part) = self.parts.get(place) else { return };
        part.state.borrow_mut().over = true;
        let message = match drained {
            Ok(drained) => drained.entries.first().map_or_else(String::new, |entry| entry.message.clone()),
            Err(error) => error.to_string(),
        };
        part.bar.finish_with_message(message);
    }

    /// Takes the bars away: what became of the drains is printed instead.
    pub(super) fn finish(&self) {
        for part in &self.parts {
            part.bar.finish_and_clear();
        }
        // A terminal that is gone is no reason to fail.
        let _ = self.all.clear();
    }

    /// What is said to whoever does not wait for the end.
    pub(super) fn left(&self, signal: &str) -> String {
        self.finish();
        let mut lines = vec![format!("{signal}: nobody looks on any more.")];
        for part in self.parts.iter().filter(|part| !part.state.borrow().over) {
            let (state, instance) = (part.state.borrow(), &part.instance);
            if state.draining.is_empty() {
                lines.push(format!(
                    "{instance}: no drain was seen to run yet. See nomad-drain drain --dry-run {instance}"
                ));
            }
            lines.extend(state.draining.iter().map(|node| {
                format!(
                    "{instance}: the drain of node {node} goes on\n  look on: nomad-drain drain {instance}\n  end it:  nomad node \
                     drain -disable {node}"
                )
            }));
        }
        lines.join("\n")
    }
}

/// What a running drain waits for, so short that it fits beside a bar.
fn left_by_job(seen: &Seen) -> Option<String> {
    let jobs = seen.left_by_job().filter(|jobs| !jobs.is_empty() && seen.drains_since().is_some())?;
    let all: usize = jobs.values().sum();
    let each: Vec<String> = jobs.iter().map(|(job, count)| format!("{job} {count}")).collect();
    Some(format!("{all} left: {}", each.join(", ")))
}

/// How long a drain may still take.
fn left_until(deadline: Timestamp, now: Timestamp) -> String {
    let left = deadline.duration_since(now);
    if left.is_positive() {
        format!("{:#} until Nomad stops them", SignedDuration::from_secs(left.as_secs()))
    } else {
        "its deadline has passed".to_owned()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
