//! Names and identifiers, each with a type of its own, validated where they enter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An EC2 instance id: `i-` and 8 to 17 hexadecimal digits in lower case.
///
/// Ids come out of events and go into URLs, filter expressions and API calls. A value of this type is safe there.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct InstanceId(String);

/// The text is not an EC2 instance id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not an EC2 instance id (i- and 8 to 17 hexadecimal digits)")]
pub struct InvalidInstanceId(String);

impl InstanceId {
    /// Checks that `text` is an instance id.
    pub fn parse(text: &str) -> Result<Self, InvalidInstanceId> {
        let valid = text.strip_prefix("i-").is_some_and(|digits| {
            (8..=17).contains(&digits.len())
                && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidInstanceId(shorten(text))) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a Nomad client node: a UUID of 36 characters.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct NodeId(String);

/// The text is not a Nomad node id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a Nomad node id (a UUID of 36 characters)")]
pub struct InvalidNodeId(String);

impl NodeId {
    /// Checks that `text` is a UUID. Servers and agents send ids that go into a URL's path: nothing else may.
    pub fn parse(text: &str) -> Result<Self, InvalidNodeId> {
        let valid = text.len() == 36
            && text.bytes().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidNodeId(shorten(text))) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an Auto Scaling group.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct GroupName(String);

/// The text cannot be the name of an Auto Scaling group.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not the name of an Auto Scaling group (1 to 255 printable characters, no colon)")]
pub struct InvalidGroupName(String);

impl GroupName {
    /// Checks `name` against what `CreateAutoScalingGroup` takes: 1 to 255 characters, none of them a control
    /// character or a colon.
    pub fn parse(name: &str) -> Result<Self, InvalidGroupName> {
        let valid =
            (1..=255).contains(&name.chars().count()) && !name.chars().any(|c| c.is_control() || c == ':');
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidGroupName(shorten(name))) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a lifecycle hook.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct HookName(String);

/// The text cannot be the name of a lifecycle hook.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a lifecycle hook name (1 to 255 characters of A-Z a-z 0-9 - _ /)")]
pub struct InvalidHookName(String);

impl HookName {
    /// Checks `name` against the pattern of `PutLifecycleHook`: `[A-Za-z0-9\-_\/]+`, at most 255 characters.
    pub fn parse(name: &str) -> Result<Self, InvalidHookName> {
        let valid = (1..=255).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/'));
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidHookName(shorten(name))) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for InstanceId {
    type Error = InvalidInstanceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for NodeId {
    type Error = InvalidNodeId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for GroupName {
    type Error = InvalidGroupName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for HookName {
    type Error = InvalidHookName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// Whatever a stranger sent goes into an error message: a short piece of it is enough.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_have_the_short_or_the_long_form() {
        for good in ["i-1234abcd", "i-0123456789abcdef0"] {
            assert_eq!(InstanceId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "i-",
            "i-123",
            "i-0123456789abcdef01",
            "i-0123456789ABCDEF0",
            "x-1234abcd",
            "i-1234abcd\" or \"1",
            "i-1234abcd/..",
        ] {
            assert!(InstanceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn node_ids_are_uuids_and_nothing_that_could_change_a_path() {
        assert!(NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").is_ok());
        for bad in
            ["", "f7476465", "f7476465-4d6e-c0de-26d0-e383c49be94/", "../../v1/system/gc?xxxxxxxxxxxxxxxxxxx"]
        {
            assert!(NodeId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hook_names_follow_the_pattern_of_the_api() {
        assert!(HookName::parse("nomad-drain_hook/1").is_ok());
        assert!(HookName::parse("").is_err());
        assert!(HookName::parse("a hook").is_err());
        assert!(HookName::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn an_error_quotes_only_the_start_of_what_a_stranger_sent() {
        let error = InstanceId::parse(&"é".repeat(1_000_000)).unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
