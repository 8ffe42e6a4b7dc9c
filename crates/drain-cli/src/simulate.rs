//! `nomad-drain simulate`: every event that the function understands, printed or sent.

mod envelope;
mod kind;
mod send;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::sync::Arc;

use anyhow::bail;
use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_lab::aws::Account;
use jiff::Timestamp;
use serde_json::Value;

use crate::exit::Exit;
use crate::frame::Frame;
use envelope::Envelope;
use kind::{Announced, Kind, Scene};
use send::Destination;

/// The variable that names the region.
const REGION: &str = "AWS_REGION";

/// What is said to have happened, in what it arrives, and where.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("destination").multiple(false))]
pub(crate) struct Arguments {
    /// What has happened.
    #[arg(value_enum, hide_possible_values = false)]
    kind: Kind,
    /// In what it arrives. Without it: as the destination takes it, and else bare.
    #[arg(long, value_enum)]
    envelope: Option<Envelope>,
    /// The instance. May be given several times. Without it, one that does not exist; whoever sends an event has to name one.
    #[arg(long = "instance", value_name = "ID", value_parser = InstanceId::parse)]
    instances: Vec<InstanceId>,
    /// So many instances that do not exist.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["instances", "destination"])]
    count: u64,
    /// Messages that a function which reads a queue gets at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// The Auto Scaling group.
    #[arg(long, value_name = "NAME", default_value = "workers", value_parser = GroupName::parse)]
    group: GroupName,
    /// The lifecycle hook. Without it, nomad-drain-hook or nomad-launch-hook.
    #[arg(long, value_name = "NAME", value_parser = HookName::parse)]
    hook: Option<HookName>,
    /// The lifecycle action's token. Without it the event brings none, and the function names the instance instead: Auto
    /// Scaling would refuse a completion with a token that it has not given.
    #[arg(long, value_name = "UUID")]
    token: Option<String>,
    /// When it was sent, such as 2026-11-29T03:00:00Z. Without it, now.
    #[arg(long, value_name = "TIME")]
    time: Option<Timestamp>,
    /// What the hook says of its instances (`NotificationMetadata`), such as `{"DRAIN_DEADLINE":"4h"}`.
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// The AWS account that it comes from.
    #[arg(long, value_name = "NUMBER", default_value = "123456789012")]
    account: String,
    /// Invoke this Lambda function with it, and print the answer. Needs `lambda:InvokeFunction`.
    #[arg(long, value_name = "NAME|ARN", group = "destination")]
    to_function: Option<String>,
    /// Do not wait for the function's answer: Lambda queues the event, and repeats it if it fails.
    #[arg(long = "async", requires = "to_function")]
    is_async: bool,
    /// Send it to this SQS queue. Needs `sqs:SendMessage`.
    #[arg(long, value_name = "URL", group = "destination")]
    to_queue: Option<String>,
    /// Publish it to this SNS topic. Needs `sns:Publish`.
    #[arg(long, value_name = "ARN", group = "destination")]
    to_topic: Option<String>,
    /// Invoke a function on this machine: the address of AWS's Runtime Interface Emulator or of `cargo lambda watch`, such as
    /// 127.0.0.1:9000.
    #[arg(long, value_name = "ADDRESS", group = "destination")]
    to_runtime_api: Option<String>,
}

/// Makes the event, and prints or sends it.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let destination = arguments.destination();
    let envelope = arguments.envelope.unwrap_or_else(|| {
        destination.as_ref().map_or(Envelope::Bare, |destination| destination.usual(arguments.kind))
    });
    if let Some(destination) = &destination {
        destination.takes(envelope)?;
        if arguments.instances.is_empty() && arguments.kind.names_an_instance() {
            bail!("name the instance that the event is about: --instance ID. The function acts on it");
        }
    }
    if let Some(destination) = destination {
        let variables = frame.variables(&[]).await?;
        let announced = arguments.announce(variables.layers.get(REGION), envelope)?;
        return send::send(&destination, &announced, envelope, arguments.batch(), variables, frame).await;
    }
    let region = frame.region.clone().or_else(|| std::env::var(REGION).ok());
    let announced = arguments.announce(region, envelope)?;
    // Whoever reads may stop early: that is no reason to panic.
    let mut out = std::io::stdout();
    for payload in payloads(&announced, envelope, arguments.batch()) {
        // One document for people, a line for each where there are several.
        if announced.len() == 1 && !frame.json {
            writeln!(out, "{payload:#}")?;
        } else {
            writeln!(out, "{payload}")?;
        }
    }
    Ok(Exit::Done)
}

/// What a function is invoked with: several messages of a queue at once, everything else by itself.
fn payloads(announced: &[Announced], envelope: Envelope, batch: usize) -> Vec<Value> {
    if envelope.is_queue() {
        let batches = announced.chunks(batch.max(1));
        return batches.map(|some| envelope.records(some)).collect();
    }
    announced.iter().map(|one| envelope.payload(one)).collect()
}

impl Arguments {
    fn batch(&self) -> usize {
        usize::from(self.batch)
    }

    fn destination(&self) -> Option<Destination> {
        let Self { to_function, is_async, to_queue, to_topic, to_runtime_api, .. } = self;
        let function = to_function.clone().map(|name| Destination::Function { name, is_async: *is_async });
        function
            .or_else(|| to_queue.clone().map(Destination::Queue))
            .or_else(|| to_topic.clone().map(Destination::Topic))
            .or_else(|| to_runtime_api.clone().map(Destination::Local))
    }

    /// The event, once for each instance.
    fn announce(&self, region: Option<String>, envelope: Envelope) -> anyhow::Result<Vec<Announced>> {
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let account = Arc::new(Account { id: self.account.clone(), region, ..Account::default() });
        let made_up = || (0..self.count).map(|number| format!("i-0123456789abc{number:04x}"));
        let mut instances: Vec<String> = self.instances.iter().map(ToString::to_string).collect();
        if instances.is_empty() {
            instances = made_up().collect();
        }
        if !self.kind.names_an_instance() {
            instances.truncate(1);
        }
        let at = self.time.unwrap_or_else(Timestamp::now);
        let announced = instances.into_iter().map(|instance| {
            let scene = Scene {
                account: Arc::clone(&account),
                at,
                instance,
                group: self.group.to_string(),
                hook: self.hook.as_ref().map(ToString::to_string),
                token: self.token.clone(),
                metadata: self.metadata.clone(),
            };
            self.kind.announce(&scene, envelope.is_from_bus())
        });
        let announced: Vec<Announced> = announced.collect::<Result<_, _>>()?;
        for one in &announced {
            envelope.carries(one)?;
        }
        Ok(announced)
    }
}
