use drain_core::ids::{GroupName, InstanceId};
use serde_json::{Value, json};

use super::*;
use crate::chronicle::{Drain, Whom};
use crate::event::Ignored;
use crate::report::ReportEntry;

fn told(report: &Report) -> Told {
    Told {
        event: "sweep",
        result: "succeeded",
        cold: false,
        report: Some(report.clone()),
        aws: Calls::default(),
        clusters: Vec::new(),
        notifications_failed: 0,
    }
}

fn read(told: &Told, happened: &[Happened]) -> Vec<Value> {
    let lines = lines(told, happened, "NomadDrain", "2026-03-01T12:00:00Z".parse().unwrap());
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn happened(cluster: Option<&str>, what: What) -> Happened {
    let whom = Whom {
        instance: InstanceId::parse("i-0123456789abcdef0").unwrap(),
        group: Some(GroupName::parse("workers").unwrap()),
        nodes: Vec::new(),
    };
    Happened { cluster: cluster.map(str::to_owned), whom, what }
}

fn released(result: ActionResult, reason: Reason, forced: usize) -> What {
    let time_to_empty = (reason == Reason::Drained).then_some(SignedDuration::from_millis(90_500));
    let held_after_empty = time_to_empty.map(|_| SignedDuration::from_secs(1));
    What::Released {
        result,
        reason,
        drain: Drain { adopted: false, time_to_empty, held_after_empty, forced },
    }
}

#[test]
fn a_sweep_tells_what_it_watches_even_if_that_is_nothing() {
    let report = Report { groups: Some(0), held: Some(0), missing_groups: 1, ..Report::default() };
    let line = &read(&told(&report), &[])[0];
    for (name, value) in [
        ("WatchedGroups", 0),
        ("HeldInstances", 0),
        ("MissingGroups", 1),
        ("HeldPastDeadline", 0),
        ("GroupsMostlyDown", 0),
        ("OldestHeld", 0),
        ("Invocations", 1),
    ] {
        assert_eq!(line[name], json!(value), "{name}");
    }
    assert_eq!(line["_aws"]["Timestamp"], 1_772_366_400_000_i64);
    assert_eq!(
        (&line["level"], &line["timestamp"]),
        (&json!("FATAL"), &json!("2026-03-01T12:00:00Z")),
        "no level hides it"
    );
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&directive["Namespace"], &directive["Dimensions"]), (&json!("NomadDrain"), &json!([[]])));
    assert!(
        directive["Metrics"]
            .as_array()
            .unwrap()
            .contains(&json!({ "Name": "WatchedGroups", "Unit": "Count" }))
    );
    assert!(line.get("DrainsStarted").is_none(), "what never happens costs nothing");
}

#[test]
fn an_invocation_is_counted_by_its_event_and_result_too() {
    let report = Report::default();
    let line = &read(&Told { event: "spot", result: "failed", cold: true, ..told(&report) }, &[])[0];
    let directive = &line["_aws"]["CloudWatchMetrics"][1];
    assert_eq!(directive["Dimensions"], json!([["Event", "Result"]]));
    assert_eq!(directive["Metrics"], json!([{ "Name": "Invocations", "Unit": "Count" }]));
    assert_eq!(
        (&line["Event"], &line["Result"], &line["ColdStarts"]),
        (&json!("spot"), &json!("failed"), &json!(1))
    );
}

#[test]
fn drains_are_counted_by_how_they_went() {
    let report = Report::default();
    let after = Some(SignedDuration::from_millis(250));
    let all = [
        What::DrainStarted { after },
        What::DrainStarted { after: None },
        released(ActionResult::Continue, Reason::Drained, 2),
        released(ActionResult::Abandon, Reason::DrainTimeout, 1),
        released(ActionResult::Continue, Reason::NodeDown, 0),
        What::HeartbeatSent,
        What::HeartbeatFailed,
    ]
    .map(|what| happened(None, what));
    let line = &read(&told(&report), &all)[0];
    for (name, value) in [
        ("DrainsStarted", json!(2)),
        ("EventToDrain", json!(250)),
        ("DrainsCompleted", json!(2)),
        ("DrainsTimedOut", json!(1)),
        ("DrainsAbandoned", json!(1)),
        ("AllocationsForced", json!(3)),
        ("TimeToEmpty", json!(90.5)),
        ("HeldAfterEmpty", json!(1)),
        ("HeartbeatsSent", json!(1)),
        ("HeartbeatsFailed", json!(1)),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
}

#[test]
fn more_values_than_a_line_takes_are_more_lines() {
    let report = Report::default();
    let after = Some(SignedDuration::from_millis(5));
    let all: Vec<Happened> = (0..250).map(|_| happened(None, What::DrainStarted { after })).collect();
    let lines = read(&told(&report), &all);
    let values: Vec<usize> =
        lines.iter().map(|line| line["EventToDrain"].as_array().map_or(1, Vec::len)).collect();
    assert_eq!(values, [100, 100, 50]);
    assert_eq!(lines[0]["DrainsStarted"], 250);
    assert!(lines[1].get("DrainsStarted").is_none(), "nothing is counted twice");
}

#[test]
fn each_of_several_clusters_has_a_line_of_its_own() {
    let report = Report::default();
    let all = [
        happened(Some("blue"), What::DrainStarted { after: None }),
        happened(Some("green"), What::HeartbeatSent),
    ];
    let cluster =
        |name: &str, refusals| OfCluster { name: Some(name.to_owned()), calls: Calls::default(), refusals };
    let told = Told { clusters: vec![cluster("blue", 0), cluster("green", 1)], ..told(&report) };
    let lines = read(&told, &all);
    assert_eq!((&lines[0]["DrainsStarted"], &lines[0]["TokenRefused"]), (&json!(1), &json!(1)));
    let blue = lines.iter().find(|line| line["Cluster"] == "blue").unwrap();
    assert_eq!(blue["DrainsStarted"], 1);
    assert_eq!(blue["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Cluster"]]));
    let green = lines.iter().find(|line| line["Cluster"] == "green").unwrap();
    assert_eq!((&green["HeartbeatsSent"], &green["TokenRefused"]), (&json!(1), &json!(1)));
    assert!(green.get("DrainsStarted").is_none());
}

#[test]
fn what_was_ignored_is_counted_by_reason() {
    let ignored = |reason: Reason| {
        ReportEntry::from(Ignored {
            reason,
            instance: None,
            group: None,
            hook: None,
            explanation: String::new(),
        })
    };
    let results = [Reason::NotOurInstance, Reason::OtherHook, Reason::NotOurInstance].map(ignored);
    let report = Report { results: results.to_vec(), ..Report::default() };
    let lines = read(&told(&report), &[]);
    let counts: Vec<_> = lines[1..].iter().map(|line| (&line["Reason"], &line["Ignored"])).collect();
    assert_eq!(counts, [(&json!("not_our_instance"), &json!(2)), (&json!("other_hook"), &json!(1))]);
    assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Reason"]]));
}

#[test]
fn every_metric_has_a_name_that_people_can_look_up() {
    let ignored = Ignored {
        reason: Reason::OtherHook,
        instance: None,
        group: None,
        hook: None,
        explanation: String::new(),
    };
    let report = Report {
        groups: Some(1),
        held: Some(1),
        results: vec![ReportEntry::from(ignored)],
        ..Report::default()
    };
    let mut times = Sample::default();
    times.add(1.0);
    let calls = Calls { retries: 1, times };
    let Drain { forced, .. } = Drain { forced: 1, ..Drain::default() };
    let adopted = What::Released {
        result: ActionResult::Abandon,
        reason: Reason::DrainTimeout,
        drain: Drain { adopted: true, forced, ..Drain::default() },
    };
    let all = [
        What::DrainStarted { after: Some(SignedDuration::from_secs(1)) },
        released(ActionResult::Continue, Reason::Drained, 0),
        adopted,
        What::HeartbeatSent,
        What::HeartbeatFailed,
        What::LeftToHook { reason: Reason::MaxHoldReached },
        What::Held { held_for: None, past_deadline: true },
    ]
    .map(|what| happened(None, what));
    let told = Told {
        cold: true,
        notifications_failed: 1,
        aws: calls.clone(),
        clusters: vec![OfCluster { name: None, calls, refusals: 1 }],
        ..told(&report)
    };
    let mut defined: Vec<(String, String)> = read(&told, &all)
        .iter()
        .flat_map(|line| line["_aws"]["CloudWatchMetrics"].as_array().unwrap().clone())
        .flat_map(|directive| directive["Metrics"].as_array().unwrap().clone())
        .map(|metric| {
            (metric["Name"].as_str().unwrap().to_owned(), metric["Unit"].as_str().unwrap().to_owned())
        })
        .collect();
    defined.sort_by_key(|(name, _)| name.to_lowercase());
    defined.dedup();
    let names: Vec<(String, String)> =
        NAMES.iter().map(|(name, unit)| ((*name).to_owned(), (*unit).to_owned())).collect();
    assert_eq!(defined, names);
}
