//! Every way in which an exchange can fail, provoked on loopback, and the sentence that it gives.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod exchanges;
mod pki;
mod servers;
mod tls;
