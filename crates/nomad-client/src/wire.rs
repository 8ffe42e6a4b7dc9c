//! What Nomad sends and takes: the fields that are used here, under their names on the wire.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

/// A node as `GET /v1/nodes` lists it. The list has no AWS attributes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct NodeStub {
    /// The node's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The host part of its HTTP address.
    #[serde(default)]
    pub address: String,
    /// `initializing`, `ready`, `down` or `disconnected`.
    #[serde(default)]
    pub status: String,
    /// `eligible` or `ineligible`.
    #[serde(default)]
    pub scheduling_eligibility: String,
    /// The newest drain, running or over. Nomad 1.1 and later.
    #[serde(default)]
    pub last_drain: Option<LastDrain>,
    /// The version of its agent.
    #[serde(default)]
    pub version: String,
    /// The raft index at which it was created: a larger one is a newer node.
    #[serde(default)]
    pub create_index: u64,
}

/// A node as `GET /v1/node/:id` shows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Node {
    /// The node's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `host:port` of its agent.
    #[serde(default, rename = "HTTPAddr")]
    pub http_addr: String,
    /// What its fingerprints found.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: BTreeMap<String, String>,
    /// `initializing`, `ready`, `down` or `disconnected`.
    #[serde(default)]
    pub status: String,
    /// `eligible` or `ineligible`.
    #[serde(default)]
    pub scheduling_eligibility: String,
    /// The drain that runs.
    #[serde(default)]
    pub drain_strategy: Option<DrainStrategy>,
    /// The newest drain, running or over. Nomad 1.1 and later.
    #[serde(default)]
    pub last_drain: Option<LastDrain>,
    /// When its status last changed, in seconds since 1970; 0 if it never did.
    #[serde(default)]
    pub status_updated_at: i64,
    /// The newest ten events of its life, oldest first.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<NodeEvent>,
    /// The raft index of its last change.
    #[serde(default)]
    pub modify_index: u64,
}

impl Node {
    /// The EC2 instance that it says it runs on.
    pub fn instance_id(&self) -> Option<&str> {
        self.attributes.get(crate::filter::INSTANCE_ID).map(String::as_str)
    }

    /// The availability zone of that instance.
    pub fn availability_zone(&self) -> Option<&str> {
        self.attributes.get("platform.aws.placement.availability-zone").map(String::as_str)
    }

    /// The host part of its HTTP address, as the list's `Address` has it.
    pub fn address(&self) -> &str {
        let host = self.http_addr.rsplit_once(':').map_or(self.http_addr.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Something that happened to a node, in Nomad's words, such as `Node drain complete`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct NodeEvent {
    /// What happened.
    #[serde(default)]
    pub message: String,
    /// When.
    #[serde(default, deserialize_with = "moment")]
    pub timestamp: Option<Timestamp>,
}

/// A running drain.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct DrainStrategy {
    /// What was asked for, in nanoseconds: 0 is no deadline, below 0 is now.
    #[serde(default)]
    pub deadline: i64,
    /// Whether system jobs stay.
    #[serde(default)]
    pub ignore_system_jobs: bool,
    /// When what is left is stopped; `None` if there is no such moment.
    #[serde(default, deserialize_with = "moment")]
    pub force_deadline: Option<Timestamp>,
    /// When the drain began. A second request keeps it.
    #[serde(default, deserialize_with = "moment")]
    pub started_at: Option<Timestamp>,
}

/// Nomad's record of the newest drain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct LastDrain {
    /// `draining`, `complete` or `canceled`.
    #[serde(default)]
    pub status: String,
    /// When it began, in whole seconds.
    #[serde(default, deserialize_with = "moment")]
    pub started_at: Option<Timestamp>,
    /// When its record last changed, in whole seconds: when it ended, if it is over.
    #[serde(default, deserialize_with = "moment")]
    pub updated_at: Option<Timestamp>,
    /// What was attached to it.
    #[serde(default, deserialize_with = "or_default")]
    pub meta: BTreeMap<String, String>,
}

/// The body of `POST /v1/node/:id/drain`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DrainRequest {
    /// The drain. Without one the request would end a drain instead.
    pub drain_spec: DrainSpec,
    /// Meaningful only when a drain is ended.
    pub mark_eligible: bool,
    /// Replaces what is attached to a running drain; without it that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<BTreeMap<String, String>>,
}

/// Deadline and scope of a drain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DrainSpec {
    /// An integer number of nanoseconds: 0 is no deadline, below 0 is now.
    pub deadline: i64,
    /// Whether system jobs stay.
    pub ignore_system_jobs: bool,
}

/// What an agent says of itself: `GET /v1/agent/self`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct AgentSelf {
    #[serde(default, deserialize_with = "or_default")]
    stats: BTreeMap<String, BTreeMap<String, String>>,
}

impl AgentSelf {
    /// The id of the client node that the agent runs; `None` if it runs none.
    pub fn node_id(&self) -> Option<&str> {
        self.stats.get("client")?.get("node_id").map(String::as_str)
    }
}

/// Go writes an empty map as `null`.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go writes "no time" as the first moment of year 1.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    const YEAR_2: i64 = -62_104_060_800;
    let moment: Option<Timestamp> = Option::deserialize(deserializer)?;
    Ok(moment.filter(|moment| moment.as_second() >= YEAR_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draining_node_is_read() {
        let node: Node = serde_json::from_str(
            r#"{"ID":"f7476465-4d6e-c0de-26d0-e383c49be941","Name":"c2","HTTPAddr":"10.1.2.3:4646","Status":"ready",
                "Attributes":{"unique.platform.aws.instance-id":"i-1234abcd"},"SchedulingEligibility":"ineligible",
                "DrainStrategy":{"Deadline":3600000000000,"IgnoreSystemJobs":false,
                    "ForceDeadline":"2026-03-01T13:00:00.123456789Z","StartedAt":"2026-03-01T12:00:00Z"},
                "LastDrain":{"StartedAt":"2026-03-01T12:00:00Z","UpdatedAt":"2026-03-01T12:00:05Z","Status":"draining",
                    "Meta":null},
                "StatusUpdatedAt":1772366400,"Events":[{"CreateIndex":0,"Details":null,"Message":"Node registered",
                    "Subsystem":"Cluster","Timestamp":"2026-03-01T11:00:00Z"}],"ModifyIndex":42}"#,
        )
        .unwrap();
        assert_eq!(node.instance_id(), Some("i-1234abcd"));
        assert_eq!(node.address(), "10.1.2.3");
        let drain = node.drain_strategy.unwrap();
        assert_eq!(drain.force_deadline.unwrap().to_string(), "2026-03-01T13:00:00.123456789Z");
        assert_eq!(drain.started_at.unwrap().to_string(), "2026-03-01T12:00:00Z");
        assert!(!drain.ignore_system_jobs);
        let last = node.last_drain.unwrap();
        assert_eq!(last.meta, BTreeMap::new());
        assert_eq!(last.started_at, drain.started_at);
        assert_eq!(last.updated_at.unwrap().to_string(), "2026-03-01T12:00:05Z");
        assert_eq!((node.status_updated_at, node.modify_index), (1_772_366_400, 42));
        assert_eq!(node.events[0].message, "Node registered");
        assert_eq!(node.events[0].timestamp.unwrap().to_string(), "2026-03-01T11:00:00Z");
    }

    #[test]
    fn a_node_of_an_old_server_with_hardly_a_field_is_read() {
        let node: Node =
            serde_json::from_str(r#"{"ID":"x","Attributes":null,"DrainStrategy":null,"Events":null}"#)
                .unwrap();
        assert_eq!(node.instance_id(), None);
        assert_eq!((node.events, node.status_updated_at), (Vec::new(), 0));
        assert_eq!((node.drain_strategy, node.last_drain), (None, None));
    }

    #[test]
    fn gos_zero_time_is_no_time() {
        let drain: DrainStrategy = serde_json::from_str(
            r#"{"Deadline":0,"ForceDeadline":"0001-01-01T00:00:00Z","StartedAt":"0001-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((drain.force_deadline, drain.started_at), (None, None));
    }

    #[test]
    fn an_ipv6_address_is_its_host_part() {
        let node: Node = serde_json::from_str(r#"{"ID":"x","HTTPAddr":"[fd00::7]:4646"}"#).unwrap();
        assert_eq!(node.address(), "fd00::7");
    }

    #[test]
    fn the_drain_request_is_what_nomad_documents() {
        let request = DrainRequest {
            drain_spec: DrainSpec { deadline: 3_600_000_000_000, ignore_system_jobs: false },
            mark_eligible: false,
            meta: None,
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"DrainSpec":{"Deadline":3600000000000,"IgnoreSystemJobs":false},"MarkEligible":false}"#
        );
    }

    #[test]
    fn a_server_agent_runs_no_client_node() {
        let agent: AgentSelf =
            serde_json::from_str(r#"{"config":{},"stats":{"nomad":{"leader":"true"}}}"#).unwrap();
        assert_eq!(agent.node_id(), None);
    }
}
