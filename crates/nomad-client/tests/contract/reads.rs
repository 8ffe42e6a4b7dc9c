//! Finding nodes, reading with and without the right to, and waiting for changes.

use std::time::Duration;

use nomad_client::visibility::{Sees, sees_every_namespace};
use nomad_client::{NodeStub, NomadError, RefusalKind, filter};
use serde_json::{Value, json};

use crate::stage::{CALL, Stage, batch};

/// The ids of the nodes that the filter for these instances finds.
async fn found(stage: &Stage, instances: &[&str]) -> Vec<String> {
    let filter = filter::on_instances(instances.iter().copied());
    let nodes: Vec<NodeStub> = stage.nomad.nodes(Some(&filter), CALL).await.unwrap();
    let mut ids: Vec<String> = nodes.into_iter().map(|node| node.id).collect();
    ids.sort();
    ids
}

/// The first two nodes that name one instance.
fn twins(stage: &Stage) -> [usize; 2] {
    if stage.instance(0) == stage.instance(1) { [0, 1] } else { [1, 2] }
}

pub(crate) async fn nodes_are_found_by_instance_though_others_lack_the_attribute(stage: &Stage) {
    let all = stage.nomad.nodes(None, CALL).await.unwrap();
    let mut bare = 0;
    for node in &all {
        let node = stage.nomad.node(&node.id, CALL).await.unwrap();
        bare += usize::from(node.instance_id().is_none());
    }
    assert!(bare > 0, "a test of nothing");
    let instance = stage.instance(0);
    let ids = found(stage, &[instance]).await;
    assert!(ids.iter().any(|id| id == stage.id(0)));
    for id in &ids {
        assert_eq!(stage.nomad.node(id, CALL).await.unwrap().instance_id(), Some(instance));
    }
    let unknown: Vec<String> = (0..60).map(|number| format!("i-f{number:016x}")).collect();
    let mut many: Vec<&str> = unknown.iter().map(String::as_str).collect();
    assert!(found(stage, &many).await.is_empty());
    many.push(instance);
    assert_eq!(found(stage, &many).await, ids);
}

pub(crate) async fn two_nodes_may_name_one_instance(stage: &Stage) {
    let [one, other] = twins(stage);
    let mut expected = vec![stage.id(one).to_owned(), stage.id(other).to_owned()];
    expected.sort();
    assert_eq!(found(stage, &[stage.instance(one)]).await, expected);
    let filter = filter::on_instances([stage.instance(one)].into_iter());
    let mut nodes = stage.nomad.nodes(Some(&filter), CALL).await.unwrap();
    nodes.sort_by_key(|node| node.create_index);
    assert!(nodes[0].create_index < nodes[1].create_index, "the later one is told by its index");
}

pub(crate) async fn a_read_waits_for_the_next_change(stage: &Stage) {
    let path = format!("/v1/node/{}", stage.id(0));
    let before = stage.send("GET", &path, &Value::Null).await;
    let (index, waits) = (before.index.unwrap(), format!("{path}?wait=30s&index={}", before.index.unwrap()));
    // Whoever comes with an older index is answered at once.
    let older = stage.send("GET", &format!("{path}?wait=30s&index={}", index - 1), &Value::Null).await;
    assert_eq!(older.index, Some(index));
    let change = async {
        for _ in 0..3 {
            stage.pause().await;
        }
        stage.nomad.make_ineligible(stage.id(0), CALL).await.unwrap();
    };
    let (after, ()) = tokio::join!(stage.send("GET", &waits, &Value::Null), change);
    assert!(after.index.unwrap() > index);
    let node: Value = serde_json::from_str(&after.text).unwrap();
    assert_eq!(node["SchedulingEligibility"], "ineligible");
}

pub(crate) async fn a_token_without_read_job_sees_an_empty_node(stage: &Stage) {
    stage.run_on(&batch("hidden"), 0, 1).await;
    let blind = stage.with_token(&stage.token(&["node"], None).await);
    assert!(blind.allocations(stage.id(0), CALL).await.unwrap().is_empty(), "without a word");
    assert_eq!(blind.node(stage.id(0), CALL).await.unwrap().id, stage.id(0));
    let who = blind.token_self(CALL).await.unwrap();
    let policy = blind.acl_policy(&who.policies[0], CALL).await.unwrap();
    assert_eq!(sees_every_namespace(&[policy]), Sees::NotEverything { namespaces: vec!["*".to_owned()] });
    // It may drain what it cannot see the end of.
    blind.make_ineligible(stage.id(0), CALL).await.unwrap();

    let seeing = stage.with_token(&stage.token(&["node", "namespace"], None).await);
    assert_eq!(seeing.allocations(stage.id(0), CALL).await.unwrap().len(), 1);
}

pub(crate) async fn a_token_that_has_ended_is_refused(stage: &Stage) {
    let lasts = Some(Duration::from_secs(2));
    let client = stage.with_token(&stage.token(&["node", "namespace"], lasts).await);
    let error = stage.found("it ends", async || client.nodes(None, CALL).await.err()).await;
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.kind, refusal.status), (RefusalKind::Token, 403), "{error}");
    for error in [
        client.node(stage.id(0), CALL).await.err(),
        client.allocations(stage.id(0), CALL).await.err(),
        client.make_ineligible(stage.id(0), CALL).await.err(),
        client.token_self(CALL).await.err(),
    ] {
        let error = error.unwrap();
        assert_eq!(error.refusal().unwrap().kind, RefusalKind::Token, "{error}");
    }
    let unknown = stage.with_token("3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee");
    let error = unknown.nodes(None, CALL).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().kind, RefusalKind::Token, "{error}");
}

pub(crate) async fn a_token_is_told_who_it_is(stage: &Stage) {
    let who = stage.nomad.token_self(CALL).await.unwrap();
    assert_eq!((who.token_type.as_str(), who.policies.len(), who.is_unrestricted()), ("client", 1, false));
    let policy = stage.nomad.acl_policy(&who.policies[0], CALL).await.unwrap();
    assert_eq!(sees_every_namespace(&[policy]), Sees::Everything);
    let servers = stage.nomad.servers(CALL).await.unwrap();
    let [server] = &servers[..] else { panic!("{servers:?}") };
    assert_eq!(server.status, "alive");
    assert!(server.tags["build"].starts_with(|first: char| first.is_ascii_digit()), "{:?}", server.tags);
    let nobody = stage.send("GET", "/v1/acl/token/self", &json!(null)).await;
    assert!(nobody.text.contains("management"));
}

pub(crate) async fn each_rule_of_the_policy_is_needed(stage: &Stage) {
    let denied = |answer: Option<NomadError>, what: &str| {
        let error = answer.unwrap_or_else(|| panic!("{what} is permitted"));
        assert_eq!(error.refusal().unwrap().kind, RefusalKind::Token, "{what}: {error}");
    };
    let id = stage.id(0);
    let without_node = stage.with_token(&stage.token(&["namespace", "agent"], None).await);
    denied(without_node.nodes(None, CALL).await.err(), "listing nodes");
    denied(without_node.node(id, CALL).await.err(), "reading a node");
    denied(without_node.allocations(id, CALL).await.err(), "reading its allocations");
    denied(without_node.make_ineligible(id, CALL).await.err(), "making it ineligible");
    denied(without_node.purge(id, CALL).await.err(), "purging it");
    denied(without_node.servers(CALL).await.err(), "asking for the servers");

    let without_agent = stage.with_token(&stage.token(&["node", "namespace"], None).await);
    denied(without_agent.agent_self(CALL).await.err(), "asking an agent who it is");

    // What a token without the rule for namespaces sees has a test of its own.
    stage.nomad.nodes(None, CALL).await.unwrap();
    stage.nomad.node(id, CALL).await.unwrap();
    stage.nomad.allocations(id, CALL).await.unwrap();
    stage.nomad.make_ineligible(id, CALL).await.unwrap();
    stage.nomad.make_eligible(id, CALL).await.unwrap();
    stage.nomad.servers(CALL).await.unwrap();
    stage.nomad.agent_self(CALL).await.unwrap();
}
