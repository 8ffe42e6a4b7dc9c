//! What a preflight asks about a deployment, in the formats of the services.

mod functions;
mod messages;
mod permissions;

use jiff::SignedDuration;

use super::*;
use crate::aws::deployed::{
    DeployedFunction, DeployedQueue, EventInvokeConfig, EventSource, Redrive, Rule, Run, Sample, Statement,
    Subscription, Topic, Trigger,
};
use crate::aws::{Event, HOOK_ROLE, OPERATOR};
use crate::lambda::tests::echo_runtime;
use crate::lambda::{Function, Lambda};
use crate::sqs::{Queue, QueueSettings};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:drain";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:drain";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:drain";
const ROLE: &str = "arn:aws:iam::123456789012:role/nomad-drain";

impl Lab {
    /// With a function, a topic, a queue and a rule, all of them called `drain`.
    async fn deployed() -> Self {
        let lab = Self::new().await;
        let account = lab.aws.account().clone();
        let mut settings = Function::new("drain", "bootstrap");
        settings.env.insert("NOMAD_ADDR".to_owned(), "https://nomad:4646".to_owned());
        let mut function = DeployedFunction::new(&settings, &account);
        function.policy = vec![Statement::for_source(
            "topic",
            "sns.amazonaws.com",
            "lambda:InvokeFunction",
            FUNCTION,
            TOPIC,
        )];
        function.event_sources = vec![EventSource {
            queue_arn: QUEUE.to_owned(),
            enabled: true,
            batch_size: 10,
            reports_failures: true,
            qualifier: None,
            filter_pattern: None,
        }];
        let topic = Topic {
            policy: vec![Statement::for_role("role", ROLE, "SNS:Publish", TOPIC)],
            kms_key: None,
            subscriptions: vec![Subscription::new(TOPIC, "lambda", FUNCTION)],
        };
        let redrive = Redrive { dead_letter_arn: format!("{QUEUE}-dead"), max_receive_count: 5 };
        let queue = DeployedQueue { redrive: Some(redrive), messages: 3, ..DeployedQueue::new("drain") };
        let pattern = Trigger::Pattern(json!({"source": ["aws.autoscaling"]}));
        let rule = Rule::new(pattern, FUNCTION, &format!("{QUEUE}-dead"));
        lab.aws.change_deployed(|deployed| {
            deployed.functions.insert("drain".to_owned(), function);
            deployed.topics.insert(TOPIC.to_owned(), topic);
            deployed.queues.insert("drain".to_owned(), queue);
            deployed.rules.insert("drain".to_owned(), rule);
        });
        lab
    }

    /// An operation of a service with AWS JSON.
    async fn json(&self, service: &str, target: &str, body: &Value) -> (u16, String, Value) {
        let headers = vec![("x-amz-target".to_owned(), target.to_owned())];
        let answer = self.send_to(&self.client(service), ("POST", "/"), headers, &body.to_string()).await;
        (answer.0, answer.1, serde_json::from_str(&answer.2).unwrap_or_default())
    }

    /// An operation of Lambda.
    async fn lambda(&self, path: &str) -> (u16, String, Value) {
        let (status, head, body) = self.send_to(&self.client("lambda"), ("GET", path), vec![], "").await;
        (status, head, serde_json::from_str(&body).unwrap_or_default())
    }
}

/// The values of a map in XML.
fn value<'a>(xml: &'a str, key: &str) -> Option<&'a str> {
    let keys = texts(xml, "key");
    let place = keys.iter().position(|one| *one == key)?;
    texts(xml, "value").get(place).copied()
}

/// A document in a text.
fn document(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}
