//! From text to expression, along go-bexpr's grammar.

use super::{Filter, Match, Operator};

/// Reads a whole expression. The error says where it ends to make sense, as Nomad does: line, column, byte offset.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let mut parser = Parser { text, at: 0 };
    let filter = parser.or()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.error("EOF"));
    }
    Ok(filter)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Filter, String> {
        let left = self.and()?;
        if !self.word("or") {
            return Ok(left);
        }
        Ok(Filter::Or(Box::new(left), Box::new(self.or()?)))
    }

    fn and(&mut self) -> Result<Filter, String> {
        let left = self.not()?;
        if !self.word("and") {
            return Ok(left);
        }
        Ok(Filter::And(Box::new(left), Box::new(self.and()?)))
    }

    fn not(&mut self) -> Result<Filter, String> {
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.not()?)));
        }
        if !self.symbol("(") {
            return self.comparison().map(Filter::Match);
        }
        let inner = self.or()?;
        if self.symbol(")") { Ok(inner) } else { Err(self.error("\")\"")) }
    }

    /// `selector == value` and its like, or `value in selector`.
    fn comparison(&mut self) -> Result<Match, String> {
        self.space();
        let start = self.at;
        if let Ok(selector) = self.selector()
            && let Some(operator) = self.operator()
        {
            let value = match operator {
                Operator::IsEmpty | Operator::IsNotEmpty => String::new(),
                Operator::Equal
                | Operator::NotEqual
                | Operator::In
                | Operator::NotIn
                | Operator::Matches
                | Operator::NotMatches => self.value()?,
            };
            return Ok(Match { selector, operator, value });
        }
        self.at = start;
        let value = self.value()?;
        let operator = if self.word("in") {
            Operator::In
        } else if self.words("not", "in") {
            Operator::NotIn
        } else {
            return Err(self.error("\"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\", \"not\""));
        };
        let selector = self.selector()?;
        Ok(Match { selector, operator, value })
    }

    fn operator(&mut self) -> Option<Operator> {
        let found = if self.symbol("==") {
            Operator::Equal
        } else if self.symbol("!=") {
            Operator::NotEqual
        } else if self.word("contains") {
            Operator::In
        } else if self.words("not", "contains") {
            Operator::NotIn
        } else if self.word("matches") {
            Operator::Matches
        } else if self.words("not", "matches") {
            Operator::NotMatches
        } else if self.words("is", "empty") {
            Operator::IsEmpty
        } else if self.word("is") && self.words("not", "empty") {
            Operator::IsNotEmpty
        } else {
            return None;
        };
        Some(found)
    }

    /// `Name`, `Map.key`, `Map["any key"]`.
    fn selector(&mut self) -> Result<Vec<String>, String> {
        self.space();
        let mut path = vec![self.identifier()?];
        loop {
            if self.eat(".") {
                path.push(self.identifier()?);
            } else if self.eat("[") {
                path.push(self.string()?);
                if !self.eat("]") {
                    return Err(self.error("\"]\""));
                }
            } else {
                return Ok(path);
            }
        }
    }

    /// A string, a number, or a bare selector that stands for its own text.
    fn value(&mut self) -> Result<String, String> {
        self.space();
        let rest = self.rest();
        if rest.starts_with(['"', '`']) {
            return self.string();
        }
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(rest.len());
        if number > 0 {
            self.at += number;
            return Ok(rest[..number].to_owned());
        }
        self.selector().map(|path| path.join("."))
    }

    fn identifier(&mut self) -> Result<String, String> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(self.error("\"-\", \"0\", \"\\\"\", \"`\", [ \\t\\r\\n], [1-9] or [a-zA-Z]"));
        }
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '/').unwrap_or(rest.len());
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    /// A string in backticks, as it stands, or in double quotes, with Go's escapes.
    fn string(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let quote = if rest.starts_with('`') { '`' } else { '"' };
        let Some((inner, _)) = rest.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) else {
            return Err(self.error("\"\\\"\" or \"`\""));
        };
        self.at += inner.len() + 2;
        if quote == '`' {
            return Ok(inner.to_owned());
        }
        let mut text = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match (c, (c == '\\').then(|| chars.next()).flatten()) {
                (_, Some('n')) => text.push('\n'),
                (_, Some('t')) => text.push('\t'),
                (_, Some('\\')) => text.push('\\'),
                ('\\', _) => return Err(format!("{}: rule \"string\": invalid syntax", self.position())),
                (c, _) => text.push(c),
            }
        }
        Ok(text)
    }

    /// One keyword, if it comes next; it must not run on into a longer word.
    fn word(&mut self, word: &str) -> bool {
        let start = self.at;
        self.space();
        let ends =
            |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/');
        if self.eat(word) && ends(self.rest()) {
            return true;
        }
        self.at = start;
        false
    }

    /// Two keywords, if both come next.
    fn words(&mut self, first: &str, second: &str) -> bool {
        let start = self.at;
        if self.word(first) && self.word(second) {
            return true;
        }
        self.at = start;
        false
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.space();
        self.eat(symbol)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &str) -> String {
        format!("{}: no match found, expected: {expected}", self.position())
    }

    fn position(&self) -> String {
        format!("1:{} ({})", self.at + 1, self.at)
    }
}
