//! What happened to one instance.

use super::super::history::Trigger;
use super::super::markup::Markup;
use super::super::report::{Drained, Report};
use super::super::story::Story;
use super::super::text;

/// Draws its card.
pub(super) fn draw(markup: &mut Markup, report: &Report, drained: &Drained) {
    let Drained { node_name, story, .. } = drained;
    markup.block("article", &[("aria-labelledby", node_name)], |markup| {
        markup.line("h3", &[("id", node_name)], |markup| {
            markup.inline("span", &[("class", &"node")], |markup| markup.text(node_name));
            markup.text(format_args!(" {}", story.title()));
        });
        markup.words("p", &[], told(drained));
        markup.words("p", &[("class", &"why")], lesson(*story));
        markup.block("dl", &[], |markup| {
            let counts = format!("{} to Nomad, {} to AWS", drained.calls_to_nomad, drained.calls_to_aws);
            fact(markup, "Instance", &drained.instance_id);
            fact(markup, "Held for", &time(drained.held_ms));
            fact(markup, "Heartbeats", &drained.heartbeats.to_string());
            fact(markup, "Calls", &counts);
            fact(markup, "Reasons given", &drained.reasons.join(", "));
        });
        draw_events(markup, report, node_name);
    });
}

fn draw_events(markup: &mut Markup, report: &Report, node_name: &str) {
    let about = report.timeline.iter().filter(|line| line.node.as_deref() == Some(node_name));
    let about: Vec<_> = about.collect();
    markup.block("details", &[], |markup| {
        markup.words("summary", &[], format_args!("Its {} events", about.len()));
        markup.block("ol", &[], |markup| {
            for line in about {
                markup.line("li", &[], |markup| {
                    let [at, who] = [text::seconds(line.at_ms), line.who.name().to_owned()];
                    markup.inline("span", &[("class", &"at")], |markup| markup.text(at));
                    markup.text(format_args!(" {who}: {}", line.what));
                });
            }
        });
    });
}

fn fact(markup: &mut Markup, name: &str, value: &str) {
    markup.block("div", &[], |markup| {
        markup.words("dt", &[], name);
        markup.words("dd", &[], value);
    });
}

fn time(ms: Option<i128>) -> String {
    ms.map_or_else(|| "it was never released".to_owned(), seconds)
}

/// Its course in a few sentences.
fn told(drained: &Drained) -> String {
    let found = match (drained.found_by, drained.found_after_ms) {
        (Some(Trigger::Event), _) => "The hook's message woke the function.".to_owned(),
        (Some(Trigger::Sweep), Some(ms)) => {
            format!(
                "No message came. A sweep found the instance {} after the hook began to hold it.",
                seconds(ms)
            )
        }
        (Some(Trigger::Sweep), None) => "No message came. A sweep found the instance.".to_owned(),
        (None, _) => "The function has said nothing of it.".to_owned(),
    };
    let drain = match drained.event_to_drain_ms {
        Some(ms) => format!("{} later its node was drained.", seconds(ms)),
        None => "Its node was never drained.".to_owned(),
    };
    let empty = match drained.event_to_empty_ms.zip(drained.event_to_drain_ms) {
        Some((empty, drain)) => {
            format!("The last allocation ended {} after the drain began,", seconds(empty - drain))
        }
        None => "The last allocation has not ended,".to_owned(),
    };
    let released = match drained.empty_to_released_ms {
        Some(ms) => format!("and the instance was released {} after that.", seconds(ms)),
        None => "and the instance was not released after it.".to_owned(),
    };
    [found, drain, empty, released].join(" ")
}

/// Seconds in running text: the unit stays with its number.
fn seconds(ms: i128) -> String {
    text::seconds(ms).replace(' ', "\u{a0}")
}

/// What there is to see in a story.
fn lesson(story: Story) -> &'static str {
    match story {
        Story::Ordinary => {
            "Services move to other nodes, batch work may come to its own end until the drain's deadline, and the system \
             job leaves last. The instance goes as soon as nothing runs on it."
        }
        Story::SlowKill => {
            "At its deadline Nomad calls a drain complete when it has told the rest to stop, not when the rest has \
             stopped. The function looks at what Nomad's client says of each allocation, and waits for the last one."
        }
        Story::LostEvent => {
            "Messages can be lost. The sweep finds every instance that the hook holds. It sends a heartbeat first, \
             which proves that it is this hook that holds the instance, and only then drains."
        }
        Story::OperatorCancels => {
            "Whoever cancels a drain has a reason. The function does not begin another one: it keeps the instance with \
             heartbeats and says why, until the operator drains the node himself. Then it sees that drain through."
        }
        Story::NomadOutage => {
            "What cannot be read is never taken for empty. While Nomad cannot be reached, the function sends heartbeats \
             and releases nothing."
        }
    }
}
