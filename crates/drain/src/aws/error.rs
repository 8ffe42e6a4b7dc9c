//! What can go wrong with a call to AWS.

use std::error::Error;

use drain_http::HttpError;

/// A call that did not give what it was for. `operation` reads as in `ssm:GetParameter`.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// The environment has no credentials.
    #[error("{operation} cannot be signed: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")]
    NoCredentials {
        /// Service and operation.
        operation: String,
    },
    /// The request could not be put together or signed.
    #[error("{operation} cannot be signed")]
    NotSignable {
        /// Service and operation.
        operation: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// No whole answer came.
    #[error("{operation} got no answer")]
    NoAnswer {
        /// Service and operation.
        operation: String,
        /// What went wrong on the way.
        #[source]
        source: HttpError,
    },
    /// The service answered, and said no.
    #[error("{operation} was refused: {code}: {message} (HTTP {status})")]
    Refused {
        /// Service and operation.
        operation: String,
        /// The answer's status.
        status: u16,
        /// AWS's error code.
        code: String,
        /// AWS's text, shortened.
        message: String,
    },
    /// The answer is not what this operation gives.
    #[error("the answer to {operation} cannot be read")]
    Unreadable {
        /// Service and operation.
        operation: String,
        /// Where it stops making sense.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl AwsError {
    /// A refusal, with as much of the text as an error message should hold.
    pub(crate) fn refused(operation: &str, status: u16, code: &str, message: &str) -> Self {
        const LONGEST: usize = 400;
        Self::Refused {
            operation: operation.to_owned(),
            status,
            code: if code.is_empty() { "no error code".to_owned() } else { code.to_owned() },
            message: message.chars().filter(|character| !character.is_control()).take(LONGEST).collect(),
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => source.is_transient(),
            Self::Refused { status, code, .. } => *status >= 500 || *status == 429 || is_throttling(code),
            Self::NoCredentials { .. } | Self::NotSignable { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// AWS's error code, if it answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::NoCredentials { .. }
            | Self::NotSignable { .. }
            | Self::NoAnswer { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// Whether a permission is missing.
    pub fn is_access_denied(&self) -> bool {
        matches!(self.code(), Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation"))
    }
}

/// The codes by which services ask for fewer calls (AWS SDKs and Tools Reference Guide, "Retry behavior").
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "BandwidthLimitExceeded"
            | "EC2ThrottledException"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "TransactionInProgressException"
    )
}
