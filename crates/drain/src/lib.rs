//! The shell around [`drain_core`]: everything that talks.
//!
//! One event takes this way: [`event`] peels it into targets, [`reconcile`] runs the loop *observe → decide → apply*,
//! `drain_core::decide` decides, and [`live`] reads and changes the world. Start reading at [`reconcile`].

pub mod aws;
pub mod config;
mod error;
pub mod event;
mod invocation;
pub mod live;
pub mod reconcile;
mod report;
pub mod telemetry;

pub use error::Error;
pub use invocation::Function;
pub use report::{Report, ReportEntry};
