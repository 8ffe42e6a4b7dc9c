//! What an event says: JSON in, targets out. Every envelope is peeled here, once; nothing past this point sees JSON.
//!
//! Understood are lifecycle notifications that arrive through an SNS subscription, the same notifications handed over
//! directly, and the schedule's call for a sweep. Shapes: *Amazon EC2 Auto Scaling User Guide*, "Prepare to add a
//! lifecycle hook"; *Amazon `EventBridge` User Guide*, "Scheduled events".

mod json;
mod lifecycle;

use drain_core::ids::{GroupName, HookName, InstanceId, InvalidInstanceId};
use drain_core::observation::Target;
use drain_core::reason::Reason;
use serde_json::value::RawValue;

use json::{Fields, Json};
use lifecycle::{is_auto_scaling, parse_message};

/// What an event asks for.
#[derive(Debug)]
pub enum Event {
    /// To look after every instance that is held.
    Sweep,
    /// What each of its messages asks for. One that cannot be understood does not hide the others.
    Messages(Vec<Result<Message, EventError>>),
}

/// What one message asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// An instance that has to be empty.
    Target(Target),
    /// Nothing: it is not about an end, or not ours.
    Ignored(Ignored),
}

/// A message that is answered with success and a reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignored {
    /// Why.
    pub reason: Reason,
    /// The instance that it is about, as it was written, if it is one at all.
    pub instance: Option<InstanceId>,
    /// The group that it is about.
    pub group: Option<GroupName>,
    /// The hook that it is about.
    pub hook: Option<HookName>,
    /// What it is, in words.
    pub explanation: String,
}

/// A message that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is not JSON, or not the JSON of an Auto Scaling message.
    #[error("the message cannot be read")]
    MalformedMessage(#[source] serde_json::Error),
    /// A field of the message holds something else than text.
    #[error("the lifecycle message's {0} is not a string")]
    NotAString(&'static str),
    /// No envelope that we know.
    #[error("this is no event that the function knows: {0}")]
    UnknownEvent(String),
    /// A lifecycle message without its transition, or with one that there is not.
    #[error("the message's LifecycleTransition is not one that Auto Scaling has: {0}")]
    UnknownTransition(String),
    /// A lifecycle message without an instance.
    #[error("the lifecycle message names no instance: it has no EC2InstanceId")]
    MissingInstanceId,
    /// The instance's id is not one.
    #[error("the lifecycle message has an invalid EC2InstanceId")]
    InvalidInstanceId(#[source] InvalidInstanceId),
}

/// Reads an event, which is JSON. `hooks` are the only hooks to act on; `None` is every hook.
pub fn parse(event: &str, hooks: Option<&[HookName]>) -> Result<Event, EventError> {
    match Json::parse(event).map_err(EventError::MalformedMessage)? {
        Json::Object(fields) => parse_object(&fields, hooks),
        // A hook that has a function as its target may hand its message over as a string; so may a schedule.
        Json::Text(text) => match Json::parse(&text) {
            Ok(Json::Object(fields)) if !is_auto_scaling(&fields) && fields.has(ACTION) => order(&fields),
            _ => Ok(Event::Messages(vec![parse_text(&text, hooks)])),
        },
        Json::Other => Err(EventError::UnknownEvent("it is not a JSON object".to_owned())),
    }
}

fn parse_object(event: &Fields<'_>, hooks: Option<&[HookName]>) -> Result<Event, EventError> {
    if let Some(records) = event.list("Records") {
        if records.is_empty() {
            return Err(EventError::UnknownEvent("Records is empty".to_owned()));
        }
        return Ok(Event::Messages(records.iter().map(|record| parse_record(record, hooks)).collect()));
    }
    if is_auto_scaling(event) {
        return Ok(Event::Messages(vec![parse_message(event, hooks)]));
    }
    if event.has(ACTION) {
        return order(event);
    }
    if is_scheduled(event) {
        return Ok(Event::Sweep);
    }
    let names: Vec<String> = event.names().take(10).map(quoted).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(EventError::UnknownEvent(format!("its fields are: {names}")))
}

/// The field in which whoever invokes the function says what to do.
const ACTION: &str = "action";

/// An order: `{"action":"sweep"}`.
fn order(event: &Fields<'_>) -> Result<Event, EventError> {
    let unknown = |what: &str| {
        Err(EventError::UnknownEvent(format!("its action is {what}; the only one is \"sweep\"")))
    };
    match event.text(ACTION).as_deref() {
        Some("sweep") => Ok(Event::Sweep),
        Some(other) => unknown(&quoted(other)),
        None => unknown("not a string"),
    }
}

/// What a schedule of `EventBridge` sends if it was not told what to send: of a rule or of the scheduler.
fn is_scheduled(event: &Fields<'_>) -> bool {
    event.text("detail-type").as_deref() == Some("Scheduled Event")
        && matches!(event.text("source").as_deref(), Some("aws.events" | "aws.scheduler"))
}

fn parse_record(record: &RawValue, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    let Json::Object(record) = Json::of(record).map_err(EventError::MalformedMessage)? else {
        return Err(EventError::UnknownEvent("a record that is not a JSON object".to_owned()));
    };
    if let Some(text) = record.object("Sns").and_then(|sns| sns.text("Message")) {
        return parse_text(&text, hooks);
    }
    let source = record.text("EventSource").or_else(|| record.text("eventSource"));
    let source = source.map_or_else(|| "an unnamed source".to_owned(), |source| quoted(&source));
    Err(EventError::UnknownEvent(format!("a record of {source} without an SNS message that can be read")))
}

fn parse_text(text: &str, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    match Json::parse(text).map_err(EventError::MalformedMessage)? {
        Json::Object(message) if is_auto_scaling(&message) => parse_message(&message, hooks),
        // Topics are shared: an alarm or a build notification beside ours is not an error.
        Json::Object(_) | Json::Text(_) | Json::Other => Ok(Message::Ignored(Ignored {
            reason: Reason::ForeignMessage,
            instance: None,
            group: None,
            hook: None,
            explanation: "a message on the topic that is not from Auto Scaling".to_owned(),
        })),
    }
}

/// A stranger's text as it may stand in a log or an error: in quotation marks, on one line, 64 characters of it.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
