//! The steps of a walk: what Auto Scaling, Nomad, operators, jobs, machines and the network do.

use std::rc::Rc;
use std::time::Duration;

use drain_lab::aws::{ActionRef, ActionResult, HealthEntity};
use drain_lab::nomad::NodeStatus;
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::fates::{Fate, fates};
use crate::faults::{Call, Fault, Kind, Scope};
use crate::ground::Ground;
use crate::ledger::later;
use crate::setup::{Job, OURS, jobs};
use crate::walk::Walk;

/// One step. Instances, events and invocations are chosen by a number that is counted round and round.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Terminate(usize),
    ReturnToWarmPool(usize),
    LaunchFromWarmPool(usize),
    Interrupt(usize),
    Recommend(usize),
    ScheduleChange(usize),
    Mail(Delivery, usize),
    Sweep,
    GoOn { who: usize, awaits: u32, pick: usize },
    RunUntilQuiet,
    Turn(u32),
    Pass(u32),
    Schedule(bool),
    Kill(usize),
    FailCalls(Call, Kind, u32),
    FailFor(bool, Kind, u32),
    NoLeaderFor(u32),
    SomebodyCompletes(usize),
    AddJob(Job),
    StopJob(u32),
    Node(usize, Fate),
    HoldTag(bool),
    Sight(bool),
}

/// What becomes of an event on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    Once,
    /// It is delivered, and will be once more.
    Duplicate,
    /// One that was delivered before.
    Again,
    Lost,
}

/// Random steps.
pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let one = || 0_usize..64;
    let call = prop::sample::select(Call::ALL.to_vec());
    let kind = || prop::sample::select(Kind::ALL.to_vec());
    let period = || prop_oneof![3 => 1_u32..60, 2 => 60_u32..900];
    let time = prop_oneof![6 => 1_u32..60, 4 => 60_u32..300, 1 => 300_u32..3600];
    let aws = prop_oneof![
        10 => one().prop_map(Step::Terminate),
        2 => one().prop_map(Step::ReturnToWarmPool),
        2 => one().prop_map(Step::LaunchFromWarmPool),
        1 => one().prop_map(Step::Interrupt),
        2 => one().prop_map(Step::Recommend),
        1 => one().prop_map(Step::ScheduleChange),
        12 => one().prop_map(|mail| Step::Mail(Delivery::Once, mail)),
        3 => one().prop_map(|mail| Step::Mail(Delivery::Duplicate, mail)),
        2 => one().prop_map(|mail| Step::Mail(Delivery::Again, mail)),
        2 => one().prop_map(|mail| Step::Mail(Delivery::Lost, mail)),
    ];
    let function = prop_oneof![
        5 => Just(Step::Sweep),
        18 => (one(), 1_u32..12, 0_usize..4).prop_map(|(who, awaits, pick)| Step::GoOn { who, awaits, pick }),
        6 => Just(Step::RunUntilQuiet),
        4 => (1_u32..10).prop_map(Step::Turn),
        14 => time.prop_map(Step::Pass),
        2 => any::<bool>().prop_map(Step::Schedule),
        3 => one().prop_map(Step::Kill),
    ];
    let network = prop_oneof![
        6 => (call, kind(), 1_u32..4).prop_map(|(call, kind, calls)| Step::FailCalls(call, kind, calls)),
        3 => (any::<bool>(), kind(), period()).prop_map(|(nomad, kind, time)| Step::FailFor(nomad, kind, time)),
        1 => period().prop_map(Step::NoLeaderFor),
    ];
    let others = prop_oneof![
        2 => one().prop_map(Step::SomebodyCompletes),
        2 => prop::bool::weighted(0.3).prop_map(Step::HoldTag),
        2 => any::<bool>().prop_map(Step::Sight),
        5 => jobs().prop_map(Step::AddJob),
        3 => (0_u32..6).prop_map(Step::StopJob),
        26 => (one(), fates()).prop_map(|(node, fate)| Step::Node(node, fate)),
    ];
    prop_oneof![8 => aws, 12 => function, 2 => network, 4 => others]
}

impl Step {
    /// Its name in the tally.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terminate(_) => "terminate",
            Self::ReturnToWarmPool(_) => "return to warm pool",
            Self::LaunchFromWarmPool(_) => "launch from warm pool",
            Self::Interrupt(_) => "interrupt",
            Self::Recommend(_) => "recommend",
            Self::ScheduleChange(_) => "schedule a change",
            Self::Mail(Delivery::Once, _) => "deliver",
            Self::Mail(Delivery::Duplicate, _) => "duplicate",
            Self::Mail(Delivery::Again, _) => "deliver again",
            Self::Mail(Delivery::Lost, _) => "lose",
            Self::Node(_, fate) => fate.name(),
            Self::Sweep => "sweep",
            Self::GoOn { .. } => "go on",
            Self::RunUntilQuiet => "run until quiet",
            Self::Turn(_) => "turn",
            Self::Pass(_) => "pass",
            Self::Schedule(_) => "schedule",
            Self::Kill(_) => "kill",
            Self::FailCalls(..) => "fail calls",
            Self::FailFor(..) => "fail for a time",
            Self::NoLeaderFor(_) => "no leader",
            Self::SomebodyCompletes(_) => "somebody completes",
            Self::AddJob(_) => "add job",
            Self::StopJob(_) => "stop job",
            Self::HoldTag(_) => "hold tag",
            Self::Sight(_) => "sight",
        }
    }

    /// Takes it. What is impossible at the moment does nothing.
    pub(crate) fn take(self, walk: &mut Walk) {
        let ground = Rc::clone(&walk.ground);
        ground.tally.borrow_mut().step(self.name());
        ground.say(|| format!("{self:?}"));
        match self {
            Self::Mail(delivery, one) => post(walk, delivery, one),
            Self::Sweep => walk.sweep(),
            Self::GoOn { who, awaits, pick } => {
                if let Some(place) = chosen(walk.running.len(), who) {
                    walk.go_on(place, awaits, pick);
                }
            }
            Self::RunUntilQuiet => walk.run_all_until_quiet(),
            Self::Turn(seconds) => walk.turn(seconds),
            Self::Pass(seconds) => walk.pass(Duration::from_secs(u64::from(seconds))),
            Self::Schedule(on) => walk.scheduled = on && ground.setup.policy.sweep,
            Self::Kill(who) => {
                if let Some(place) = chosen(walk.running.len(), who) {
                    walk.kill(place);
                }
            }
            Self::Terminate(one) => _ = ground.aws.terminate_instance(instance(&ground, one)),
            Self::ReturnToWarmPool(one) => _ = ground.aws.return_to_warm_pool(instance(&ground, one)),
            Self::LaunchFromWarmPool(one) => launch(&ground, instance(&ground, one)),
            Self::Interrupt(one) => _ = ground.aws.interrupt_spot(instance(&ground, one)),
            Self::Recommend(one) => _ = ground.aws.recommend_rebalance(instance(&ground, one)),
            Self::ScheduleChange(one) => {
                _ = ground.aws.schedule_change(instance(&ground, one), HealthEntity::Arn);
            }
            Self::SomebodyCompletes(one) => complete(&ground, instance(&ground, one)),
            Self::FailCalls(call, kind, calls) => {
                let until = later(ground.now(), SignedDuration::from_hours(1));
                fail(&ground, Fault { scope: Scope::One(call), kind, calls: Some(calls), until });
            }
            Self::FailFor(nomad, kind, seconds) => {
                let until = later(ground.now(), SignedDuration::from_secs(i64::from(seconds)));
                let scope = if nomad { Scope::Nomad } else { Scope::AutoScaling };
                fail(&ground, Fault { scope, kind, calls: None, until });
            }
            Self::NoLeaderFor(seconds) => {
                let until = later(ground.now(), SignedDuration::from_secs(i64::from(seconds)));
                ground.leaderless_until.set(until);
                ground.nomad.lose_leader(Some(until));
            }
            Self::AddJob(job) => ground.nomad.add_job(job.spec(&format!("job-{}", ground.nomad.index()))),
            Self::StopJob(number) => ground.nomad.stop_job("default", &format!("job-{number}")),
            Self::HoldTag(on) => ground.held_by_tag.set(on),
            Self::Sight(everything) => ground.sees_everything.set(everything),
            Self::Node(one, fate) => fate.happen(&ground, instance(&ground, one)),
        }
        ground.settle();
    }
}

/// What becomes of an event on its way.
fn post(walk: &mut Walk, delivery: Delivery, one: usize) {
    let ground = Rc::clone(&walk.ground);
    let (mut inbox, mut delivered) = (ground.inbox.borrow_mut(), ground.delivered.borrow_mut());
    let mail = match delivery {
        Delivery::Once => chosen(inbox.len(), one).map(|place| inbox.remove(place)),
        Delivery::Duplicate => chosen(inbox.len(), one).map(|place| inbox[place].clone()),
        Delivery::Again => chosen(delivered.len(), one).map(|place| delivered[place].clone()),
        Delivery::Lost => {
            _ = chosen(inbox.len(), one).map(|place| inbox.remove(place));
            None
        }
    };
    let Some(mail) = mail else { return };
    delivered.push(mail.clone());
    drop((inbox, delivered));
    walk.deliver(mail);
}

/// The machine comes out of the warm pool, and so does its client: the node that it had, which stays as it was left.
fn launch(ground: &Ground, instance: &str) {
    if ground.aws.launch_from_warm_pool(instance).is_err() {
        return;
    }
    ground.settle();
    for node in ground.nodes_of(instance) {
        ground.dead.borrow_mut().remove(&node.id);
        _ = ground.nomad.set_status(&node.id, NodeStatus::Ready);
    }
}

/// Somebody completes the hook that holds an instance, whosever it is.
fn complete(ground: &Ground, instance: &str) {
    let Some(action) = ground.aws.lifecycle_action(instance) else { return };
    if action.hook == OURS {
        ground.tally.borrow_mut().end("completed by somebody else");
    }
    ground.ledger.borrow_mut().ended(instance);
    let (group, hook, token) = (&action.group, &action.hook, Some(action.token.as_str()));
    let meant = ActionRef { group, hook, token, instance_id: None };
    _ = ground.aws.complete_lifecycle_action(&meant, ActionResult::Continue);
}

fn fail(ground: &Ground, fault: Fault) {
    ground.faults.borrow_mut().push(fault);
}

fn instance(ground: &Ground, one: usize) -> &str {
    &ground.instances[one % ground.instances.len()]
}

fn chosen(of: usize, one: usize) -> Option<usize> {
    (of > 0).then(|| one % of)
}
