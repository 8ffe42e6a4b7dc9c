//! The shell around [`drain_core`]: everything that talks.
//!
//! One event takes this way: [`event`] peels it into targets, [`reconcile`] runs the loop *observe → decide → apply*,
//! `drain_core::decide` decides, and [`live`] reads and changes the [`world`]. A [`sweep`] finds its targets by itself.
//! Start reading at [`reconcile`].

pub mod aws;
pub mod config;
mod error;
pub mod event;
mod invocation;
pub mod live;
mod metrics;
pub mod reconcile;
mod report;
pub mod sweep;
pub mod telemetry;
pub mod world;

pub use error::Error;
pub use invocation::{Function, Times, serve};
pub use report::{Report, ReportEntry};
