//! Whether a token sees every allocation.
//!
//! `GET /v1/node/:id/allocations` leaves out, without a word, the allocations of the namespaces in which the token lacks
//! `read-job`. Only a token that has it in every namespace proves that a node runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::acl::{NamespaceRule, Policy};

/// The capability that shows allocations.
const READ_JOB: &str = "read-job";

/// What a token's policies let it see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sees {
    /// The allocations of every namespace, of those that come later as well.
    Everything,
    /// Not all of them.
    NotEverything {
        /// The rules that lack `read-job`, sorted; `*` also if there is no rule for it.
        namespaces: Vec<String>,
    },
}

/// What a token with these policies sees. A management token needs none: see [`crate::TokenSelf::is_unrestricted`].
///
/// Nomad adds up the rules of one name over all policies, lets `deny` win, and obeys the rule whose name comes closest
/// to the namespace, even one that grants nothing (hashicorp/nomad, acl/acl.go). So there has to be a rule for `*`, and
/// every rule beside it has to grant `read-job` as well.
pub fn sees_every_namespace(policies: &[Policy]) -> Sees {
    let mut granted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([("*", BTreeSet::new())]);
    for rule in policies.iter().flat_map(|policy| &policy.rules.namespaces) {
        granted.entry(&rule.name).or_default().extend(capabilities(rule));
    }
    let lacking =
        granted.iter().filter(|(_, granted)| !granted.contains(READ_JOB) || granted.contains("deny"));
    let namespaces: Vec<String> = lacking.map(|(name, _)| (*name).to_owned()).collect();
    if namespaces.is_empty() { Sees::Everything } else { Sees::NotEverything { namespaces } }
}

/// The capabilities of a rule, as far as they matter here. No other capability implies `read-job`: not even
/// `submit-job` does.
fn capabilities(rule: &NamespaceRule) -> impl Iterator<Item = &str> {
    let shorthand = match rule.policy.as_str() {
        "read" | "write" | "scale" => Some(READ_JOB),
        "deny" => Some("deny"),
        _ => None,
    };
    rule.capabilities.iter().map(String::as_str).chain(shorthand)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::PolicyRules;

    /// A rule in short: `name policy` or `name [capabilities]`.
    fn policy(rules: &[&str]) -> Policy {
        let namespaces = rules.iter().map(|rule| {
            let (name, grant) = rule.split_once(' ').unwrap();
            let mut rule = NamespaceRule { name: name.to_owned(), ..NamespaceRule::default() };
            match grant.strip_prefix('[').and_then(|grant| grant.strip_suffix(']')) {
                Some(list) => rule.capabilities = list.split_whitespace().map(str::to_owned).collect(),
                None => rule.policy = grant.to_owned(),
            }
            rule
        });
        let rules = PolicyRules { namespaces: namespaces.collect(), ..PolicyRules::default() };
        Policy { name: "drain".to_owned(), rules }
    }

    #[test]
    fn every_rule_has_to_grant_read_job_and_one_has_to_be_for_every_namespace() {
        let cases: [(&[&[&str]], &[&str]); 18] = [
            (&[&["* [read-job]"]], &[]),
            (&[&["* read"]], &[]),
            (&[&["* write"]], &[]),
            (&[&["* scale"]], &[]),
            (&[&["* [list-jobs submit-job read-logs alloc-lifecycle]"]], &["*"]),
            (&[&["* list"]], &["*"]),
            (&[&["* deny"]], &["*"]),
            (&[], &["*"]),
            (&[&[]], &["*"]),
            (&[&["default read", "web read"]], &["*"]),
            // A closer rule replaces the one for all, even if it is about variables only.
            (&[&["* read", "web [list-jobs]", "batch-* []"]], &["batch-*", "web"]),
            (&[&["* read", "web [read-job]", "batch-* write"]], &[]),
            // One name, several policies: what they grant adds up.
            (&[&["* [list-jobs]"], &["* [read-job]"]], &[]),
            (&[&["* read", "web []"], &["web [read-job]"]], &[]),
            (&[&["* read"], &["web []"]], &["web"]),
            // But deny wins, in whatever order.
            (&[&["* deny"], &["* read"]], &["*"]),
            (&[&["* read"], &["* [deny]"]], &["*"]),
            (&[&["* read", "web [read-job deny]"]], &["web"]),
        ];
        for (policies, lacking) in cases {
            let sees = sees_every_namespace(&policies.iter().map(|rules| policy(rules)).collect::<Vec<_>>());
            let namespaces: Vec<String> = lacking.iter().map(|&name| name.to_owned()).collect();
            let expected =
                if namespaces.is_empty() { Sees::Everything } else { Sees::NotEverything { namespaces } };
            assert_eq!(sees, expected, "{policies:?}");
        }
    }
}
