//! Times and durations that no cloud would send.

use drain_core::decide::decide;
use drain_core::observation::{DrainDeadline, HookSettings, NodeStatus, Nodes};
use drain_core::policy::Policy;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::strategies::{observations, policies};

fn moments() -> impl Strategy<Value = Timestamp> {
    let second = SignedDuration::from_secs(1);
    prop::sample::select(vec![
        Timestamp::MIN,
        Timestamp::MIN + second,
        Timestamp::UNIX_EPOCH,
        "2026-03-01T12:00:00Z".parse().unwrap(),
        Timestamp::MAX - second,
        Timestamp::MAX,
    ])
}

fn durations() -> impl Strategy<Value = SignedDuration> {
    let year = SignedDuration::from_hours(24 * 365);
    prop::sample::select(vec![
        SignedDuration::ZERO,
        SignedDuration::from_nanos(1),
        year * 292,
        year * 30_000,
        SignedDuration::MAX,
    ])
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn no_time_and_no_duration_is_too_extreme(
        seen in observations(), policy in policies(), now in moments(),
        moments in prop::collection::vec(prop::option::of(moments()), 7),
        durations in prop::collection::vec(durations(), 9),
    ) {
        let mut seen = seen;
        let [max_hold, drain_deadline, kill_grace, node_join_grace, disconnected_grace, down_grace, settle_delay, heartbeat_timeout, global_timeout] =
            durations.try_into().unwrap();
        let policy = Policy {
            max_hold, drain_deadline, kill_grace, node_join_grace, disconnected_grace, down_grace, settle_delay, ..policy
        };
        seen.target.hook_started_at = moments[0];
        if let Some(hold) = &mut seen.hold {
            hold.last_heartbeat = moments[1];
            hold.settings = moments[2].map(|_| HookSettings { heartbeat_timeout, global_timeout });
        }
        if let Nodes::Known(nodes) = &mut seen.nodes {
            for node in nodes {
                if let NodeStatus::Down(since) | NodeStatus::Disconnected(since) = &mut node.node.status {
                    *since = moments[2].unwrap_or(*since);
                }
                if let Some(drain) = &mut node.node.drain {
                    drain.started_at = moments[3];
                    drain.deadline = moments[4].map_or(drain.deadline, DrainDeadline::At);
                }
                if let Some(last) = &mut node.node.last_drain {
                    (last.started_at, last.updated_at) = (moments[5], moments[6]);
                    if let Some(moment) = moments[4] {
                        last.meta.insert("deadline".to_owned(), moment.to_string());
                    }
                }
            }
        }
        decide(&seen, &policy, now);
    }
}
