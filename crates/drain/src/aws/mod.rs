//! Calls to AWS: signed (Signature Version 4), sent on the HTTP stack that Nomad's calls use too.
//!
//! Two protocols serve every call that this product makes: JSON 1.1 (SSM) and Query with XML answers (EC2 and Auto
//! Scaling). Why there is no SDK: docs/decisions/0002.

pub mod autoscaling;
mod call;
pub mod ec2;
mod error;
mod permission;
mod query;
pub mod ssm;

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
    /// Systems Manager.
    Ssm,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::AutoScaling, Self::Ec2, Self::Ssm];

    /// Its name in host names and in the scope of a signature.
    pub(crate) fn endpoint_prefix(self) -> &'static str {
        match self {
            Self::AutoScaling => "autoscaling",
            Self::Ec2 => "ec2",
            Self::Ssm => "ssm",
        }
    }

    /// The SDKs' variable that points it somewhere else.
    pub(crate) fn endpoint_variable(self) -> &'static str {
        match self {
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
        }
    }
}
