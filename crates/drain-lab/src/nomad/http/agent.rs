//! `/v1/agent/…` and `/v1/status/leader`: what an agent says of itself.

use serde_json::{Value, json};

use super::super::acl::Access;
use super::answer::{Failure, Outcome};
use super::{Call, REGION, Role};

/// Where the leader's RPC would listen.
const LEADER: &str = "10.0.0.1:4647";

impl Call {
    pub(super) fn agent_self(&self) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            if !self.rights(&state.acl, &state.cluster, now)?.agent(Access::Read) {
                return Err(Failure::denied());
            }
            let runtime = json!({"kernel.name": "linux", "arch": "amd64"});
            let (member, stats) = match &self.office.role {
                Role::Servers => (
                    json!({"Name": format!("server.{REGION}"), "Addr": "10.0.0.1", "Port": 4648, "Status": "alive",
                        "Tags": {"role": "nomad", "region": REGION, "build": state.cluster.quirks.version}}),
                    json!({"runtime": runtime, "nomad": {"server": "true", "leader": "true", "leader_addr": LEADER}}),
                ),
                Role::Agent(id) => {
                    let live = state.cluster.on_node(id).filter(|alloc| !alloc.client.is_terminal()).count();
                    (
                        json!({"Name": "", "Addr": null, "Port": 0, "Status": "", "Tags": null}),
                        json!({"runtime": runtime, "client": {"node_id": id, "known_servers": LEADER,
                            "num_allocations": live.to_string(), "last_heartbeat": "1.5s", "heartbeat_ttl": "15s"}}),
                    )
                }
            };
            Ok(Outcome::local(json!({"config": {"Region": REGION}, "member": member, "stats": stats})))
        })
    }

    /// The servers, as gossip knows them.
    pub(super) fn agent_members(&self) -> Result<Outcome, Failure> {
        self.office.nomad.change(|state, now| {
            if !self.rights(&state.acl, &state.cluster, now)?.node(Access::Read) {
                return Err(Failure::denied());
            }
            let server = json!({
                "Name": format!("server.{REGION}"), "Addr": "10.0.0.1", "Port": 4648, "Status": "alive",
                "Tags": {"role": "nomad", "region": REGION, "dc": "dc1", "build": state.cluster.quirks.version},
            });
            Ok(Outcome::local(json!({
                "ServerName": format!("server.{REGION}"), "ServerRegion": REGION, "ServerDC": "dc1", "Members": [server],
            })))
        })
    }

    pub(super) fn agent_health(&self) -> Result<Outcome, Failure> {
        let (role, other) = match self.office.role {
            Role::Servers => ("server", "client"),
            Role::Agent(_) => ("client", "server"),
        };
        let asked = self.query.get("type").filter(|role| !role.is_empty());
        if asked == Some(other) {
            let text = json!({(other): {"ok": false, "message": format!("{other} not enabled")}});
            return Err(Failure::local(500, text.to_string()));
        }
        if role == "server" && !self.has_leader() {
            let text = json!({(role): {"ok": false, "message": "No cluster leader"}});
            return Err(Failure::local(500, text.to_string()));
        }
        Ok(Outcome::local(json!({(role): {"ok": true, "message": "ok"}})))
    }

    pub(super) fn leader(&self) -> Outcome {
        Outcome::local(if self.has_leader() { LEADER.into() } else { Value::from("") })
    }

    fn has_leader(&self) -> bool {
        self.office.nomad.change(|state, now| state.cluster.leadership.is_held(now))
    }
}
