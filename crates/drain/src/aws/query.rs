//! The Query protocol: a form goes out, XML comes back. EC2, Auto Scaling, SNS and STS speak it, IAM and `CloudWatch` too.

use std::fmt::{Display, Write as _};

use bytes::Bytes;
use drain_http::Limits;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Aws, AwsError, Service};

/// Everything but RFC 3986's unreserved characters. In a form a bare `+` would be read as a space.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of one call.
#[derive(Clone, Debug)]
pub struct Form {
    body: String,
}

impl Form {
    /// A call of `action` in this version of the service's API.
    pub fn new(action: &str, version: &str) -> Self {
        Self { body: format!("Action={action}&Version={version}") }
    }

    /// With this parameter. `name` is the API's own; `value` may be anything.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.push(name, value);
        self
    }

    /// With this parameter, if there is a value for it.
    #[must_use]
    pub fn with_optional(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With a list: `<name>.1`, `<name>.2` and so on.
    #[must_use]
    pub fn with_list(mut self, name: &str, values: impl IntoIterator<Item = impl Display>) -> Self {
        for (index, value) in values.into_iter().enumerate() {
            self.push(&format!("{name}.{}", index + 1), value);
        }
        self
    }

    /// As it is sent.
    pub(super) fn into_body(self) -> String {
        self.body
    }

    fn push(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        // Writing to a String cannot fail.
        let _ = write!(self.body, "&{name}={}", utf8_percent_encode(&value, ESCAPED));
    }
}

/// Sends `form` and gives the body of the answer, if the service did what it was asked. `operation` names the call in
/// errors, as in `ec2:DescribeInstances`.
pub async fn send(
    aws: &Aws,
    service: Service,
    operation: &str,
    form: Form,
    limits: Limits,
) -> Result<Bytes, AwsError> {
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let answer = aws.post(service, operation, &headers, form.into_body(), limits).await?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    Err(refusal(operation, answer.status().as_u16(), &String::from_utf8_lossy(answer.body())))
}

/// What is wrong with an answer that cannot be read.
pub fn unreadable(operation: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AwsError {
    AwsError::Unreadable { operation: operation.to_owned(), source: source.into() }
}

/// The error in an answer. Something between us and AWS may have answered instead: then there is only the status.
pub(super) fn refusal(operation: &str, status: u16, xml: &str) -> AwsError {
    let Refusal { error, errors } = quick_xml::de::from_str(xml).unwrap_or_default();
    let Code { code, message } = error.or_else(|| errors.errors.into_iter().next()).unwrap_or_default();
    AwsError::refused(operation, status, &code, &message)
}

/// `<ErrorResponse><Error>` (Auto Scaling and most Query services), or `<Response><Errors><Error>` (EC2).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Refusal {
    error: Option<Code>,
    errors: Errors,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    #[serde(rename = "Error")]
    errors: Vec<Code>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Code {
    code: String,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value_whatever_is_in_it() {
        let form = Form::new("Do", "1").with("Name", "a b+c&d=e%/é~_-.").with_optional("No", None::<&str>);
        assert_eq!(form.into_body(), "Action=Do&Version=1&Name=a%20b%2Bc%26d%3De%25%2F%C3%A9~_-.");
    }

    #[test]
    fn a_list_counts_from_one() {
        let form = Form::new("Do", "1").with_list("Names.member", ["a", "b"]);
        assert_eq!(form.into_body(), "Action=Do&Version=1&Names.member.1=a&Names.member.2=b");
    }

    #[test]
    fn both_kinds_of_error_document_are_understood() {
        let auto_scaling = r#"<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <Error>
                <Type>Sender</Type>
                <Code>Throttling</Code>
                <Message>Rate exceeded</Message>
              </Error>
              <RequestId>b5ff7b2a-11d2-4c5f-9e3c-7f2a4EXAMPLE</RequestId>
            </ErrorResponse>"#;
        let error = refusal("autoscaling:DescribeAutoScalingGroups", 400, auto_scaling);
        assert_eq!(
            error.to_string(),
            "autoscaling:DescribeAutoScalingGroups was refused: Throttling: Rate exceeded (HTTP 400)"
        );
        assert!(error.is_transient());

        let ec2 = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>
            <Message>The instance ID 'i-0123456789abcdef0' does not exist</Message></Error></Errors>
            <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#;
        assert_eq!(refusal("ec2:DescribeInstances", 400, ec2).code(), Some("InvalidInstanceID.NotFound"));
    }

    #[test]
    fn an_answer_from_something_else_still_gives_its_status() {
        for text in ["", "<html><body><h1>502 Bad Gateway</h1><hr></body></html>", "upstream timed out"] {
            let error = refusal("ec2:DescribeInstances", 502, text);
            assert_eq!(
                error.to_string(),
                "ec2:DescribeInstances was refused: no error code:  (HTTP 502)",
                "{text}"
            );
            assert!(error.is_transient());
        }
    }
}
