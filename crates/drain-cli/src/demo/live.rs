//! What is shown while it happens: progress bars on a terminal, a line for each event elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use drain_lab::lab::Worker;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::report;
use super::scenario::Scenario;
use super::text;

/// The view of a running demonstration.
#[derive(Debug)]
pub(super) enum Live {
    /// One bar for each node that empties, on a terminal.
    Bars(Vec<(Worker, ProgressBar)>),
    /// A line for each event. Holds how many were printed.
    Lines(usize),
    /// Nothing: the document at the end says it all.
    Silent,
}

impl Live {
    /// The view that suits standard output.
    pub(super) fn new(json: bool, scenario: &Scenario) -> Self {
        if json {
            return Self::Silent;
        }
        let (going, staying) = (names(&scenario.leaving), names(&scenario.staying));
        println!(
            "A Nomad cluster of four nodes runs services (api, web), batch work (report) and a system job (logs)."
        );
        println!(
            "Auto Scaling terminates the instances of {going}; {staying} stay. The hook wakes the real function.\n"
        );
        if !std::io::stdout().is_terminal() {
            return Self::Lines(0);
        }
        let all = MultiProgress::new();
        let bars = scenario.leaving.iter().map(|worker| {
            // Added before it is styled: a bar on its own would draw itself.
            let bar = all.add(ProgressBar::new(scenario.running_on(worker).len() as u64));
            let style = ProgressStyle::with_template("  {prefix}  [{bar:24}] {pos}/{len} gone   {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(format!("{} {}", worker.instance_id, worker.name));
            (worker.clone(), bar)
        });
        let bars = bars.collect();
        Self::Bars(bars)
    }

    /// Shows how things stand.
    pub(super) fn show(&mut self, scenario: &Scenario) {
        match self {
            Self::Silent => {}
            Self::Lines(printed) => {
                // What is younger may still be overtaken by something that the models note a little late.
                let settled = scenario.lab.clock.now() - SignedDuration::from_millis(200);
                *printed = print_from(*printed, &report::timeline(scenario, settled));
            }
            Self::Bars(bars) => {
                for (worker, bar) in bars {
                    let running = scenario.running_on(worker);
                    bar.set_position(bar.length().unwrap_or_default().saturating_sub(running.len() as u64));
                    let mut by_job: BTreeMap<String, usize> = BTreeMap::new();
                    for allocation in running {
                        *by_job.entry(allocation.job_id).or_default() += 1;
                    }
                    bar.set_message(waiting_for(&by_job, scenario.is_empty(worker)));
                }
            }
        }
    }

    /// Leaves the last state on the screen. Whether the timeline has been shown.
    pub(super) fn finish(self, scenario: &Scenario) -> bool {
        match self {
            Self::Bars(bars) => {
                for (_, bar) in &bars {
                    bar.abandon();
                }
                false
            }
            Self::Lines(printed) => {
                print_from(printed, &report::timeline(scenario, Timestamp::MAX));
                true
            }
            Self::Silent => true,
        }
    }
}

fn print_from(printed: usize, lines: &[report::Line]) -> usize {
    for line in lines.iter().skip(printed) {
        println!("{}", text::line(line));
    }
    lines.len().max(printed)
}

fn names(workers: &[Worker]) -> String {
    let names: Vec<&str> = workers.iter().map(|worker| worker.name.as_str()).collect();
    names.join(" and ")
}

fn waiting_for(by_job: &BTreeMap<String, usize>, empty: bool) -> String {
    if empty {
        return "empty".to_owned();
    }
    let jobs: Vec<String> = by_job.iter().map(|(job, count)| format!("{job} {count}")).collect();
    jobs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_names_what_is_waited_for_by_job() {
        let jobs = BTreeMap::from([("web".to_owned(), 2), ("report".to_owned(), 1)]);
        assert_eq!(waiting_for(&jobs, false), "report 1, web 2");
        assert_eq!(waiting_for(&BTreeMap::new(), true), "empty");
    }
}
