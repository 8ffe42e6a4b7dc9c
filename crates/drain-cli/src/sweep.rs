//! `nomad-drain sweep`: the function's sweep as a program that runs for long.

mod health;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use drain::live::Budget;
use drain::{Answer, Metrics, Report};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

use crate::exit::Exit;
use crate::frame::{Frame, Reach};
use crate::stop::stopped;
use health::{Ended, Health};

/// What can be asked of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The time from the beginning of a sweep to the next one. Sweeps never overlap.
    ///
    /// A sweep goes on looking at what it has found until the next one begins, or for `SWEEP_LINGER` if that is less.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = crate::every::parse)]
    every: Duration,
    /// Where `/healthz` is served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080", value_parser = address)]
    listen: SocketAddr,
    /// Sweep once and end. Nothing is served.
    #[arg(long, conflicts_with = "listen")]
    once: bool,
    /// Print metrics too, as lines in `CloudWatch`'s embedded metric format, for an agent that carries the log there.
    #[arg(long)]
    metrics: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "not an address and a port, such as 0.0.0.0:8080, 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

/// The shortest time that a sweep has, as on Lambda: calls that fail are tried again for some seconds each.
const SHORTEST: Duration = Duration::from_mins(1);

/// How long a sweep that runs may go on when the program is told to end. It need not be long: every step may be repeated, and
/// nothing is remembered, so that ending at any line is safe and the next sweep, wherever it runs, goes on. It is for the
/// log: what is being done now is told.
const GRACE: Duration = Duration::from_secs(3);

/// Sweeps until it is told to end.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let mut reach = frame.reach(&[("SWEEP", "on")]).await?;
    let Arguments { every, listen, once, metrics } = *arguments;
    reach.installation.sweep_every(SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX));
    let metrics = if metrics { Metrics::ToStandardOutput } else { Metrics::Nowhere };
    let mut sweeper = Sweeper { reach, every, metrics };
    if once {
        return sweeper.sweep().await.map(|_| Exit::Done);
    }
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("/healthz cannot be served at {listen}: choose another address with --listen")
    })?;
    let health = Arc::new(Health::new(every.max(SHORTEST)));
    let address = listener.local_addr().unwrap_or(listen);
    tracing::info!("sweeps every {every:?}; /healthz is at {address}");
    let serving = tokio::spawn(health::serve(listener, Arc::clone(&health)));
    let signal = sweeper.sweep_until_stopped(&health).await?;
    tracing::info!("ended by {signal}");
    serving.abort();
    Ok(Exit::Done)
}

/// What sweeps.
struct Sweeper {
    reach: Reach,
    every: Duration,
    metrics: Metrics,
}

impl Sweeper {
    /// Sweeps again and again. Gives the signal that has ended it.
    async fn sweep_until_stopped(&mut self, health: &Health) -> io::Result<&'static str> {
        let mut stopped = std::pin::pin!(stopped());
        let mut number = 0_u64;
        loop {
            number += 1;
            let next = Instant::now() + self.every;
            let span = tracing::error_span!("sweep", number);
            let sweep = async {
                let began = Instant::now();
                let ended = self.sweep().await.map_err(|error| format!("{error:#}"));
                if let Ok(report) = &ended {
                    let (groups, held) = (report.groups.unwrap_or_default(), report.held.unwrap_or_default());
                    tracing::info!(groups, held, "sweep {number} has ended");
                }
                health.tell(Ended::of(ended, began.elapsed()));
            };
            let mut sweep = std::pin::pin!(sweep.instrument(span));
            let signal = tokio::select! {
                () = &mut sweep => None,
                signal = &mut stopped => Some(signal),
            };
            if let Some(signal) = signal {
                if timeout(GRACE, sweep).await.is_err() {
                    tracing::info!(
                        "a sweep is left where it is: the next one, wherever it runs, goes on from there"
                    );
                }
                return signal;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                signal = &mut stopped => return signal,
            }
        }
    }

    /// One sweep, as the function does it when its schedule invokes it. A failure is in the log already.
    async fn sweep(&mut self) -> anyhow::Result<Report> {
        self.reach.renew().await.inspect_err(|error| tracing::error!("{error:#}"))?;
        let budget = Budget::before(SystemTime::now() + self.every.max(SHORTEST));
        let answer = self.reach.installation.invoke(r#"{"action":"sweep"}"#, budget, self.metrics).await;
        match answer {
            Ok(Answer::Report(report)) => Ok(report),
            Ok(Answer::Batch(_)) => Err(anyhow!("a sweep was answered like a queue")),
            Err(error) => Err(anyhow!("{}", error.explanation())),
        }
    }
}
