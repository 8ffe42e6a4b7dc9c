//! Whatever arrives, the parser neither panics nor hands on an instance that is none, and what it says of a stranger's
//! text is short and on one line. Seeds: `corpus/event` and `../crates/drain/tests/fixtures/events`.

#![no_main]

use drain::event::{Event, Message, Scope, parse};
use drain_core::ids::HookName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|event: &str| {
    let hook = HookName::parse("nomad-drain-hook").unwrap();
    let hooks = std::slice::from_ref(&hook);
    let on = |on: bool| Scope {
        hooks: on.then_some(hooks),
        bus_hooks: hooks,
        launch_hook: on.then_some(&hook),
        rebalance: on,
        scheduled_change: on,
        purge: on,
    };
    for scope in [on(true), on(false)] {
        is_sound(event, &scope);
    }
});

fn is_sound(event: &str, scope: &Scope<'_>) {
    let is_short = |text: &str| assert!(text.len() < 2048 && !text.contains('\n'), "{text:?}");
    let deliveries = match parse(event, scope) {
        Ok(Event::Sweep) => return,
        Ok(Event::Messages(deliveries)) => deliveries,
        Err(error) => return is_short(&error.to_string()),
    };
    for delivery in deliveries {
        match delivery.messages {
            Err(error) => is_short(&error.to_string()),
            Ok(messages) => messages.iter().for_each(|message| match message {
                Message::Target(target, _) => {
                    let id = target.instance.as_str();
                    assert!(id.starts_with("i-") && (10..=19).contains(&id.len()), "{id}");
                }
                Message::Ignored(ignored) => is_short(&ignored.explanation),
            }),
        }
    }
}
