//! The summary and the events, as tables.

use super::super::markup::Markup;
use super::super::report::{Drained, Report};
use super::super::text::seconds;

/// A row of the summary: its title, and what stands in it for an instance.
type Measure = (&'static str, fn(&Drained) -> String);

const MEASURES: [Measure; 7] = [
    ("Event to drain", |drained| figure(drained.event_to_drain_ms)),
    ("Drain to empty", |drained| {
        figure(drained.event_to_empty_ms.zip(drained.event_to_drain_ms).map(|(empty, drain)| empty - drain))
    }),
    ("Empty to released", |drained| figure(drained.empty_to_released_ms)),
    ("Held", |drained| figure(drained.held_ms)),
    ("Heartbeats", |drained| drained.heartbeats.to_string()),
    ("Calls to Nomad", |drained| drained.calls_to_nomad.to_string()),
    ("Calls to AWS", |drained| drained.calls_to_aws.to_string()),
];

/// An instance in each column: five of them fit a phone.
pub(super) fn draw_summary(markup: &mut Markup, report: &Report) {
    let Report { runs, sweeps, cold_starts, calls_to_nomad, calls_to_aws, .. } = report;
    markup.words(
        "p",
        &[],
        format_args!(
            "The function ran {runs} times, {sweeps} of them to sweep, in {cold_starts} processes. It made \
             {calls_to_nomad} calls to Nomad and {calls_to_aws} to AWS."
        ),
    );
    markup.block("table", &[("class", &"figures")], |markup| {
        markup.words("caption", &[], "Each instance in figures; times are in seconds");
        markup.block("thead", &[], |markup| {
            markup.block("tr", &[], |markup| {
                markup.words("th", &[("scope", &"col")], "Instance");
                for Drained { node_name, story, .. } in &report.instances {
                    markup.line("th", &[("scope", &"col")], |markup| {
                        markup.text(node_name);
                        markup.inline("span", &[("class", &"label")], |markup| markup.text(story.label()));
                    });
                }
            });
        });
        markup.block("tbody", &[], |markup| {
            for (title, measure) in MEASURES {
                markup.block("tr", &[], |markup| {
                    markup.words("th", &[("scope", &"row")], title);
                    for drained in &report.instances {
                        markup.words("td", &[], measure(drained));
                    }
                });
            }
        });
    });
    markup.words(
        "p",
        &[("class", &"quiet")],
        "Where a sweep found the instance, its event is the beginning of that sweep. A sweep's calls count for every \
         instance that they are about.",
    );
    draw_calls(markup, report);
}

fn draw_calls(markup: &mut Markup, report: &Report) {
    markup.words("h3", &[], "The function's calls");
    markup.block("table", &[("class", &"calls")], |markup| {
        markup.words("caption", &[], "How often it called each operation");
        markup.block("thead", &[], |markup| {
            markup.block("tr", &[], |markup| {
                markup.words("th", &[("scope", &"col")], "Operation");
                markup.words("th", &[("scope", &"col")], "Calls");
            });
        });
        markup.block("tbody", &[], |markup| {
            for (operation, count) in &report.calls {
                markup.block("tr", &[], |markup| {
                    markup.line("th", &[("scope", &"row")], |markup| {
                        markup.inline("code", &[], |markup| markup.text(operation));
                    });
                    markup.words("td", &[], count);
                });
            }
        });
    });
}

/// Everything that the timeline has.
pub(super) fn draw_events(markup: &mut Markup, report: &Report) {
    markup.block("table", &[("class", &"events")], |markup| {
        markup.words("caption", &[], "From the moment at which the hook held the first instance");
        markup.block("thead", &[], |markup| {
            markup.block("tr", &[], |markup| {
                for title in ["Time", "Node", "Who", "What"] {
                    markup.words("th", &[("scope", &"col")], title);
                }
            });
        });
        markup.block("tbody", &[], |markup| {
            for line in &report.timeline {
                markup.block("tr", &[], |markup| {
                    markup.words("td", &[], seconds(line.at_ms));
                    markup.words("td", &[], line.node.as_deref().unwrap_or("all"));
                    markup.words("td", &[], line.who.name());
                    markup.words("td", &[], &line.what);
                });
            }
        });
    });
}

/// Seconds without their unit, for a column of figures.
fn figure(ms: Option<i128>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| seconds(ms).trim_end_matches(" s").to_owned())
}
