//! What can go wrong with a request to Nomad, sorted by what an operator or a caller does about it.

use std::error::Error;

use drain_http::HttpError;

use crate::refusal::Refusal;

/// A request that did not give what it was for. `operation` reads as in "GET /v1/node/…"; `server` is the base URL.
#[derive(Debug, thiserror::Error)]
pub enum NomadError {
    /// No whole answer came.
    #[error("{operation} on {server} got no answer")]
    NoAnswer {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// What went wrong on the way.
        #[source]
        source: HttpError,
    },
    /// Nomad answered, and said no.
    #[error("{operation} on {server} was refused: {refusal}")]
    Refused {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// What it said.
        refusal: Refusal,
    },
    /// The answer is not what this endpoint gives.
    #[error("the answer of {server} to {operation} cannot be read; is it really Nomad?")]
    Unreadable {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// Where it stops making sense.
        #[source]
        source: Misfit,
    },
    /// A server answered that is not the leader, and may be behind.
    #[error(
        "{operation} on {server} was answered by a server that may be behind (last contact with its leader \
         {last_contact_ms} ms ago)"
    )]
    Stale {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// How long ago it heard of the leader, in milliseconds; 0 if it knows none.
        last_contact_ms: u64,
    },
    /// The request could not be put together.
    #[error("{operation} on {server} is not a valid request")]
    InvalidRequest {
        /// Method and path.
        operation: String,
        /// The base URL.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Where an answer stops being what was expected. Nothing of it is quoted: it might repeat the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} at line {line} column {column}", if *.cut_off { "it ends too early" } else { "it is something else" })]
pub struct Misfit {
    /// Whether it is only cut off.
    pub cut_off: bool,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl From<&serde_json::Error> for Misfit {
    fn from(error: &serde_json::Error) -> Self {
        Self { cut_off: error.is_eof(), line: error.line(), column: error.column() }
    }
}

impl NomadError {
    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => source.is_transient(),
            Self::Refused { refusal, .. } => refusal.is_transient(),
            // An answer that is cut off inside a valid length, or a proxy's page: another try may meet a healthy one.
            Self::Unreadable { source, .. } => source.cut_off,
            Self::Stale { .. } => true,
            Self::InvalidRequest { .. } => false,
        }
    }

    /// Whether a write may have been done all the same. It is not repeated blindly: reading again tells.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::NoAnswer { source, .. } => source.may_have_arrived(),
            // A server that loses its leadership, and a proxy that loses its server, cannot tell either.
            Self::Refused { refusal, .. } => refusal.status >= 500,
            // Only an answer that says "done" is read that far.
            Self::Unreadable { .. } => true,
            Self::Stale { .. } | Self::InvalidRequest { .. } => false,
        }
    }

    /// What Nomad said, if it answered with a refusal.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NoAnswer { .. }
            | Self::Unreadable { .. }
            | Self::Stale { .. }
            | Self::InvalidRequest { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::refusal::RefusalKind;

    #[test]
    fn a_write_may_have_been_done_unless_it_is_certain_that_it_was_not() {
        let (operation, server) = ("POST /v1/node/x/drain".to_owned(), "http://nomad".to_owned());
        let no_answer =
            |source| NomadError::NoAnswer { operation: operation.clone(), server: server.clone(), source };
        let refused = |status| {
            let refusal = Refusal { kind: RefusalKind::Other, status, text: String::new() };
            NomadError::Refused { operation: operation.clone(), server: server.clone(), refusal }
        };
        let address = "nomad:80".to_owned();
        let source = Misfit { cut_off: false, line: 1, column: 1 };
        let cases = [
            (no_answer(HttpError::Refused { address: address.clone() }), false),
            (
                no_answer(HttpError::ConnectTimedOut {
                    address: address.clone(),
                    after: Duration::from_secs(2),
                }),
                false,
            ),
            (
                no_answer(HttpError::TimedOut { address: address.clone(), after: Duration::from_secs(9) }),
                true,
            ),
            (no_answer(HttpError::TooLarge { address, limit: 1 }), true),
            (refused(500), true),
            (refused(502), true),
            (refused(429), false),
            (refused(403), false),
            (refused(301), false),
            (NomadError::Unreadable { operation: operation.clone(), server: server.clone(), source }, true),
        ];
        for (error, expected) in cases {
            assert_eq!(error.may_have_taken_effect(), expected, "{error}");
        }
    }
}
