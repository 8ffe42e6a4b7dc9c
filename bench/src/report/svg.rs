//! Plots, as SVG: a frame, its two scales, and bars or lines in it. Colours are from Okabe and Ito's palette, which
//! colour-blind readers can tell apart; the background is white, because pages may be dark.

use std::fmt::Write as _;

use super::results::{Plot, Series, Shape};
use crate::units;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 62.0;

const COLOURS: [&str; 6] = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"];

/// A scale: which values there are, and how they are laid along a side.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
    by_tens: bool,
}

impl Scale {
    /// One that holds all these values, from zero on unless each step is ten times as much.
    fn over(values: impl Iterator<Item = f64>, by_tens: bool) -> Self {
        let good = |value: &f64| value.is_finite() && (!by_tens || *value > 0.0);
        let values: Vec<f64> = values.filter(good).collect();
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        if values.is_empty() {
            return Self { low: if by_tens { 1.0 } else { 0.0 }, high: 10.0, by_tens };
        }
        if by_tens {
            let low = 10f64.powf(lowest.log10().floor());
            let high = 10f64.powf(highest.log10().ceil());
            return Self { low, high: if high > low { high } else { low * 10.0 }, by_tens };
        }
        let step = step(highest);
        Self { low: 0.0, high: (highest / step).ceil().max(1.0) * step, by_tens }
    }

    /// Where a value lies, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        let Self { low, high, by_tens } = self;
        let place = if by_tens {
            (value.max(low).log10() - low.log10()) / (high.log10() - low.log10())
        } else {
            (value - low) / (high - low)
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that are marked.
    fn marks(self) -> Vec<f64> {
        let Self { low, high, by_tens } = self;
        let step = step(high);
        let next = |mark: &f64| Some(if by_tens { mark * 10.0 } else { mark + step });
        std::iter::successors(Some(low), next).take_while(|mark| *mark <= high * 1.000_001).collect()
    }
}

/// The distance of marks for values up to `highest`: 1, 2 or 5 times a power of ten, so that there are four to ten.
fn step(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(highest.log10().floor() - 1.0);
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].map(|step| step * power);
    steps.into_iter().find(|step| highest / step <= 8.0).unwrap_or(highest)
}

/// Draws it.
pub(super) fn draw(plot: &Plot) -> String {
    let mut svg = String::new();
    _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#222">
<title>{title}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LEFT}" y="26" font-size="15" font-weight="600">{title}</text>"##,
        title = escape(&plot.title),
    );
    let series = match &plot.shape {
        Shape::Bars { series, .. } | Shape::Lines { series, .. } => series,
    };
    legend(&mut svg, series);
    let y = Scale::over(series.iter().flat_map(|one| &one.points).map(|point| point.1), plot.y_by_tens);
    upright(&mut svg, y, &plot.y);
    match &plot.shape {
        Shape::Bars { groups, series } => bars(&mut svg, y, groups, series),
        Shape::Lines { x_by_tens, series } => lines(&mut svg, y, *x_by_tens, series),
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    _ = writeln!(
        svg,
        r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        HEIGHT - 16.0,
        escape(&plot.x)
    );
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, series: &[Series]) {
    let mut x = LEFT;
    for (one, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        _ = writeln!(
            svg,
            r#"<rect x="{x:.1}" y="42" width="12" height="12" fill="{colour}"/><text x="{:.1}" y="52">{}</text>"#,
            x + 18.0,
            escape(&one.name)
        );
        #[expect(clippy::cast_precision_loss, reason = "names are short")]
        let width = one.name.chars().count() as f64 * 6.8;
        x += 40.0 + width;
    }
}

/// The scale on the left, and a line across for each of its marks.
fn upright(svg: &mut String, scale: Scale, label: &str) {
    for mark in scale.marks() {
        let y = height(scale, mark);
        _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            figure(mark),
        );
    }
    let middle = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
    _ = writeln!(
        svg,
        r#"<text x="20" y="{middle:.1}" text-anchor="middle" transform="rotate(-90 20 {middle:.1})">{}</text>"#,
        escape(label)
    );
}

#[expect(clippy::cast_precision_loss, reason = "a picture has few groups and series")]
fn bars(svg: &mut String, scale: Scale, groups: &[String], series: &[Series]) {
    let room = (WIDTH - LEFT - RIGHT) / groups.len().max(1) as f64;
    let width = room * 0.8 / series.len().max(1) as f64;
    for (number, group) in groups.iter().enumerate() {
        let left = LEFT + room * number as f64;
        for (place, (one, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let point = one.points.iter().find(|point| (point.0 - number as f64).abs() < 0.5);
            let Some(&(_, value)) = point else { continue };
            let (x, y) = (left + room * 0.1 + width * place as f64, height(scale, value));
            let tall = HEIGHT - BOTTOM - y;
            _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{tall:.1}" fill="{colour}"/><text x="{:.1}" y="{:.1}" text-anchor="middle" font-size="10">{}</text>"#,
                width * 0.94,
                x + width * 0.47,
                y - 4.0,
                units::number(value),
            );
        }
        below(svg, left + room / 2.0, group);
    }
}

fn lines(svg: &mut String, scale: Scale, x_by_tens: bool, series: &[Series]) {
    let across = Scale::over(series.iter().flat_map(|one| &one.points).map(|point| point.0), x_by_tens);
    let place = |x: f64| LEFT + across.place(x) * (WIDTH - LEFT - RIGHT);
    for mark in across.marks() {
        below(svg, place(mark), &figure(mark));
    }
    for (one, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<(f64, f64)> = one.points.iter().map(|&(x, y)| (place(x), height(scale, y))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            path.join(" ")
        );
        for (x, y) in points {
            _ = writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#);
        }
    }
}

fn height(scale: Scale, value: f64) -> f64 {
    HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)
}

fn below(svg: &mut String, x: f64, text: &str) {
    let y = HEIGHT - BOTTOM + 18.0;
    _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{}</text>"#, escape(text));
}

/// A mark's figure: round, so without digits that say nothing.
fn figure(mark: f64) -> String {
    if mark.fract() == 0.0 { units::whole(mark) } else { format!("{}", (mark * 1e6).round() / 1e6) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves and zeros are exact")]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_hold_every_value() {
        let marks = |values: &[f64], by_tens| Scale::over(values.iter().copied(), by_tens).marks();
        assert_eq!(marks(&[3.0, 37.0], false), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0]);
        assert_eq!(marks(&[3.0, 1700.0], true), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(marks(&[10.0], true), [10.0, 100.0]);
        assert_eq!(marks(&[0.0], false).last(), Some(&1.0));
        assert_eq!(marks(&[], true), [1.0, 10.0]);
        let scale = Scale::over([1.0, 1000.0].into_iter(), true);
        assert!((scale.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(scale.place(0.0), 0.0, "nothing is drawn outside");
        assert_eq!(Scale::over([4.0].into_iter(), false).place(2.0), 0.5);
    }

    #[test]
    fn names_cannot_break_a_picture() {
        assert_eq!(escape("a<b & c"), "a&lt;b &amp; c");
    }
}
