//! What the marks and patterns mean.

use super::super::markup::{Attributes, Markup};
use super::lane;
use super::style::Fill;
use super::{MARGIN, Shape, px};

/// From one line to the next.
const LINE: f64 = 22.0;

/// The room of a mark.
const MARK: f64 = 24.0;

/// What an entry is about.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Area(Fill),
    Begun,
    Cancelled,
    Heartbeat,
    Released,
}

const ENTRIES: [(Sign, &str); 10] = [
    (Sign::Begun, "a drain begins"),
    (Sign::Cancelled, "it is cancelled"),
    (Sign::Heartbeat, "heartbeat"),
    (Sign::Released, "released"),
    (Sign::Area(Fill::Waiting), "held, not drained yet"),
    (Sign::Area(Fill::Drain), "drained by the function"),
    (Sign::Area(Fill::Operator), "drained by an operator"),
    (Sign::Area(Fill::Cancelled), "held, drain cancelled"),
    (Sign::Area(Fill::Stopping), "drain complete, work still stops"),
    (Sign::Area(Fill::Outage), "Nomad cannot be reached"),
];

const HEIGHT_MEANS: &str = "A bar is as high as there are allocations left.";

/// Entries, each with its place.
#[derive(Debug)]
pub(super) struct Legend {
    entries: Vec<(Sign, &'static str, f64, f64)>,
    pub(super) height: f64,
}

/// As many entries in a line as there is room for.
pub(super) fn lay_out(shape: Shape) -> Legend {
    let (mut x, mut y) = (MARGIN, LINE);
    let entries = ENTRIES.map(|(sign, words)| {
        let width = MARK + 6.6 * f64::from(u32::try_from(words.len()).unwrap_or_default());
        let starts_areas = matches!(sign, Sign::Area(Fill::Waiting));
        if x > MARGIN && (starts_areas || x + width > shape.width - MARGIN) {
            (x, y) = (MARGIN, y + LINE);
        }
        let place = (sign, words, x, y);
        x += width + 12.0;
        place
    });
    Legend { entries: entries.into(), height: y + 10.0 }
}

impl Legend {
    /// Draws it below this height.
    pub(super) fn draw(&self, markup: &mut Markup, shape: Shape, top: f64) {
        // The words of the description say the same: whoever hears the picture has no use for its signs.
        markup.block("g", &[("aria-hidden", &"true")], |markup| {
            markup.words(
                "text",
                &[("class", &"nd-quiet"), ("x", &px(MARGIN)), ("y", &px(top + 8.0))],
                HEIGHT_MEANS,
            );
            for (sign, words, x, y) in &self.entries {
                let (x, middle) = (*x, top + y + 4.0);
                draw_sign(markup, *sign, shape, (x, middle));
                markup.words("text", &[("x", &px(x + MARK)), ("y", &px(middle + 4.0))], words);
            }
        });
    }
}

fn draw_sign(markup: &mut Markup, sign: Sign, shape: Shape, (x, middle): (f64, f64)) {
    let centre = x + 9.0;
    let (class, path) = match sign {
        Sign::Area(fill) => {
            let paint = fill.paint(shape);
            let (x, y) = (px(x), px(middle - 6.0));
            for (name, value) in [("fill", paint.as_str()), ("class", "nd-held")] {
                let size: Attributes<'_> =
                    &[(name, &value), ("x", &x), ("y", &y), ("width", &18), ("height", &12)];
                markup.empty("rect", size);
            }
            return;
        }
        Sign::Begun => ("nd-solid", lane::begun(centre, middle + 4.0)),
        Sign::Cancelled => ("nd-mark", lane::cancelled(centre, middle)),
        Sign::Heartbeat => ("nd-mark", lane::heartbeat(centre, middle - 3.0)),
        Sign::Released => ("nd-done", lane::released(centre - 5.0, middle)),
    };
    markup.empty("path", &[("class", &class), ("d", &path)]);
}
