//! What holds for every node, every policy and every moment.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;

use drain_core::decide::{Action, Decision, DrainRequest, decide};
use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::{Cause, LastDrain, LastDrainStatus, Node, Observation, RunningDrain, Target};
use drain_core::policy::Policy;
use drain_core::stamp::MANAGED_BY;
use jiff::{SignedDuration, Timestamp};
use proptest::option;
use proptest::prelude::*;

const INSTANCE: &str = "i-0123456789abcdef0";

fn moments() -> impl Strategy<Value = Timestamp> {
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    (-200_000_i64..200_000).prop_map(move |seconds| noon + SignedDuration::from_secs(seconds))
}

fn running_drains() -> impl Strategy<Value = RunningDrain> {
    prop_oneof![
        Just(RunningDrain::NoDeadline),
        Just(RunningDrain::Forced),
        moments().prop_map(RunningDrain::Until)
    ]
}

/// Our stamp, for this instance or another, or what somebody else attached.
fn metas() -> impl Strategy<Value = BTreeMap<String, String>> {
    let instances = prop::sample::select(vec![INSTANCE, "i-00000000000000abc"]);
    let ours = (instances, any::<bool>(), option::of(moments())).prop_map(|(instance, eligible, started)| {
        let mut meta = BTreeMap::from([
            ("managed-by".to_owned(), MANAGED_BY.to_owned()),
            ("instance-id".to_owned(), instance.to_owned()),
            ("was-eligible".to_owned(), eligible.to_string()),
        ]);
        meta.extend(started.map(|moment| ("hook-started-at".to_owned(), moment.to_string())));
        meta
    });
    let theirs = prop::collection::btree_map("[a-z-]{1,12}", "[ -~]{0,20}", 0..4);
    prop_oneof![ours, theirs]
}

fn nodes() -> impl Strategy<Value = Node> {
    let statuses = [LastDrainStatus::Draining, LastDrainStatus::Complete, LastDrainStatus::Canceled];
    let last_drains = (prop::sample::select(statuses.to_vec()), metas());
    let last_drains = last_drains.prop_map(|(status, meta)| LastDrain { status, meta });
    (any::<bool>(), option::of(running_drains()), option::of(last_drains)).prop_map(
        |(eligible, drain, last_drain)| {
            let id = NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").unwrap();
            Node { id, name: "worker".to_owned(), eligible, drain, last_drain }
        },
    )
}

fn observations() -> impl Strategy<Value = Observation> {
    let causes = prop::sample::select(vec![Cause::Terminate, Cause::WarmPool, Cause::RootVolume]);
    (nodes(), causes, option::of(moments())).prop_map(|(node, cause, hook_started_at)| {
        let instance = InstanceId::parse(INSTANCE).unwrap();
        Observation { target: Target { instance, group: None, hook: None, cause, hook_started_at }, node }
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    (1_i64..400_000_000, any::<bool>()).prop_map(|(millis, ignore_system_jobs)| {
        let drain_deadline = SignedDuration::from_millis(millis);
        Policy { drain_deadline, ignore_system_jobs, ..Policy::default() }
    })
}

/// The node after Nomad has taken the request: `Meta` is replaced, or kept if the request has none.
fn applied(seen: &Observation, request: &DrainRequest, now: Timestamp) -> Observation {
    let mut after = seen.clone();
    let kept = seen.node.last_drain.as_ref().map(|last| last.meta.clone()).unwrap_or_default();
    let meta = request.meta.clone().unwrap_or(kept);
    after.node.eligible = false;
    after.node.drain = Some(if request.spec.deadline.is_negative() {
        RunningDrain::Forced
    } else {
        RunningDrain::Until(now + request.spec.deadline)
    });
    after.node.last_drain = Some(LastDrain { status: LastDrainStatus::Draining, meta });
    after
}

fn request(seen: &Observation, policy: &Policy, now: Timestamp) -> Option<DrainRequest> {
    match decide(seen, policy, now) {
        Decision::Act(Action::Drain(request)) => Some(request),
        Decision::Finish(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_running_drain_is_never_pushed_out(seen in observations(), policy in policies(), now in moments()) {
        if let (Some(request), Some(running)) = (request(&seen, &policy, now), seen.node.drain) {
            let ends = now + request.spec.deadline.max(SignedDuration::ZERO);
            match running {
                RunningDrain::Until(theirs) => prop_assert!(ends < theirs),
                RunningDrain::Forced => prop_assert!(false, "nothing is nearer than now"),
                RunningDrain::NoDeadline => {}
            }
        }
    }

    #[test]
    fn a_deadline_is_never_zero(seen in observations(), policy in policies(), now in moments()) {
        if let Some(request) = request(&seen, &policy, now) {
            prop_assert!(!request.spec.deadline.is_zero());
        }
    }

    #[test]
    fn a_decision_is_content_with_its_own_effect(
        seen in observations(), policy in policies(), now in moments(), later in 0_i64..100_000,
    ) {
        if let Some(posted) = request(&seen, &policy, now) {
            let after = applied(&seen, &posted, now);
            let again = request(&after, &policy, now + SignedDuration::from_secs(later));
            prop_assert!(again.is_none(), "{again:?}");
        }
    }

    #[test]
    fn what_somebody_else_attached_to_a_running_drain_is_never_replaced(
        seen in observations(), policy in policies(), now in moments(),
    ) {
        if let (Some(request), Some(_)) = (request(&seen, &policy, now), seen.node.drain) {
            let ours = seen.node.last_drain.as_ref().is_some_and(|last| last.stamp().is_some());
            prop_assert!(ours || request.meta.is_none());
        }
    }

    #[test]
    fn a_dry_run_never_acts(seen in observations(), policy in policies(), now in moments()) {
        let policy = Policy { dry_run: true, ..policy };
        prop_assert!(request(&seen, &policy, now).is_none());
    }
}
