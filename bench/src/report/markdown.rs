//! The page in Markdown.

use std::fmt::Write as _;

use super::results::{Machine, Results, Section, Table};
use crate::units;

/// The page. Plots are expected beside it, in `performance/`.
pub(super) fn page(results: &Results) -> String {
    let Results { taken_at, commit, took_s, machine, sections } = results;
    let mut page = String::new();
    let Machine { cpu, architecture, cores, memory, kernel, rustc, python } = machine;
    _ = write!(
        page,
        "# Performance

Every figure on this page comes from one run of `cargo bench-all`, which also wrote the page. Run it yourself: it needs Rust,
Python 3 and Linux, and takes a few minutes. Ratios come first, because they carry over to other machines; milliseconds do
not. What is compared in the same run: this function; the **floor**, a function that does nothing on the same runtime and
in the same profile (`bench/floor`); and the **old way**, a Python function that starts the drain and nothing else
(`bench/baseline`).

Measured on {date} at commit {commit}, in {took} with all builds that were needed: {cores} cores of {cpu}
({architecture}), {memory}, Linux {kernel}, {rustc}, {python}.
",
        date = taken_at.strftime("%Y-%m-%d"),
        took = units::seconds(*took_s),
    );
    heading(&mut page, "In short");
    list(&mut page, sections.iter().flat_map(|section| &section.headlines));
    targets(&mut page, sections);
    for section in sections {
        self::section(&mut page, section);
    }
    page
}

fn targets(page: &mut String, sections: &[Section]) {
    let mut all = Table::new("What was promised", &["", "Promised", "Measured", "Kept"]);
    for target in sections.iter().flat_map(|section| &section.targets) {
        let kept = if target.met { "yes" } else { "**no**" };
        all.row([target.what.clone(), target.wanted.clone(), target.measured.clone(), kept.to_owned()]);
    }
    if !all.rows.is_empty() {
        table(page, &all);
    }
}

fn section(page: &mut String, section: &Section) {
    heading(page, &section.title);
    list(page, &section.headlines);
    for all in &section.tables {
        table(page, all);
    }
    for plot in &section.plots {
        _ = write!(page, "\n![{}](performance/{}.svg)\n", plot.title, plot.name);
    }
    for paragraph in &section.how {
        _ = write!(page, "\n{paragraph}\n");
    }
}

fn heading(page: &mut String, title: &str) {
    _ = write!(page, "\n## {title}\n");
}

fn list<'a>(page: &mut String, lines: impl IntoIterator<Item = &'a String>) {
    let lines: Vec<String> = lines.into_iter().map(|line| format!("- {line}\n")).collect();
    if !lines.is_empty() {
        _ = write!(page, "\n{}", lines.concat());
    }
}

fn table(page: &mut String, table: &Table) {
    let Table { caption, head, rows } = table;
    _ = write!(page, "\n**{caption}**\n\n| {} |\n", head.join(" | "));
    let rule: Vec<&str> = (0..head.len()).map(|column| if column == 0 { "---" } else { "---:" }).collect();
    _ = writeln!(page, "|{}|", rule.join("|"));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}
