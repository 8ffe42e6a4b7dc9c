//! Parameter Store.

use super::error::ApiError;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParameterType {
    /// Plain text.
    String,
    /// Encrypted, and decrypted only for those who ask for it.
    SecureString,
}

impl ParameterType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::SecureString => "SecureString",
        }
    }
}

/// A stored parameter.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) value: String,
    pub(super) kind: ParameterType,
    pub(super) version: u32,
}

/// Parameter Store's answer to a name that it does not know. It says no more than that.
pub(super) fn not_found(name: &str) -> ApiError {
    ApiError::new(400, "ParameterNotFound", format!("Parameter {name} not found."))
}
