//! How somebody stops this program.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until somebody stops this program, and names the signal.
pub(crate) async fn stopped() -> std::io::Result<&'static str> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
