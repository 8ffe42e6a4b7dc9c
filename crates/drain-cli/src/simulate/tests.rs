//! Everything that is written is understood as what it is: every kind, in every envelope.

use std::sync::Arc;

use clap::ValueEnum as _;
use drain::event::{self, Event, Message, Scope};
use drain_core::ids::HookName;
use drain_core::observation::{Cause, Ending, Errand, Origin, Target};
use drain_core::reason::Reason;
use drain_lab::aws::Account;

use super::envelope::Envelope;
use super::kind::{Kind, Scene};
use super::payloads;

const INSTANCE: &str = "i-0123456789abcdef0";
const TOKEN: &str = "465e0162-e6af-4786-b4e8-bb544ae58790";

/// What a kind means to a function that wants to hear everything.
#[derive(Debug, PartialEq)]
enum Meaning {
    Errand(Errand),
    Ignored(Reason),
    Sweep,
}

fn meaning(kind: Kind) -> Meaning {
    match kind {
        Kind::Terminate | Kind::TerminateFromWarmPool => Meaning::Errand(Errand::Drain(Cause::Terminate)),
        Kind::ReturnToWarmPool => Meaning::Errand(Errand::Drain(Cause::WarmPool)),
        Kind::ReplaceRootVolume => Meaning::Errand(Errand::Drain(Cause::RootVolume)),
        Kind::Launch | Kind::LaunchFromWarmPool | Kind::LaunchWithNewRootVolume => {
            Meaning::Errand(Errand::Admit)
        }
        Kind::TestNotification => Meaning::Ignored(Reason::TestNotification),
        Kind::GroupNotification | Kind::LaunchSuccessful => Meaning::Ignored(Reason::GroupNotification),
        Kind::TerminateSuccessful | Kind::StateTerminated => {
            Meaning::Errand(Errand::Purge(Ending::Terminated))
        }
        Kind::SpotInterruption | Kind::CapacityReservationInterruption => {
            Meaning::Errand(Errand::Drain(Cause::Spot))
        }
        Kind::RebalanceRecommendation => Meaning::Errand(Errand::Drain(Cause::Rebalance)),
        Kind::ScheduledChange => Meaning::Errand(Errand::Drain(Cause::ScheduledChange)),
        Kind::StatePending | Kind::StateRunning => Meaning::Ignored(Reason::InstanceRunning),
        Kind::StateStopping | Kind::StateShuttingDown => Meaning::Errand(Errand::Drain(Cause::StateChange)),
        Kind::StateStopped => Meaning::Errand(Errand::Purge(Ending::Stopped)),
        Kind::Sweep => Meaning::Sweep,
    }
}

/// Who tells of it.
fn origin(kind: Kind, envelope: Envelope) -> Origin {
    if kind.is_from_bus() {
        Origin::Broadcast
    } else if envelope.is_from_bus() {
        Origin::Bus
    } else {
        Origin::Event
    }
}

fn scene(token: Option<&str>) -> Scene {
    Scene {
        account: Arc::new(Account::default()),
        at: "2026-11-29T03:00:00Z".parse().unwrap(),
        instance: INSTANCE.to_owned(),
        group: "workers".to_owned(),
        hook: None,
        token: token.map(str::to_owned),
        metadata: Some(r#"{"DRAIN_DEADLINE":"4h"}"#.to_owned()),
    }
}

/// What the function makes of a payload, with the ids of the messages of a queue.
fn read(payload: &str) -> Event {
    let name = |text: &str| HookName::parse(text).unwrap();
    let (ours, launch) = ([name("nomad-drain-hook")], name("nomad-launch-hook"));
    let scope = Scope {
        hooks: Some(&ours),
        bus_hooks: &ours,
        launch_hook: Some(&launch),
        rebalance: true,
        scheduled_change: true,
        purge: true,
    };
    event::parse(payload, &scope).unwrap_or_else(|error| panic!("{error}: {payload}"))
}

#[test]
fn every_kind_in_every_envelope_is_understood_as_what_it_is() {
    use Envelope::{Eventbridge, EventbridgeSqs, Sns, SnsSqs, Sqs};

    let mut refused = Vec::new();
    for &kind in Kind::value_variants() {
        for &envelope in Envelope::value_variants() {
            for token in [None, Some(TOKEN)] {
                let announced = kind.announce(&scene(token), envelope.is_from_bus());
                let announced = announced.and_then(|one| envelope.carries(&one).map(|()| one));
                let Ok(announced) = announced else {
                    refused.push((kind, envelope));
                    continue;
                };
                let [payload] = &payloads(std::slice::from_ref(&announced), envelope, 10)[..] else {
                    panic!("{kind:?}")
                };
                let context = format!("{kind:?} in {envelope:?}: {payload}");
                match (read(&payload.to_string()), meaning(kind)) {
                    (Event::Sweep, Meaning::Sweep) => {}
                    (Event::Messages(deliveries), meaning) => {
                        let [delivery] = &deliveries[..] else { panic!("{context}") };
                        let id = envelope.is_queue().then_some(&announced.id);
                        assert_eq!(delivery.queue_message.as_ref(), id, "{context}");
                        match (&delivery.messages.as_ref().unwrap()[..], meaning) {
                            ([Message::Target(target, metadata)], Meaning::Errand(errand)) => {
                                check(target, errand, kind, envelope, token, &context);
                                assert_eq!(metadata.is_some(), target.hook.is_some(), "{context}");
                            }
                            ([Message::Ignored(ignored)], Meaning::Ignored(reason)) => {
                                assert_eq!(ignored.reason, reason, "{context}");
                            }
                            other => panic!("{other:?}: {context}"),
                        }
                    }
                    other => panic!("{other:?}: {context}"),
                }
            }
        }
    }
    refused.dedup();
    assert_eq!(
        refused,
        [
            (Kind::TestNotification, Eventbridge),
            (Kind::TestNotification, EventbridgeSqs),
            (Kind::GroupNotification, Eventbridge),
            (Kind::GroupNotification, EventbridgeSqs),
            (Kind::Sweep, Sns),
            (Kind::Sweep, SnsSqs),
            (Kind::Sweep, Sqs),
            (Kind::Sweep, EventbridgeSqs),
        ]
    );
}

fn check(
    target: &Target,
    errand: Errand,
    kind: Kind,
    envelope: Envelope,
    token: Option<&str>,
    context: &str,
) {
    assert_eq!((target.instance.as_str(), target.errand), (INSTANCE, errand), "{context}");
    assert_eq!(target.origin, origin(kind, envelope), "{context}");
    assert_eq!(target.told_at, Some(scene(None).at), "{context}");
    if target.hook.is_some() {
        assert_eq!(target.token.as_deref(), token, "{context}");
        assert_eq!(target.group.as_ref().map(ToString::to_string).as_deref(), Some("workers"), "{context}");
    } else {
        assert_eq!(target.origin, Origin::Broadcast, "{context}");
    }
}

#[test]
fn many_instances_come_in_batches_of_a_queue_and_one_by_one_otherwise() {
    let announced: Vec<_> = (0..25)
        .map(|number| {
            let scene = Scene { instance: format!("i-{number:017x}"), ..scene(None) };
            Kind::Terminate.announce(&scene, false).unwrap()
        })
        .collect();
    let sizes = |envelope| -> Vec<usize> {
        let sizes = payloads(&announced, envelope, 10).into_iter().map(|payload| {
            let Event::Messages(deliveries) = read(&payload.to_string()) else { panic!("{payload}") };
            deliveries.len()
        });
        sizes.collect()
    };
    assert_eq!(sizes(Envelope::Sqs), [10, 10, 5]);
    assert_eq!(sizes(Envelope::SnsSqs), [10, 10, 5]);
    assert_eq!(sizes(Envelope::Sns), vec![1; 25]);
    assert_eq!(sizes(Envelope::Bare), vec![1; 25]);
}
