//! What a request asks for, whatever its protocol.

mod rest;

use std::collections::BTreeMap;

use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::service::Service;
use crate::aws::ApiError;

/// A request, understood.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) service: Service,
    pub(super) operation: String,
    parameters: BTreeMap<String, String>,
}

impl Call {
    /// Understands a request, or says in the words of which service it does not.
    pub(super) fn read(head: &Parts, body: &[u8]) -> Result<Self, (Service, ApiError)> {
        match head.headers.get("x-amz-target") {
            Some(target) => Self::read_json(target.to_str().unwrap_or_default(), body),
            None if rest::is_rest(head.uri.path()) => Self::read_rest(head, body),
            None => Self::read_query(head.uri.query().unwrap_or_default(), body),
        }
    }

    /// AWS JSON: the operation is in a header.
    fn read_json(target: &str, body: &[u8]) -> Result<Self, (Service, ApiError)> {
        let (service, operation) = match target.split_once('.') {
            Some(("AmazonSSM", operation)) => (Service::Ssm, operation),
            Some(("secretsmanager", operation)) => (Service::SecretsManager, operation),
            Some(("AmazonSQS", operation)) => (Service::Sqs, operation),
            Some(("AWSEvents", operation)) => (Service::Events, operation),
            Some(_) | None => return Err((Service::Ssm, Service::Ssm.unknown(target))),
        };
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err((service, ApiError::new(400, "SerializationException", "")));
        };
        let mut parameters = BTreeMap::new();
        for (name, value) in fields {
            flatten(name, value, &mut parameters);
        }
        Ok(Self { service, operation: operation.to_owned(), parameters })
    }

    /// The query protocols: operation and version are fields of a form. Each service has its own version.
    fn read_query(query: &str, body: &[u8]) -> Result<Self, (Service, ApiError)> {
        let body = String::from_utf8_lossy(body);
        let parameters: BTreeMap<String, String> = form(query).chain(form(&body)).collect();
        let text = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let operation = text("Action");
        let service = match text("Version").as_str() {
            "2011-01-01" => Service::AutoScaling,
            "2016-11-15" => Service::Ec2,
            "2010-03-31" => Service::Sns,
            "2011-06-15" => Service::Sts,
            "2010-05-08" => Service::Iam,
            "2010-08-01" => Service::CloudWatch,
            _ => return Err((Service::AutoScaling, Service::AutoScaling.unknown(&operation))),
        };
        Ok(Self { service, operation, parameters })
    }

    /// What the journal says that the call concerns. Never a value that is secret.
    pub(super) fn subject(&self) -> String {
        let named = [
            "Name",
            "SecretId",
            "InstanceId",
            "LifecycleActionToken",
            "AutoScalingGroupName",
            "FunctionName",
            "QueueName",
            "QueueUrl",
            "TopicArn",
            "SubscriptionArn",
            "Rule",
            "TargetArn",
            "RoleName",
            "PolicySourceArn",
            "MetricName",
        ];
        if let Some(subject) = named.iter().find_map(|name| self.get(name)) {
            return subject.to_owned();
        }
        ["InstanceIds.member", "AutoScalingGroupNames.member", "InstanceId"]
            .iter()
            .flat_map(|list| self.list(list))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// A parameter that was sent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A parameter that has to be there, in Auto Scaling's words if it is not.
    pub(super) fn require(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| {
            let field = name[..1].to_lowercase() + &name[1..];
            ApiError::validation(format!(
                "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not \
                 be null"
            ))
        })
    }

    /// The members of a list of structures, in order: each by its prefix, with a dot at the end.
    pub(super) fn structures(&self, name: &str) -> Vec<String> {
        let prefixes = (1..).map(|number: usize| format!("{name}.{number}."));
        prefixes.take_while(|prefix| self.parameters.keys().any(|key| key.starts_with(prefix))).collect()
    }

    /// The members of a list, in order: `InstanceIds.member.1`, `InstanceIds.member.2`, …
    pub(super) fn list<'a>(&'a self, name: &str) -> Vec<&'a str> {
        (1..).map_while(|number: usize| self.get(&format!("{name}.{number}"))).collect()
    }

    /// The answer to an operation that the service's face does not know.
    pub(super) fn unknown(&self) -> ApiError {
        self.service.unknown(&self.operation)
    }

    /// The IAM action.
    pub(super) fn action(&self) -> String {
        let operation = match (self.service, self.operation.as_str()) {
            (Service::Lambda, "Invoke") => "InvokeFunction",
            // (Amazon SQS Developer Guide, "Amazon SQS API permissions: Actions and resource reference".)
            (Service::Sqs, "SendMessageBatch") => "SendMessage",
            (_, operation) => operation,
        };
        format!("{}:{operation}", self.service.action_prefix())
    }
}

/// Notes a value of a JSON document as if it had come in a form: `Entries.1.MessageBody`.
fn flatten(name: String, value: Value, parameters: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::String(text) => _ = parameters.insert(name, text),
        Value::Bool(_) | Value::Number(_) => _ = parameters.insert(name, value.to_string()),
        Value::Array(items) => {
            for (number, item) in (1..).zip(items) {
                flatten(format!("{name}.{number}"), item, parameters);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(format!("{name}.{field}"), value, parameters);
            }
        }
    }
}

/// The fields of a form, decoded.
fn form(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
