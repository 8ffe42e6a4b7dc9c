//! One lane of the picture: one instance.

use std::fmt::Write as _;

use super::super::course::{Course, Drain, DrainEnd};
use super::super::markup::{Attributes, Markup};
use super::super::report::{Drained, Span};
use super::super::text;
use super::super::timeline::Actor;
use super::style::Fill;
use super::{Scale, Shape, float, px};

/// From one lane to the next.
pub(super) const HEIGHT: f64 = 74.0;

/// From the lane's top to the bar: a line of text, and room for the marks of drains.
const BAR_TOP: f64 = 27.0;

/// How high a full bar is.
const BAR: f64 = 28.0;

/// So wide is a character on average, and a little more.
const CHARACTER: f64 = 6.3;

/// Where a lane is.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) top: f64,
    pub(super) scale: &'a Scale,
    pub(super) shape: Shape,
}

/// Draws a lane.
pub(super) fn draw(markup: &mut Markup, place: &Place<'_>, drained: &Drained, outage: Option<Span>) {
    let Place { top, scale, shape } = place;
    let course = &drained.course;
    markup.block("g", &[], |markup| {
        let title = if shape.is_wide { drained.story.title() } else { drained.story.label() };
        markup.line("text", &[("x", &px(scale.x(0))), ("y", &px(top + 12.0))], |markup| {
            markup.inline("tspan", &[("class", &"nd-name")], |markup| markup.text(&drained.node_name));
            markup.text(format_args!("  {title}"));
        });
        let (Some(held), Some(ends)) = (course.held_at_ms, course.ends_at_ms()) else { return };
        let cut = outage.and_then(|outage| overlap(outage, held, ends));
        draw_outage(markup, place, cut);
        draw_work(markup, place, course, ends);
        name_outage(markup, place, cut);
        let (x, width) = (px(scale.x(held)), px(scale.length(ends - held).max(1.0)));
        markup.empty(
            "rect",
            &[
                ("class", &"nd-held"),
                ("x", &x),
                ("y", &px(top + BAR_TOP)),
                ("width", &width),
                ("height", &px(BAR)),
            ],
        );
        draw_marks(markup, place, course);
        if course.released_at_ms.is_some() {
            draw_end(markup, place, drained, held, ends);
        }
    });
}

/// The work on the node, in the state in which the node is.
fn draw_work(markup: &mut Markup, place: &Place<'_>, course: &Course, ends: i128) {
    let Place { top, scale, shape } = place;
    let most = course.running.iter().map(|running| running.allocations).max().unwrap_or_default().max(1);
    let bottom = top + BAR_TOP + BAR;
    for Phase { from, to, fill } in phases(course, ends) {
        let mut path = format!("M{} {}", px(scale.x(from)), px(bottom));
        for (number, running) in course.running.iter().enumerate() {
            let until = course.running.get(number + 1).map_or(ends, |next| next.at_ms);
            let (begin, end) = (running.at_ms.max(from), until.min(to));
            if begin < end {
                let share = float(running.allocations as i128) / float(most as i128);
                let _ = write!(path, "V{}H{}", px(bottom - BAR * share), px(scale.x(end)));
            }
        }
        let _ = write!(path, "V{}z", px(bottom));
        markup.empty("path", &[("fill", &fill.paint(*shape)), ("d", &path)]);
    }
}

/// Nomad out of reach, behind the work.
fn draw_outage(markup: &mut Markup, place: &Place<'_>, cut: Option<(i128, i128)>) {
    let Place { top, scale, shape } = place;
    let Some((from, to)) = cut else { return };
    let attributes: Attributes<'_> = &[
        ("fill", &Fill::Outage.paint(*shape)),
        ("fill-opacity", &0.6),
        ("x", &px(scale.x(from))),
        ("y", &px(top + BAR_TOP)),
        ("width", &px(scale.length(to - from))),
        ("height", &px(BAR)),
    ];
    markup.empty("rect", attributes);
}

fn name_outage(markup: &mut Markup, place: &Place<'_>, cut: Option<(i128, i128)>) {
    let Place { top, scale, shape } = place;
    let Some((from, _)) = cut else { return };
    let name = if shape.is_wide { "Nomad cannot be reached" } else { "no Nomad" };
    let (x, y) = (px(scale.x(from) + 6.0), px(top + BAR_TOP + 13.0));
    markup.words("text", &[("class", &"nd-halo"), ("x", &x), ("y", &y)], name);
}

/// When drains began and were cancelled, and the heartbeats.
fn draw_marks(markup: &mut Markup, place: &Place<'_>, course: &Course) {
    let Place { top, scale, .. } = place;
    for drain in &course.drains {
        let x = scale.x(drain.from_ms);
        markup.empty("path", &[("class", &"nd-solid"), ("d", &begun(x, top + BAR_TOP - 1.0))]);
        if let (Some(DrainEnd::Cancelled), Some(to)) = (drain.end, drain.to_ms) {
            let path = cancelled(scale.x(to), top + BAR_TOP - 5.0);
            markup.empty("path", &[("class", &"nd-mark"), ("d", &path)]);
        }
    }
    let mut path = String::new();
    for beat in &course.heartbeats_at_ms {
        path.push_str(&heartbeat(scale.x(*beat), top + BAR_TOP + BAR + 3.0));
    }
    if !path.is_empty() {
        markup.empty("path", &[("class", &"nd-mark"), ("d", &path)]);
    }
}

/// The release, and where there is room for it what it is about.
fn draw_end(markup: &mut Markup, place: &Place<'_>, drained: &Drained, held: i128, ends: i128) {
    let Place { top, scale, shape } = place;
    let (x, y) = (scale.x(ends), top + BAR_TOP + BAR / 2.0);
    markup.empty("path", &[("class", &"nd-done"), ("d", &released(x + 4.0, y))]);
    let words = match drained.empty_to_released_ms {
        Some(ms) if shape.is_wide => format!("empty; released {} later", text::seconds(ms)),
        Some(ms) => format!("released {} later", text::seconds(ms)),
        None => "released".to_owned(),
    };
    let width = CHARACTER * f64::from(u32::try_from(words.chars().count()).unwrap_or_default());
    let (right, left) = (x + 20.0, scale.x(held) - 8.0);
    let place = if right + width <= shape.width {
        Some((right, "start"))
    } else if left - width >= 0.0 {
        Some((left, "end"))
    } else {
        None
    };
    if let Some((x, anchor)) = place {
        markup.words(
            "text",
            &[("class", &"nd-halo"), ("x", &px(x)), ("y", &px(y + 4.0)), ("text-anchor", &anchor)],
            words,
        );
    }
}

/// Where two spans of time meet.
fn overlap(span: Span, from: i128, to: i128) -> Option<(i128, i128)> {
    let (from, to) = (span.from_ms.max(from), span.to_ms.unwrap_or(to).min(to));
    (from < to).then_some((from, to))
}

/// Some time in one state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Phase {
    from: i128,
    to: i128,
    fill: Fill,
}

/// The states of a node from when its instance was held until it was released.
fn phases(course: &Course, ends: i128) -> Vec<Phase> {
    let Some(held) = course.held_at_ms else { return Vec::new() };
    let mut phases = Vec::new();
    let (mut since, mut state) = (held, Fill::Waiting);
    for Drain { by, from_ms, to_ms, end } in &course.drains {
        phases.push(Phase { from: since, to: *from_ms, fill: state });
        let fill = if *by == Actor::Operator { Fill::Operator } else { Fill::Drain };
        let to = to_ms.unwrap_or(ends);
        phases.push(Phase { from: *from_ms, to, fill });
        since = to;
        state = if *end == Some(DrainEnd::Cancelled) { Fill::Cancelled } else { Fill::Stopping };
    }
    phases.push(Phase { from: since, to: ends, fill: state });
    phases.retain(|phase| phase.from < phase.to);
    phases
}

/// The mark of a drain that begins: it points down.
pub(super) fn begun(x: f64, y: f64) -> String {
    format!("M{} {}h8l-4 7z", px(x - 4.0), px(y - 7.0))
}

/// The mark of a drain that is cancelled.
pub(super) fn cancelled(x: f64, y: f64) -> String {
    format!("M{} {}l6 6m0 -6l-6 6", px(x - 3.0), px(y - 3.0))
}

/// The mark of a heartbeat.
pub(super) fn heartbeat(x: f64, y: f64) -> String {
    format!("M{} {}v6", px(x), px(y))
}

/// The mark of a release.
pub(super) fn released(x: f64, y: f64) -> String {
    format!("M{} {}l3.5 4.5l7 -9", px(x), px(y))
}
