//! Auth methods: the exchange of JWTs for tokens.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::aws::IdentityProvider;

/// A method of type JWT by which somebody logs in.
#[derive(Clone, Default)]
pub struct AuthMethod {
    pub(super) ttl: SignedDuration,
    logins: BTreeMap<String, Vec<String>>,
    trusted: Option<Trusted>,
}

/// Who signs the JWTs of a method, and what they are good for.
#[derive(Clone)]
struct Trusted {
    provider: IdentityProvider,
    audience: String,
    /// By subject: the policies.
    bindings: BTreeMap<String, Vec<String>>,
}

impl AuthMethod {
    /// A method whose tokens live so long (`MaxTokenTTL`).
    pub fn new(ttl: SignedDuration) -> Self {
        Self { ttl, logins: BTreeMap::new(), trusted: None }
    }

    /// Accepts this JWT; binding rules give its tokens these policies, or none.
    #[must_use]
    pub fn accepts(mut self, jwt: impl Into<String>, policies: &[&str]) -> Self {
        self.logins.insert(jwt.into(), policies.iter().map(ToString::to_string).collect());
        self
    }

    /// Accepts what this provider signs for an audience; a binding rule gives this subject these policies.
    #[must_use]
    pub fn trusts(
        mut self,
        provider: &IdentityProvider,
        audience: &str,
        subject: &str,
        policies: &[&str],
    ) -> Self {
        let policies = policies.iter().map(ToString::to_string).collect();
        self.trusted = Some(Trusted {
            provider: provider.clone(),
            audience: audience.to_owned(),
            bindings: BTreeMap::from([(subject.to_owned(), policies)]),
        });
        self
    }

    /// The policies for the bearer of a JWT; `None` if it is not accepted.
    pub(super) fn policies(&self, jwt: &str, now: Timestamp) -> Option<&[String]> {
        if let Some(policies) = self.logins.get(jwt) {
            return Some(policies);
        }
        let trusted = self.trusted.as_ref()?;
        let subject = trusted.provider.subject(jwt, &trusted.audience, now)?;
        Some(trusted.bindings.get(&subject).map(Vec::as_slice).unwrap_or_default())
    }
}

impl fmt::Debug for AuthMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AuthMethod").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
