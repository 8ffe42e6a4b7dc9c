//! The report as one HTML file. It asks for nothing: no script, no font, no image, no address. It is also well-formed XML.

mod instance;
mod tables;

use super::markup::Markup;
use super::palette::{DARK, LIGHT, Palette};
use super::picture::{self, NARROW, WIDE};
use super::report::Report;

/// How it looks, but for the colours.
const STYLE: &str = include_str!("page/style.css");

/// Nothing but the style in the file itself: a browser that is asked for more refuses.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The report as a file.
pub(super) fn file(report: &Report) -> String {
    let mut markup = Markup::default();
    markup.verbatim("<!DOCTYPE html>\n");
    markup.block("html", &[("lang", &"en")], |markup| {
        markup.block("head", &[], |markup| draw_head(markup, report));
        markup.block("body", &[], |markup| {
            markup.block("header", &[], |markup| draw_opening(markup, report));
            markup.block("main", &[], |markup| {
                section(markup, "timeline", "Timeline", |markup| draw_timeline(markup, report));
                section(markup, "instances", "What happened to each instance", |markup| {
                    for drained in &report.instances {
                        instance::draw(markup, report, drained);
                    }
                });
                section(markup, "summary", "Summary", |markup| tables::draw_summary(markup, report));
                section(markup, "events", "Every event in order", |markup| {
                    tables::draw_events(markup, report);
                });
            });
            markup.block("footer", &[], |markup| draw_footer(markup, report));
        });
    });
    markup.into()
}

fn draw_head(markup: &mut Markup, report: &Report) {
    markup.empty("meta", &[("charset", &"utf-8")]);
    markup.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
    markup.empty("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
    markup.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
    let verdict = if report.succeeded { "" } else { ": failed" };
    markup.words("title", &[], format_args!("nomad-drain demo{verdict}"));
    markup.block("style", &[], |markup| {
        markup.verbatim(&format!(":root{{{}}}\n", variables(&LIGHT)));
        // On paper it is always day.
        let dark = variables(&DARK);
        markup.verbatim(&format!("@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"));
        markup.verbatim(STYLE);
        markup.verbatim(&picture::rules());
    });
}

fn variables(palette: &Palette) -> String {
    palette.named().map(|(name, colour)| format!("--{name}:{colour}")).join(";")
}

fn draw_opening(markup: &mut Markup, report: &Report) {
    markup.words("p", &[("class", &"over")], "nomad-drain demo");
    let ends = report.instances.len();
    markup.words("h1", &[], format_args!("How {ends} instances ended"));
    let [cluster, group, function] = report.scene.told(report.real_nomad.as_deref());
    let emulated = if report.real_nomad.is_some() { "AWS is" } else { "Nomad and AWS are" };
    markup.words(
        "p",
        &[],
        format_args!(
            "{cluster} {group} {function}. {emulated} emulated on this machine; the function is not."
        ),
    );
    if report.succeeded {
        markup.line("p", &[("class", &"verdict good")], |markup| {
            markup.inline("strong", &[], |markup| markup.text("Everything happened."));
            markup.text(" No instance was released before its last allocation had ended.");
        });
        return;
    }
    markup.block("div", &[("class", &"verdict bad")], |markup| {
        markup.words("p", &[], "This did not happen as it should:");
        markup.block("ul", &[], |markup| {
            for problem in &report.problems {
                markup.words("li", &[], problem);
            }
        });
    });
}

fn draw_timeline(markup: &mut Markup, report: &Report) {
    markup.block("figure", &[], |markup| {
        markup.block("div", &[("class", &"on-screens")], |markup| {
            picture::draw(markup, report, WIDE, false);
        });
        markup.block("div", &[("class", &"on-phones")], |markup| {
            picture::draw(markup, report, NARROW, false);
        });
        markup.words(
            "figcaption",
            &[],
            "A bar begins when the hook holds the instance, and ends when the function lets it go.",
        );
    });
}

fn draw_footer(markup: &mut Markup, report: &Report) {
    let version = env!("CARGO_PKG_VERSION");
    let began = report.began_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let played = began.map_or_else(String::new, |began| format!("Played {began}. "));
    markup.line("p", &[], |markup| {
        markup.text(format_args!("{played}Written by nomad-drain {version} with "));
        markup.inline("code", &[], |markup| markup.text("--report"));
        markup.text(". Times are short here: a sweep comes every minute on AWS, and drains may last hours.");
    });
}

/// A part of the page with its heading.
fn section(markup: &mut Markup, id: &str, title: &str, inside: impl FnOnce(&mut Markup)) {
    let heading = format!("{id}-heading");
    markup.block("section", &[("id", &id), ("aria-labelledby", &heading)], |markup| {
        markup.words("h2", &[("id", &heading)], title);
        inside(markup);
    });
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    /// The page without its style sheet, which says nothing.
    fn without_style(page: &str) -> String {
        let (before, rest) = page.split_once("<style>").unwrap();
        let (_, after) = rest.split_once("</style>").unwrap();
        format!("{before}<style></style>{after}")
    }

    #[test]
    fn a_play_as_a_page() {
        let page = file(&example::report());
        example::assert_well_formed(&page);
        insta::assert_snapshot!(without_style(&page));
    }

    #[test]
    fn a_play_that_failed_says_so_first() {
        let problems = vec!["worker-1: it was released while <api[0]> still ran".to_owned()];
        let page = file(&Report { succeeded: false, problems, ..example::report() });
        let said = page.find("<li>worker-1: it was released while &lt;api[0]&gt; still ran</li>");
        assert!(said.is_some() && said < page.find("<main>"), "{page}");
        assert!(page.contains("<title>nomad-drain demo: failed</title>"));
        assert!(!page.contains("Everything happened"));
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let page = file(&example::report());
        for address in ["http:", "https:", "//", "src=", "href=", "@import", "<script", "<link", "url("] {
            let found = page.match_indices(address).map(|(at, _)| &page[at..]);
            let found: Vec<&str> = found.filter(|rest| !rest.starts_with("url(#")).collect();
            assert!(found.is_empty(), "{address} in {:.80}", found[0]);
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn text_is_no_markup() {
        let mut report = example::report();
        report.timeline[0].what = "</td><script>alert(1)</script>".to_owned();
        report.instances[0].reasons = vec!["\"><b>".to_owned()];
        let page = file(&report);
        example::assert_well_formed(&page);
        assert!(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)") && page.contains("&quot;&gt;&lt;b&gt;"));
        assert!(!page.contains("<script") && !page.contains("<b>"));
    }
}
