//! Policies of functions, topics and queues: who may call them.

use serde_json::{Value, json};

/// What a statement does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever others allow.
    Deny,
}

/// One statement of a resource's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Its name, unique in the policy.
    pub sid: String,
    /// What it does.
    pub effect: Effect,
    /// Whom it concerns, as it stands in the document: `{"Service": "sns.amazonaws.com"}`, `{"AWS": "arn:…"}`, `"*"`.
    pub principal: Value,
    /// Which action: `lambda:InvokeFunction`.
    pub action: String,
    /// On which ARN.
    pub resource: String,
    /// Under which condition, as it stands in the document.
    pub condition: Option<Value>,
}

impl Statement {
    /// Lets a service call a resource for one source of events: what `AWS::Lambda::Permission` and the usual policies of
    /// queues and topics say.
    pub fn for_source(sid: &str, service: &str, action: &str, resource: &str, source_arn: &str) -> Self {
        Self {
            principal: json!({"Service": service}),
            condition: Some(json!({"ArnLike": {"AWS:SourceArn": source_arn}})),
            ..Self::for_role(sid, "", action, resource)
        }
    }

    /// Lets a role call a resource.
    pub fn for_role(sid: &str, role_arn: &str, action: &str, resource: &str) -> Self {
        Self {
            sid: sid.to_owned(),
            effect: Effect::Allow,
            principal: json!({"AWS": role_arn}),
            action: action.to_owned(),
            resource: resource.to_owned(),
            condition: None,
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "Sid": self.sid,
            "Effect": match self.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            },
            "Principal": self.principal,
            "Action": self.action,
            "Resource": self.resource,
        });
        if let Some(condition) = &self.condition {
            json["Condition"] = condition.clone();
        }
        json
    }
}

/// The document of these statements; none if there are none, as a policy without statements is no policy.
pub fn document(statements: &[Statement]) -> Option<Value> {
    let statement: Vec<Value> = statements.iter().map(Statement::json).collect();
    (!statement.is_empty()).then(|| json!({"Version": "2012-10-17", "Id": "default", "Statement": statement}))
}
