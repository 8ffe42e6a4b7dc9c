//! What an event says: JSON in, targets out. Every envelope is peeled here, once; nothing past this point sees JSON.
//!
//! Understood are lifecycle notifications from SNS, SQS or the hook itself, what `EventBridge` tells of Auto Scaling, EC2
//! and AWS Health (to the function or to a queue), and the schedule's call for a sweep. Shapes: *Amazon EC2 Auto Scaling
//! User Guide*, "Prepare to add a lifecycle hook" and "Event reference"; *Amazon EC2 User Guide*, "Spot Instance
//! interruption notices"; *AWS Health User Guide*, "Event schema"; *AWS Lambda Developer Guide*, "Using Lambda with SQS".

mod bus;
mod health;
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
    /// What each of its parts asks for. One that cannot be understood does not hide the others.
    Messages(Vec<Delivery>),
}

impl Event {
    /// Whether anything is to be done for anybody.
    pub fn asks_for_something(&self) -> bool {
        let is_target = |message: &Message| matches!(message, Message::Target(..));
        match self {
            Self::Sweep => true,
            Self::Messages(deliveries) => {
                deliveries.iter().flat_map(|delivery| &delivery.messages).flatten().any(is_target)
            }
        }
    }
}

/// One part of an event: a record, or all of it.
#[derive(Debug)]
pub struct Delivery {
    /// The `messageId` of the SQS message that it came in. A failure is told to the queue by this name.
    pub queue_message: Option<String>,
    /// What it asks for. AWS Health may name many instances at once.
    pub messages: Result<Vec<Message>, EventError>,
}

/// What the configuration wants us to act on. Everything else is ignored, with a reason.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The only hooks to act on when a message comes from the hook's own target; `None` is every hook
    /// (`LIFECYCLE_HOOK_NAME`).
    pub hooks: Option<&'a [HookName]>,
    /// The only hooks to act on when `EventBridge` tells of them: it tells of every hook of every group.
    pub bus_hooks: &'a [HookName],
    /// The launch hook that waits for a node (`LAUNCH_HOOK_NAME`); `None` if launches are ignored (`ON_LAUNCH`).
    pub launch_hook: Option<&'a HookName>,
    /// Whether a rebalance recommendation is a reason to drain (`ON_REBALANCE`).
    pub rebalance: bool,
    /// Whether a scheduled change is (`ON_SCHEDULED_CHANGE`).
    pub scheduled_change: bool,
    /// Whether the nodes of ended instances are purged (`PURGE_NODES`).
    pub purge: bool,
}

/// What one message asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Something, for an instance; and what its hook says of it (`NotificationMetadata`).
    Target(Target, Option<String>),
    /// Nothing: it is not about an instance that comes or goes, or not ours.
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
    /// It is larger than anything that Lambda hands over.
    #[error("the event has {0} bytes, and nothing that the function knows has more than 6 MiB")]
    TooLarge(usize),
    /// It is nested deeper than any event.
    #[error("the message is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A field of the message holds something else than text.
    #[error("the message's {0} is not a string")]
    NotAString(&'static str),
    /// No envelope that we know.
    #[error("this is no event that the function knows: {0}")]
    UnknownEvent(String),
    /// A lifecycle message without its transition, or with one that there is not.
    #[error("the message's LifecycleTransition is not one that Auto Scaling has: {0}")]
    UnknownTransition(String),
    /// A message without the instance that it is about.
    #[error("the message names no instance: it has no {0}")]
    MissingInstanceId(&'static str),
    /// The instance's id is not one.
    #[error("the message has an invalid {field}")]
    InvalidInstanceId {
        /// Where it is.
        field: &'static str,
        /// What it is.
        #[source]
        source: InvalidInstanceId,
    },
}

/// The largest event: what Lambda hands over at most (*AWS Lambda Developer Guide*, "Lambda quotas").
const LARGEST: usize = 6 * 1024 * 1024;

/// Reads an event, which is JSON.
pub fn parse(event: &str, scope: &Scope<'_>) -> Result<Event, EventError> {
    if event.len() > LARGEST {
        return Err(EventError::TooLarge(event.len()));
    }
    match Json::parse(event)? {
        Json::Object(fields) => parse_object(&fields, scope),
        // A hook that has a function as its target may hand its message over as a string; so may a schedule.
        Json::Text(text) => match Json::parse(&text) {
            Ok(Json::Object(fields)) if !is_auto_scaling(&fields) && fields.has(ACTION) => order(&fields),
            _ => Ok(whole(parse_text(&text, scope))),
        },
        Json::Other => Err(EventError::UnknownEvent("it is not a JSON object".to_owned())),
    }
}

fn parse_object(event: &Fields<'_>, scope: &Scope<'_>) -> Result<Event, EventError> {
    if let Some(records) = event.list("Records") {
        if records.is_empty() {
            return Err(EventError::UnknownEvent("Records is empty".to_owned()));
        }
        let deliveries = records.iter().map(|record| parse_record(record, scope));
        return Ok(Event::Messages(deliveries.collect::<Result<_, _>>()?));
    }
    if is_scheduled(event) {
        return Ok(Event::Sweep);
    }
    if let Some(messages) = parse_known(event, scope) {
        return Ok(whole(messages));
    }
    if event.has(ACTION) {
        return order(event);
    }
    let names: Vec<String> = event.names().take(10).map(quoted).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(EventError::UnknownEvent(format!("its fields are: {names}")))
}

fn whole(messages: Result<Vec<Message>, EventError>) -> Event {
    Event::Messages(vec![Delivery { queue_message: None, messages }])
}

/// A message that says by itself what it is.
fn parse_known(message: &Fields<'_>, scope: &Scope<'_>) -> Option<Result<Vec<Message>, EventError>> {
    if bus::is_from_bus(message) {
        return Some(bus::parse_event(message, scope));
    }
    let parsed = is_auto_scaling(message).then(|| parse_message(message, scope));
    parsed.map(|message| message.map(|message| vec![message]))
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

/// One record of SNS or SQS. One that cannot be told apart from the others by its queue fails them all.
fn parse_record(record: &RawValue, scope: &Scope<'_>) -> Result<Delivery, EventError> {
    let failed = |error| Ok(Delivery { queue_message: None, messages: Err(error) });
    let record = match Json::of(record) {
        Ok(Json::Object(record)) => record,
        Ok(Json::Text(_) | Json::Other) => {
            return failed(EventError::UnknownEvent("a record that is not a JSON object".to_owned()));
        }
        Err(error) => return failed(error),
    };
    if let Some(text) = record.object("Sns").and_then(|sns| sns.text("Message")) {
        return Ok(Delivery { queue_message: None, messages: parse_text(&text, scope) });
    }
    let source = record.text("EventSource").or_else(|| record.text("eventSource"));
    if source.as_deref() != Some("aws:sqs") {
        let source = source.map_or_else(|| "an unnamed source".to_owned(), |source| quoted(&source));
        return failed(EventError::UnknownEvent(format!(
            "a record of {source} without an SNS message that can be read"
        )));
    }
    let Some(id) = record.text("messageId").filter(|id| !id.is_empty()) else {
        return Err(EventError::UnknownEvent("a record of SQS without a messageId".to_owned()));
    };
    let messages = match record.text("body") {
        Some(body) => parse_body(&body, scope),
        None => Err(EventError::UnknownEvent("a record of SQS without a body that can be read".to_owned())),
    };
    Ok(Delivery { queue_message: Some(id), messages })
}

/// What a queue holds: SNS's envelope, or the message itself.
fn parse_body(body: &str, scope: &Scope<'_>) -> Result<Vec<Message>, EventError> {
    if let Json::Object(envelope) = Json::parse(body)?
        && envelope.has("TopicArn")
        && let Some(text) = envelope.text("Message")
    {
        return parse_text(&text, scope);
    }
    parse_text(body, scope)
}

fn parse_text(text: &str, scope: &Scope<'_>) -> Result<Vec<Message>, EventError> {
    let known = match Json::parse(text)? {
        Json::Object(message) => parse_known(&message, scope),
        Json::Text(_) | Json::Other => None,
    };
    // Topics and queues are shared: an alarm or a build notification beside ours is not an error.
    known.unwrap_or_else(|| {
        Ok(vec![ignored(Reason::ForeignMessage, "a message that is not from Auto Scaling")])
    })
}

/// A message that is about no instance, or not ours to look at.
fn ignored(reason: Reason, explanation: &str) -> Message {
    let explanation = explanation.to_owned();
    Message::Ignored(Ignored { reason, instance: None, group: None, hook: None, explanation })
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
