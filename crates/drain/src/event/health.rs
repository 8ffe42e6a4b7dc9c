//! What AWS Health plans to do to instances.

use drain_core::ids::InstanceId;
use drain_core::observation::{Cause, Errand};
use drain_core::reason::Reason;
use jiff::Timestamp;

use super::bus::{announced, of_instance};
use super::json::{Fields, Json};
use super::{EventError, Message, Scope, ignored, quoted};

/// What an event asks for: one message for each instance that it names.
pub(super) fn parse_event(
    detail: &Fields<'_>,
    told_at: Option<Timestamp>,
    scope: &Scope<'_>,
) -> Result<Vec<Message>, EventError> {
    let is = |name: &str, value: &str| detail.text(name).as_deref() == Some(value);
    if !is("service", "EC2") || !is("eventTypeCategory", "scheduledChange") {
        return Ok(vec![ignored(Reason::ForeignMessage, "an event of AWS Health that changes no instance")]);
    }
    let nothing = |why: &str| Ok(vec![ignored(Reason::ScheduledChangeIgnored, why)]);
    if !scope.scheduled_change {
        return nothing("a scheduled change, and ON_SCHEDULED_CHANGE is ignore");
    }
    if is("statusCode", "closed") {
        return nothing("a scheduled change that is over");
    }
    if is("backupEvent", "true") {
        return nothing("the copy of a scheduled change that is told in another region too");
    }
    let entities = detail.list("affectedEntities").unwrap_or_default();
    let mut messages = Vec::new();
    for entity in entities {
        if let Json::Object(entity) = Json::of(entity)? {
            messages.push(of_entity(&entity, told_at));
        }
    }
    if messages.is_empty() {
        return nothing("a scheduled change that names no instance");
    }
    Ok(messages)
}

/// An instance's id, or the ARN that ends with it.
fn of_entity(entity: &Fields<'_>, told_at: Option<Timestamp>) -> Message {
    let value = entity.text("entityValue").unwrap_or_default();
    let id = value.rsplit('/').next().unwrap_or_default().to_owned();
    if entity.text("status").as_deref() == Some("RESOLVED") {
        let reason = Reason::ScheduledChangeIgnored;
        return of_instance(Some(id), reason, "a scheduled change that is over for this instance");
    }
    // One that cannot be read keeps none of the others from being drained.
    let Ok(instance) = InstanceId::parse(&id) else {
        let explanation = format!("a scheduled change of {}, which is no instance", quoted(&value));
        return ignored(Reason::ForeignMessage, &explanation);
    };
    announced(instance, Errand::Drain(Cause::ScheduledChange), None, told_at)
}
