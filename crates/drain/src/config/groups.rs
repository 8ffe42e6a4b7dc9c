//! Which Auto Scaling groups the sweep looks after.

use std::collections::BTreeMap;

use drain_core::ids::{GroupName, InvalidGroupName};
use wildmatch::WildMatch;

/// The group tag that puts a group under the sweep: any value but `off` and `false`, in any case.
pub const WATCH_TAG: &str = "nomad-drain";

/// The group tag that holds a group's instances: heartbeats only, no drain, no completion.
pub const HOLD_TAG: &str = "nomad-drain-hold";

/// Which groups the sweep looks after.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSelection {
    /// Whether those with the tag [`WATCH_TAG`] are.
    pub tagged: bool,
    /// Those whose name one of these matches are, whatever their tags.
    pub patterns: Vec<GroupPattern>,
}

impl GroupSelection {
    /// Those with the tag [`WATCH_TAG`].
    pub fn tagged() -> Self {
        Self { tagged: true, patterns: Vec::new() }
    }

    /// Those of these names only (`AUTO_SCALING_GROUPS`).
    pub fn named(patterns: Vec<GroupPattern>) -> Self {
        Self { tagged: false, patterns }
    }

    /// Whether the group `name`, which carries `tags`, is one of them.
    pub fn watches(&self, name: &GroupName, tags: &BTreeMap<String, String>) -> bool {
        self.tagged && tags.get(WATCH_TAG).is_some_and(|value| is_on(value)) || self.names(name)
    }

    /// Whether the group `name` may be one of them, if its tags are not known.
    pub fn may_watch(&self, name: &GroupName) -> bool {
        self.tagged || self.names(name)
    }

    fn names(&self, name: &GroupName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// The groups that are named in full.
    pub fn literals(&self) -> impl Iterator<Item = &GroupName> {
        self.patterns.iter().filter_map(GroupPattern::literal)
    }
}

/// Whether a tag's value switches on what the tag stands for: people set tags with and without one.
pub fn is_on(value: &str) -> bool {
    let value = value.trim();
    !value.eq_ignore_ascii_case("off") && !value.eq_ignore_ascii_case("false")
}

/// The name of a group, or a glob for names: `*` is any text, also none, and `?` any one character.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPattern(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Literal(GroupName),
    Glob(WildMatch),
}

impl GroupPattern {
    /// Takes what a group's name may hold; a name with `*` or `?` in it is a glob, which matches that name too.
    pub fn parse(text: &str) -> Result<Self, InvalidGroupName> {
        let name = GroupName::parse(text)?;
        let is_glob = text.contains(['*', '?']);
        Ok(Self(if is_glob { Kind::Glob(WildMatch::new(text)) } else { Kind::Literal(name) }))
    }

    /// Whether the whole of `name` matches, upper and lower case distinguished as Auto Scaling does.
    pub fn matches(&self, name: &GroupName) -> bool {
        match &self.0 {
            Kind::Literal(literal) => literal == name,
            Kind::Glob(glob) => glob.matches(name.as_str()),
        }
    }

    /// The name, if it is one: such a group can be asked for by name.
    pub fn literal(&self) -> Option<&GroupName> {
        match &self.0 {
            Kind::Literal(name) => Some(name),
            Kind::Glob(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> GroupName {
        GroupName::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_is_a_name_or_a_glob_over_the_whole_name() {
        for (pattern, text, expected) in [
            ("workers", "workers", true),
            ("workers", "Workers", false),
            ("workers", "workers-2", false),
            ("workers-*", "workers-", true),
            ("workers-*", "workers-eu-1", true),
            ("workers-*", "my-workers-1", false),
            ("workers-?", "workers-1", true),
            ("workers-?", "workers-10", false),
            ("*-blue-*", "a-blue-b-blue-c", true),
            ("*", "anything at all", true),
            ("a.c", "abc", false),
            ("[ab]", "a", false),
        ] {
            assert_eq!(
                GroupPattern::parse(pattern).unwrap().matches(&name(text)),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn only_a_name_can_be_asked_for() {
        assert_eq!(GroupPattern::parse("workers").unwrap().literal(), Some(&name("workers")));
        assert_eq!(GroupPattern::parse("workers-*").unwrap().literal(), None);
    }

    #[test]
    fn a_tagged_group_is_watched_unless_the_tag_says_off() {
        let watched = |tags: &[(&str, &str)]| {
            let tags = tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
            GroupSelection::tagged().watches(&name("workers"), &tags)
        };
        for value in ["on", "true", "", "yes", "1"] {
            assert!(watched(&[(WATCH_TAG, value)]), "{value}");
        }
        for value in ["off", "OFF", "false", "False", " off "] {
            assert!(!watched(&[(WATCH_TAG, value)]), "{value}");
        }
        assert!(!watched(&[]));
        assert!(!watched(&[(HOLD_TAG, "on"), ("Nomad-Drain", "on")]));
    }

    #[test]
    fn named_groups_are_watched_whatever_their_tags() {
        let patterns = ["workers", "spot-*"].map(|text| GroupPattern::parse(text).unwrap());
        let selection = GroupSelection::named(patterns.to_vec());
        let off = BTreeMap::from([(WATCH_TAG.to_owned(), "off".to_owned())]);
        assert!(selection.watches(&name("workers"), &off));
        assert!(selection.watches(&name("spot-1"), &BTreeMap::new()));
        let on = BTreeMap::from([(WATCH_TAG.to_owned(), "on".to_owned())]);
        assert!(!selection.watches(&name("servers"), &on));
    }
}
