//! The report for people. It fits a terminal of 80 columns.

use std::fmt::Write as _;

use super::history::Trigger;
use super::report::{Drained, Report, Scene};
use super::stage::Stage;
use super::timeline::Line;

/// What is going to be shown.
pub(super) fn introduction(stage: &Stage) -> String {
    let mut text = Scene::of(stage).told(stage.ground.version()).join("\n");
    text.push_str(":\n\n");
    for part in &stage.parts {
        let _ = writeln!(text, "  {}  {}", part.worker.name, part.story.title());
    }
    text.push('\n');
    text
}

/// The timeline, unless it has been shown already, and the summary.
pub(super) fn render(report: &Report, timeline_shown: bool) -> String {
    let mut text = String::new();
    if !timeline_shown {
        text.push_str("\nTimeline, from the moment at which the hook holds the first instance:\n\n");
        for event in &report.timeline {
            let _ = writeln!(text, "{}", line(event));
        }
    }
    text.push('\n');
    text.push_str(HEADER);
    for drained in &report.instances {
        let _ = writeln!(text, "{}", row(drained));
    }
    let Report { calls_to_nomad, calls_to_aws, cold_starts, sweeps, .. } = report;
    let _ = writeln!(
        text,
        "\nIn all {calls_to_nomad} calls to Nomad and {calls_to_aws} to AWS, in {} runs of the function ({sweeps} sweeps)\n\
         by {cold_starts} processes.",
        report.runs,
    );
    if report.succeeded {
        text.push_str(
            "Everything happened: no instance was released before its last\nallocation had ended.\n",
        );
    } else {
        let _ = writeln!(text, "This did not happen as it should:\n  - {}", report.problems.join("\n  - "));
    }
    text
}

/// Over two lines, as the rows below it are.
const HEADER: &str = "                                   event     drain  last end  heart-    calls to
  node      instance            to drain  to empty  released   beats  Nomad  AWS
";

/// One line of the timeline.
pub(super) fn line(event: &Line) -> String {
    let Line { at_ms, node, who, what } = event;
    format!("{:>8}  {:<8}  {:<8}  {what}", seconds(*at_ms), node.as_deref().unwrap_or("all"), who.name())
}

/// An instance's figures, and below them what they are about.
fn row(drained: &Drained) -> String {
    let Drained { instance_id, node_name, event_to_drain_ms, event_to_empty_ms, .. } = drained;
    let time = |ms: Option<i128>| ms.map_or_else(|| "never".to_owned(), seconds);
    let drain_to_empty = event_to_empty_ms.zip(*event_to_drain_ms).map(|(empty, drain)| empty - drain);
    let mut row = format!(
        "  {node_name:<8}  {instance_id:<19} {:>8}  {:>8}  {:>8}  {:>6}  {:>5}  {:>3}\n            {}",
        time(*event_to_drain_ms),
        time(drain_to_empty),
        time(drained.empty_to_released_ms),
        drained.heartbeats,
        drained.calls_to_nomad,
        drained.calls_to_aws,
        drained.story.title(),
    );
    if let (Some(Trigger::Sweep), Some(ms)) = (drained.found_by, drained.found_after_ms) {
        let _ = write!(row, "\n            ({} after the hook began; \"event\" is that moment)", seconds(ms));
    }
    row
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i128) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03} s", ms.abs() / 1000, ms.abs() % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::course::Course;
    use super::super::story::Story;
    use super::super::timeline::Actor;
    use super::*;

    #[test]
    fn lines_stand_in_columns() {
        let event = |at_ms, node: Option<&str>, who| Line {
            at_ms,
            node: node.map(str::to_owned),
            who,
            what: "drains the node, deadline 12s".to_owned(),
        };
        assert_eq!(
            line(&event(31, Some("worker-1"), Actor::Function)),
            " 0.031 s  worker-1  function  drains the node, deadline 12s"
        );
        assert_eq!(
            line(&event(12_345, None, Actor::AutoScaling)),
            "12.345 s  all       AWS       drains the node, deadline 12s"
        );
    }

    fn drained() -> Drained {
        Drained {
            instance_id: "i-0123456789abcdef0".to_owned(),
            node_id: String::new(),
            node_name: "worker-1".to_owned(),
            story: Story::Ordinary,
            found_by: Some(Trigger::Event),
            found_after_ms: Some(0),
            event_to_drain_ms: Some(45),
            event_to_empty_ms: Some(12_345),
            empty_to_released_ms: Some(250),
            held_ms: Some(12_595),
            heartbeats: 3,
            calls_to_nomad: 40,
            calls_to_aws: 5,
            released_by: Some(Trigger::Sweep),
            outcome: Some("completed".to_owned()),
            reason: Some("drained".to_owned()),
            reasons: vec![],
            course: Course::default(),
        }
    }

    #[test]
    fn a_row_stands_below_its_header() {
        let row = row(&drained());
        let figures = row.lines().next().unwrap_or_default();
        assert_eq!(
            figures,
            "  worker-1  i-0123456789abcdef0  0.045 s  12.300 s   0.250 s       3     40    5"
        );
        for line in HEADER.lines() {
            assert!(line.chars().count() <= figures.chars().count(), "{line}");
        }
    }

    #[test]
    fn an_instance_that_never_emptied_says_so() {
        let row = row(&Drained { event_to_empty_ms: None, empty_to_released_ms: None, ..drained() });
        assert!(row.contains(" 0.045 s     never     never "), "{row}");
    }

    #[test]
    fn what_the_sweep_found_says_how_late() {
        let row = row(&Drained { found_by: Some(Trigger::Sweep), found_after_ms: Some(3_900), ..drained() });
        assert!(row.contains("(3.900 s after the hook began"), "{row}");
    }

    #[test]
    fn times_before_the_start_keep_their_sign() {
        assert_eq!((seconds(-45), seconds(1_002)), ("-0.045 s".to_owned(), "1.002 s".to_owned()));
    }
}
