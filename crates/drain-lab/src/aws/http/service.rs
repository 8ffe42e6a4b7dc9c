//! The services: their names, their protocols, and the words in which each refuses.

use crate::aws::{Account, ApiError};
use crate::journal::System;

/// A service of AWS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Service {
    Ssm,
    SecretsManager,
    Sqs,
    Events,
    Lambda,
    Sns,
    Sts,
    Iam,
    CloudWatch,
    AutoScaling,
    Ec2,
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    /// AWS JSON 1.0 and 1.1: one path, the operation in `X-Amz-Target`.
    Json,
    /// JSON, with a method and a path for each operation.
    Rest,
    /// A form goes in, XML comes out.
    Query,
    /// The same, with EC2's own XML.
    Ec2,
}

impl Service {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Ssm | Self::SecretsManager | Self::Sqs | Self::Events => Protocol::Json,
            Self::Lambda => Protocol::Rest,
            Self::Sns | Self::Sts | Self::Iam | Self::CloudWatch | Self::AutoScaling => Protocol::Query,
            Self::Ec2 => Protocol::Ec2,
        }
    }

    pub(super) fn system(self) -> System {
        match self {
            Self::Ssm => System::Ssm,
            Self::SecretsManager => System::SecretsManager,
            Self::Sqs => System::Sqs,
            Self::Events => System::EventBridge,
            Self::Lambda => System::Lambda,
            Self::Sns => System::Sns,
            Self::Sts => System::Sts,
            Self::Iam => System::Iam,
            Self::CloudWatch => System::CloudWatch,
            Self::AutoScaling => System::AutoScaling,
            Self::Ec2 => System::Ec2,
        }
    }

    /// The service's name in the scope of a signature.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Sqs => "sqs",
            Self::Events => "events",
            Self::Lambda => "lambda",
            Self::Sns => "sns",
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::CloudWatch => "monitoring",
            Self::AutoScaling => "autoscaling",
            Self::Ec2 => "ec2",
        }
    }

    /// What stands before the colon of its IAM actions.
    pub(super) fn action_prefix(self) -> &'static str {
        if self == Self::CloudWatch { "cloudwatch" } else { self.signing_name() }
    }

    /// The region for which its calls are signed: IAM is one for all regions, at home in one of them.
    pub(super) fn signing_region(self, account: &Account) -> &str {
        if self == Self::Iam { "us-east-1" } else { &account.region }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Sqs => "application/x-amz-json-1.0",
            Self::Ssm | Self::SecretsManager | Self::Events => "application/x-amz-json-1.1",
            Self::Lambda => "application/json",
            Self::AutoScaling | Self::Sns | Self::Sts | Self::Iam | Self::CloudWatch => "text/xml",
            Self::Ec2 => "text/xml;charset=UTF-8",
        }
    }

    /// The XML namespace of its errors.
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Sns => "http://sns.amazonaws.com/doc/2010-03-31/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::CloudWatch => "http://monitoring.amazonaws.com/doc/2010-08-01/",
            Self::AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
            Self::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Self::Ssm | Self::SecretsManager | Self::Sqs | Self::Events | Self::Lambda => "",
        }
    }

    /// "Slow down."
    pub(super) fn throttled(self) -> ApiError {
        match self {
            Self::Sqs => ApiError::new(400, "RequestThrottled", "Request is throttled."),
            Self::Lambda => ApiError::new(429, "TooManyRequestsException", "Rate exceeded"),
            Self::Ssm | Self::SecretsManager | Self::Events => {
                ApiError::new(400, "ThrottlingException", "Rate exceeded")
            }
            Self::AutoScaling | Self::Sns | Self::Sts | Self::Iam | Self::CloudWatch => {
                ApiError::throttling()
            }
            Self::Ec2 => ApiError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        }
    }

    /// The caller's policies do not allow what it wants: `message` is IAM's.
    pub(super) fn denied(self, message: String) -> ApiError {
        match self {
            Self::Ssm | Self::SecretsManager | Self::Sqs | Self::Events => {
                ApiError::new(400, "AccessDeniedException", message)
            }
            Self::Lambda => ApiError::new(403, "AccessDeniedException", message),
            Self::Sns => ApiError::new(403, "AuthorizationError", message),
            Self::Sts | Self::Iam | Self::CloudWatch | Self::AutoScaling => {
                ApiError::new(403, "AccessDenied", message)
            }
            Self::Ec2 => {
                let message = format!("You are not authorized to perform this operation. {message}");
                ApiError::new(403, "UnauthorizedOperation", message)
            }
        }
    }

    /// An operation that the lab, or the service, does not know.
    pub(super) fn unknown(self, operation: &str) -> ApiError {
        match self.protocol() {
            Protocol::Json => ApiError::new(400, "UnknownOperationException", ""),
            Protocol::Rest => ApiError::new(404, "UnknownOperationException", ""),
            Protocol::Query | Protocol::Ec2 => ApiError::new(
                400,
                "InvalidAction",
                format!("The action {operation} is not valid for this web service."),
            ),
        }
    }
}
