//! An event, as the function reads it.

use std::fmt;

use anyhow::{Context as _, anyhow};
use drain::asks_auto_scaling;
use drain::config::{Config, NodeLookup};
use drain::event::{self, Event, Message};
use drain_core::observation::{Origin, Target};
use jiff::Timestamp;
use serde::Serialize;

use super::{input, seen};

/// What an event asks for.
#[derive(Debug, Serialize)]
pub(super) struct Read {
    event: Kind,
    /// What would be done or looked at next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next: Vec<String>,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Sweep,
    Messages,
}

/// One record of it, or all of it.
#[derive(Debug, Serialize)]
struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    messages: Vec<Said>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Target {
        #[serde(flatten)]
        target: Target,
        /// Whether the event brings the lifecycle action's token. The token itself is shown to nobody.
        has_token: bool,
        /// What the hook says of its instances.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<String>,
        next: Vec<String>,
    },
    Ignored {
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        instance: Option<String>,
        message: String,
    },
}

/// Reads an event with the settings that `lookup` gives, as of `now`.
pub(super) fn read(
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
    now: Timestamp,
) -> anyhow::Result<Read> {
    let config = Config::parse(|name| lookup(name).or_else(|| unasked(name)))
        .context("the event is read as the function's settings say")?;
    let parsed = event::parse(text, &config.scope()).map_err(|error| anyhow!(input::no_event(&error)))?;
    Ok(match parsed {
        Event::Sweep => Read { event: Kind::Sweep, next: of_sweep(&config), parts: Vec::new() },
        Event::Messages(deliveries) => {
            let parts = deliveries.into_iter().map(|delivery| {
                let (messages, error) = match delivery.messages {
                    Ok(messages) => (messages, None),
                    Err(error) => (Vec::new(), Some(format!("{:#}", anyhow!(error)))),
                };
                let messages = messages.into_iter().map(|message| said(message, &config, now)).collect();
                Part { queue_message: delivery.queue_message, error, messages }
            });
            Read { event: Kind::Messages, next: Vec::new(), parts: parts.collect() }
        }
    })
}

/// What an event means does not depend on where Nomad is and who we are to it: nobody has to set that for a look.
fn unasked(name: &str) -> Option<String> {
    let value = match name {
        "NOMAD_ADDR" => "http://127.0.0.1:4646",
        "NOMAD_TOKEN_PARAMETER" => "/not/asked/for",
        "AWS_REGION" => "us-east-1",
        _ => return None,
    };
    Some(value.to_owned())
}

fn said(message: Message, config: &Config, now: Timestamp) -> Said {
    match message {
        Message::Target(target, metadata) => Said::Target {
            has_token: target.token.is_some(),
            next: next(&target, config, now),
            target,
            metadata,
        },
        Message::Ignored(ignored) => Said::Ignored {
            reason: ignored.reason.as_str(),
            instance: ignored.instance.map(|instance| instance.to_string()),
            message: ignored.explanation,
        },
    }
}

/// What would be asked about an instance, before anything is decided.
fn next(target: &Target, config: &Config, now: Timestamp) -> Vec<String> {
    let instance = &target.instance;
    let mut next = Vec::new();
    if asks_auto_scaling(target, config, now) {
        next.push(format!("Auto Scaling: what state {instance} is in (is it still held, is it ours?)"));
    }
    match &target.group {
        Some(group) if config.sweep => {
            next.push(format!(
                "Auto Scaling: the tags and hooks of group {group} (is it watched, is it paused?)"
            ));
        }
        Some(_) | None => {}
    }
    let lookup = config.cluster().map(|cluster| cluster.node_lookup);
    next.push(match lookup {
        Some(NodeLookup::Agent) => format!("EC2: the address of {instance}, then its Nomad agent: which node it is"),
        Some(NodeLookup::Auto) if target.origin != Origin::Broadcast => format!(
            "Nomad: the nodes whose attribute unique.platform.aws.instance-id is {instance}; if there is none, by its address, \
             then by its agent"
        ),
        Some(NodeLookup::Auto | NodeLookup::Server) | None => {
            format!("Nomad: the nodes whose attribute unique.platform.aws.instance-id is {instance}")
        }
    });
    if target.cause().is_some() && target.hook.is_some() {
        next.push("Nomad: what runs on them, if they drain or take no work".to_owned());
    }
    next
}

fn of_sweep(config: &Config) -> Vec<String> {
    let hooks: Vec<&str> = config.sweep_hooks().iter().map(drain_core::ids::HookName::as_str).collect();
    let groups =
        if config.groups.tagged { "those with the tag nomad-drain" } else { "those of AUTO_SCALING_GROUPS" };
    vec![
        format!(
            "Auto Scaling: the groups that are watched ({groups}), their instances that wait, and their warm pools"
        ),
        format!("Auto Scaling: the hooks of groups in which one waits, for {}", hooks.join(", ")),
        "Nomad: the nodes of the instances that wait, and those that take no work or are down".to_owned(),
    ]
}

impl Read {
    /// Whether the function would not fail for it.
    pub(super) fn is_understood(&self) -> bool {
        self.parts.iter().all(|part| part.error.is_none())
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.event {
            Kind::Sweep => writeln!(f, "An order to sweep: every instance that is held is looked at.")?,
            Kind::Messages => writeln!(f, "An event of {}.", super::count(self.parts.len(), "part"))?,
        }
        for line in &self.next {
            writeln!(f, "    next      {line}")?;
        }
        for (index, part) in self.parts.iter().enumerate() {
            write!(f, "{}", index + 1)?;
            if let Some(id) = &part.queue_message {
                write!(f, "  SQS message {id}")?;
            }
            writeln!(f)?;
            if let Some(error) = &part.error {
                writeln!(f, "    FAILS     {error}")?;
            }
            for message in &part.messages {
                write!(f, "{message}")?;
            }
        }
        writeln!(f, "Nothing was looked at: an event holds no observation. Records do, in the log at DEBUG.")
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target { target, has_token, metadata, next } => {
                let token = if *has_token { ", with the action's token" } else { "" };
                let told = target.told_at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
                writeln!(f, "    target    {}", seen::target(target))?;
                writeln!(f, "    told      by {}{told}{token}", seen::origin(target.origin))?;
                if let Some(metadata) = metadata {
                    writeln!(f, "    says      {metadata}")?;
                }
                for line in next {
                    writeln!(f, "    next      {line}")?;
                }
                Ok(())
            }
            Self::Ignored { reason, instance, message } => {
                let whose = instance.as_ref().map(|instance| format!("{instance}, ")).unwrap_or_default();
                writeln!(f, "    ignored   {whose}{reason}: {message}")
            }
        }
    }
}
