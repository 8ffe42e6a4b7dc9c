//! Calls to AWS: signed (Signature Version 4), sent on the HTTP stack that Nomad's calls use too.
//!
//! Two protocols serve every call that the function makes: JSON 1.1 (SSM and Secrets Manager) and Query with XML answers
//! (EC2, Auto Scaling, SNS and STS). The operator's tool asks a few more services, one of which has paths ([`rest`]). Why
//! there is no SDK: docs/decisions/0002.

pub mod autoscaling;
mod call;
pub mod ec2;
mod error;
pub mod json;
mod permission;
pub mod query;
pub mod rest;
pub mod secrets_manager;
pub mod sns;
pub mod ssm;
pub mod sts;

pub use call::Aws;
pub use error::AwsError;
pub use permission::MissingPermission;

/// The largest answer that is read, in bytes, unless an operation says otherwise.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// An AWS service that we call. The function calls six; the others are for the operator's tool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Amazon EC2 Auto Scaling.
    AutoScaling,
    /// `CloudWatch`.
    CloudWatch,
    /// EC2.
    Ec2,
    /// `EventBridge`.
    EventBridge,
    /// Identity and Access Management.
    Iam,
    /// Lambda.
    Lambda,
    /// Secrets Manager.
    SecretsManager,
    /// Simple Notification Service.
    Sns,
    /// Simple Queue Service.
    Sqs,
    /// Systems Manager.
    Ssm,
    /// Security Token Service.
    Sts,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 11] = [
        Self::AutoScaling,
        Self::CloudWatch,
        Self::Ec2,
        Self::EventBridge,
        Self::Iam,
        Self::Lambda,
        Self::SecretsManager,
        Self::Sns,
        Self::Sqs,
        Self::Ssm,
        Self::Sts,
    ];

    /// Its name in host names and in the scope of a signature.
    pub(crate) fn endpoint_prefix(self) -> &'static str {
        match self {
            Self::AutoScaling => "autoscaling",
            Self::CloudWatch => "monitoring",
            Self::Ec2 => "ec2",
            Self::EventBridge => "events",
            Self::Iam => "iam",
            Self::Lambda => "lambda",
            Self::SecretsManager => "secretsmanager",
            Self::Sns => "sns",
            Self::Sqs => "sqs",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// The SDKs' variable that points it somewhere else.
    pub(crate) fn endpoint_variable(self) -> &'static str {
        match self {
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
            Self::CloudWatch => "AWS_ENDPOINT_URL_CLOUDWATCH",
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::EventBridge => "AWS_ENDPOINT_URL_EVENTBRIDGE",
            Self::Iam => "AWS_ENDPOINT_URL_IAM",
            Self::Lambda => "AWS_ENDPOINT_URL_LAMBDA",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Sns => "AWS_ENDPOINT_URL_SNS",
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }

    /// The version of the JSON protocol that it speaks, if it speaks one (`@aws.protocols#awsJson1_0` and `…1_1` in
    /// its Smithy model).
    pub(crate) fn json_version(self) -> &'static str {
        if self == Self::Sqs { "1.0" } else { "1.1" }
    }
}
