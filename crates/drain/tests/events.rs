//! Payloads as they arrive, and what is made of each. Where they come from: `fixtures/events/README.md`.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use drain::event::{Event, Message, Scope, parse};
use drain_core::ids::HookName;

/// Every payload, by name.
fn fixtures() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    })
    .collect()
}

/// Hooks that the payloads name, for those that `EventBridge` tells of.
fn ours() -> [HookName; 2] {
    ["cluster-termination-handler", "nomad-drain-hook"].map(|name| HookName::parse(name).unwrap())
}

fn launch() -> HookName {
    HookName::parse("nomad-launch-hook").unwrap()
}

/// Asks for everything.
fn all<'a>(ours: &'a [HookName], launch: &'a HookName) -> Scope<'a> {
    Scope {
        hooks: None,
        bus_hooks: ours,
        launch_hook: Some(launch),
        rebalance: true,
        scheduled_change: true,
        purge: true,
    }
}

/// Asks for what is asked for by default.
fn usual() -> Scope<'static> {
    Scope {
        hooks: None,
        bus_hooks: &[],
        launch_hook: None,
        rebalance: false,
        scheduled_change: false,
        purge: false,
    }
}

fn told(event: &str, scope: &Scope<'_>) -> String {
    let deliveries = match parse(event, scope) {
        Ok(Event::Sweep) => return "sweep".to_owned(),
        Ok(Event::Messages(deliveries)) => deliveries,
        Err(error) => return format!("error: {error}"),
    };
    let parts = deliveries.iter().map(|delivery| match &delivery.messages {
        Ok(messages) => messages.iter().map(in_words).collect::<Vec<_>>().join(" + "),
        Err(error) => format!("error: {error}"),
    });
    parts.collect::<Vec<_>>().join(" | ")
}

fn in_words(message: &Message) -> String {
    match message {
        Message::Target(target, _) => format!("{:?} of {}", target.errand, target.instance),
        Message::Ignored(ignored) => ignored.reason.as_str().to_owned(),
    }
}

#[test]
fn every_payload_is_understood_as_what_it_is() {
    let (ours, launch) = (ours(), launch());
    let everything = all(&ours, &launch);
    let mut table = String::new();
    for (name, event) in fixtures() {
        let (asked, usual) = (told(&event, &everything), told(&event, &usual()));
        let usual = if usual == asked { "the same".to_owned() } else { usual };
        let _ = writeln!(table, "{name}: {asked}; by default {usual}");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn unknown_fields_are_ignored_and_optional_ones_may_be_missing() {
    let (ours, launch) = (ours(), launch());
    let everything = all(&ours, &launch);
    for (name, event) in fixtures() {
        let Ok(serde_json::Value::Object(whole)) = serde_json::from_str(&event) else { continue };
        let expected = told(&event, &everything);
        if expected.starts_with("error: this is no event") {
            // The message quotes the fields.
            continue;
        }
        let mut odd = whole.clone();
        odd.insert("something-new".to_owned(), serde_json::json!({"of": ["any", {"kind": null}]}));
        if whole.contains_key("detail") {
            odd["detail"]["something-new"] = serde_json::json!([1, 2.5, null]);
        }
        assert_eq!(told(&serde_json::Value::Object(odd).to_string(), &everything), expected, "{name}");
        for optional in
            ["version", "id", "account", "region", "resources", "time", "NotificationMetadata", "AccountId"]
        {
            let mut less = whole.clone();
            less.remove(optional);
            let less = told(&serde_json::Value::Object(less).to_string(), &everything);
            assert_eq!(less, expected, "{name} without {optional}");
        }
    }
}

/// What has to hold for any text whatever: it is short, on one line, and names only instances that are some.
fn is_sound(event: &str, scope: &Scope<'_>) {
    let on_one_line = |text: &str| assert!(text.len() < 2048 && !text.contains('\n'), "{text:?}");
    let deliveries = match parse(event, scope) {
        Ok(Event::Sweep) => return,
        Ok(Event::Messages(deliveries)) => deliveries,
        Err(error) => return on_one_line(&error.to_string()),
    };
    let is_queue = deliveries.iter().filter(|delivery| delivery.queue_message.is_some()).count();
    assert!(is_queue == 0 || is_queue == deliveries.len(), "{event}");
    for delivery in &deliveries {
        match &delivery.messages {
            Err(error) => on_one_line(&error.to_string()),
            Ok(messages) => {
                assert!(!messages.is_empty(), "{event}");
                for message in messages {
                    match message {
                        Message::Target(target, _) => {
                            let id = target.instance.as_str();
                            assert!(id.starts_with("i-") && (10..=19).contains(&id.len()), "{id}");
                        }
                        Message::Ignored(ignored) => on_one_line(&ignored.explanation),
                    }
                }
            }
        }
    }
}

/// The fuzz target's invariants on the stable toolchain: every payload, and thousands of payloads with some bytes changed,
/// cut out, doubled or put together with another's.
#[test]
fn nothing_that_is_made_of_payloads_breaks_the_parser() {
    let (ours, launch) = (ours(), launch());
    let scopes = [all(&ours, &launch), usual()];
    let payloads: Vec<String> = fixtures().into_values().collect();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let mut bytes = payloads[random.usize(..payloads.len())].clone().into_bytes();
        for _ in 0..random.usize(..4) {
            let (at, other) = (random.usize(..bytes.len()), random.usize(..bytes.len()));
            let (from, to) = (at.min(other), at.max(other));
            match random.u8(..5) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] = *b"{}[]\",:\\ 0".get(random.usize(..10)).unwrap(),
                2 => drop(bytes.drain(from..to.min(from + 40))),
                3 => {
                    let piece = bytes[from..to.min(from + 200)].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        is_sound(&text, &scopes[round % 2]);
    }
}
