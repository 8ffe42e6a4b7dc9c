//! The one HTTP and TLS stack of the workspace, for Nomad and for AWS.
//!
//! It adds three things to hyper: every exchange is bounded in time and size; a failure says what failed on which
//! address, in a type that callers can branch on; and a certificate that is refused is named, with its issuer.
//! Redirects are never followed: a request may carry a token.

mod client;
mod distinguished_name;
mod error;
mod tls;

pub use client::{HttpClient, Limits};
pub use error::HttpError;
pub use tls::{
    CertificateRejected, Identity, IdentityError, InvalidServerName, PemError, Rejection, Tls, Trust,
};
