//! Who is meant: an instance by its id, or a node by its id, the beginning of it, or its name.

use std::fmt::Write as _;

use anyhow::bail;
use drain::live::{Live, NamedNode};
use drain_core::ids::InstanceId;

/// How much of a node's id has to be given, at least: as much as `nomad node status` shows of it.
const SHORTEST_ID: usize = 8;

/// The instance that is meant by a text.
pub(crate) async fn instance(text: &str, worlds: &[Live<'_>]) -> anyhow::Result<InstanceId> {
    if let Ok(instance) = InstanceId::parse(text) {
        return Ok(instance);
    }
    if text.starts_with("i-") {
        bail!("{text:?} is no instance id: i- and 8 or 17 hexadecimal digits");
    }
    if text.len() < SHORTEST_ID && text.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("{text:?} is too short for a node's id: give at least {SHORTEST_ID} characters of it");
    }
    let mut found: Vec<NamedNode> = Vec::new();
    for world in worlds {
        match world.named(text).await {
            Ok(nodes) => found.extend(nodes),
            Err(error) => bail!("the nodes could not be listed: {}", error.explanation()),
        }
    }
    match found.as_slice() {
        [] => bail!("no node has an id that begins with {text:?}, or that name, and it is no instance id"),
        [NamedNode { instance: Some(instance), .. }] => Ok(instance.clone()),
        [NamedNode { id, name, instance: None }] => bail!(
            "node {id} ({name}) says nothing of an EC2 instance: its attribute unique.platform.aws.instance-id is not set. Drain \
             it with `nomad node drain -enable {id}`"
        ),
        several => {
            let mut text = format!("{text:?} is not clear:");
            for NamedNode { id, name, .. } in several {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n  {id}  {name}");
            }
            bail!(text)
        }
    }
}
