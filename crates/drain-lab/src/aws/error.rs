//! Errors as AWS answers them.

/// An error of an AWS service, in the words that the service uses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The error code: `ValidationError`, `ParameterNotFound`.
    pub code: &'static str,
    /// The text beside it.
    pub message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Auto Scaling's answer to everything that is wrong with a request.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// Auto Scaling's "slow down".
    pub(super) fn throttling() -> Self {
        Self::new(400, "Throttling", "Rate exceeded")
    }

    /// A group that does not exist.
    pub(super) fn no_such_group(name: &str) -> Self {
        Self::validation(format!("AutoScalingGroup name not found - AutoScalingGroup {name} not found"))
    }

    /// An instance that no group knows.
    pub(super) fn no_such_group_instance(id: &str) -> Self {
        Self::validation(format!("Instance Id not found - No managed instance found for instance ID: {id}"))
    }
}
