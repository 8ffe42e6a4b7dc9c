//! Calls to AWS: signed (Signature Version 4), sent on the HTTP stack that Nomad's calls use too.
//!
//! Two protocols serve every call that this product makes: JSON 1.1 (SSM and Secrets Manager) and Query with XML answers
//! (EC2, Auto Scaling, SNS and STS). Why there is no SDK: docs/decisions/0002.

pub mod autoscaling;
mod call;
pub mod ec2;
mod error;
mod json;
mod permission;
mod query;
pub mod secrets_manager;
pub mod sns;
pub mod ssm;
pub mod sts;

pub use call::Aws;
pub use error::AwsError;
pub use permission::MissingPermission;

/// The largest answer that is read, in bytes, unless an operation says otherwise.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// An AWS service that we call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Amazon EC2 Auto Scaling.
    AutoScaling,
    /// EC2.
    Ec2,
    /// Secrets Manager.
    SecretsManager,
    /// Simple Notification Service.
    Sns,
    /// Systems Manager.
    Ssm,
    /// Security Token Service.
    Sts,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 6] =
        [Self::AutoScaling, Self::Ec2, Self::SecretsManager, Self::Sns, Self::Ssm, Self::Sts];

    /// Its name in host names and in the scope of a signature.
    pub(crate) fn endpoint_prefix(self) -> &'static str {
        match self {
            Self::AutoScaling => "autoscaling",
            Self::Ec2 => "ec2",
            Self::SecretsManager => "secretsmanager",
            Self::Sns => "sns",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }

    /// The SDKs' variable that points it somewhere else.
    pub(crate) fn endpoint_variable(self) -> &'static str {
        match self {
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Sns => "AWS_ENDPOINT_URL_SNS",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }
}
