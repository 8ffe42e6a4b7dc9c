//! Trying again what failed in a way that may pass.

use std::time::Duration;

use drain_core::decide::Urgency;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::Budget;
use super::gate::{Gate, Place};
use crate::error::{Causes, Error};

/// What the lines of the log about calls that are tried again belong to.
pub(crate) const RETRIES: &str = module_path!();

/// How often a server is asked that refuses the connection: for the second or two in which it may be starting again.
const TRIES_AT_A_CLOSED_DOOR: u32 = 5;

/// For how long one call is tried again. Whoever called looks again later: the loop, Lambda's retries, the next sweep.
const BRIEFLY: Duration = Duration::from_secs(10);

/// For how long one is made again that the system asks to wait with, where there is something else to do. In this time ten calls
/// a second are enough for all but a few of those that are at the gate.
const SHORTLY: Duration = Duration::from_secs(4);

/// What has less time than this is not begun: its failure would say nothing but that time was short, and hide what took
/// the time.
const SHORTEST_CALL: Duration = Duration::from_millis(250);

/// The first pause and the longest one.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// How often a call is tried that fails in a way that may pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// For some seconds.
    Briefly,
    /// This often, and no longer either: for what may not be there at all. What the system asked to wait with is no try.
    Tries(u32),
}

impl Patience {
    /// For how long a call is made again that the system asks to wait with.
    fn when_asked_to_wait(self) -> Duration {
        match self {
            Self::Briefly => BRIEFLY,
            Self::Tries(_) => SHORTLY,
        }
    }
}

/// Full jitter over an exponentially growing span, so that a thousand functions that met the same outage do not come
/// back together.
pub(super) fn backoff(attempts: u32) -> SignedDuration {
    let span = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST);
    SignedDuration::try_from(span.mul_f64(fastrand::f64())).unwrap_or_default()
}

/// Tries `call` again while it fails in a way that may pass. The last failure is the answer. `gate` bounds how many
/// calls are made at a time.
pub(super) async fn retrying<T>(
    budget: Budget,
    gate: &Gate,
    patience: Patience,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    retrying_when(Urgency::Soon, budget, gate, patience, call).await
}

/// The same, before or after others.
pub(super) async fn retrying_when<T>(
    urgency: Urgency,
    budget: Budget,
    gate: &Gate,
    patience: Patience,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let began = Instant::now();
    let mut attempts = 0;
    let mut earlier = None;
    loop {
        let place = gate.enter(urgency).await;
        let error = match patiently(budget, gate, patience, &place, &call).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error.or_earlier(earlier),
        };
        drop(place);
        attempts += 1;
        let pause = backoff(attempts);
        let enough = match patience {
            Patience::Briefly => error.is_connection_refused() && attempts >= TRIES_AT_A_CLOSED_DOOR,
            Patience::Tries(tries) => attempts >= tries,
        };
        let exhausted = enough || error.is_throttling() || began.elapsed() + pause.unsigned_abs() >= BRIEFLY;
        if exhausted || !error.is_transient() || !budget.pause(pause).await {
            return Err(error);
        }
        gate.again();
        tracing::warn!(attempts, "trying again after: {}", Causes(&error));
        earlier = Some(error);
    }
}

/// Makes a call again as long as the system asks us to wait with it, and keeps its place meanwhile: whoever had to wait would
/// else be the last each time, and who comes later would overtake it.
async fn patiently<T>(
    budget: Budget,
    gate: &Gate,
    patience: Patience,
    place: &Place<'_>,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut since = None;
    let mut earlier = None;
    loop {
        match in_place(budget, place, &call).await {
            Err(error)
                if error.is_throttling()
                    && since.get_or_insert_with(Instant::now).elapsed() < patience.when_asked_to_wait() =>
            {
                // Everybody pauses there.
                gate.close();
                gate.again();
                tracing::warn!("trying again after: {}", Causes(&error));
                earlier = Some(error);
            }
            answer => return answer.map_err(|error| error.or_earlier(earlier)),
        }
    }
}

/// One attempt, if there is time for one.
pub(super) async fn once<T>(
    budget: Budget,
    gate: &Gate,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let place = gate.enter(Urgency::Soon).await;
    in_place(budget, &place, call).await
}

async fn in_place<T>(
    budget: Budget,
    place: &Place<'_>,
    call: impl AsyncFn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let timed = async |timeout| {
        if timeout < SHORTEST_CALL { Err(Error::OutOfTime) } else { call(timeout).await }
    };
    place.pass(|| budget.for_one_call(), timed).await
}
