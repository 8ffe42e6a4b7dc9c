//! The operator's tool, as an operator runs it: the real binary against the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod doctor;
mod drain;
mod frame;
mod release;
mod stage;
