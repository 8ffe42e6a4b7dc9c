//! Who may do what: tokens, policies, and the exchange of JWTs for tokens.

mod method;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::method::AuthMethod;

/// How much of a kind of thing a policy opens.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// Nothing.
    #[default]
    None,
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// A policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    node: Access,
    agent: Access,
    namespaces: BTreeMap<String, Vec<String>>,
}

impl Policy {
    /// What somebody needs who drains nodes and watches the allocations of every namespace leave.
    pub fn minimal() -> Self {
        Self::default().node(Access::Write).namespace("*", &["read-job"])
    }

    /// `node { policy = … }`.
    #[must_use]
    pub fn node(mut self, access: Access) -> Self {
        self.node = access;
        self
    }

    /// `agent { policy = … }`.
    #[must_use]
    pub fn agent(mut self, access: Access) -> Self {
        self.agent = access;
        self
    }

    /// `namespace "pattern" { capabilities = […] }`.
    #[must_use]
    pub fn namespace(mut self, pattern: &str, capabilities: &[&str]) -> Self {
        self.namespaces.insert(pattern.to_owned(), capabilities.iter().map(ToString::to_string).collect());
        self
    }

    /// What the policy grants, for people.
    pub(super) fn view(&self) -> PolicyView {
        PolicyView { node: self.node, agent: self.agent, namespaces: self.namespaces.clone() }
    }

    /// The policy as the servers read it: `RulesJSON`. What a policy does not mention is null.
    pub(super) fn rules_json(&self) -> Value {
        let kind = |access| match access {
            Access::None => Value::Null,
            Access::Read => json!({"Policy": "read"}),
            Access::Write => json!({"Policy": "write"}),
        };
        let namespaces = self.namespaces.iter().map(|(pattern, capabilities)| {
            json!({"Name": pattern, "Policy": "", "Capabilities": capabilities, "Variables": null})
        });
        let namespaces: Vec<Value> = namespaces.collect();
        json!({
            "Namespaces": if namespaces.is_empty() { Value::Null } else { namespaces.into() },
            "NodePools": null,
            "HostVolumes": null,
            "Agent": kind(self.agent),
            "Node": kind(self.node),
            "Operator": null,
            "Quota": null,
            "Plugin": null,
            "Sentinel": null,
            "ExtraKeysHCL": null,
            "Raw": self.rules(),
        })
    }

    /// The policy as somebody would have written it.
    pub(super) fn rules(&self) -> String {
        let kinds = [("node", self.node), ("agent", self.agent)].map(|(kind, access)| match access {
            Access::None => String::new(),
            Access::Read => format!("{kind} {{\n  policy = \"read\"\n}}\n"),
            Access::Write => format!("{kind} {{\n  policy = \"write\"\n}}\n"),
        });
        let namespaces = self.namespaces.iter().map(|(pattern, capabilities)| {
            format!("namespace \"{pattern}\" {{\n  capabilities = {}\n}}\n", json!(capabilities))
        });
        kinds.into_iter().chain(namespaces).collect()
    }

    /// How well this policy's best rule for a namespace fits it, and what that rule permits. The namespace's own name
    /// fits best, then the pattern that leaves least to its wildcards.
    fn rule_for(&self, namespace: &str) -> Option<(usize, &Vec<String>)> {
        let fitting = self.namespaces.iter().filter(|(pattern, _)| matches_glob(pattern, namespace));
        fitting
            .map(|(pattern, capabilities)| {
                let exact = if pattern == namespace { usize::MAX } else { pattern.replace('*', "").len() };
                (exact, capabilities)
            })
            .max_by_key(|(fit, _)| *fit)
    }
}

/// What a policy grants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyView {
    /// `node { policy = … }`.
    pub node: Access,
    /// `agent { policy = … }`.
    pub agent: Access,
    /// The capabilities of each pattern of namespaces.
    pub namespaces: BTreeMap<String, Vec<String>>,
}

/// A token as its bearer is told about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenView {
    /// Its accessor id.
    pub accessor: String,
    /// Whether it may do everything.
    pub management: bool,
    /// The names of its own policies.
    pub policies: Vec<String>,
    /// The ids of its roles.
    pub roles: Vec<String>,
    /// When it is worth nothing any more.
    pub expires: Option<Timestamp>,
}

/// A named set of policies.
#[derive(Clone, Debug)]
pub(super) struct Role {
    name: String,
    pub(super) policies: Vec<String>,
}

impl Role {
    pub(super) fn new(name: &str, policies: &[&str]) -> Self {
        Self { name: name.to_owned(), policies: policies.iter().map(ToString::to_string).collect() }
    }

    /// The role as `GET /v1/acl/role/:id` answers it.
    pub(super) fn json(&self, id: &str) -> Value {
        let policies: Vec<Value> = self.policies.iter().map(|name| json!({"Name": name})).collect();
        json!({
            "ID": id, "Name": self.name, "Description": "", "Policies": policies, "Hash": null,
            "CreateIndex": 11, "ModifyIndex": 11,
        })
    }
}

/// A token that is to be known.
#[derive(Clone)]
pub struct Token {
    secret: String,
    name: String,
    management: bool,
    policies: Vec<String>,
    /// Their ids.
    roles: Vec<String>,
    expires: Option<Timestamp>,
}

impl Token {
    /// A client token with these policies. The secret id is what callers send.
    pub fn client(secret: impl Into<String>, policies: &[&str]) -> Self {
        Self {
            secret: secret.into(),
            name: "lab".to_owned(),
            management: false,
            policies: policies.iter().map(ToString::to_string).collect(),
            roles: Vec::new(),
            expires: None,
        }
    }

    /// Has the policies of the role with this id, too.
    #[must_use]
    pub fn role(mut self, id: &str) -> Self {
        self.roles.push(id.to_owned());
        self
    }

    /// A token that may do everything.
    pub fn management(secret: impl Into<String>) -> Self {
        Self { management: true, ..Self::client(secret, &[]) }
    }

    /// Is worth nothing from this moment on.
    #[must_use]
    pub fn expires(mut self, moment: Timestamp) -> Self {
        self.expires = Some(moment);
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Token")
            .field("name", &self.name)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

/// Everything that the servers know about permissions.
#[derive(Debug, Default)]
pub(super) struct Acl {
    pub(super) enabled: bool,
    pub(super) policies: BTreeMap<String, Policy>,
    /// By id.
    pub(super) roles: BTreeMap<String, Role>,
    /// By secret id.
    pub(super) tokens: BTreeMap<String, StoredToken>,
    pub(super) methods: BTreeMap<String, AuthMethod>,
}

/// A token with what the servers add to it.
#[derive(Clone, Debug)]
pub(super) struct StoredToken {
    pub(super) accessor: String,
    created: Timestamp,
    token: Token,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TokenError {
    /// It is not known, or not any more.
    NotFound,
    /// It has expired.
    Expired,
}

/// Why a login is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum LoginError {
    /// It says too little: these lines say what is missing.
    Incomplete(Vec<&'static str>),
    /// There is no such auth method.
    NoMethod(String),
    /// The JWT is not one that the method accepts.
    BadJwt,
    /// The JWT is fine, and no binding rule says what it is good for.
    Unbound,
}

/// What a caller may do.
#[derive(Debug)]
pub(super) struct Rights<'a> {
    pub(super) accessor: &'a str,
    management: bool,
    policies: Vec<&'a Policy>,
}

impl Acl {
    pub(super) fn add(&mut self, created: Timestamp, accessor: String, token: Token) {
        self.tokens.insert(token.secret.clone(), StoredToken { accessor, created, token });
    }

    /// What the bearer of this secret may do.
    pub(super) fn rights(&self, secret: Option<&str>, now: Timestamp) -> Result<Rights<'_>, TokenError> {
        if !self.enabled {
            return Ok(Rights { accessor: "acls-disabled", management: true, policies: Vec::new() });
        }
        let Some(secret) = secret else {
            let policies = self.policies.get("anonymous").into_iter().collect();
            return Ok(Rights { accessor: "anonymous", management: false, policies });
        };
        let stored = self.token(secret, now)?;
        let policies = self.names_for(&stored.token).filter_map(|name| self.policies.get(name)).collect();
        Ok(Rights { accessor: &stored.accessor, management: stored.token.management, policies })
    }

    /// The token with this secret, if it is still good.
    pub(super) fn token(&self, secret: &str, now: Timestamp) -> Result<&StoredToken, TokenError> {
        let stored = self.tokens.get(secret).ok_or(TokenError::NotFound)?;
        if stored.token.expires.is_some_and(|moment| moment <= now) {
            return Err(TokenError::Expired);
        }
        Ok(stored)
    }

    /// Whether the bearer of this secret may read a policy: its own, directly or through a role.
    pub(super) fn may_read_policy(&self, secret: Option<&str>, name: &str, now: Timestamp) -> bool {
        let stored = secret.and_then(|secret| self.token(secret, now).ok());
        !self.enabled
            || stored.is_some_and(|stored| {
                stored.token.management || self.names_for(&stored.token).any(|policy| policy == name)
            })
    }

    /// Whether the bearer of this secret may read a role: its own.
    pub(super) fn may_read_role(&self, secret: Option<&str>, id: &str, now: Timestamp) -> bool {
        let stored = secret.and_then(|secret| self.token(secret, now).ok());
        !self.enabled
            || stored.is_some_and(|stored| {
                stored.token.management || stored.token.roles.iter().any(|role| role == id)
            })
    }

    /// `GET /v1/acl/token/self`.
    pub(super) fn token_json(&self, stored: &StoredToken) -> Value {
        let roles: Vec<Value> = stored
            .token
            .roles
            .iter()
            .filter_map(|id| Some(json!({"ID": id, "Name": self.roles.get(id)?.name})))
            .collect();
        let mut json = stored.json();
        if !roles.is_empty() {
            json["Roles"] = roles.into();
        }
        json
    }

    /// The names of a token's policies, its own and those of its roles.
    fn names_for<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a String> {
        let roles = token.roles.iter().filter_map(|id| self.roles.get(id));
        token.policies.iter().chain(roles.flat_map(|role| &role.policies))
    }

    /// Exchanges a JWT for a new token with the given ids.
    pub(super) fn log_in(
        &mut self,
        now: Timestamp,
        method_name: &str,
        jwt: &str,
        (accessor, secret): (String, String),
    ) -> Result<&StoredToken, LoginError> {
        let missing: Vec<&str> = [(method_name, "missing auth method name"), (jwt, "missing login token")]
            .into_iter()
            .filter_map(|(given, complaint)| given.is_empty().then_some(complaint))
            .collect();
        if !missing.is_empty() {
            return Err(LoginError::Incomplete(missing));
        }
        let method =
            self.methods.get(method_name).ok_or_else(|| LoginError::NoMethod(method_name.to_owned()))?;
        let policies = method.policies(jwt, now).ok_or(LoginError::BadJwt)?;
        if policies.is_empty() {
            return Err(LoginError::Unbound);
        }
        let token = Token {
            secret: secret.clone(),
            name: format!("JWT-{method_name}"),
            management: false,
            policies: policies.to_vec(),
            roles: Vec::new(),
            expires: Some(now + method.ttl),
        };
        Ok(self.tokens.entry(secret).or_insert(StoredToken { accessor, created: now, token }))
    }
}

impl Rights<'_> {
    /// Whether nodes are open that far.
    pub(super) fn node(&self, access: Access) -> bool {
        self.management || self.policies.iter().any(|policy| policy.node >= access)
    }

    /// Whether agents are open that far.
    pub(super) fn agent(&self, access: Access) -> bool {
        self.management || self.policies.iter().any(|policy| policy.agent >= access)
    }

    /// Whether a namespace opens this way. Of several policies, the rule that fits the namespace best decides.
    pub(super) fn namespace(&self, namespace: &str, capability: &str) -> bool {
        let rules = || self.policies.iter().filter_map(|policy| policy.rule_for(namespace));
        let best = rules().map(|(fit, _)| fit).max();
        let permitted = |word: &str| {
            rules().any(|(fit, capabilities)| Some(fit) == best && capabilities.iter().any(|one| one == word))
        };
        self.management || (permitted(capability) && !permitted("deny"))
    }

    /// Whether any namespace opens this way.
    pub(super) fn any_namespace(&self, capability: &str) -> bool {
        let mut rules = self.policies.iter().flat_map(|policy| policy.namespaces.values());
        self.management || rules.any(|capabilities| capabilities.iter().any(|one| one == capability))
    }
}

impl StoredToken {
    /// The token as `GET /v1/acl/token/self` answers it.
    pub(super) fn json(&self) -> Value {
        let expires = self.token.expires;
        let ttl = expires.map(|moment| format!("{:#}", moment.duration_since(self.created)).replace(' ', ""));
        json!({
            "AccessorID": self.accessor,
            "SecretID": self.token.secret,
            "Name": self.token.name,
            "Type": if self.token.management { "management" } else { "client" },
            "Policies": if self.token.management { Value::Null } else { json!(self.token.policies) },
            "Roles": null,
            "Global": self.token.management,
            "Hash": null,
            "CreateTime": self.created.to_string(),
            "ExpirationTime": expires.map(|moment| moment.to_string()),
            "ExpirationTTL": ttl.unwrap_or_default(),
            "CreateIndex": 11,
            "ModifyIndex": 11,
        })
    }

    /// The token, for people.
    pub(super) fn view(&self) -> TokenView {
        TokenView {
            accessor: self.accessor.clone(),
            management: self.token.management,
            policies: self.token.policies.clone(),
            roles: self.token.roles.clone(),
            expires: self.token.expires,
        }
    }
}

/// What `GET /v1/acl/token/self` answers without a token: the anonymous one, or what stands for "ACLs are off".
pub(super) fn pseudo_token(acl_enabled: bool) -> Value {
    let (accessor, name, policies) = if acl_enabled {
        ("anonymous", "Anonymous Token", json!(["anonymous"]))
    } else {
        ("acls-disabled", "ACLs disabled token", Value::Null)
    };
    json!({
        "AccessorID": accessor, "SecretID": "", "Name": name, "Type": "client", "Policies": policies, "Roles": null,
        "Global": false, "Hash": null, "CreateTime": "0001-01-01T00:00:00Z", "ExpirationTime": null,
        "ExpirationTTL": "", "CreateIndex": 0, "ModifyIndex": 0,
    })
}

/// Whether `text` fits a pattern in which `*` stands for anything.
fn matches_glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|start| rest.get(start..)).any(|rest| matches_glob(tail, rest))
        }),
    }
}

#[cfg(test)]
mod tests;
