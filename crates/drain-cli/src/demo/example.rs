//! A demonstration that was played once: what the renderings are tested with.

use std::collections::BTreeSet;

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use super::course::{Course, Drain, DrainEnd, Running};
use super::history::Trigger;
use super::report::{Drained, Report, Scene, Span};
use super::story::Story;
use super::timeline::{Actor, Line};

/// Fails unless a document is well-formed XML in which every id is there once, and whatever names an id names one of these.
pub(super) fn assert_well_formed(document: &str) {
    let mut reader = Reader::from_str(document);
    let (mut ids, mut named, mut open) = (BTreeSet::new(), Vec::new(), 0);
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error} in {document}"));
        open += i32::from(matches!(event, Event::Start(_))) - i32::from(matches!(event, Event::End(_)));
        if matches!(event, Event::Eof) {
            break;
        }
        let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
        for attribute in tag.attributes() {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned();
            match attribute.key.as_ref() {
                "id" => assert!(ids.insert(value.clone()), "{value} is there twice"),
                "aria-labelledby" => named.extend(value.split(' ').map(str::to_owned)),
                "fill" => {
                    let id = value.strip_prefix("url(#").map(|id| id.trim_end_matches(')').to_owned());
                    named.extend(id);
                }
                _ => {}
            }
        }
    }
    assert_eq!(open, 0, "not every element ends in {document}");
    for id in named {
        assert!(ids.contains(&id), "there is no {id}");
    }
}

/// Its report.
pub(super) fn report() -> Report {
    let instances = vec![
        Drained {
            heartbeats: 3,
            ..drained(
                Story::Ordinary,
                (0, 43, 10_599, 11_028),
                &[(0, 4), (1_738, 2), (8_999, 1)],
                &[drain(Actor::Function, 43, 9_999, DrainEnd::Complete)],
            )
        },
        Drained {
            heartbeats: 4,
            ..drained(
                Story::SlowKill,
                (0, 38, 18_038, 18_086),
                &[(0, 5), (1_738, 3), (8_999, 2), (13_638, 1)],
                &[drain(Actor::Function, 38, 13_038, DrainEnd::Deadline)],
            )
        },
        Drained {
            found_by: Some(Trigger::Sweep),
            found_after_ms: Some(3_961),
            event_to_drain_ms: Some(33),
            event_to_empty_ms: Some(5_598),
            ..drained(
                Story::LostEvent,
                (1_040, 5_034, 10_599, 11_031),
                &[(1_040, 6), (6_734, 2), (8_999, 1)],
                &[drain(Actor::Sweep, 5_034, 9_999, DrainEnd::Complete)],
            )
        },
        Drained {
            reasons: vec!["drain_cancelled".to_owned(), "drained".to_owned()],
            ..drained(
                Story::OperatorCancels,
                (2_078, 2_099, 10_599, 11_028),
                &[(2_078, 5), (3_799, 2), (8_999, 1)],
                &[
                    drain(Actor::Function, 2_099, 3_173, DrainEnd::Cancelled),
                    drain(Actor::Operator, 5_666, 9_999, DrainEnd::Complete),
                ],
            )
        },
        Drained {
            reasons: vec!["nomad_unreachable".to_owned(), "drained".to_owned()],
            ..drained(
                Story::NomadOutage,
                (21_041, 21_069, 40_069, 40_273),
                &[(21_041, 6), (22_769, 2), (34_669, 1)],
                &[drain(Actor::Function, 21_069, 34_069, DrainEnd::Deadline)],
            )
        },
    ];
    Report {
        succeeded: true,
        real_nomad: None,
        began_at: "2026-11-29T14:25:00Z".parse().ok(),
        scene: Scene {
            nodes: 8,
            staying: 3,
            services: vec!["api".to_owned(), "web".to_owned()],
            hook_timeout_s: 300,
            sweep_every_s: 5,
        },
        outage: Some(Span { from_ms: 22_142, to_ms: Some(32_780) }),
        instances,
        calls: [("CompleteLifecycleAction", 5), ("GET /v1/node/:id", 116), ("POST /v1/node/:id/drain", 5)]
            .map(|(operation, count)| (operation.to_owned(), count))
            .into(),
        calls_to_nomad: 121,
        calls_to_aws: 5,
        runs: 12,
        sweeps: 8,
        cold_starts: 4,
        timeline: timeline(),
        problems: Vec::new(),
    }
}

fn timeline() -> Vec<Line> {
    let line = |at_ms, number: u8, who, what: &str| Line {
        at_ms,
        node: Some(format!("worker-{number}")),
        who,
        what: what.to_owned(),
    };
    vec![
        line(0, 1, Actor::AutoScaling, "ends it, and the hook holds it"),
        line(43, 1, Actor::Function, "drains the node, deadline 12s"),
        line(1_040, 3, Actor::Network, "the hook's message is lost on its way"),
        line(1_738, 1, Actor::Nomad, "api[0], web[0] have ended, 2 left"),
        line(3_173, 4, Actor::Operator, "cancels the drain: the node takes work again"),
        line(5_033, 3, Actor::Sweep, "heartbeat: proves that the hook holds it"),
        line(11_028, 1, Actor::Function, "releases it 0.428 s after its last allocation"),
        line(40_273, 5, Actor::Function, "releases it 0.203 s after its last allocation"),
    ]
}

/// An instance that was held, drained, without work and released at these moments, with what ran until it was without.
fn drained(
    story: Story,
    times: (i128, i128, i128, i128),
    running: &[(i128, usize)],
    drains: &[Drain],
) -> Drained {
    let (held, drained, empty, released) = times;
    let number = 1 + Story::ALL.iter().position(|other| *other == story).unwrap_or_default();
    let running = running.iter().copied().chain([(empty, 0)]);
    let running = running.map(|(at_ms, allocations)| Running { at_ms, allocations });
    Drained {
        instance_id: format!("i-0123456789abcdef{number}"),
        node_id: format!("00000000-0000-0000-0000-00000000000{number}"),
        node_name: format!("worker-{number}"),
        story,
        found_by: Some(Trigger::Event),
        found_after_ms: Some(0),
        event_to_drain_ms: Some(drained - held),
        event_to_empty_ms: Some(empty - held),
        empty_to_released_ms: Some(released - empty),
        held_ms: Some(released - held),
        heartbeats: 2,
        calls_to_nomad: 40,
        calls_to_aws: 5,
        released_by: Some(Trigger::Sweep),
        outcome: Some("completed".to_owned()),
        reason: Some("drained".to_owned()),
        reasons: vec!["drain_posted".to_owned(), "allocations_running".to_owned(), "drained".to_owned()],
        course: Course {
            held_at_ms: Some(held),
            released_at_ms: Some(released),
            running: running.collect(),
            drains: drains.to_vec(),
            heartbeats_at_ms: [drained + 5]
                .into_iter()
                .chain((1..=3).map(|beat| held + beat * 5_000))
                .filter(|at| *at < released)
                .collect(),
        },
    }
}

fn drain(by: Actor, from_ms: i128, to_ms: i128, end: DrainEnd) -> Drain {
    Drain { by, from_ms, to_ms: Some(to_ms), end: Some(end) }
}
