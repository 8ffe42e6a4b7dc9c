//! `/v1/acl/…`: who somebody is, and how they become somebody.

use serde_json::json;

use super::super::acl::{self, LoginError, TokenError};
use super::answer::{Failure, Outcome, Read};
use super::{Call, body};

impl Call {
    pub(super) fn token_self(&self) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            let old = state.cluster.quirks.old_token_errors;
            if !state.acl.enabled && old {
                return Err(Failure::acl_disabled());
            }
            let Some(secret) = self.token.as_deref().filter(|_| state.acl.enabled) else {
                return Ok(Outcome::local(acl::pseudo_token(state.acl.enabled)));
            };
            let token = if old {
                // Old releases look the token up and forget to ask whether it has expired.
                state.acl.tokens.get(secret).ok_or_else(|| Failure::rpc(404, "ACL token not found"))?
            } else {
                state.acl.token(secret, now).map_err(|error| match error {
                    TokenError::NotFound => Failure::denied(),
                    TokenError::Expired => Failure::expired(),
                })?
            };
            let body = state.acl.token_json(token);
            Ok(Outcome::read(Read::new(state.cluster.index, body), true))
        })
    }

    pub(super) fn policy(&self, name: &str) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            if !state.acl.enabled {
                return Err(Failure::acl_disabled());
            }
            self.rights(&state.acl, &state.cluster, now)?;
            if !state.acl.may_read_policy(self.token.as_deref(), name, now) {
                return Err(Failure::denied());
            }
            let policy =
                state.acl.policies.get(name).ok_or_else(|| Failure::rpc(404, "ACL policy not found"))?;
            let body = json!({
                "Name": name, "Description": "", "Rules": policy.rules(), "RulesJSON": policy.rules_json(),
                "JobACL": null, "Hash": null, "CreateIndex": 11, "ModifyIndex": 11,
            });
            Ok(Outcome::read(Read::new(state.cluster.index, body), true))
        })
    }

    pub(super) fn role(&self, id: &str) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            if !state.acl.enabled {
                return Err(Failure::acl_disabled());
            }
            self.rights(&state.acl, &state.cluster, now)?;
            if !state.acl.may_read_role(self.token.as_deref(), id, now) {
                return Err(Failure::denied());
            }
            let role = state.acl.roles.get(id).ok_or_else(|| Failure::rpc(404, "ACL role not found"))?;
            Ok(Outcome::read(Read::new(state.cluster.index, role.json(id)), true))
        })
    }

    pub(super) fn log_in(&self) -> Result<Outcome, Failure> {
        let login = body::login_request(&self.body)?;
        self.office.nomad.change(|state, now| {
            if !state.acl.enabled {
                return Err(Failure::acl_disabled());
            }
            if !state.cluster.leadership.is_held(now) {
                return Err(Failure::no_leader());
            }
            let ids = (state.cluster.new_id(), state.cluster.new_id());
            let token = state.acl.log_in(now, &login.method, &login.jwt, ids)?.json();
            Ok(Outcome::written(state.cluster.bump(), token))
        })
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Incomplete(missing) => {
                let plural = if missing.len() == 1 { "" } else { "s" };
                let (count, lines) = (missing.len(), missing.join("\n\t* "));
                Self::rpc(
                    400,
                    format!("invalid login request: {count} error{plural} occurred:\n\t* {lines}\n\n"),
                )
            }
            LoginError::NoMethod(name) => Self::rpc(400, format!("auth-method \"{name}\" not found")),
            LoginError::BadJwt => {
                Self::rpc(401, "unable to validate provided token: token signature is invalid")
            }
            LoginError::Unbound => Self::rpc(400, "no role or policy bindings matched"),
        }
    }
}
