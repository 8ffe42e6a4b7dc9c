//! What a token may do: the token, its roles and its policies, as `/v1/acl/…` gives them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::token::Token;
use crate::wire::or_default;

/// The token that a request was made with, without its secret: `GET /v1/acl/token/self`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct TokenSelf {
    /// Its public id. A request without a token is made by `anonymous`, and on a cluster without ACLs every request is
    /// made by `acls-disabled`.
    #[serde(rename = "AccessorID")]
    pub accessor_id: String,
    /// `client` or `management`.
    #[serde(default, rename = "Type")]
    pub token_type: String,
    /// The names of the policies that it has itself.
    #[serde(default, deserialize_with = "or_default")]
    pub policies: Vec<String>,
    /// The roles by which it has more.
    #[serde(default, deserialize_with = "or_default")]
    pub roles: Vec<RoleLink>,
    /// When it is worth nothing any more; `None` if it has no end.
    #[serde(default)]
    pub expiration_time: Option<Timestamp>,
}

impl TokenSelf {
    /// The accessor of every request on a cluster without ACLs, from Nomad 1.11 on.
    pub const WITHOUT_ACLS: &str = "acls-disabled";

    /// Whether no policy restricts it: a management token, or a cluster without ACLs.
    pub fn is_unrestricted(&self) -> bool {
        self.token_type == "management" || self.accessor_id == Self::WITHOUT_ACLS
    }
}

/// A token that a login gave: the answer to `POST /v1/acl/login`.
#[derive(Clone, Debug)]
pub struct Login {
    /// The token.
    pub token: Token,
    /// How long it lasts; `None` if it does not say so.
    pub lifetime: Option<SignedDuration>,
}

/// What the answer holds of it. The secret goes straight into a [`Token`].
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoginOnTheWire {
    #[serde(rename = "SecretID")]
    pub(crate) secret_id: Zeroizing<String>,
    #[serde(default)]
    pub(crate) create_time: Option<Timestamp>,
    #[serde(default)]
    pub(crate) expiration_time: Option<Timestamp>,
}

/// A server, as gossip knows it: one of the members of `GET /v1/agent/members`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct ServerMember {
    /// Its name, followed by its region: `s1.global`.
    #[serde(default)]
    pub name: String,
    /// `alive`, `leaving`, `left` or `failed`.
    #[serde(default)]
    pub status: String,
    /// What it says of itself: `build` is its version, `region` its region.
    #[serde(default, deserialize_with = "or_default")]
    pub tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MembersOnTheWire {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) server_region: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) members: Vec<ServerMember>,
}

/// A role as a token names it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct RoleLink {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A role: `GET /v1/acl/role/:id`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "RoleOnTheWire")]
pub struct Role {
    /// The names of its policies.
    pub policies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleOnTheWire {
    #[serde(default, deserialize_with = "or_default")]
    policies: Vec<PolicyLink>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyLink {
    name: String,
}

impl From<RoleOnTheWire> for Role {
    fn from(role: RoleOnTheWire) -> Self {
        Self { policies: role.policies.into_iter().map(|policy| policy.name).collect() }
    }
}

/// A policy: `GET /v1/acl/policy/:name`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// What it grants.
    #[serde(default, rename = "RulesJSON", deserialize_with = "or_default")]
    pub rules: PolicyRules,
}

/// The parsed rules of a policy, as far as they are about namespaces, nodes and agents.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "RulesOnTheWire")]
pub struct PolicyRules {
    /// The `namespace` blocks, in no order that means anything.
    pub namespaces: Vec<NamespaceRule>,
    /// What the `node` block says: `read`, `write` or `deny`.
    pub node: Option<String>,
    /// What the `agent` block says: `read`, `write` or `deny`.
    pub agent: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RulesOnTheWire {
    #[serde(default, deserialize_with = "or_default")]
    namespaces: Vec<NamespaceRule>,
    #[serde(default)]
    node: Option<SimpleRule>,
    #[serde(default)]
    agent: Option<SimpleRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SimpleRule {
    #[serde(default)]
    policy: String,
}

impl From<RulesOnTheWire> for PolicyRules {
    fn from(rules: RulesOnTheWire) -> Self {
        Self {
            namespaces: rules.namespaces,
            node: rules.node.map(|rule| rule.policy),
            agent: rules.agent.map(|rule| rule.policy),
        }
    }
}

/// Whether a token with these policies may drain nodes, which is `node:write`. Nomad takes the most that one of them
/// grants, and lets `deny` win (hashicorp/nomad, `acl/acl.go`).
pub fn may_drain(policies: &[Policy]) -> bool {
    let says = |word: &str| policies.iter().any(|policy| policy.rules.node.as_deref() == Some(word));
    says("write") && !says("deny")
}

/// Whether agents answer a token with these policies, which takes `agent:read` (hashicorp/nomad, `acl/acl.go`).
pub fn may_ask_agents(policies: &[Policy]) -> bool {
    let says = |word: &str| policies.iter().any(|policy| policy.rules.agent.as_deref() == Some(word));
    (says("read") || says("write")) && !says("deny")
}

/// One `namespace` block.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct NamespaceRule {
    /// A namespace, or a glob in which `*` stands for any text.
    pub name: String,
    /// The shorthand: `read`, `write`, `scale` or `deny`; empty if there is none.
    #[serde(default)]
    pub policy: String,
    /// The capabilities, such as `read-job`. Nomad adds what the shorthand stands for.
    #[serde(default, deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    // The answers are those of Nomad 2.0.5, shortened where nothing is read.

    #[test]
    fn a_token_is_read_with_its_policies_and_roles() {
        let token: TokenSelf = serde_json::from_str(
            r#"{"ExpirationTTL":"","AccessorID":"44e2a298-63c2-7158-ed88-1dbe542a5d68",
                "SecretID":"674b19a5-fabe-af9e-526b-41e1fccde491","Name":"t","Type":"client","Policies":["short"],
                "Roles":[{"ID":"04d8f4a8-62aa-00c8-018f-2c47d8ede4c3","Name":"drainer"}],"ExpirationTime":null}"#,
        )
        .unwrap();
        assert!(!token.is_unrestricted());
        assert_eq!(token.policies, ["short"]);
        assert_eq!(
            (token.roles[0].id.as_str(), token.roles[0].name.as_str()),
            ("04d8f4a8-62aa-00c8-018f-2c47d8ede4c3", "drainer")
        );
        assert!(!format!("{token:?}").contains("674b19a5"));
    }

    #[test]
    fn management_and_a_cluster_without_acls_restrict_nothing() {
        for (json, unrestricted) in [
            (r#"{"AccessorID":"c7941631","Type":"management","Policies":null,"Roles":null}"#, true),
            (r#"{"AccessorID":"acls-disabled","Type":"client","Policies":null,"Roles":null}"#, true),
            (r#"{"AccessorID":"anonymous","Type":"client","Policies":["anonymous"],"Roles":null}"#, false),
        ] {
            let token: TokenSelf = serde_json::from_str(json).unwrap();
            assert_eq!(token.is_unrestricted(), unrestricted, "{json}");
        }
    }

    #[test]
    fn a_role_is_the_names_of_its_policies() {
        let role: Role = serde_json::from_str(
            r#"{"ID":"04d8f4a8","Name":"drainer","Policies":[{"Name":"plain"},{"Name":"merge"}]}"#,
        )
        .unwrap();
        assert_eq!(role.policies, ["plain", "merge"]);
        assert_eq!(serde_json::from_str::<Role>(r#"{"Policies":null}"#).unwrap(), Role::default());
    }

    #[test]
    fn a_policy_is_read_with_its_namespace_rules() {
        let policy: Policy = serde_json::from_str(
            r#"{"JobACL":null,"Name":"short","Rules":"…","RulesJSON":{"Agent":null,"HostVolumes":null,"Namespaces":[
                {"Capabilities":["scale-job","read-job"],"Name":"*","Policy":"scale","Variables":null},
                {"Capabilities":null,"Name":"x","Policy":"","Variables":{"Paths":[{"PathSpec":"*"}]}}],
                "Node":null,"Raw":"…"}}"#,
        )
        .unwrap();
        let [all, x] = policy.rules.namespaces.as_slice() else { panic!("{policy:?}") };
        assert_eq!((all.name.as_str(), all.policy.as_str(), all.capabilities.len()), ("*", "scale", 2));
        assert_eq!((x.name.as_str(), x.policy.as_str(), x.capabilities.len()), ("x", "", 0));
    }

    #[test]
    fn the_most_that_a_policy_grants_counts_and_deny_wins() {
        let of = |words: &[&str]| {
            let policy = |word: &&str| {
                let json = format!(
                    r#"{{"Name":"n","RulesJSON":{{"Namespaces":null,"Node":{{"Policy":"{word}"}}}}}}"#
                );
                serde_json::from_str::<Policy>(&json).unwrap()
            };
            may_drain(&words.iter().map(policy).collect::<Vec<_>>())
        };
        assert!(of(&["write"]) && of(&["read", "write"]));
        assert!(!of(&[]) && !of(&["read"]) && !of(&["write", "deny"]));
    }

    #[test]
    fn a_token_may_have_an_end() {
        let json = r#"{"AccessorID":"a","Type":"client","ExpirationTime":"2026-03-01T12:00:00Z"}"#;
        let token: TokenSelf = serde_json::from_str(json).unwrap();
        assert_eq!(token.expiration_time, Some("2026-03-01T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_policy_without_namespaces_has_no_rules_for_them() {
        for json in [
            r#"{"Name":"n","RulesJSON":{"Namespaces":null,"Node":null}}"#,
            r#"{"Name":"n","RulesJSON":null}"#,
            r#"{"Name":"n"}"#,
        ] {
            assert_eq!(serde_json::from_str::<Policy>(json).unwrap().rules, PolicyRules::default());
        }
    }
}
