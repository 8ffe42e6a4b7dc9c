//! The account in which everything lives, and the permissions of the role that calls.

use std::collections::BTreeSet;

/// An AWS account, seen from one region, and the credentials of the one role that calls it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// The account's number, 12 digits.
    pub id: String,
    /// The region: `us-east-1`.
    pub region: String,
    /// The name of the role that calls; its session has the same name.
    pub role: String,
    /// The access key id that signs calls.
    pub access_key_id: String,
    /// The key that belongs to it. Worth nothing outside the lab.
    pub secret_access_key: String,
    /// The session token that must come with it.
    pub session_token: String,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            id: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            role: "nomad-drain".to_owned(),
            access_key_id: "ASIALABEXAMPLE000000".to_owned(),
            secret_access_key: "lab/secret/key/that/opens/nothing/else00".to_owned(),
            session_token: "lab-session-token".to_owned(),
        }
    }
}

impl Account {
    /// The availability zone in which every instance of the lab lives.
    pub fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    /// The ARN of the role that calls.
    pub fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{}", self.id, self.role)
    }

    /// The ARN of the session that calls.
    fn caller(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{role}/{role}", self.id, role = self.role)
    }
}

/// What the role may do: everything that was not taken away.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    denied: BTreeSet<String>,
}

impl Permissions {
    pub(super) fn deny(&mut self, action: &str) {
        self.denied.insert(action.to_owned());
    }

    pub(super) fn allow(&mut self, action: &str) {
        self.denied.remove(action);
    }

    /// AWS's words if `action` on `resource` is not permitted; calls that list things name no resource.
    pub(super) fn check(
        &self,
        account: &Account,
        action: &str,
        resource: Option<&str>,
    ) -> Result<(), String> {
        if !self.denied.contains(action) {
            return Ok(());
        }
        let resource = resource.map(|arn| format!(" on resource: {arn}")).unwrap_or_default();
        Err(format!(
            "User: {} is not authorized to perform: {action}{resource} because no identity-based policy allows \
             the {action} action",
            account.caller()
        ))
    }
}
