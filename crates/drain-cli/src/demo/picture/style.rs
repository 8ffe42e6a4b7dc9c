//! Colours and patterns. No colour stands alone: each state has a pattern, a shape or a word of its own.

use std::fmt::Write as _;

use super::super::markup::Markup;
use super::super::palette::{DARK, LIGHT, Palette};
use super::Shape;

/// How an area is filled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fill {
    /// Held, and no drain yet.
    Waiting,
    /// The function's drain.
    Drain,
    /// An operator's drain.
    Operator,
    /// Held while a drain is cancelled.
    Cancelled,
    /// The drain is complete, and work is still to stop.
    Stopping,
    /// Nomad is out of reach.
    Outage,
}

impl Fill {
    /// The value of the attribute `fill`, in a picture of this shape.
    pub(super) fn paint(self, shape: Shape) -> String {
        format!("url(#{}-{})", shape.prefix, self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Drain => "drain",
            Self::Operator => "operator",
            Self::Cancelled => "cancelled",
            Self::Stopping => "stopping",
            Self::Outage => "outage",
        }
    }

    /// What a tile of the pattern is made of: its size, and paths with the classes that colour them.
    fn tile(self) -> (u8, &'static [(&'static str, &'static str)]) {
        match self {
            Self::Waiting => (8, &[("nd-f-panel", "M0 0h8v8h-8z"), ("nd-f-quiet", "M0 6h8v1.4h-8z")]),
            Self::Drain => (8, &[("nd-f-drain", "M0 0h8v8h-8z")]),
            Self::Operator => (6, &[("nd-f-operator", "M0 0h6v6h-6z"), ("nd-f-panel", "M4.4 0h1.4v6h-1.4z")]),
            Self::Cancelled => {
                (6, &[("nd-f-panel", "M0 0h6v6h-6z"), ("nd-f-quiet", "M1.5 1.5h2.6v2.6h-2.6z")])
            }
            Self::Stopping => (
                8,
                &[("nd-f-panel", "M0 0h8v8h-8z"), ("nd-f-stopping", "M0 8L8 0h-4.6L0 3.4zM8 8V3.4L3.4 8z")],
            ),
            Self::Outage => (8, &[("nd-f-bad", "M0 0h1L8 7V8H7L0 1zM7 0H8v1z")]),
        }
    }
}

/// The patterns of a picture.
pub(super) fn patterns(markup: &mut Markup, shape: Shape) {
    markup.block("defs", &[], |markup| {
        for fill in
            [Fill::Waiting, Fill::Drain, Fill::Operator, Fill::Cancelled, Fill::Stopping, Fill::Outage]
        {
            let id = format!("{}-{}", shape.prefix, fill.name());
            let (size, paths) = fill.tile();
            let units = "userSpaceOnUse";
            markup.block(
                "pattern",
                &[("id", &id), ("width", &size), ("height", &size), ("patternUnits", &units)],
                |markup| {
                    for (class, path) in paths {
                        markup.empty("path", &[("class", class), ("d", path)]);
                    }
                },
            );
        }
    });
}

/// The style sheet of all pictures.
pub(in super::super) fn rules() -> String {
    let mut rules = String::from(
        ".nd text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}\n\
         .nd .nd-name{font-weight:600}\n\
         .nd .nd-halo{paint-order:stroke;stroke-width:6px;stroke-linejoin:round}\n",
    );
    rules.push_str(&colours(&LIGHT));
    // On paper it is always day.
    let _ = writeln!(rules, "@media screen and (prefers-color-scheme:dark){{\n{}}}", colours(&DARK));
    rules
}

fn colours(palette: &Palette) -> String {
    let Palette { panel, line, text, quiet, good, .. } = palette;
    let mut rules = String::new();
    for (name, colour) in palette.named() {
        if !matches!(name, "ground" | "line" | "text") {
            let _ = writeln!(rules, ".nd-f-{name}{{fill:{colour}}}");
        }
    }
    let _ = writeln!(
        rules,
        ".nd-panel{{fill:{panel}}}\n\
         .nd text{{fill:{text}}}\n\
         .nd .nd-quiet{{fill:{quiet}}}\n\
         .nd .nd-halo{{stroke:{panel}}}\n\
         .nd-grid{{stroke:{line};stroke-width:1}}\n\
         .nd-held{{fill:none;stroke:{quiet};stroke-width:1.2}}\n\
         .nd-mark{{fill:none;stroke:{text};stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}}\n\
         .nd-solid{{fill:{text}}}\n\
         .nd-done{{fill:none;stroke:{good};stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round}}",
    );
    rules
}
