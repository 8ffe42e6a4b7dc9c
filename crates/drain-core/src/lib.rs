//! What was seen goes in, a decision comes out.
//!
//! This crate holds the rules of the product and nothing else: what an instance's end means for its Nomad node, when
//! a drain is posted, and what it says. It reads no clock, no network and no environment; `now` is an argument.
//! Start reading at [`decide`](decide::decide).

pub mod decide;
pub mod ids;
pub mod observation;
pub mod policy;
pub mod reason;
pub mod record;
pub mod stamp;
