//! The account in which everything lives, and what its roles may do.

use std::collections::BTreeSet;

/// An AWS account, seen from one region, and the credentials of one role that calls it.
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

    /// The same account with the credentials of a person: the role `operator`, which may do everything that
    /// [`super::Aws::deny_to`] does not take away. What the function's role may not do, the operator still may.
    #[must_use]
    pub fn operator(&self) -> Self {
        Self {
            role: OPERATOR.to_owned(),
            access_key_id: "ASIALABOPERATOR00000".to_owned(),
            secret_access_key: "lab/secret/key/of/the/operator/000000000".to_owned(),
            session_token: "lab-operator-session-token".to_owned(),
            ..self.clone()
        }
    }

    /// The ARN of the role by which Auto Scaling notifies the target of a hook (`RoleARN`).
    pub fn hook_role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{HOOK_ROLE}", self.id)
    }

    /// The ARN of the role as which Auto Scaling itself acts: it is who calls a function that is a hook's own target.
    pub fn service_role_arn(&self) -> String {
        let path = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
        format!("arn:aws:iam::{}:role/{path}", self.id)
    }

    /// The roles that exist.
    pub(super) fn roles(&self) -> [String; 3] {
        [self.role.clone(), HOOK_ROLE.to_owned(), OPERATOR.to_owned()]
    }

    /// The ARN of the session that calls.
    pub(super) fn caller(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{role}/{role}", self.id, role = self.role)
    }
}

/// The role of a person who looks after things.
pub const OPERATOR: &str = "operator";

/// The role by which Auto Scaling notifies the target of a hook.
pub const HOOK_ROLE: &str = "nomad-drain-hook";

/// What the roles may do: everything that was not taken away.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    denied: BTreeSet<Denial>,
}

/// Something that a role may not do.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Denial {
    role: String,
    action: String,
    /// The ARN on which; all of them if there is none.
    resource: Option<String>,
    /// What the policies say instead of allowing it.
    decision: Decision,
}

/// What the policies of a role say of an action. In the order in which they count.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Decision {
    /// One allows it, and none forbids it.
    Allowed,
    /// One allows it on a condition on this key, which holds whenever it is really asked for.
    Conditional(String),
    /// None allows it.
    NotAllowed,
    /// Those of the organisation do not allow it.
    NotByOrganization,
    /// One forbids it.
    Forbidden,
}

impl Permissions {
    pub(super) fn deny(&mut self, role: &str, action: &str, resource: Option<&str>) {
        self.set(role, action, resource, Decision::NotAllowed);
    }

    /// Lets policies say this of an action.
    pub(super) fn set(&mut self, role: &str, action: &str, resource: Option<&str>, decision: Decision) {
        let (role, action) = (role.to_owned(), action.to_owned());
        self.denied.insert(Denial { role, action, resource: resource.map(str::to_owned), decision });
    }

    /// Gives an action back, on whatever it was taken away.
    pub(super) fn allow(&mut self, role: &str, action: &str) {
        self.denied.retain(|denial| denial.role != role || denial.action != action);
    }

    /// What a role's policies say of an action on a resource; calls that list things name none.
    pub(super) fn decide(&self, role: &str, action: &str, resource: Option<&str>) -> Decision {
        let concerns = |denial: &&Denial| {
            denial.role == role
                && denial.action.eq_ignore_ascii_case(action)
                && (denial.resource.is_none() || denial.resource.as_deref() == resource)
        };
        let denials = self.denied.iter().filter(concerns);
        denials.map(|denial| &denial.decision).max().cloned().unwrap_or(Decision::Allowed)
    }

    /// AWS's words if the caller's policies do not allow `action` on `resource`.
    pub(super) fn check(&self, caller: &Account, action: &str, resource: Option<&str>) -> Result<(), String> {
        let because = match self.decide(&caller.role, action, resource) {
            Decision::Allowed | Decision::Conditional(_) => return Ok(()),
            Decision::NotAllowed => {
                format!("because no identity-based policy allows the {action} action")
            }
            // (IAM User Guide, "Troubleshoot access denied error messages".)
            Decision::Forbidden => "with an explicit deny in an identity-based policy".to_owned(),
            Decision::NotByOrganization => {
                format!("because no service control policy allows the {action} action")
            }
        };
        let resource = resource.map(|arn| format!(" on resource: {arn}")).unwrap_or_default();
        Err(format!("User: {} is not authorized to perform: {action}{resource} {because}", caller.caller()))
    }
}
