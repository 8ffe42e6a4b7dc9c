//! Markup that is well-formed and escaped because there is no other way to write it.

use std::fmt::{Display, Write as _};

/// A document that grows: HTML or SVG, in the syntax that both share with XML.
#[derive(Debug, Default)]
pub(super) struct Markup {
    text: String,
    depth: usize,
}

/// Names and values of attributes.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a dyn Display)];

impl Markup {
    /// An element over several lines.
    pub(super) fn block(&mut self, name: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.indent();
        self.open(name, attributes, ">\n");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        let _ = writeln!(self.text, "</{name}>");
    }

    /// An element on a line of its own.
    pub(super) fn line(&mut self, name: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.indent();
        self.inline(name, attributes, inside);
        self.text.push('\n');
    }

    /// An element in the middle of text.
    pub(super) fn inline(&mut self, name: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.open(name, attributes, ">");
        inside(self);
        let _ = write!(self.text, "</{name}>");
    }

    /// An element on a line of its own that holds nothing but text.
    pub(super) fn words(&mut self, name: &str, attributes: Attributes<'_>, words: impl Display) {
        self.line(name, attributes, |markup| markup.text(words));
    }

    /// An element on a line of its own that holds nothing.
    pub(super) fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.indent();
        self.open(name, attributes, " />\n");
    }

    /// Text.
    pub(super) fn text(&mut self, text: impl Display) {
        self.text.push_str(&escaped(&text));
    }

    /// What is markup, or a style sheet, already; it comes from this program alone.
    pub(super) fn verbatim(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    fn open(&mut self, name: &str, attributes: Attributes<'_>, end: &str) {
        let _ = write!(self.text, "<{name}");
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"{}\"", escaped(value));
        }
        self.text.push_str(end);
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n(' ', self.depth));
    }
}

impl From<Markup> for String {
    fn from(markup: Markup) -> Self {
        markup.text
    }
}

/// Text that means itself, between tags and in quotes. Control characters, which no document may hold, are replaced.
fn escaped(text: &dyn Display) -> String {
    let mut escaped = String::new();
    for character in text.to_string().chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            _ if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_text_or_attributes_is_markup() {
        let mut markup = Markup::default();
        markup.block("p", &[("title", &"\"a\" <b>")], |markup| {
            markup.words("b", &[], "</b> & <script>\u{1b}");
            markup.empty("hr", &[]);
        });
        let expected = "<p title=\"&quot;a&quot; &lt;b&gt;\">\n <b>&lt;/b&gt; &amp; &lt;script&gt;\u{fffd}</b>\n <hr />\n</p>\n";
        assert_eq!(String::from(markup), expected);
    }
}
