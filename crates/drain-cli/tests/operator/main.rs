//! The operator's tool, as an operator runs it: the real binary against the lab.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod doctor;
mod drain;
mod frame;
mod function;
mod release;
mod replay;
mod simulate;
mod stage;
mod status;
mod sweep;
