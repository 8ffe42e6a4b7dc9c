//! Finding the node of an instance. The contract is "Node lookup" in docs/BEHAVIOR.md.

use std::collections::BTreeMap;

use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::{Observation, Target};
use nomad_client::{AgentSelf, BaseUrl, NodeStub, NomadClient, NomadError, RefusalKind, filter};

use super::{Live, Patience, nomad};
use crate::aws::ec2;
use crate::config::{ConfigurationError, NodeLookup};
use crate::error::{Causes, Error};

/// Nodes as the servers showed them.
type Nodes = Vec<nomad_client::Node>;

impl Live<'_> {
    /// Finds the nodes of every target's instance and reads them. An instance has one node, or several if its agent
    /// lost its data directory: then every one that is not down counts, the newest first.
    pub async fn locate(&self, targets: &[Target]) -> Vec<Result<Vec<Observation>, Error>> {
        // One event may name an instance twice; it is drained once.
        let wanted: BTreeMap<&InstanceId, &Target> =
            targets.iter().rev().map(|target| (&target.instance, target)).collect();
        let mut by_attribute = match self.config.node_lookup {
            NodeLookup::Agent => BTreeMap::new(),
            NodeLookup::Auto | NodeLookup::Server => {
                match self.by_attribute(&wanted.keys().copied().collect::<Vec<_>>()).await {
                    Ok(found) => found,
                    Err(error) => return vec![Err(error)],
                }
            }
        };
        let mut located = Vec::new();
        for (instance, target) in wanted {
            let nodes = match by_attribute.remove(instance) {
                Some(nodes) => Ok(nodes),
                None => self.without_attribute(instance).await,
            };
            located.push(nodes.and_then(|nodes| {
                let seen = |node| Ok(Observation { target: target.clone(), node: nomad::node(node)? });
                nodes.iter().map(seen).collect()
            }));
        }
        located
    }

    /// Asks the servers which nodes carry the instances' ids, and reads each: the list does not show the attribute,
    /// and servers before Nomad 1.3 ignore the filter and list every node.
    async fn by_attribute(&self, instances: &[&InstanceId]) -> Result<BTreeMap<InstanceId, Nodes>, Error> {
        let ids: Vec<&str> = instances.iter().map(|instance| instance.as_str()).collect();
        let mut found: BTreeMap<InstanceId, Nodes> = BTreeMap::new();
        for piece in filter::pieces(&ids, self.nomad.filter_room()) {
            let filter = filter::on_instances(piece.iter().copied());
            let mut stubs = self
                .retrying(Patience::WhileTimeLasts, async |timeout| {
                    self.nomad.nodes(Some(&filter), timeout).await.map_err(|error| self.failed(error))
                })
                .await?;
            stubs.sort_by_key(|stub| std::cmp::Reverse(stub.create_index));
            for stub in &stubs {
                let Some(node) = self.read(&stub.id).await? else { continue };
                let instance = node.instance_id().filter(|id| piece.contains(id)).map(InstanceId::parse);
                let Some(Ok(instance)) = instance else {
                    return Err(Error::FilterIgnored {
                        listed: stubs.len(),
                        asked: piece.len(),
                        stranger: describe(&node),
                        version: stub.version.clone(),
                    });
                };
                found.entry(instance).or_default().push(node);
            }
        }
        for nodes in found.values_mut() {
            keep_those_to_drain(nodes);
        }
        Ok(found)
    }

    /// For an instance whose id no node carries, or whose agent is to be asked in any case.
    async fn without_attribute(&self, instance: &InstanceId) -> Result<Nodes, Error> {
        const NO_ATTRIBUTE: &str = "no node's attribute unique.platform.aws.instance-id holds its id";
        let fallback = match self.config.node_lookup {
            NodeLookup::Server => {
                return Err(Error::NodeNotFound {
                    instance: instance.clone(),
                    searched: NO_ATTRIBUTE.to_owned(),
                });
            }
            NodeLookup::Auto => true,
            NodeLookup::Agent => false,
        };
        let ip = self.private_ip(instance).await?;
        if !fallback {
            return Ok(vec![self.by_agent(instance, &ip, Patience::Tries(3)).await?]);
        }
        let nodes = self.by_address(&ip).await?;
        if !nodes.is_empty() {
            return Ok(nodes);
        }
        match self.by_agent(instance, &ip, Patience::Tries(1)).await {
            Ok(node) => Ok(vec![node]),
            // An instance that never booted is the commonest cause of a termination: its agent does not answer.
            Err(
                error @ (Error::AgentUnreachable { .. }
                | Error::AgentTokenRefused { .. }
                | Error::AgentNeedsToken { .. }
                | Error::AgentIsNoClient { .. }),
            ) => Err(Error::NodeNotFound {
                instance: instance.clone(),
                searched: format!(
                    "{NO_ATTRIBUTE}; no node without that attribute has its address {ip}; {}",
                    Causes(&error)
                ),
            }),
            Err(error) => Err(error),
        }
    }

    async fn private_ip(&self, instance: &InstanceId) -> Result<String, Error> {
        let region = self.aws.region();
        let described = self
            .retrying(Patience::WhileTimeLasts, async |timeout| {
                ec2::describe_instance(&self.aws, instance, timeout)
                    .await
                    .map_err(|error| Error::ec2(instance, region, error))
            })
            .await?;
        let Some(described) = described else {
            return Err(Error::InstanceNotFound { instance: instance.clone(), region: region.to_owned() });
        };
        let ec2::Instance { private_ip, state } = described;
        // It becomes part of a URL.
        match private_ip.filter(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()) {
            Some(ip) => Ok(ip),
            None => Err(Error::NoPrivateIp { instance: instance.clone(), state }),
        }
    }

    /// The nodes at this address that do not say which instance they are: their agents could not read the instance's
    /// metadata when they started. A node that names another instance has only inherited the address.
    async fn by_address(&self, ip: &str) -> Result<Nodes, Error> {
        let mut stubs = self
            .retrying(Patience::WhileTimeLasts, async |timeout| {
                self.nomad.nodes(None, timeout).await.map_err(|error| self.failed(error))
            })
            .await?;
        stubs.retain(|stub| stub.address == ip);
        stubs.sort_by_key(|stub: &NodeStub| std::cmp::Reverse(stub.create_index));
        let mut nodes = Nodes::new();
        for stub in stubs {
            if let Some(node) = self.read(&stub.id).await?
                && node.instance_id().is_none()
                && node.address() == ip
            {
                nodes.push(node);
            }
        }
        keep_those_to_drain(&mut nodes);
        Ok(nodes)
    }

    /// Asks the agent on the instance for its node, and the servers for that node.
    async fn by_agent(
        &self,
        instance: &InstanceId,
        ip: &str,
        patience: Patience,
    ) -> Result<nomad_client::Node, Error> {
        let address = self.config.agent_url.template.replace("{ip}", ip);
        let base = BaseUrl::parse(&address)
            .map_err(|error| ConfigurationError { problems: vec![format!("NOMAD_AGENT_URL {error}")] })?;
        let agent = self.ask_agent(instance, &base, patience).await?;
        let Some(id) = agent.node_id() else {
            return Err(Error::AgentIsNoClient { instance: instance.clone(), address });
        };
        let id = NodeId::parse(id).map_err(Error::InvalidNodeId)?;
        let node = self.node_of(instance, id.as_str()).await?;
        if node.instance_id().is_some() || node.address() == ip {
            return Ok(node);
        }
        let contradiction = format!(
            "its agent at {address} named it, but it says nothing of an instance and its address is {}, not {ip}",
            node.address()
        );
        Err(Error::WrongNode { instance: instance.clone(), node: id, contradiction })
    }

    /// With https servers the agent is asked without the token first: many agents answer anyone, and the token is not
    /// thrown at whatever holds the address by now. It goes over plain http only if an operator chose that way.
    async fn ask_agent(
        &self,
        instance: &InstanceId,
        base: &BaseUrl,
        patience: Patience,
    ) -> Result<AgentSelf, Error> {
        let ask = async |token| {
            let agent = NomadClient::new(self.http.clone(), base.clone(), None, token);
            self.retrying(patience, async |timeout| {
                let answer = agent.agent_self(timeout).await;
                answer.map_err(|source| Error::agent(instance, base.to_string(), source))
            })
            .await
        };
        if !self.config.nomad_addr.is_https() {
            return ask(self.token.clone()).await;
        }
        let answer = ask(None).await;
        let wants_token = matches!(&answer, Err(Error::AgentTokenRefused { .. }));
        if !wants_token || self.token.is_none() {
            return answer;
        }
        if base.is_https() || self.config.agent_url.chosen {
            return ask(self.token.clone()).await;
        }
        Err(Error::AgentNeedsToken { instance: instance.clone(), address: base.to_string() })
    }

    /// Reads a node that is said to be the instance's, and refuses one that names another instance.
    pub(super) async fn node_of(&self, instance: &InstanceId, id: &str) -> Result<nomad_client::Node, Error> {
        let wrong = |contradiction: String| match NodeId::parse(id) {
            Ok(node) => Error::WrongNode { instance: instance.clone(), node, contradiction },
            Err(error) => Error::InvalidNodeId(error),
        };
        let Some(node) = self.read(id).await? else {
            return Err(wrong("the servers do not know it".to_owned()));
        };
        match node.instance_id() {
            Some(other) if other != instance.as_str() => {
                Err(wrong(format!("its attribute {} is {other:.64}", filter::INSTANCE_ID)))
            }
            Some(_) | None => Ok(node),
        }
    }

    /// Reads a node; `None` if there is none of that id (any more).
    async fn read(&self, id: &str) -> Result<Option<nomad_client::Node>, Error> {
        let id = NodeId::parse(id).map_err(Error::InvalidNodeId)?;
        let read = self
            .retrying(Patience::WhileTimeLasts, async |timeout| {
                match self.nomad.node(id.as_str(), timeout).await {
                    Ok(node) => Ok(Some(node)),
                    Err(error) if is_not_found(&error) => Ok(None),
                    Err(error) => Err(self.failed(error)),
                }
            })
            .await?;
        match read {
            Some(node) if node.id != id.as_str() => {
                Err(Error::AnotherNode { asked: id, given: format!("{:.64}", node.id) })
            }
            read => Ok(read),
        }
    }
}

/// Of the nodes of one instance, newest first: all that are not down, or else the newest.
fn keep_those_to_drain(nodes: &mut Nodes) {
    if nodes.iter().any(|node| node.status != "down") {
        nodes.retain(|node| node.status != "down");
    } else {
        nodes.truncate(1);
    }
}

fn describe(node: &nomad_client::Node) -> String {
    match node.instance_id() {
        Some(instance) => format!("node {} of {instance:.64}", node.id),
        None => format!("node {} without an instance id", node.id),
    }
}

fn is_not_found(error: &NomadError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.kind == RefusalKind::NodeNotFound)
}
