//! A queue on the way: who sends to it, and whether the function reads it.

use serde_json::json;

use super::{AREA, Walked, Way, known, name};
use crate::aws::policy::{Principal, Request, Verdict};
use crate::doctor::code::Code;
use crate::doctor::facts::Fact;

impl Way<'_> {
    /// A queue that is the hook's own target.
    pub(super) fn by_own_queue(&self, arn: &str) -> Walked {
        let mut walked = self.on_queue(arn);
        if let Some(Fact::Known(Some(queue))) = self.facts.queues.get(arn) {
            walked.found.extend(self.may_send("sqs:SendMessage", arn, queue.policy.as_ref()));
            walked.found.extend(self.may_use_key(
                queue.kms_key.as_deref(),
                &format!("queue {}", name(arn)),
                None,
            ));
        }
        walked
    }

    /// A queue to which a service sends for a topic or a rule.
    pub(super) fn by_queue(&self, arn: &str, sender: &str, source: &str) -> Walked {
        let mut walked = self.on_queue(arn);
        let Some(Fact::Known(Some(queue))) = self.facts.queues.get(arn) else { return walked };
        let request = Request {
            principal: Principal::Service(sender),
            action: "sqs:SendMessage",
            source_arn: Some(source),
        };
        let verdict = queue.policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(&request));
        match verdict {
            Verdict::Allowed => {}
            Verdict::Denied | Verdict::NotAllowed => {
                let what =
                    format!("queue {} does not let {} send to it", name(arn), sender_of(sender, source));
                let statement = json!({
                    "Effect": "Allow", "Principal": {"Service": sender}, "Action": "sqs:SendMessage", "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": source}},
                });
                let finding = self.finding(Code::QueueDenies, what).todo("Add to the queue's policy:");
                walked.found.push(finding.command(statement.to_string()));
            }
            Verdict::Depends(on) => {
                let what = format!(
                    "not checked: whether queue {} lets {} send to it. It depends on {on}",
                    name(arn),
                    sender_of(sender, source)
                );
                let todo = "See in the queue's policy whether the condition holds.";
                walked.found.push(self.finding(Code::NotChecked, what).todo(todo));
            }
        }
        let what = format!("queue {}", name(arn));
        walked.found.extend(self.may_use_key(queue.kms_key.as_deref(), &what, Some(sender)));
        walked
    }

    /// From the queue to the function.
    fn on_queue(&self, arn: &str) -> Walked {
        let stations = vec![format!("queue {}", name(arn))];
        match self.facts.queues.get(arn) {
            Some(Fact::Known(None)) => return Walked::ends(self.missing("queue", arn)),
            None => return Walked::ends(self.unread(arn)),
            // Its own settings have findings of their own; what reads it is known from the function.
            Some(Fact::Known(Some(_)) | Fact::Unknown(_)) => {}
        }
        let mappings =
            match known(&self.function.mappings, AREA, &self.about, "whether the function reads the queue") {
                Ok(mappings) => mappings,
                Err(unknown) => return Walked { found: vec![unknown], stations },
            };
        let mut found = Vec::new();
        let function = &self.function.name;
        match mappings.iter().find(|mapping| mapping.source == arn) {
            None => {
                let what = format!("{function} does not read queue {}", name(arn));
                found.push(self.finding(Code::QueueNotRead, what).todo("Let it:").command(format!(
                    "aws lambda create-event-source-mapping --function-name {function} --batch-size 10 \
                     --function-response-types ReportBatchItemFailures --event-source-arn {arn}"
                )));
            }
            Some(mapping) => {
                let id = &mapping.id;
                let update =
                    |what: &str| format!("aws lambda update-event-source-mapping --uuid {id} {what}");
                if mapping.state.starts_with("Disabl") {
                    let what = format!(
                        "{function} has stopped reading queue {}: its mapping is {}",
                        name(arn),
                        mapping.state
                    );
                    found.push(
                        self.finding(Code::QueueReaderDisabled, what)
                            .todo("Start it again:")
                            .command(update("--enabled")),
                    );
                }
                if !mapping.filters.is_empty() {
                    let what = format!(
                        "the mapping gives {function} only those messages of queue {} that match {}, and deletes the others",
                        name(arn),
                        mapping.filters.join(" or ")
                    );
                    found.push(
                        self.finding(Code::QueueReaderFilters, what)
                            .todo("See whether the hook's messages match, or take the filter away:")
                            .command(update("--filter-criteria '{}'")),
                    );
                }
                if !mapping.reports_failures {
                    let what =
                        format!("of a batch of queue {} a message that fails is taken for done", name(arn));
                    found.push(
                        self.finding(Code::BatchFailuresNotReported, what)
                            .todo("Let the function say which ones failed:")
                            .command(update("--function-response-types ReportBatchItemFailures")),
                    );
                }
            }
        }
        found.extend(self.needs_sweep("a queue"));
        Walked { found, stations }
    }
}

/// What a service sends for: `topic hooks`, `rule hooks`.
pub(super) fn sender_of(service: &str, source: &str) -> String {
    let kind = if service == "sns.amazonaws.com" { "topic" } else { "rule" };
    format!("{kind} {}", name(source))
}
