//! Random observations, with times around the boundaries of the rules.

use std::collections::BTreeMap;

use drain_core::decide::{Action, Decision, decide};
use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::*;
use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use drain_core::reason::Reason;
use drain_core::stamp::MANAGED_BY;
use jiff::{SignedDuration, Timestamp};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const INSTANCE: &str = "i-0123456789abcdef0";

/// Seconds that rules speak of.
const BOUNDARIES: [i64; 16] =
    [0, 1, 5, 15, 30, 60, 120, 180, 300, 600, 1_800, 3_600, 7_200, 10_800, 172_800, 604_800];

fn seconds() -> BoxedStrategy<i64> {
    let near = (select(&BOUNDARIES[..]), -2_i64..=2).prop_map(|(seconds, by)| seconds + by);
    prop_oneof![4 => near, 1 => 0_i64..200_000].boxed()
}

/// Around noon, when most hooks begin.
pub(crate) fn moments() -> BoxedStrategy<Timestamp> {
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let offsets = (seconds(), seconds(), 0_u8..4).prop_map(|(a, b, how)| match how {
        0 => -a,
        1 => a,
        2 => a + b,
        _ => a - b,
    });
    (offsets, select(vec![0_i64, 0, 1, 500_000_000]))
        .prop_map(move |(seconds, nanos)| noon + SignedDuration::new(seconds, i32::try_from(nanos).unwrap()))
        .boxed()
}

/// From nothing to a week.
pub(crate) fn delays() -> BoxedStrategy<SignedDuration> {
    seconds().prop_map(|seconds| SignedDuration::from_secs(seconds.max(0))).boxed()
}

fn durations() -> BoxedStrategy<SignedDuration> {
    seconds().prop_map(|seconds| SignedDuration::from_millis(seconds.max(0) * 1_000 + 200)).boxed()
}

/// Our stamp, for this instance or another, or what somebody else wrote.
fn metas() -> BoxedStrategy<BTreeMap<String, String>> {
    let instances = select(vec![INSTANCE, INSTANCE, INSTANCE, "i-00000000000000abc"]);
    let causes = option::weighted(0.9, select(Cause::ALL.to_vec()));
    let ours = (instances, any::<bool>(), option::of(starts()), option::weighted(0.9, moments()), causes);
    let ours = ours.prop_map(|(instance, eligible, started, deadline, cause)| {
        let mut meta = BTreeMap::from([
            ("managed-by".to_owned(), MANAGED_BY.to_owned()),
            ("instance-id".to_owned(), instance.to_owned()),
            ("was-eligible".to_owned(), eligible.to_string()),
        ]);
        meta.extend(started.map(|moment| ("hook-started-at".to_owned(), moment.to_string())));
        meta.extend(cause.map(|cause| ("cause".to_owned(), cause.as_str().to_owned())));
        meta.extend(deadline.map(|moment| ("deadline".to_owned(), moment.to_string())));
        meta
    });
    let keys = select(vec!["message", "managed-by", "instance-id", "deadline"]);
    let theirs = prop::collection::btree_map(
        keys.prop_map(str::to_owned),
        select(vec!["", "by hand", INSTANCE]).prop_map(str::to_owned),
        0..4,
    );
    prop_oneof![3 => ours, 1 => theirs].boxed()
}

/// Often the very moment that others name as well.
fn starts() -> BoxedStrategy<Timestamp> {
    prop_oneof![3 => Just("2026-03-01T12:00:00Z".parse().unwrap()), 1 => moments()].boxed()
}

fn last_drains() -> BoxedStrategy<LastDrain> {
    let statuses =
        select(vec![LastDrainStatus::Draining, LastDrainStatus::Complete, LastDrainStatus::Canceled]);
    (statuses, option::weighted(0.9, moments()), option::weighted(0.9, moments()), metas())
        .prop_map(|(status, started_at, updated_at, meta)| LastDrain { status, started_at, updated_at, meta })
        .boxed()
}

fn running_drains() -> BoxedStrategy<RunningDrain> {
    let deadlines = prop_oneof![
        3 => moments().prop_map(DrainDeadline::At),
        1 => select(vec![DrainDeadline::Never, DrainDeadline::Forced, DrainDeadline::Untold]),
    ];
    (deadlines, any::<bool>(), option::weighted(0.9, moments()))
        .prop_map(|(deadline, ignore_system_jobs, started_at)| RunningDrain {
            deadline,
            ignore_system_jobs,
            started_at,
        })
        .boxed()
}

fn statuses() -> BoxedStrategy<NodeStatus> {
    prop_oneof![
        4 => Just(NodeStatus::Ready),
        1 => Just(NodeStatus::Initializing),
        1 => moments().prop_map(NodeStatus::Down),
        1 => moments().prop_map(NodeStatus::Disconnected),
    ]
    .boxed()
}

fn nodes() -> BoxedStrategy<Node> {
    let drains = option::weighted(0.4, running_drains());
    let by_hand = (option::weighted(0.2, moments()), option::weighted(0.1, moments()));
    let by_hand = by_hand.prop_map(|(changed_at, known_since)| ByHand { changed_at, known_since });
    let last_drains = (option::weighted(0.8, last_drains()), any::<bool>());
    (statuses(), any::<bool>(), drains, last_drains, by_hand)
        .prop_map(move |(status, eligible, mut drain, (mut last_drain, as_stamped), by_hand)| {
            let id = NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be940").unwrap();
            // A node that drains is ineligible, and its newest drain runs.
            if let Some(last) = last_drain.as_mut().filter(|_| drain.is_some()) {
                last.status = LastDrainStatus::Draining;
            }
            let stamped = last_drain.as_ref().and_then(LastDrain::stamp).and_then(|stamp| stamp.deadline);
            if let (Some(running), Some(stamped), true) = (&mut drain, stamped, as_stamped) {
                running.deadline = DrainDeadline::At(stamped);
            }
            let eligible = eligible && drain.is_none();
            let name = "worker".to_owned();
            Node {
                id,
                name,
                status,
                eligible,
                drain,
                last_drain,
                by_hand,
                availability_zone: None,
                modify_index: 1,
            }
        })
        .boxed()
}

fn obstacles() -> BoxedStrategy<Obstacle> {
    select(vec![
        Obstacle::Unreachable,
        Obstacle::NoLeader,
        Obstacle::TokenRefused,
        Obstacle::Stale,
        Obstacle::Unreadable,
    ])
    .boxed()
}

fn allocations() -> BoxedStrategy<Allocations> {
    let clients = prop_oneof![
        4 => Just(ClientStatus::Terminal), 1 => Just(ClientStatus::Live), 1 => Just(ClientStatus::Unknown)
    ];
    let one = (any::<bool>(), any::<bool>(), clients, option::weighted(0.9, moments())).prop_map(
        |(system, wanted, client, modified_at)| Allocation {
            job: "web".to_owned(),
            namespace: "default".to_owned(),
            system,
            wanted,
            client,
            modified_at,
            lost_at: None,
        },
    );
    prop_oneof![
        6 => prop::collection::vec(one, 0..4).prop_map(Allocations::Listed),
        1 => Just(Allocations::NotRead),
        1 => obstacles().prop_map(Allocations::Unknown),
    ]
    .boxed()
}

fn nodes_of_an_instance() -> BoxedStrategy<Nodes> {
    let seen = (nodes(), allocations()).prop_map(|(node, allocations)| SeenNode { node, allocations });
    let counts = prop_oneof![6 => Just(1_usize), 2 => 2_usize..=3, 1 => Just(0)];
    let known = counts.prop_flat_map(move |count| prop::collection::vec(seen.clone(), count));
    let known = known.prop_map(|mut nodes: Vec<SeenNode>| {
        for (index, seen) in nodes.iter_mut().enumerate() {
            seen.node.id = NodeId::parse(&format!("f7476465-4d6e-c0de-26d0-e383c49be94{index}")).unwrap();
        }
        nodes
    });
    prop_oneof![
        8 => known.prop_map(Nodes::Known),
        1 => select(vec![Nodes::Absent, Nodes::Gone]),
        1 => obstacles().prop_map(Nodes::Unknown),
    ]
    .boxed()
}

fn holds() -> BoxedStrategy<Hold> {
    let rarely = || prop::bool::weighted(0.1);
    let settings = (durations(), durations())
        .prop_map(|(heartbeat_timeout, global_timeout)| HookSettings { heartbeat_timeout, global_timeout });
    let moments = option::of(moments());
    let heartbeats = (moments, rarely(), rarely());
    (option::of(settings), rarely(), heartbeats, rarely(), rarely(), any::<bool>(), rarely())
        .prop_map(|(settings, ended, heartbeats, completion_denied, paused, drain_begun, queued)| {
            let (last_heartbeat, heartbeats_denied, heartbeats_failed) = heartbeats;
            Hold {
                settings,
                ended,
                last_heartbeat,
                heartbeats_denied,
                heartbeats_failed,
                completion_denied,
                paused,
                drain_begun,
                queued,
                by_hand: false,
            }
        })
        .boxed()
}

fn targets() -> BoxedStrategy<Target> {
    let causes = prop_oneof![
        4 => select(vec![Cause::Terminate, Cause::WarmPool, Cause::RootVolume]),
        1 => select(Cause::ALL.to_vec()),
    ];
    let origins = select(vec![Origin::Event, Origin::Sweep]);
    (causes, origins, option::weighted(0.8, starts()), option::of(moments()))
        .prop_map(|(cause, origin, hook_started_at, told_at)| {
            let held = matches!(cause, Cause::Terminate | Cause::WarmPool | Cause::RootVolume);
            Target {
                instance: InstanceId::parse(INSTANCE).unwrap(),
                group: None,
                hook: None,
                token: None,
                errand: Errand::Drain(cause),
                told_at,
                hook_started_at: hook_started_at.filter(|_| held),
                origin: if held { origin } else { Origin::Broadcast },
            }
        })
        .boxed()
}

/// Instances that go. A hook may hold those that Auto Scaling ends.
pub(crate) fn observations() -> BoxedStrategy<Observation> {
    let sights = select(vec![Sight::Everything, Sight::Everything, Sight::NotEverything, Sight::Unknown]);
    let holds = option::weighted(0.9, holds());
    (targets(), holds, nodes_of_an_instance(), sights, moments())
        .prop_map(|(target, hold, nodes, sight, first_look)| Observation {
            hold: hold.filter(|_| target.origin != Origin::Broadcast),
            target,
            nodes,
            sight,
            member: Member::Unknown,
            first_look,
        })
        .boxed()
}

/// Makes it likely that a node may be given back.
fn show_our_drain(node: &mut Node) {
    node.eligible = false;
    if let Some(last) = &mut node.last_drain {
        let ours = [("managed-by", MANAGED_BY), ("instance-id", INSTANCE), ("was-eligible", "true")];
        last.meta.extend(ours.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}

/// Instances that come, come back, or have ended.
pub(crate) fn other_observations() -> BoxedStrategy<Observation> {
    let errands = select(vec![
        Errand::Admit,
        Errand::GiveBack,
        Errand::Purge(Ending::Terminated),
        Errand::Purge(Ending::Stopped),
    ]);
    let states = ["InService", "InService", "Pending:Wait", "Terminating:Wait", "Warmed:Pending:Wait"];
    let members = prop_oneof![
        4 => select(states.to_vec()).prop_map(|state| Member::InState(state.to_owned())),
        1 => select(vec![Member::Unknown, Member::OfNoGroup]),
    ];
    let origins = select(vec![Origin::Event, Origin::Broadcast, Origin::Sweep]);
    (observations(), holds(), errands, members, origins, any::<bool>())
        .prop_map(|(mut seen, hold, errand, member, origin, drained)| {
            if drained && let Nodes::Known(nodes) = &mut seen.nodes {
                for seen in nodes {
                    show_our_drain(&mut seen.node);
                }
            }
            seen.target.errand = errand;
            seen.target.origin = origin;
            seen.hold = (errand == Errand::Admit).then_some(hold);
            seen.member = member;
            seen
        })
        .boxed()
}

pub(crate) fn policies() -> BoxedStrategy<Policy> {
    let results = || select(vec![ActionResult::Continue, ActionResult::Abandon]);
    let on_node_not_found =
        prop_oneof![results().prop_map(OnNodeNotFound::Complete), Just(OnNodeNotFound::Hold)];
    let settle = prop_oneof![Just(SignedDuration::ZERO), durations()];
    let times = (durations(), durations(), durations(), durations(), durations(), durations(), settle);
    let rarely = prop::bool::weighted(0.05);
    let of_arrivals = (durations(), option::weighted(0.2, 1_u32..=3), any::<bool>());
    (times, any::<bool>(), any::<bool>(), rarely, results(), on_node_not_found, of_arrivals)
        .prop_map(
            |(times, ignore_system_jobs, sweep, pause, on_drain_timeout, on_node_not_found, of_arrivals)| {
                let (restore_after, max_drains_per_group, purge_nodes) = of_arrivals;
                let (
                    drain_deadline,
                    max_hold,
                    kill_grace,
                    node_join_grace,
                    disconnected_grace,
                    down_grace,
                    settle,
                ) = times;
                Policy {
                    drain_deadline,
                    ignore_system_jobs,
                    dry_run: false,
                    sweep,
                    max_hold,
                    kill_grace,
                    on_drain_timeout,
                    on_node_not_found,
                    node_join_grace,
                    disconnected_grace,
                    down_grace,
                    settle_delay: settle,
                    pause,
                    restore_after,
                    max_drains_per_group,
                    purge_nodes,
                    aws_region: None,
                }
            },
        )
        .boxed()
}

const SAMPLES: usize = 4_000;

fn kinds(of: BoxedStrategy<Observation>) -> BTreeMap<String, usize> {
    let mut runner = TestRunner::deterministic();
    let mut counts = BTreeMap::<String, usize>::new();
    let samples = (of, policies(), moments());
    for _ in 0..SAMPLES {
        let (seen, policy, now) = samples.new_tree(&mut runner).unwrap().current();
        let kind = match decide(&seen, &policy, now) {
            Decision::Act(Action::Drain(request)) => format!("drain {:?}", request.reason),
            Decision::Act(Action::Complete { reason, .. }) => format!("complete {reason:?}"),
            Decision::Act(Action::MakeIneligible(_)) => "make ineligible".to_owned(),
            Decision::Act(Action::Heartbeat) => "heartbeat".to_owned(),
            Decision::Act(Action::GiveBack { .. }) => "give back".to_owned(),
            Decision::Act(Action::Purge(_)) => "purge".to_owned(),
            Decision::Wait { why, .. } => format!("wait {why:?}"),
            Decision::Finish(reason) => format!("finish {reason:?}"),
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// A property over decisions that hardly ever come proves nothing.
#[test]
fn every_kind_of_decision_comes_often_enough() {
    let counts = kinds(observations());
    let often = |kind: String| counts.get(&kind).is_some_and(|count| *count >= SAMPLES / 1_000);
    for reason in [
        Reason::Drained,
        Reason::DrainTimeout,
        Reason::NodeDown,
        Reason::NodeDisconnected,
        Reason::NodeGone,
        Reason::NodeNotFound,
    ] {
        assert!(often(format!("complete {reason:?}")), "{reason:?}: {counts:#?}");
    }
    for reason in [Reason::DrainPosted, Reason::DeadlineBroughtNearer, Reason::StuckDrainEnded] {
        assert!(often(format!("drain {reason:?}")), "{reason:?}: {counts:#?}");
    }
    assert!(often("heartbeat".to_owned()) && often("make ineligible".to_owned()));

    let counts = kinds(other_observations());
    for kind in ["give back", "purge", "complete NodeReady", "wait NodeNotEligible", "wait NodeNotDown"] {
        assert!(counts.get(kind).is_some_and(|count| *count >= SAMPLES / 400), "{kind}: {counts:#?}");
    }
}
