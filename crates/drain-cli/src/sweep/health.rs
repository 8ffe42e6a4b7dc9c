//! `/healthz`: whether sweeps succeed, for whoever restarts programs that do not do their work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use drain::Report;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::net::TcpListener;

/// So many sweeps in a row may fail: each of them has tried for seconds, and the next one may do better.
const FAILURES: u32 = 3;

/// So many sweeps may be missing.
const MISSING: i32 = 3;

/// How a sweep has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    at: Timestamp,
    took: Duration,
    how: Result<Found, String>,
}

/// What a sweep has found.
#[derive(Clone, Debug, Default, Serialize)]
struct Found {
    groups: usize,
    held: usize,
    /// What became of the instances, counted by reason.
    reasons: BTreeMap<&'static str, usize>,
}

impl Ended {
    pub(super) fn of(how: Result<Report, String>, took: Duration) -> Self {
        let how = how.map(|report| {
            let mut found = Found {
                groups: report.groups.unwrap_or_default(),
                held: report.held.unwrap_or_default(),
                reasons: BTreeMap::new(),
            };
            for entry in &report.results {
                *found.reasons.entry(entry.reason).or_default() += 1;
            }
            found
        });
        Self { at: Timestamp::now(), took, how }
    }
}

/// What is known of the sweeps.
#[derive(Debug)]
pub(super) struct Health {
    /// What a sweep may take.
    longest: Duration,
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    newest: Option<Ended>,
    /// When one has succeeded last.
    succeeded_at: Option<Timestamp>,
    /// How many have failed since.
    failures: u32,
}

/// What `/healthz` answers, besides the status.
#[derive(Debug, Serialize)]
struct Told {
    healthy: bool,
    message: String,
    failures_in_a_row: u32,
    last_success_at: Option<Timestamp>,
    last_sweep: Option<LastSweep>,
}

#[derive(Debug, Serialize)]
struct LastSweep {
    ended_at: Timestamp,
    took_ms: u128,
    succeeded: bool,
    #[serde(flatten)]
    found: Option<Found>,
}

impl Health {
    /// Of sweeps that take so long at most.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, known: Mutex::default() }
    }

    /// A sweep has ended.
    pub(super) fn tell(&self, ended: Ended) {
        let mut known = self.known();
        if ended.how.is_ok() {
            (known.failures, known.succeeded_at) = (0, Some(ended.at));
        } else {
            known.failures += 1;
        }
        known.newest = Some(ended);
    }

    fn answer(&self, now: Timestamp) -> (StatusCode, Told) {
        let Known { newest, succeeded_at, failures } = self.known().clone();
        let late =
            SignedDuration::try_from(self.longest).unwrap_or(SignedDuration::MAX).saturating_mul(MISSING);
        let (healthy, message) = match &newest {
            None => (false, "the first sweep has not ended yet".to_owned()),
            Some(Ended { how: Err(why), .. }) if succeeded_at.is_none() => {
                (false, format!("no sweep has succeeded yet: {why}"))
            }
            Some(Ended { how: Err(why), .. }) if failures >= FAILURES => {
                (false, format!("the last {failures} sweeps have failed: {why}"))
            }
            Some(Ended { at, .. }) if now.duration_since(*at) > late => {
                (false, format!("no sweep has ended since {at:.0}"))
            }
            Some(Ended { how: Err(why), .. }) => (true, format!("the last sweep has failed: {why}")),
            Some(Ended { at, how: Ok(found), .. }) => {
                let Found { groups, held, .. } = found;
                (
                    true,
                    format!(
                        "the last sweep ended at {at:.0}: groups watched: {groups}, instances held: {held}"
                    ),
                )
            }
        };
        let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let last_sweep = newest.map(|Ended { at, took, how }| LastSweep {
            ended_at: at,
            took_ms: took.as_millis(),
            succeeded: how.is_ok(),
            found: how.ok(),
        });
        let told =
            Told { healthy, message, failures_in_a_row: failures, last_success_at: succeeded_at, last_sweep };
        (status, told)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers until the task is ended.
pub(super) async fn serve(listener: TcpListener, health: Arc<Health>) {
    let answer = async |State(health): State<Arc<Health>>| {
        let (status, told) = health.answer(Timestamp::now());
        (status, Json(told))
    };
    let router = Router::new().route("/healthz", get(answer)).with_state(health);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("/healthz is served no more: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Ended {
        Ended::of(Err("nobody answers".to_owned()), Duration::ZERO)
    }

    fn succeeded() -> Ended {
        Ended::of(Ok(Report { groups: Some(2), held: Some(1), ..Report::default() }), Duration::ZERO)
    }

    fn status(health: &Health, later: SignedDuration) -> (u16, String) {
        let (status, told) = health.answer(Timestamp::now() + later);
        (status.as_u16(), told.message)
    }

    #[test]
    fn nothing_is_well_before_a_sweep_has_succeeded() {
        let health = Health::new(Duration::from_mins(1));
        let now = SignedDuration::ZERO;
        assert_eq!(status(&health, now), (503, "the first sweep has not ended yet".to_owned()));
        health.tell(failed());
        assert_eq!(status(&health, now), (503, "no sweep has succeeded yet: nobody answers".to_owned()));
        health.tell(succeeded());
        assert_eq!(status(&health, now).0, 200);
    }

    #[test]
    fn some_failures_are_told_and_more_are_too_many() {
        let health = Health::new(Duration::from_mins(1));
        let now = SignedDuration::ZERO;
        health.tell(succeeded());
        for expected in [200, 200, 503, 503] {
            health.tell(failed());
            let (status, message) = status(&health, now);
            assert_eq!(status, expected);
            assert!(message.contains("nobody answers"), "{message}");
        }
        health.tell(succeeded());
        let (status, message) = status(&health, now);
        assert!(status == 200 && message.contains("groups watched: 2, instances held: 1"), "{message}");
    }

    #[test]
    fn sweeps_that_do_not_come_are_missed() {
        let health = Health::new(Duration::from_mins(1));
        health.tell(succeeded());
        assert_eq!(status(&health, SignedDuration::from_mins(2)).0, 200);
        let (status, message) = status(&health, SignedDuration::from_mins(4));
        assert!(status == 503 && message.starts_with("no sweep has ended since"), "{message}");
    }
}
