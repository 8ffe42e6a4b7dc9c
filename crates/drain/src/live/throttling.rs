//! What becomes of a sweep's calls while Auto Scaling takes ten a second. Time is the runtime's own: it passes when everybody waits.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use drain_core::decide::Urgency;
use drain_core::ids::GroupName;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::gate::Gate;
use super::retry::retrying_when;
use super::{Budget, Patience};
use crate::aws::AwsError;
use crate::error::Error;

/// An account that takes so many calls a second, and holds those of one second.
struct Account {
    a_second: f64,
    left: Cell<f64>,
    at: Cell<Instant>,
}

impl Account {
    fn new(a_second: f64) -> Self {
        Self { a_second, left: Cell::new(a_second), at: Cell::new(Instant::now()) }
    }

    async fn call(&self) -> Result<(), Error> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = Instant::now();
        let more = now.duration_since(self.at.replace(now)).as_secs_f64() * self.a_second;
        self.left.set((self.left.get() + more).min(self.a_second));
        if self.left.get() < 1.0 {
            let source = AwsError::refused(
                "autoscaling:RecordLifecycleActionHeartbeat",
                400,
                "Throttling",
                "Rate exceeded",
            );
            return Err(Error::AutoScaling { group: GroupName::parse("workers").ok(), source });
        }
        self.left.set(self.left.get() - 1.0);
        Ok(())
    }
}

/// How many of `wanted` calls, by their urgency and patience, get through while a sweep looks, and when the last one does.
/// One that fails is made again, as the loop does.
async fn get_through(wanted: &[(Urgency, Patience, usize)]) -> Vec<(usize, Duration)> {
    let account = Account::new(10.0);
    let gate = Gate::new(super::account::AT_ONCE);
    let budget = Budget::before(SystemTime::now() + Duration::from_secs(90));
    let began = Instant::now();
    let done: Vec<Cell<(usize, Duration)>> = wanted.iter().map(|_| Cell::default()).collect();
    let most = wanted.iter().map(|(_, _, count)| *count).max().unwrap_or_default();
    let calls = (0..most).flat_map(|number| {
        let (account, gate, done) = (&account, &gate, &done);
        wanted.iter().zip(done).filter(move |((_, _, count), _)| number < *count).map(
            move |((urgency, patience, _), done)| async move {
                while retrying_when(*urgency, budget, gate, *patience, async |_| account.call().await)
                    .await
                    .is_err()
                {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                done.set((done.get().0 + 1, began.elapsed()));
            },
        )
    });
    // Who looks for fifty seconds is not done: the others have to wait for the next sweep.
    _ = tokio::time::timeout(Duration::from_secs(50), join_all(calls)).await;
    done.into_iter().map(Cell::into_inner).collect()
}

/// Fifteen thousand instances whose hooks wait for an hour: every twentieth has its turn in a minute. And of a thousand
/// others the work has ended.
#[tokio::test(start_paused = true)]
async fn what_keeps_instances_alive_comes_first_and_completions_come_after_it() {
    let turns = 15_000 / 20;
    let done = get_through(&[
        (Urgency::Spare, Patience::Tries(2), turns / 2),
        (Urgency::Soon, Patience::Briefly, 1_000),
        (Urgency::First, Patience::Tries(2), turns / 2),
    ])
    .await;
    let [(spare, _), (completed, _), (alive, by)] = done[..] else { panic!("{done:?}") };
    assert_eq!(alive, turns / 2, "{done:?}");
    assert!(by < Duration::from_secs(45), "{done:?}");
    assert!(completed > 80, "{done:?}");
    assert!(spare < completed, "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_be_spared_is_done_where_there_is_room() {
    let done = get_through(&[
        (Urgency::Spare, Patience::Tries(2), 100),
        (Urgency::Soon, Patience::Briefly, 100),
        (Urgency::First, Patience::Tries(2), 100),
    ])
    .await;
    assert_eq!(done.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [100, 100, 100]);
}

/// The hooks of a hundred and fifty groups: without them nobody knows how often an instance needs a heartbeat.
#[tokio::test(start_paused = true)]
async fn what_the_account_asks_to_wait_with_is_no_try() {
    let account = Account::new(10.0);
    let gate = Gate::new(super::account::AT_ONCE);
    let budget = Budget::before(SystemTime::now() + Duration::from_secs(90));
    let calls = (0..150).map(|_| {
        retrying_when(Urgency::Soon, budget, &gate, Patience::Tries(1), async |_| account.call().await)
    });
    let began = Instant::now();
    let failed = join_all(calls).await.into_iter().filter(Result::is_err).count();
    assert!(failed <= 3, "{failed} of 150");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}
