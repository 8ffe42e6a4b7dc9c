//! Do the queues give a message the time that it needs, and is what was given up kept?

use super::path::name;
use super::{known, not_checked, span};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Fact, Facts, Function, Queue};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Queues;

/// What Lambda's documentation asks for: six times the function's time-out, so that a message is not given out again while it
/// is worked on or throttled; and five attempts. (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS".)
const TIMES: i32 = 6;
const ATTEMPTS: u32 = 5;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let function = facts.function.known().and_then(Option::as_ref);
    let mut found = Vec::new();
    for (arn, queue) in &facts.queues {
        match queue {
            Fact::Known(Some(queue)) => found.extend(of_queue(arn, queue, function)),
            // A target that is not there has a finding where the way ends.
            Fact::Known(None) => {}
            Fact::Unknown(why) => {
                let what = "its visibility time-out and its dead-letter queue";
                found.push(not_checked(why, AREA, name(arn), what));
            }
        }
    }
    found.extend(function.and_then(dead_letters));
    if found.is_empty() && function.is_some() {
        let what = "no queue is on the way, and events that the function gives up are kept";
        found.push(Finding::new(AREA, Code::Queue, "events", what));
    }
    found
}

fn of_queue(arn: &str, queue: &Queue, function: Option<&Function>) -> Vec<Finding> {
    let Queue { visibility_timeout, max_receive_count, .. } = queue;
    let name = name(arn);
    let mut found = Vec::new();
    if let Some(function) = function {
        let wanted = function.timeout * TIMES;
        if *visibility_timeout < wanted {
            let what = format!(
                "its visibility time-out is {}, less than six times the function's ({}): messages are given out twice",
                span(*visibility_timeout),
                span(function.timeout)
            );
            found.push(Finding::new(AREA, Code::QueueVisibilityShort, name, what).todo("Set it:").command(format!(
                "aws sqs set-queue-attributes --queue-url $(aws sqs get-queue-url --queue-name {name} --query QueueUrl --output \
                 text) --attributes VisibilityTimeout={}",
                wanted.as_secs()
            )));
        }
    }
    match max_receive_count {
        None => {
            let what = "it has no dead-letter queue: a message that always fails comes back until it is too old, and is lost";
            found.push(Finding::new(AREA, Code::QueueWithoutDeadLetters, name, what).todo(
                "Give it a RedrivePolicy with a dead-letter queue and a maxReceiveCount of 5 or more.",
            ));
        }
        Some(count) if *count < ATTEMPTS => {
            let what = format!(
                "it gives a message up after {}: Lambda's throttling alone may use that up",
                if *count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
            );
            found.push(
                Finding::new(AREA, Code::QueueGivesUpEarly, name, what)
                    .todo("Set maxReceiveCount to 5 or more in its RedrivePolicy."),
            );
        }
        Some(_) => {}
    }
    match known(&queue.dead_letters_exist, AREA, name, "whether its dead-letter queue is there") {
        Ok(true) => {}
        Ok(false) => {
            let what = "the dead-letter queue in its RedrivePolicy does not exist: what is given up has nowhere to go";
            let todo = "Make that queue, or name another in the RedrivePolicy.";
            found.push(Finding::new(AREA, Code::DeadLetterQueueMissing, name, what).todo(todo));
        }
        Err(unknown) => found.push(unknown),
    }
    if found.is_empty() {
        let what = format!(
            "visibility time-out {}, dead-letter queue after {} attempts",
            span(*visibility_timeout),
            max_receive_count.unwrap_or_default()
        );
        found.push(Finding::new(AREA, Code::Queue, name, what));
    }
    found
}

/// What becomes of an event that Lambda gives up after its retries.
fn dead_letters(function: &Function) -> Option<Finding> {
    let about = function.name.as_str();
    match known(&function.has_dead_letters, AREA, about, "whether events that it gives up are kept") {
        Ok(true) => None,
        Ok(false) => {
            let what = "events that Lambda gives up after its retries are lost without a trace";
            Some(
                Finding::new(AREA, Code::FunctionWithoutDeadLetters, about, what)
                    .todo("Give it a destination for failures; its role needs sqs:SendMessage on it:")
                    .command(format!(
                        "aws lambda put-function-event-invoke-config --function-name {about} --destination-config \
                         '{{\"OnFailure\":{{\"Destination\":\"QUEUE-ARN\"}}}}'"
                    )),
            )
        }
        Err(unknown) => Some(unknown),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::doctor::facts::Why;
    use crate::doctor::judge::scene::{QUEUE, check, facts, function_of, queue};

    fn with(change: impl FnOnce(&mut Queue)) -> Vec<Finding> {
        let mut facts = facts();
        let mut one = queue();
        change(&mut one);
        facts.queues.insert(QUEUE.to_owned(), Fact::Known(Some(one)));
        judge(&facts)
    }

    #[test]
    fn a_queue_gives_a_message_its_time() {
        check(with(|_| {}), &["queue hooks"]);
        let found = with(|queue| queue.visibility_timeout = SignedDuration::from_secs(359));
        assert!(found[0].command.as_ref().unwrap().ends_with("VisibilityTimeout=360"), "{found:?}");
        check(found, &["queue-visibility-short hooks"]);
    }

    #[test]
    fn what_a_queue_gives_up_is_kept_and_not_given_up_too_soon() {
        check(with(|queue| queue.max_receive_count = None), &["queue-without-dead-letters hooks"]);
        check(with(|queue| queue.max_receive_count = Some(3)), &["queue-gives-up-early hooks"]);
    }

    #[test]
    fn what_is_given_up_has_to_have_somewhere_to_go() {
        let gone = with(|queue| queue.dead_letters_exist = Fact::Known(false));
        check(gone, &["dead-letter-queue-missing hooks"]);
    }

    #[test]
    fn what_the_function_gives_up_is_kept() {
        let mut facts = facts();
        check(judge(&facts), &["queue events"]);
        function_of(&mut facts).has_dead_letters = Fact::Known(false);
        check(judge(&facts), &["function-without-dead-letters nomad-drain"]);
        function_of(&mut facts).has_dead_letters =
            Fact::Unknown(Why::Denied { permission: "lambda:GetFunctionEventInvokeConfig".to_owned() });
        check(judge(&facts), &["not-checked nomad-drain"]);
    }

    #[test]
    fn a_queue_that_may_not_be_read_is_not_called_fine() {
        let mut facts = facts();
        let denied = Why::Denied { permission: "sqs:GetQueueAttributes".to_owned() };
        facts.queues.insert(QUEUE.to_owned(), Fact::Unknown(denied));
        check(judge(&facts), &["not-checked hooks"]);
    }
}
