//! Calls to AWS: signed (Signature Version 4), sent on the HTTP stack that Nomad's calls use too.
//!
//! Two protocols serve every call that this product makes: JSON 1.1 (SSM) and Query with XML answers (EC2). Why there
//! is no SDK: docs/decisions/0002.

mod call;
pub mod ec2;
mod error;
pub mod ssm;

pub use call::Aws;
pub use error::AwsError;

/// An AWS service that we call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// EC2.
    Ec2,
    /// Systems Manager.
    Ssm,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 2] = [Self::Ec2, Self::Ssm];

    /// Its name in host names and in the scope of a signature.
    pub(crate) fn endpoint_prefix(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Ssm => "ssm",
        }
    }

    /// The SDKs' variable that points it somewhere else.
    pub(crate) fn endpoint_variable(self) -> &'static str {
        match self {
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
        }
    }
}
