//! JSON that is read field by field: what nobody asks for may hold what it likes, such as half a surrogate pair, which
//! no string can take. Its syntax has to be right all the same.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON text, as far as an event can be made of it.
#[derive(Debug)]
pub(super) enum Json<'a> {
    Object(Fields<'a>),
    Text(String),
    /// A number, a list, a boolean or null.
    Other,
}

/// The fields of an object. Of two with the same name the later one counts.
#[derive(Debug)]
pub(super) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Json<'a> {
    /// Checks the syntax of everything, and the meaning of nothing below the first level.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        Self::of(serde_json::from_str(text)?)
    }

    pub(super) fn of(value: &'a RawValue) -> Result<Self, serde_json::Error> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(|fields| Self::Object(Fields(fields))),
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            // Read whole, with the limits that serde_json sets: no field of ours is in it that would have to be saved,
            // and hostile depth should not pass for a stranger's harmless message.
            _ => serde_json::from_str::<Value>(text).map(|_| Self::Other),
        }
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

/// A field holds something that is not text, or text that cannot be.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoString;
