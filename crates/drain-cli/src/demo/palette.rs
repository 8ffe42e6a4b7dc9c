//! The colours of picture and page, by day and by night.

/// Colours, each as `#rrggbb`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// Behind everything.
    pub(super) ground: &'static str,
    /// Behind a picture, a card, a table's head.
    pub(super) panel: &'static str,
    /// Lines that part things.
    pub(super) line: &'static str,
    /// Text.
    pub(super) text: &'static str,
    /// Text beside it.
    pub(super) quiet: &'static str,
    /// The function's drain.
    pub(super) drain: &'static str,
    /// An operator's drain.
    pub(super) operator: &'static str,
    /// Work that outlives its drain.
    pub(super) stopping: &'static str,
    /// What is wrong: a Nomad out of reach, a demonstration that failed.
    pub(super) bad: &'static str,
    /// What is right.
    pub(super) good: &'static str,
}

/// By day, and on paper.
pub(super) const LIGHT: Palette = Palette {
    ground: "#ffffff",
    panel: "#f6f8fa",
    line: "#d1d9e0",
    text: "#1f2328",
    quiet: "#59636e",
    drain: "#0969da",
    operator: "#8250df",
    stopping: "#bc4c00",
    bad: "#b3202b",
    good: "#1a7f37",
};

/// By night.
pub(super) const DARK: Palette = Palette {
    ground: "#0d1117",
    panel: "#161b22",
    line: "#3d444d",
    text: "#e6edf3",
    quiet: "#9ea7b3",
    drain: "#4493f8",
    operator: "#b087f9",
    stopping: "#f0883e",
    bad: "#ff7b72",
    good: "#3fb950",
};

impl Palette {
    /// Each colour with the name that style sheets have for it.
    pub(super) fn named(&self) -> [(&'static str, &'static str); 10] {
        let Self { ground, panel, line, text, quiet, drain, operator, stopping, bad, good } = *self;
        [
            ("ground", ground),
            ("panel", panel),
            ("line", line),
            ("text", text),
            ("quiet", quiet),
            ("drain", drain),
            ("operator", operator),
            ("stopping", stopping),
            ("bad", bad),
            ("good", good),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as the Web Content Accessibility Guidelines define it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_is_readable_on_both_grounds() {
        for palette in [LIGHT, DARK] {
            for text in [palette.text, palette.quiet, palette.bad, palette.good] {
                for ground in [palette.ground, palette.panel] {
                    assert!(contrast(text, ground) >= 4.5, "{text} on {ground}: {}", contrast(text, ground));
                }
            }
        }
    }

    #[test]
    fn shapes_stand_out_from_the_panel() {
        for palette in [LIGHT, DARK] {
            for shape in [palette.drain, palette.operator, palette.stopping, palette.quiet] {
                assert!(contrast(shape, palette.panel) >= 3.0, "{shape} on {}", palette.panel);
            }
        }
    }
}
