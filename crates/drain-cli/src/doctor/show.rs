//! How findings are shown: to people, and to machines.

use std::fmt::Write as _;

use console::{Color, Term};
use serde_json::{Value, json};

use super::code::{Area, Severity};
use super::facts::Facts;
use super::finding::Finding;
use crate::exit::Exit;

/// Where the findings are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Columns; `None` where nothing is wrapped, so that a finding is one line for whoever searches it.
    width: Option<usize>,
    coloured: bool,
}

impl Style {
    /// As standard output is: a terminal, or a pipe or a file.
    pub(super) fn of_terminal() -> Self {
        let terminal = Term::stdout();
        if !terminal.is_term() {
            return Self { width: None, coloured: false };
        }
        let (_, columns) = terminal.size();
        // Longer lines are hard to read.
        Self { width: Some(usize::from(columns).clamp(60, 120)), coloured: console::colors_enabled() }
    }

    fn paint(self, text: &str, color: Color, bold: bool) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        let style = console::Style::new().force_styling(true).fg(color);
        if bold { style.bold() } else { style }.apply_to(text).to_string()
    }

    fn dim(self, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        console::Style::new().force_styling(true).dim().apply_to(text).to_string()
    }

    fn heading(self, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        console::Style::new().force_styling(true).bold().apply_to(text).to_string()
    }
}

/// Before the text of a finding: two spaces, the longest word for how bad it is, two spaces.
const INDENT: usize = 15;

/// The findings for people, with a summary at the end.
pub(super) fn text(facts: &Facts, findings: &[Finding], exit: Exit, style: &Style) -> String {
    let mut text = style.heading(&title(facts));
    text.push('\n');
    let mut area: Option<Area> = None;
    for finding in findings {
        if area != Some(finding.area) {
            let _ = writeln!(text, "\n{}", style.heading(finding.area.heading()));
            area = Some(finding.area);
        }
        one(&mut text, finding, *style);
    }
    let _ = writeln!(text, "\n{}", summary(findings, exit, *style));
    text
}

fn title(facts: &Facts) -> String {
    let mut title = String::from("nomad-drain doctor");
    if let Some(name) = &facts.function_name {
        let _ = write!(title, ", function {name}");
    }
    if let Some(caller) = facts.caller.known() {
        let _ = write!(title, ", account {} in {}", caller.account, caller.region);
    }
    title
}

fn one(text: &mut String, finding: &Finding, style: Style) {
    let (word, color, bold) = match finding.severity() {
        Severity::Error => ("ERROR", Color::Red, true),
        Severity::Warning => ("warning", Color::Yellow, true),
        Severity::NotChecked => ("not checked", Color::Magenta, false),
        Severity::Note => ("note", Color::Cyan, false),
        Severity::Ok => ("ok", Color::Green, false),
    };
    let padding = " ".repeat(INDENT - 2 - word.len());
    let _ = write!(text, "  {}{padding}", style.paint(word, color, bold));
    let said = finding.what.strip_prefix("not checked: ").unwrap_or(&finding.what);
    let mut said = format!("{}: {said}", finding.about);
    let shows_code = finding.severity() != Severity::Ok;
    if shows_code {
        let _ = write!(said, " [{}]", finding.code);
    }
    let mut lines = wrapped(&said, style);
    if shows_code
        && let Some(last) = lines.last_mut()
        && let Some(at) = last.rfind('[')
    {
        let code = style.dim(last.get(at..).unwrap_or_default());
        last.truncate(at);
        last.push_str(&code);
    }
    push_lines(text, &lines, true);
    if let Some(todo) = &finding.todo {
        push_lines(text, &wrapped(todo, style), false);
    }
    if let Some(command) = &finding.command {
        for line in continued(command, style) {
            let _ = writeln!(text, "{}  {line}", " ".repeat(INDENT));
        }
    }
}

fn push_lines(text: &mut String, lines: &[String], first_has_its_indent: bool) {
    for (place, line) in lines.iter().enumerate() {
        if place > 0 || !first_has_its_indent {
            text.push_str(&" ".repeat(INDENT));
        }
        text.push_str(line);
        text.push('\n');
    }
}

/// The text in lines that fit. A word that is longer than a line has one of its own: it may be an ARN to be copied.
fn wrapped(text: &str, style: Style) -> Vec<String> {
    let Some(width) = style.width else { return vec![text.to_owned()] };
    let room = width.saturating_sub(INDENT).max(20);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if console::measure_text_width(line) + 1 + console::measure_text_width(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A command in lines that fit, broken before its options as a shell takes it, so that it can be copied. What is no command
/// stays whole.
fn continued(command: &str, style: Style) -> Vec<String> {
    let Some(width) = style.width.filter(|_| !command.starts_with('{')) else {
        return vec![command.to_owned()];
    };
    let room = width.saturating_sub(INDENT + 4).max(20);
    let mut parts = command.split(" --");
    let mut lines = vec![parts.next().unwrap_or_default().to_owned()];
    for part in parts {
        let Some(line) = lines.last_mut() else { break };
        if console::measure_text_width(line) + 3 + console::measure_text_width(part) <= room {
            line.push_str(" --");
            line.push_str(part);
        } else {
            line.push_str(" \\");
            lines.push(format!("  --{part}"));
        }
    }
    lines
}

fn summary(findings: &[Finding], exit: Exit, style: Style) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity() == severity).count();
    let several = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let parts: Vec<String> = [
        several(count(Severity::Error), "error", "errors"),
        several(count(Severity::Warning), "warning", "warnings"),
        several(count(Severity::NotChecked), "not checked", "not checked"),
        several(count(Severity::Note), "note", "notes"),
        several(count(Severity::Ok), "ok", "ok"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let unchecked = count(Severity::NotChecked) > 0;
    let (verdict, color) = match exit {
        Exit::NotDone => ("A drain would fail.", Color::Red),
        Exit::Unknown => ("It could not be found out whether a drain would work.", Color::Magenta),
        Exit::Done if unchecked => ("Nothing that was checked would make a drain fail.", Color::Yellow),
        Exit::Done => ("A drain would work.", Color::Green),
    };
    let said = format!("{}. {}", parts.join(", "), style.paint(verdict, color, true));
    if findings.iter().all(|finding| finding.severity() == Severity::Ok) {
        return said;
    }
    format!("{said}\nEvery code in brackets is explained in docs/doctor.md.")
}

/// The findings for machines.
pub(super) fn document(facts: &Facts, findings: &[Finding], exit: Exit) -> Value {
    let count = |severity| findings.iter().filter(|finding| finding.severity() == severity).count();
    let caller = facts.caller.known();
    json!({
        "function": facts.function_name,
        "account": caller.map(|caller| &caller.account),
        "region": caller.map(|caller| &caller.region),
        "would_work": match exit {
            Exit::Done => Value::Bool(true),
            Exit::NotDone => Value::Bool(false),
            Exit::Unknown => Value::Null,
        },
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "not_checked": count(Severity::NotChecked),
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::code::Code;
    use crate::doctor::judge::scene;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::new(Area::Configuration, Code::ConfigurationValid, "the environment", "valid, for the cluster at X"),
            Finding::new(
                Area::Groups,
                Code::HookMissing,
                "workers",
                "it has no terminate hook nomad-drain-hook: nothing holds its instances",
            )
            .todo("Make it:")
            .command("aws autoscaling put-lifecycle-hook --auto-scaling-group-name workers --lifecycle-hook-name nomad-drain-hook"),
            Finding::new(Area::Permissions, Code::NotChecked, "the role", "not checked: what it may do. You may not call it")
                .todo("Run it as somebody else."),
        ]
    }

    fn shown(width: Option<usize>, coloured: bool) -> String {
        text(&scene::facts(), &findings(), Exit::NotDone, &Style { width, coloured })
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_and_commands_that_can_be_copied() {
        insta::assert_snapshot!(shown(Some(60), false), @r"
        nomad-drain doctor, function nomad-drain, account 123456789012 in eu-west-1

        Configuration
          ok           the environment: valid, for the cluster at X

        Auto Scaling groups and their hooks
          ERROR        workers: it has no terminate hook
                       nomad-drain-hook: nothing holds its instances
                       [hook-missing]
                       Make it:
                         aws autoscaling put-lifecycle-hook \
                           --auto-scaling-group-name workers \
                           --lifecycle-hook-name nomad-drain-hook

        What the function's role may do
          not checked  the role: what it may do. You may not call it
                       [not-checked]
                       Run it as somebody else.

        1 error, 1 not checked, 1 ok. A drain would fail.
        Every code in brackets is explained in docs/doctor.md.
        ");
    }

    #[test]
    fn without_a_terminal_a_finding_is_one_line() {
        insta::assert_snapshot!(shown(None, false), @"
        nomad-drain doctor, function nomad-drain, account 123456789012 in eu-west-1

        Configuration
          ok           the environment: valid, for the cluster at X

        Auto Scaling groups and their hooks
          ERROR        workers: it has no terminate hook nomad-drain-hook: nothing holds its instances [hook-missing]
                       Make it:
                         aws autoscaling put-lifecycle-hook --auto-scaling-group-name workers --lifecycle-hook-name nomad-drain-hook

        What the function's role may do
          not checked  the role: what it may do. You may not call it [not-checked]
                       Run it as somebody else.

        1 error, 1 not checked, 1 ok. A drain would fail.
        Every code in brackets is explained in docs/doctor.md.
        ");
    }

    #[test]
    fn colours_are_for_terminals_and_change_no_word() {
        let coloured = shown(Some(80), true);
        assert!(coloured.contains("\u{1b}[31m"), "{coloured:?}");
        assert_eq!(console::strip_ansi_codes(&coloured), shown(Some(80), false));
    }
}
