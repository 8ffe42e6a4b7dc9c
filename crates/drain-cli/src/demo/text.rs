//! The report for people.

use std::fmt::Write as _;

use drain_lab::journal::{Kind, System};

use super::report::{Drained, Line, Report};

/// The timeline, unless it has been shown already, and the summary.
pub(super) fn render(report: &Report, timeline_shown: bool) -> String {
    let mut text = String::new();
    if !timeline_shown {
        text.push_str("\nTimeline, from the moment the hook holds the first instance:\n\n");
        for event in &report.timeline {
            let _ = writeln!(text, "{}", line(event));
        }
    }
    text.push_str("\n  instance             node       event to drain  event to empty  the function says\n");
    for drained in &report.instances {
        let _ = writeln!(text, "  {}", row(drained));
    }
    let _ = writeln!(text, "\nCalls of the function: {}.", calls(report));
    let _ = writeln!(text, "Processes started for the events: {}.", report.cold_starts);
    if report.succeeded {
        text.push_str(
            "Everything happened. On AWS the instances would now end when the hook's time-out is over: the function does \
             not complete the lifecycle action yet.\n",
        );
    } else {
        let _ = writeln!(text, "This did not happen as it should:\n  - {}", report.problems.join("\n  - "));
    }
    text
}

/// One line of the timeline.
pub(super) fn line(event: &Line) -> String {
    let Line { system, kind, what, subject, detail, .. } = event;
    let arrow = match kind {
        Kind::Call => "→",
        Kind::Effect => "•",
    };
    let system = name(*system);
    let text = format!("{} {arrow} {system:<12} {what:<25} {subject:<20} {detail}", seconds(event.at_ms));
    shorten(text.trim_end())
}

/// Each operation with its count, in the order in which they were first called.
fn calls(report: &Report) -> String {
    let mut operations: Vec<&str> = Vec::new();
    for event in report.timeline.iter().filter(|event| event.kind == Kind::Call) {
        if !operations.contains(&event.what.as_str()) {
            operations.push(&event.what);
        }
    }
    let counted = operations.iter().map(|what| format!("{} × {what}", report.calls.get(*what).unwrap_or(&0)));
    counted.collect::<Vec<_>>().join(", ")
}

fn row(drained: &Drained) -> String {
    let Drained { instance_id, node_name, event_to_drain_ms, event_to_empty_ms, .. } = drained;
    let time = |ms: &Option<i128>| ms.map_or_else(|| "never".to_owned(), |ms| seconds(ms).trim().to_owned());
    let (outcome, reason) =
        (drained.outcome.as_deref().unwrap_or("nothing"), drained.reason.as_deref().unwrap_or("-"));
    format!(
        "{instance_id:<20} {node_name:<10} {:>14}  {:>14}  {outcome} ({reason})",
        time(event_to_drain_ms),
        time(event_to_empty_ms),
    )
}

/// Milliseconds as seconds, in a column.
fn seconds(ms: i128) -> String {
    format!("{:>3}.{:03} s", ms / 1000, ms % 1000)
}

fn name(system: System) -> &'static str {
    match system {
        System::Nomad => "Nomad",
        System::Agent => "Nomad agent",
        System::AutoScaling => "Auto Scaling",
        System::Ec2 => "EC2",
        System::Ssm => "SSM",
        System::Lambda => "Lambda",
    }
}

/// A filter expression or a drain's JSON would fill the screen.
fn shorten(text: &str) -> String {
    const WIDTH: usize = 118;
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_ms: i128, kind: Kind, what: &str, detail: &str) -> Line {
        let subject = "worker-1".to_owned();
        Line { at_ms, system: System::Nomad, kind, what: what.to_owned(), subject, detail: detail.to_owned() }
    }

    #[test]
    fn lines_stand_in_columns_and_end_within_the_screen() {
        let call = event(31, Kind::Call, "POST /v1/node/:id/drain", &"x".repeat(500));
        let effect = event(12_345, Kind::Effect, "drain complete", "");
        assert_eq!(line(&effect), " 12.345 s • Nomad        drain complete            worker-1");
        assert!(
            line(&call)
                .starts_with("  0.031 s → Nomad        POST /v1/node/:id/drain   worker-1             xxx")
        );
        assert_eq!(line(&call).chars().count(), 119);
    }

    #[test]
    fn an_instance_that_never_emptied_says_so() {
        let drained = Drained {
            instance_id: "i-0123456789abcdef0".to_owned(),
            node_id: String::new(),
            node_name: "worker-1".to_owned(),
            event_to_drain_ms: Some(45),
            event_to_empty_ms: None,
            outcome: Some("drain_started".to_owned()),
            reason: Some("drain_posted".to_owned()),
        };
        assert_eq!(
            row(&drained),
            "i-0123456789abcdef0  worker-1          0.045 s           never  drain_started (drain_posted)"
        );
    }
}
