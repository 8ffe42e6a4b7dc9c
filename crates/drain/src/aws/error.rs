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
        // A denial names its reason after two ARNs.
        const LONGEST: usize = 600;
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

    /// Service and operation: the IAM action that the call needs.
    pub fn operation(&self) -> &str {
        match self {
            Self::NoCredentials { operation }
            | Self::NotSignable { operation, .. }
            | Self::NoAnswer { operation, .. }
            | Self::Refused { operation, .. }
            | Self::Unreadable { operation, .. } => operation,
        }
    }

    /// Whether the service asks for fewer calls.
    pub fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. } if *status == 429 || is_throttling(code))
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

    /// Whether a permission is missing. Credentials that have expired or are not valid are something else.
    ///
    /// (The API References' "Common Errors"; `AuthFailure` is EC2's word for a signature or keys that it does not
    /// accept, and `AuthorizationError` SNS's for a missing permission.)
    pub fn is_access_denied(&self) -> bool {
        matches!(
            self.code(),
            Some(
                "AccessDenied"
                    | "AccessDeniedException"
                    | "AuthorizationError"
                    | "NotAuthorized"
                    | "UnauthorizedOperation"
            )
        )
    }

    /// Whether Auto Scaling knows no such lifecycle action: it was completed, its time is over, or another hook holds
    /// the instance. AWS has no code of its own for it; the text is the same for tokens and for instance ids.
    pub fn is_no_active_action(&self) -> bool {
        self.is_validation_error("No active Lifecycle Action found")
    }

    /// Whether Auto Scaling knows no such group. AWS has no code of its own for it.
    pub fn is_gone_group(&self) -> bool {
        self.is_validation_error("AutoScalingGroup name not found")
    }

    fn is_validation_error(&self, text: &str) -> bool {
        matches!(self, Self::Refused { code, message, .. } if code == "ValidationError" && message.contains(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> AwsError {
        AwsError::refused("autoscaling:RecordLifecycleActionHeartbeat", status, code, message)
    }

    #[test]
    fn an_action_that_is_over_is_known_by_its_text() {
        for by in ["token f66c3d47-e602-4af0-8edd-d4e4d2fe4620", "instance ID i-08406e13ee788fc10"] {
            let error =
                refused(400, "ValidationError", &format!("No active Lifecycle Action found with {by}"));
            assert!(error.is_no_active_action() && !error.is_gone_group() && !error.is_transient());
        }
        let gone = "AutoScalingGroup name not found - AutoScalingGroup clients not found";
        let error = refused(400, "ValidationError", gone);
        assert!(error.is_gone_group() && !error.is_no_active_action());
        assert!(!refused(500, "InternalFailure", gone).is_gone_group());
        assert!(!refused(400, "ValidationError", "1 validation error detected").is_no_active_action());
    }

    #[test]
    fn only_a_missing_permission_is_a_denial() {
        for code in ["AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"] {
            assert!(refused(403, code, "").is_access_denied(), "{code}");
        }
        for code in [
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "AuthFailure",
            "OptInRequired",
        ] {
            assert!(!refused(403, code, "").is_access_denied(), "{code}");
        }
    }

    #[test]
    fn throttling_and_contention_pass() {
        assert!(refused(400, "Throttling", "Rate exceeded").is_transient());
        assert!(refused(400, "ThrottlingException", "").is_transient());
        assert!(refused(500, "ResourceContention", "").is_transient());
        assert!(refused(503, "ServiceUnavailable", "").is_transient());
        assert!(!refused(403, "AccessDenied", "").is_transient());
    }
}
