//! Has every instance in service exactly one node in Nomad that carries its id?

use drain::config::NodeLookup;
use drain_core::ids::InstanceId;

use super::groups::cluster;
use super::{config, known};
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Facts, Found, GroupFacts, NodeFacts};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Nodes;

/// So many instances of a group are named in one finding.
const NAMED: usize = 5;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let (Some(_), Some(groups)) = (config(facts), facts.groups.known()) else {
        let what =
            "skipped: whether every instance has its node. First see to the configuration and the groups";
        return vec![Finding::new(AREA, Code::Skipped, "the instances", what)];
    };
    let exists = |group: &&GroupFacts| matches!(group.group.known(), Some(Some(_)));
    groups.iter().filter(exists).flat_map(|group| of_group(facts, group)).collect()
}

fn of_group(all: &Facts, group: &GroupFacts) -> Vec<Finding> {
    let name = group.name.as_str();
    let instances =
        match known(&group.nodes, AREA, name, "whether each of its instances has one node in Nomad") {
            Ok(instances) => instances,
            Err(unknown) => return vec![unknown],
        };
    let by_server_only =
        cluster(all, &group.home).is_some_and(|cluster| cluster.config.node_lookup == NodeLookup::Server);
    let mut nowhere = Vec::new();
    let mut nameless = Vec::new();
    let mut several = Vec::new();
    let mut silent = Vec::new();
    for (instance, found) in instances {
        let nodes = match found {
            Found::Nowhere(searched) => {
                nowhere.push((instance, searched.as_str()));
                continue;
            }
            // Who asks the servers only would not find it there.
            Found::Elsewhere(_) if by_server_only => {
                nowhere.push((instance, "no node's attribute unique.platform.aws.instance-id holds its id"));
                continue;
            }
            Found::Elsewhere(nodes) => {
                nameless.push(instance);
                nodes
            }
            Found::ByAttribute(nodes) => nodes,
        };
        let living: Vec<&NodeFacts> = nodes.iter().filter(|node| !node.is_silent).collect();
        match (living.len(), nodes.len()) {
            (0, _) => silent.push(instance),
            // A node that is down beside a living one is what an agent leaves that has lost its data directory.
            (1, _) => {}
            (_, _) => several.push((instance, living)),
        }
    }
    let mut found = Vec::new();
    if let Some((_, searched)) = nowhere.first() {
        let ids: Vec<&InstanceId> = nowhere.iter().map(|(instance, _)| *instance).collect();
        let what = format!("{} no node in Nomad, so that nothing would be drained: {searched}", have(&ids));
        found.push(Finding::new(AREA, Code::InstanceWithoutNode, name, what).todo(
            "See whether Nomad's client runs there and belongs to this cluster; restart it if it could not read the \
             instance's metadata when it started.",
        ));
    }
    if !nameless.is_empty() {
        let what = format!(
            "{} a node without the attribute unique.platform.aws.instance-id, found by its address",
            have(&nameless)
        );
        found.push(Finding::new(AREA, Code::NodeWithoutAttribute, name, what).todo(
            "Restart Nomad's client there: it could not read the instance's metadata when it started (IMDS hop limit?).",
        ));
    }
    if !several.is_empty() {
        let ids: Vec<&InstanceId> = several.iter().map(|(instance, _)| *instance).collect();
        let nodes: Vec<&str> =
            several.iter().flat_map(|(_, nodes)| nodes).map(|node| node.id.as_str()).collect();
        let what = format!("{} more than one living node with its id", have(&ids));
        found.push(
            Finding::new(AREA, Code::SeveralNodes, name, what)
                .todo("See which of them is the instance's own, and stop Nomad's client wherever the other runs:")
                .command(nodes.iter().take(NAMED).map(|id| format!("nomad node status {id}")).collect::<Vec<_>>().join("; ")),
        );
    }
    if !silent.is_empty() {
        let what = format!("{} a node that is down or disconnected", have(&silent));
        found.push(
            Finding::new(AREA, Code::NodeDown, name, what)
                .todo("See why its client does not answer. These are down or disconnected:")
                .command("nomad node status -filter 'Status != \"ready\"'"),
        );
    }
    if found.is_empty() {
        let what = match instances.len() {
            0 => "no instance is in service".to_owned(),
            1 => "its one instance in service has its node".to_owned(),
            several => format!("each of its {several} instances in service has its node"),
        };
        found.push(Finding::new(AREA, Code::Nodes, name, what));
    }
    found
}

/// `i-1 has`, `i-1 and i-2 have`, `i-1, i-2, … and 7 others have`.
fn have(instances: &[&InstanceId]) -> String {
    let ids: Vec<&str> = instances.iter().take(NAMED).map(|id| id.as_str()).collect();
    match (ids.as_slice(), instances.len() - ids.len()) {
        ([one], 0) => format!("{one} has"),
        (several, 0) => format!("{} have", several.join(", ")),
        (several, others) => format!("{} and {others} others have", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::doctor::facts::{Fact, Why};
    use crate::doctor::judge::scene::{check, facts, group_of, variables};

    fn node(id: &str, is_silent: bool) -> NodeFacts {
        NodeFacts { id: id.to_owned(), name: "worker".to_owned(), is_silent }
    }

    fn with(mut facts: Facts, found: Found) -> Vec<Finding> {
        let instance = InstanceId::parse("i-0123456789abcdef0").unwrap();
        group_of(&mut facts).nodes = Fact::Known(BTreeMap::from([(instance, found)]));
        judge(&facts)
    }

    #[test]
    fn every_instance_has_its_node() {
        check(judge(&facts()), &["nodes workers"]);
        check(with(facts(), Found::ByAttribute(vec![node("a", false), node("b", true)])), &["nodes workers"]);
    }

    #[test]
    fn an_instance_without_a_node_is_not_drained() {
        let found = with(facts(), Found::Nowhere("no node has its address".to_owned()));
        assert!(found[0].what.contains("i-0123456789abcdef0 has no node"), "{found:?}");
        check(found, &["instance-without-node workers"]);
    }

    #[test]
    fn a_node_without_the_attribute_is_found_unless_only_servers_are_asked() {
        let elsewhere = || Found::Elsewhere(vec![node("a", false)]);
        check(with(facts(), elsewhere()), &["node-without-attribute workers"]);
        check(with(variables(&[("NODE_LOOKUP", "server")]), elsewhere()), &["instance-without-node workers"]);
    }

    #[test]
    fn several_living_nodes_and_silent_ones_are_told() {
        check(
            with(facts(), Found::ByAttribute(vec![node("a", false), node("b", false)])),
            &["several-nodes workers"],
        );
        check(with(facts(), Found::ByAttribute(vec![node("a", true)])), &["node-down workers"]);
    }

    #[test]
    fn of_many_some_are_named() {
        let ids: Vec<InstanceId> =
            (0..9).map(|n| InstanceId::parse(&format!("i-0000000{n}")).unwrap()).collect();
        let all: Vec<&InstanceId> = ids.iter().collect();
        assert_eq!(have(&all[..2]), "i-00000000, i-00000001 have");
        assert!(have(&all).ends_with("i-00000004 and 4 others have"), "{}", have(&all));
    }

    #[test]
    fn what_could_not_be_asked_is_not_called_fine() {
        let mut facts = facts();
        group_of(&mut facts).nodes = Fact::Unknown(Why::Skipped { because: "Nomad".to_owned() });
        check(judge(&facts), &["skipped workers"]);
    }
}
