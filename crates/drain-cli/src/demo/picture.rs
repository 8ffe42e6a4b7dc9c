//! The timeline as a picture: a lane for each instance, the time from left to right, and in each lane a bar from the
//! moment at which the hook holds the instance until it lets it go, as high as there is work on the node.

mod lane;
mod legend;
mod style;

use super::markup::{Attributes, Markup};
use super::report::{Drained, Report};
use super::text;

pub(super) use style::rules;

/// The shape of a picture. Its text has the same size in all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// In pixels, if it is not scaled.
    width: f64,
    /// Whether there is room for whole titles.
    is_wide: bool,
    /// What the ids in it begin with: they are unique in a document.
    prefix: &'static str,
}

/// For a screen, and for paper.
pub(super) const WIDE: Shape = Shape { width: 880.0, is_wide: true, prefix: "wide" };

/// For a phone.
pub(super) const NARROW: Shape = Shape { width: 360.0, is_wide: false, prefix: "narrow" };

/// From the edge to what is drawn.
const MARGIN: f64 = 16.0;

/// The picture as a file of its own.
pub(super) fn file(report: &Report) -> String {
    let mut markup = Markup::default();
    draw(&mut markup, report, WIDE, true);
    markup.into()
}

/// Draws the picture: as a document with colours of its own, or as a part of one that has the style sheet.
pub(super) fn draw(markup: &mut Markup, report: &Report, shape: Shape, is_document: bool) {
    let Shape { width, prefix, .. } = shape;
    let scale = Scale::of(report, shape);
    let lanes = f64::from(u32::try_from(report.instances.len()).unwrap_or_default()) * lane::HEIGHT;
    let legend = legend::lay_out(shape);
    let (axis, below) = (MARGIN + lanes, MARGIN + lanes + 34.0);
    let height = below + legend.height + MARGIN;
    let (title, description) = (format!("{prefix}-title"), format!("{prefix}-description"));
    let labels = format!("{title} {description}");
    let view = format!("0 0 {width} {height}");
    let document: Attributes<'_> =
        &[("xmlns", &"http://www.w3.org/2000/svg"), ("width", &width), ("height", &height)];
    let part: Attributes<'_> =
        &[("class", &"nd"), ("viewBox", &view), ("role", &"img"), ("aria-labelledby", &labels)];
    let attributes = [if is_document { document } else { &[] }, part].concat();
    markup.block("svg", &attributes, |markup| {
        markup.words("title", &[("id", &title)], "When each instance was held, drained and released");
        markup.words("desc", &[("id", &description)], describe(report));
        if is_document {
            markup.block("style", &[], |markup| markup.verbatim(&rules()));
        }
        style::patterns(markup, shape);
        markup.empty("rect", &[("class", &"nd-panel"), ("width", &width), ("height", &height), ("rx", &8)]);
        draw_axis(markup, &scale, axis);
        for (number, drained) in (0_u32..).zip(&report.instances) {
            let top = MARGIN + f64::from(number) * lane::HEIGHT;
            lane::draw(markup, &lane::Place { top, scale: &scale, shape }, drained, report.outage);
        }
        legend.draw(markup, shape, below);
    });
}

/// What the picture shows, for whoever does not see it.
fn describe(report: &Report) -> String {
    let lanes = report.instances.iter().map(|drained| {
        let Drained { node_name, story, course, .. } = drained;
        let at = |ms: Option<i128>| {
            ms.map_or_else(|| "never".to_owned(), |ms| format!("at {}", text::seconds(ms)))
        };
        format!(
            "{node_name} ({}): held {}, drained {}, without work {}, released {}.",
            story.label(),
            at(course.held_at_ms),
            at(course.drains.first().map(|drain| drain.from_ms)),
            at(course.empty_at_ms()),
            at(course.released_at_ms),
        )
    });
    let lanes: Vec<String> = lanes.collect();
    format!("One bar for each instance, from left to right. {}", lanes.join(" "))
}

fn draw_axis(markup: &mut Markup, scale: &Scale, y: f64) {
    let step = [1, 2, 5, 10, 20, 30, 60].into_iter().find(|step| scale.length(step * 1000) >= 62.0);
    let seconds = std::iter::successors(Some(0), |second| Some(second + step.unwrap_or(120)));
    for second in seconds.take_while(|second| second * 1000 <= scale.span_ms) {
        let x = px(scale.x(second * 1000));
        let (from, to) = (px(MARGIN), px(y + 4.0));
        markup.empty("line", &[("class", &"nd-grid"), ("x1", &x), ("x2", &x), ("y1", &from), ("y2", &to)]);
        let anchor = if second == 0 { "start" } else { "middle" };
        let label: Attributes<'_> =
            &[("class", &"nd-quiet"), ("x", &x), ("y", &px(y + 18.0)), ("text-anchor", &anchor)];
        markup.words("text", label, format_args!("{second} s"));
    }
}

/// Where a moment is.
#[derive(Debug)]
struct Scale {
    /// Where the first one is.
    left: f64,
    /// Pixels for a millisecond.
    pitch: f64,
    /// The last moment.
    span_ms: i128,
}

impl Scale {
    fn of(report: &Report, shape: Shape) -> Self {
        let ends = report.instances.iter().filter_map(|drained| drained.course.ends_at_ms());
        let span_ms = ends.chain(report.timeline.last().map(|line| line.at_ms)).max().unwrap_or_default();
        // Some room for the mark at the end.
        let span_ms = span_ms.max(1000) + 500;
        Self { left: MARGIN, pitch: (shape.width - 2.0 * MARGIN) / float(span_ms), span_ms }
    }

    fn x(&self, ms: i128) -> f64 {
        self.left + self.length(ms)
    }

    fn length(&self, ms: i128) -> f64 {
        float(ms) * self.pitch
    }
}

/// Milliseconds to draw with. A demonstration takes less than some days.
fn float(ms: i128) -> f64 {
    f64::from(i32::try_from(ms).unwrap_or(i32::MAX))
}

/// A length as it is written: a tenth of a pixel is enough.
fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_play_as_a_picture() {
        let picture = file(&example::report());
        example::assert_well_formed(&picture);
        insta::assert_snapshot!(picture);
    }

    #[test]
    fn what_is_unknown_is_not_drawn() {
        let mut report = example::report();
        let course = &mut report.instances[4].course;
        (course.released_at_ms, course.running, course.drains) = (None, Vec::new(), Vec::new());
        report.instances[3].course = super::super::course::Course::default();
        let picture = file(&report);
        assert!(picture.contains("worker-4 (cancelled): held never, drained never"), "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
        let nothing = Report { instances: Vec::new(), timeline: Vec::new(), outage: None, ..report };
        assert!(file(&nothing).contains("0 s"));
    }
}
