//! JSON that is read field by field: what nobody asks for may hold what it likes, such as half a surrogate pair, which
//! no string can take. Its syntax has to be right all the same.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::EventError;

/// Deeper than any event that AWS sends.
const DEEPEST: usize = 64;

/// A JSON text, as far as an event can be made of it.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Object(Fields<'a>),
    Text(String),
    /// A number, a list, a boolean or null.
    Other,
}

/// The fields of an object. Of two with the same name the later one counts.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Json<'a> {
    /// Checks the syntax of everything, and the meaning of nothing below the first level.
    pub(super) fn parse(text: &'a str) -> Result<Self, EventError> {
        if depth(text) > DEEPEST {
            return Err(EventError::TooDeep(DEEPEST));
        }
        Self::of(serde_json::from_str(text).map_err(EventError::MalformedMessage)?)
    }

    pub(super) fn of(value: &'a RawValue) -> Result<Self, EventError> {
        let text = value.get();
        let parsed = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(|fields| Self::Object(Fields(fields))),
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            // No field of ours is in it.
            _ => Ok(Self::Other),
        };
        parsed.map_err(EventError::MalformedMessage)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is such a field, even if it is null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field's text; `None` if there is none, or if it is something else than text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.string(name).ok().flatten()
    }

    /// A field's text; `None` if there is no such field or it is null. Anything else is [`NoString`].
    pub(super) fn string(&self, name: &str) -> Result<Option<String>, NoString> {
        match self.0.get(name) {
            Some(value) => serde_json::from_str(value.get()).map_err(|_| NoString),
            None => Ok(None),
        }
    }

    /// The elements of a field that is a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// The fields of a field that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Fields<'a>> {
        serde_json::from_str(self.0.get(name)?.get()).ok().map(Fields)
    }
}

/// How deep objects and lists are nested, without recursion, whether or not it is JSON.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut in_text, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A field holds something that is not text, or text that cannot be.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoString;
