//! The real `bootstrap` against a real Nomad: what the emulated cluster cannot prove, because it was written by those
//! who wrote the function.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod secure;
mod world;

use std::io::Write as _;
use std::time::Instant;

use drain_lab::lab::Worker;
use drain_lab::real_nomad::find;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::world::{GROUP, World, failure, job, message, result};

/// One cluster for all scenarios, as its start takes longer than they do.
#[tokio::test(flavor = "multi_thread")]
async fn the_function_drains_the_nodes_of_a_real_cluster() {
    if cfg!(not(target_os = "linux")) {
        say("real Nomad tier skipped: it knows only Linux's way to have many addresses on loopback");
        return;
    }
    let Some(nomad) = find(|name| std::env::var_os(name)) else {
        say("real Nomad tier skipped: there is no nomad on PATH, and NOMAD_BIN is not set");
        return;
    };
    let began = Instant::now();
    let mut world = World::start(&nomad).await;
    say(&format!("real Nomad tier: Nomad {} with 3 clients {}", world.version().await, took(began)));

    macro_rules! scenarios {
        ($($scenario:ident($world:expr),)*) => {$(
            let began = Instant::now();
            $scenario($world).await;
            say(&format!("real Nomad tier: {} {}", stringify!($scenario), took(began)));
        )*};
    }
    scenarios! {
        an_empty_node_is_drained_at_once_and_once(&world),
        a_drain_has_our_deadline_and_ends_when_the_allocations_have_left(&world),
        a_node_without_the_attribute_is_found_by_its_address(&world),
        the_agent_on_the_instance_names_its_node(&world),
        an_operators_drain_without_a_deadline_gets_ours_and_keeps_its_meta(&world),
        sixty_instances_are_looked_up_together(&world),
        what_nomad_refuses_is_told(&world),
        a_server_that_is_away_is_named_and_found_again(&mut world),
        a_token_that_does_not_see_every_namespace_releases_nothing(&world),
        a_token_with_a_role_releases_an_empty_node(&world),
        tasks_that_still_stop_when_the_drain_is_over_are_waited_for(&world),
        an_interruption_brings_the_drain_of_a_recommendation_forward(&world),
        a_node_that_is_given_back_looks_as_we_expect(&world),
        the_node_of_an_ended_instance_is_purged_once_it_is_down(&mut world),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_drains_a_real_cluster_that_trusts_nobody() {
    if let Some(nomad) = cfg!(target_os = "linux").then(|| find(|name| std::env::var_os(name))).flatten() {
        secure::all(&nomad).await;
    }
}

async fn an_empty_node_is_drained_at_once_and_once(world: &World) {
    let worker = &world.workers[0];
    assert_eq!(result(&world.invoke(worker, &[]).await)["reason"], "drain_posted");
    let drained = world.drained(worker).await;
    assert_eq!(drained["SchedulingEligibility"], "ineligible");
    let meta = &drained["LastDrain"]["Meta"];
    assert_eq!(
        (&meta["managed-by"], &meta["instance-id"], &meta["was-eligible"], &meta["auto-scaling-group"]),
        (&json!("nomad-drain"), &json!(worker.instance_id), &json!("true"), &json!(GROUP))
    );

    assert_eq!(result(&world.invoke(worker, &[]).await)["reason"], "already_drained");
    let later = world.node(worker).await;
    assert_eq!((&later["LastDrain"], &later["Events"]), (&drained["LastDrain"], &drained["Events"]));
}

async fn a_drain_has_our_deadline_and_ends_when_the_allocations_have_left(world: &World) {
    let worker = &world.workers[1];
    for (name, kind) in [("web", "service"), ("report", "batch")] {
        world.cluster.run_job(&job(name, kind, worker)).await.unwrap();
    }
    // Nomad moves only what has proved to be well.
    world.allocation("web", |web| web["DeploymentStatus"]["Healthy"] == true).await;
    world.allocation("report", |report| report["ClientStatus"] == "running").await;

    assert_eq!(result(&world.invoke(worker, &[]).await)["reason"], "drain_posted");
    let draining = world.node(worker).await;
    assert_eq!(draining["DrainStrategy"]["Deadline"], 3_600_000_000_000_i64);
    assert_eq!(draining["DrainStrategy"]["IgnoreSystemJobs"], false);
    assert_eq!(result(&world.invoke(worker, &[]).await)["reason"], "already_draining");
    assert_eq!(
        world.node(worker).await["DrainStrategy"],
        draining["DrainStrategy"],
        "the deadline has moved"
    );

    // The service leaves because of the drain. The batch job may go on until the deadline, or until it has ended.
    world.allocation("web", |web| web["ClientStatus"] == "complete").await;
    assert_eq!(world.node(worker).await["LastDrain"]["Status"], "draining");
    world.cluster.stop_job("report").await.unwrap();
    world.drained(worker).await;
    let [report] = &world.cluster.allocations("report").await.unwrap()[..] else { panic!("one allocation") };
    assert_eq!(report["ClientStatus"], "complete");
    world.cluster.stop_job("web").await.unwrap();
}

async fn a_node_without_the_attribute_is_found_by_its_address(world: &World) {
    let worker = &world.workers[2];
    assert_eq!(world.node(worker).await["Attributes"]["unique.platform.aws.instance-id"], Value::Null);
    let run = world.invoke(worker, &[("NODE_LOOKUP", "server")]).await;
    assert_eq!(failure(&run).0, "NodeNotFound");
    let run = world.invoke(worker, &[]).await;
    assert_eq!(
        (&result(&run)["node_id"], &result(&run)["reason"]),
        (&json!(worker.node_id), &json!("drain_posted"))
    );
    world.drained(worker).await;
}

async fn the_agent_on_the_instance_names_its_node(world: &World) {
    let worker = world.eligible(0).await;
    let agent_url = world.cluster.agent_url();
    let run = world.invoke(worker, &[("NODE_LOOKUP", "agent"), ("NOMAD_AGENT_URL", &agent_url)]).await;
    assert_eq!(
        (&result(&run)["node_id"], &result(&run)["reason"]),
        (&json!(worker.node_id), &json!("drain_posted"))
    );
    world.drained(worker).await;
}

async fn an_operators_drain_without_a_deadline_gets_ours_and_keeps_its_meta(world: &World) {
    let worker = world.eligible(0).await;
    world.cluster.run_job(&job("long", "batch", worker)).await.unwrap();
    world.allocation("long", |long| long["ClientStatus"] == "running").await;
    let spec = json!({"Deadline": 0, "IgnoreSystemJobs": true});
    world.cluster.drain(&worker.node_id, &spec, &json!({"who": "operator"})).await.unwrap();
    let before = world.node(worker).await;

    assert_eq!(result(&world.invoke(worker, &[]).await)["reason"], "deadline_brought_nearer");
    let after = world.node(worker).await;
    assert_eq!(after["DrainStrategy"]["Deadline"], 3_600_000_000_000_i64);
    assert_eq!(after["DrainStrategy"]["StartedAt"], before["DrainStrategy"]["StartedAt"]);
    assert_eq!(after["LastDrain"]["Meta"], json!({"who": "operator"}));
    world.cluster.stop_job("long").await.unwrap();
    world.drained(worker).await;
}

async fn sixty_instances_are_looked_up_together(world: &World) {
    let workers = [world.eligible(0).await, world.eligible(1).await];
    let strangers = (0..58).map(|number| format!("i-{number:017x}"));
    let records: Vec<Value> = strangers
        .chain(workers.map(|worker| worker.instance_id.clone()))
        .map(|id| json!({"EventSource": "aws:sns", "Sns": {"Message": message(&id).to_string()}}))
        .collect();
    let run = world.invoke_with(&json!({ "Records": records }), &[("NODE_LOOKUP", "server")]).await;
    // The strangers fail the invocation, and keep nobody from being drained.
    assert_eq!(failure(&run).0, "NodeNotFound");
    for worker in workers {
        world.drained(worker).await;
    }
}

async fn what_nomad_refuses_is_told(world: &World) {
    let worker = world.eligible(0).await;
    let reader = world.cluster.token("reader", "node {\n  policy = \"read\"\n}").await.unwrap();
    for token in ["3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee", "no-token", &reader] {
        world.set_token(Some(token));
        let run = world.invoke(worker, &[]).await;
        let (error_type, message) = failure(&run);
        assert_eq!(error_type, "NomadTokenRefused");
        assert!(message.contains(world.cluster.url()) && !message.contains(token), "{message}");
    }
    world.set_token(None);
    let run = world.invoke(worker, &[("NOMAD_REGION", "mars")]).await;
    assert!(failure(&run).1.contains("No path to region"), "{:?}", run.outcome);
    assert_eq!(world.node(worker).await["SchedulingEligibility"], "eligible");
}

async fn a_server_that_is_away_is_named_and_found_again(world: &mut World) {
    world.cluster.kill_server();
    let run = world.invoke(&world.workers[0], &[]).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "NomadUnavailable");
    assert!(message.contains(world.cluster.url()), "{message}");

    world.cluster.restart_server().await.unwrap();
    assert_eq!(result(&world.invoke(&world.workers[0], &[]).await)["reason"], "drain_posted");
    world.drained(&world.workers[0]).await;
}

async fn a_token_that_does_not_see_every_namespace_releases_nothing(world: &World) {
    let worker = world.eligible(0).await;
    world.terminate(worker);
    let nodes = "node {\n  policy = \"write\"\n}\n";
    let one = format!("{nodes}namespace \"default\" {{\n  capabilities = [\"read-job\"]\n}}");
    for rules in [nodes, &one] {
        let token = world.cluster.token("sees-little", rules).await.unwrap();
        world.set_token(Some(&token));
        let run = world.see_through(worker, &[]).await;
        assert_eq!(result(&run)["reason"], "cannot_see_allocations");
        assert!(result(&run)["message"].as_str().unwrap().contains("read-job"));
    }
    world.set_token(None);
    assert_eq!(world.released_at(worker), None);
}

async fn a_token_with_a_role_releases_an_empty_node(world: &World) {
    let worker = &world.workers[0];
    let role = json!({"Name": "watcher", "Policies": [{"Name": "nomad-drain"}]});
    let role = world.cluster.post("/v1/acl/role", &role).await.unwrap();
    let token = json!({"Name": "by-role", "Type": "client", "Roles": [{"ID": role["ID"]}]});
    let token = world.cluster.post("/v1/acl/token", &token).await.unwrap();
    let token = token["SecretID"].as_str().unwrap().to_owned();
    world.set_token(Some(&token));
    let run = world.see_through(worker, &[]).await;
    assert_eq!((&result(&run)["outcome"], &result(&run)["reason"]), (&json!("completed"), &json!("drained")));
    world.set_token(None);
}

async fn tasks_that_still_stop_when_the_drain_is_over_are_waited_for(world: &World) {
    let worker = world.eligible(1).await;
    world.terminate(worker);
    let mut stubborn = job("stubborn", "batch", worker);
    let task = &mut stubborn["TaskGroups"][0]["Tasks"][0];
    task["Config"] =
        json!({"command": "sh", "args": ["-c", "trap '' TERM INT; while :; do sleep 0.2; done"]});
    task["KillTimeout"] = json!(3_000_000_000_i64);
    world.cluster.run_job(&stubborn).await.unwrap();
    world.allocation("stubborn", |one| one["ClientStatus"] == "running").await;

    let run = world.see_through(worker, &[("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "30s")]).await;
    assert_eq!(result(&run)["reason"], "drained");
    let [one] = &world.cluster.allocations("stubborn").await.unwrap()[..] else { panic!("one allocation") };
    let ended = one["ModifyTime"].as_i64().unwrap();
    let drained = &world.node(worker).await["LastDrain"]["UpdatedAt"];
    let drained: Timestamp = drained.as_str().unwrap().parse().unwrap();
    let released = world.released_at(worker).unwrap();
    assert_ne!(one["ClientStatus"], "running");
    assert!(i128::from(ended) <= released.as_nanosecond(), "released before the task had ended");
    let late = released.as_nanosecond() - i128::from(ended);
    assert!(late < 2_000_000_000, "released {late} ns after the task had ended");
    assert!(i128::from(ended) - drained.as_nanosecond() > 1_000_000_000, "no test without a gap");
}

/// An event of EC2's, sent now.
fn announced(kind: &str, worker: &Worker) -> Value {
    json!({
        "version": "0", "id": "782d5b4c-0f6f-1fd6-9d62-ecf6aed0a470", "detail-type": kind, "source": "aws.ec2",
        "time": format!("{:.0}", Timestamp::now()),
        "detail": {"instance-id": worker.instance_id, "instance-action": "terminate"},
    })
}

async fn an_interruption_brings_the_drain_of_a_recommendation_forward(world: &World) {
    let worker = world.eligible(0).await;
    world.cluster.run_job(&job("patient", "batch", worker)).await.unwrap();
    world.allocation("patient", |one| one["ClientStatus"] == "running").await;
    let recommendation = announced("EC2 Instance Rebalance Recommendation", worker);
    let run = world.invoke_with(&recommendation, &[("ON_REBALANCE", "drain")]).await;
    assert_eq!(result(&run)["reason"], "drain_posted");
    let before = world.node(worker).await;
    assert_eq!(before["LastDrain"]["Meta"]["cause"], "rebalance");

    let warning = announced("EC2 Spot Instance Interruption Warning", worker);
    let run = world.invoke_with(&warning, &[]).await;
    assert_eq!(result(&run)["reason"], "deadline_brought_nearer");
    let after = world.node(worker).await;
    let seconds = after["DrainStrategy"]["Deadline"].as_i64().unwrap() / 1_000_000_000;
    assert!((100..=110).contains(&seconds), "{seconds}");
    let meta = &after["LastDrain"]["Meta"];
    assert_eq!((&meta["cause"], &meta["was-eligible"]), (&json!("spot"), &json!("true")));
    assert_eq!(after["DrainStrategy"]["StartedAt"], before["DrainStrategy"]["StartedAt"]);
}

/// What `drain_core::decide` relies on when it gives a node back, of which no test can wait for the two minutes.
async fn a_node_that_is_given_back_looks_as_we_expect(world: &World) {
    let worker = &world.workers[0];
    let changes = |node: &Value| {
        let events = node["Events"].as_array().unwrap().clone();
        let marked = events
            .into_iter()
            .filter(|event| event["Message"].as_str().is_some_and(|text| text.starts_with("Node marked as")));
        marked.map(|event| event["Message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // A drain of ours runs. The list shows it, with its stamp, among the nodes that take no work.
    let filter = "/v1/nodes?filter=SchedulingEligibility%20%3D%3D%20%22ineligible%22";
    let list = world.cluster.get(filter).await.unwrap();
    let list = list.as_array().unwrap();
    assert!(list.iter().all(|node| node["SchedulingEligibility"] == "ineligible"), "{list:?}");
    let listed = list.iter().find(|node| node["ID"] == json!(worker.node_id)).unwrap();
    assert_eq!(listed["LastDrain"]["Meta"]["instance-id"], json!(worker.instance_id));

    // Neither a drain nor its end marks a node by hand.
    let draining = world.node(worker).await;
    let by_hand = changes(&draining).len();
    let ended = json!({"DrainSpec": null, "MarkEligible": true});
    let path = format!("/v1/node/{}", worker.node_id);
    world.cluster.post(&format!("{path}/drain"), &ended).await.unwrap();
    let given_back = world.node(worker).await;
    assert_eq!(given_back["SchedulingEligibility"], "eligible");
    assert_eq!(
        (&given_back["DrainStrategy"], &given_back["LastDrain"]["Status"]),
        (&Value::Null, &json!("canceled"))
    );
    assert!(changes(&given_back).len() <= by_hand, "{:?}", given_back["Events"]);

    // Who disables it by hand leaves a mark, and leaves the record of the drain as it was.
    world.cluster.stop_job("patient").await.unwrap();
    world.cluster.post(&format!("{path}/eligibility"), &json!({"Eligibility": "ineligible"})).await.unwrap();
    let disabled = world.node(worker).await;
    assert_eq!(disabled["LastDrain"], given_back["LastDrain"]);
    assert_eq!(
        changes(&disabled).last().map(String::as_str),
        Some("Node marked as ineligible for scheduling")
    );

    // A sweep looks at all of this, and finds nothing to do.
    let sweep = json!({"action": "sweep"});
    let run = world.invoke_with(&sweep, &[("SWEEP", "on"), ("AUTO_SCALING_GROUPS", GROUP)]).await;
    let report = run.outcome.response().unwrap();
    let restored = report["results"].as_array().unwrap().iter().any(|one| one["outcome"] == "restored");
    assert!(!restored, "{report}");
    assert_eq!(world.node(worker).await["SchedulingEligibility"], "ineligible");
}

async fn the_node_of_an_ended_instance_is_purged_once_it_is_down(world: &mut World) {
    let worker = world.workers[0].clone();
    let mut ended = announced("EC2 Instance State-change Notification", &worker);
    ended["detail"]["state"] = json!("terminated");
    let purge = [("PURGE_NODES", "on")];
    let run = world.invoke_with(&ended, &[("PURGE_NODES", "on"), ("EVENT_LINGER", "100ms")]).await;
    assert_eq!(result(&run)["reason"], "node_not_down", "its client lives");
    world.cluster.kill_client(&worker.name);
    world.down(&worker).await;
    let run = world.invoke_with(&ended, &purge).await;
    assert_eq!(
        (&result(&run)["outcome"], &result(&run)["reason"]),
        (&json!("completed"), &json!("node_purged"))
    );
    assert!(world.cluster.node(&worker.node_id).await.is_err(), "it is gone");
    assert_eq!(result(&world.invoke_with(&ended, &purge).await)["reason"], "instance_ended");
}

fn took(since: Instant) -> String {
    format!("({:.1} s)", since.elapsed().as_secs_f32())
}

/// Says it even though the test passes: the test harness holds back what the print macros print, and no more.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
