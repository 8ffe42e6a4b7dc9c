//! The real `bootstrap`, hosted by the lab's Lambda service, against the lab's AWS and Nomad.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod announced;
mod clusters;
mod completes;
mod drains;
mod envelopes;
mod errors;
mod faults;
mod harness;
mod lookup;
mod metadata;
mod metrics;
mod notifications;
mod operators;
mod outages;
mod plain;
mod records;
mod returns;
mod stuck;
mod sweep;
mod tls;
mod tokens;
mod transient;
mod turns;
