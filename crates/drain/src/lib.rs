//! The shell around [`drain_core`]: everything that talks.
//!
//! One event takes this way: [`event`] peels it into targets, `handle` leaves out what is not ours, [`reconcile`] runs the loop *observe → decide → apply*,
//! `drain_core::decide` decides, and [`live`] reads and changes the [`world`]. A [`sweep`] finds its targets by itself.
//! Start reading at [`reconcile`].

mod admission;
pub mod aws;
pub mod by_hand;
pub mod chronicle;
pub mod cluster;
pub mod config;
mod error;
pub mod event;
mod handle;
mod installation;
mod invocation;
pub mod live;
pub mod metrics;
mod notify;
pub mod reconcile;
mod report;
mod sites;
pub mod support;
pub mod sweep;
pub mod telemetry;
mod together;
pub mod world;

pub use admission::asks_auto_scaling;
pub use error::{Causes, Error};
pub use installation::{Installation, sites, web};
pub use invocation::{AT_ONCE, Context, Function, Handled, Metrics, SWEEPING_AT_ONCE, Times, serve};
pub use report::{Answer, Report, ReportEntry};
pub use sites::Site;

/// The moment so much later, or the last one there is.
pub(crate) fn later(moment: jiff::Timestamp, by: jiff::SignedDuration) -> jiff::Timestamp {
    moment.saturating_add(by).unwrap_or(jiff::Timestamp::MAX)
}
