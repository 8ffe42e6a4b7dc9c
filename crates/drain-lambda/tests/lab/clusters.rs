//! Many clusters behind one function: whose an instance is, and what another cluster's trouble does to it.

use std::net::Ipv4Addr;
use std::time::Duration;

use drain_lab::aws::{GroupSettings, ParameterType};
use drain_lab::clock::Clock;
use drain_lab::faults::Fault;
use drain_lab::journal::System;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::models::Models;
use drain_lab::nomad::{Access, NodeSpec, Policy, Token};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::*;

/// The token of the other cluster, which means nothing to the first one.
const GREEN_TOKEN: &str = "9f0c61de-2b51-4a8e-8d0c-6d1b52f1c7a4";

/// The account and its cluster, which is called blue, and another cluster, green.
struct Two {
    blue: Lab,
    green: Lab,
}

impl Two {
    /// Blue has the group [`GROUP`], green has `green-1`, whose tag says so too.
    async fn start() -> Self {
        let (blue, green) = (lab().await, Lab::start(Clock::running()).await.unwrap());
        let mut settings = GroupSettings::named("green-1");
        settings.tags.insert("nomad-drain".to_owned(), "green".to_owned());
        blue.add_group_with(settings, [Models::hook(3600)]).unwrap();
        green.nomad.add_policy("green", Policy::minimal().agent(Access::Read));
        green.nomad.add_token(Token::client(GREEN_TOKEN, &["green"]));
        blue.aws.put_parameter("/green/token", ParameterType::SecureString, GREEN_TOKEN);
        let this = Self { blue, green };
        this.say(&this.document());
        this
    }

    /// What the document says if a test has nothing else to say.
    fn document(&self) -> Value {
        json!({"clusters": {
            "blue": {"groups": [GROUP], "NOMAD_ADDR": self.blue.nomad_url()},
            "green": {"tag": "green", "NOMAD_ADDR": self.green.nomad_url(), "NOMAD_TOKEN_PARAMETER": "/green/token"},
        }})
    }

    fn say(&self, document: &Value) {
        self.blue.aws.put_parameter("/clusters", ParameterType::String, &document.to_string());
    }

    /// The document with another setting of a cluster.
    fn set(&self, cluster: &str, name: &str, value: Value) {
        let mut document = self.document();
        document["clusters"][cluster][name] = value;
        self.say(&document);
    }

    fn deploy(&self, variables: &[(&str, &str)]) -> &Lambda {
        let mut all = vec![("CLUSTERS_PARAMETER", "/clusters")];
        all.extend(variables);
        deploy(&self.blue, &all)
    }

    fn deploy_with_sweep(&self, variables: &[(&str, &str)]) -> &Lambda {
        let mut all = vec![("SWEEP", "on"), ("SWEEP_LINGER", "300ms"), ("EVENT_LINGER", "300ms")];
        all.extend(variables);
        self.deploy(&all)
    }

    /// A worker of green's, in a group of the account's.
    fn green_worker(&self, number: u8) -> Worker {
        let private_ip = Ipv4Addr::new(127, 0, 2, number);
        let instance_id = self.blue.aws.add_instance("green-1", Some(private_ip)).unwrap();
        let name = format!("green-{number}");
        let spec = NodeSpec::new(&name).address(private_ip.to_string()).instance_id(&instance_id);
        let node_id = self.green.nomad.add_node(spec);
        Worker { instance_id, node_id, name, private_ip }
    }

    /// One of each, both held.
    fn both_ending(&self) -> (Worker, Worker) {
        let (blue, green) = (ending(&self.blue, 1), self.green_worker(1));
        terminate(&self.blue, &green);
        (blue, green)
    }
}

/// Invokes with the hook's message of a worker, and checks that no token was said.
async fn tell(two: &Two, lambda: &Lambda, worker: &Worker) -> InvocationRecord {
    discreet(invoke(&two.blue, lambda, worker).await)
}

fn discreet(run: InvocationRecord) -> InvocationRecord {
    let said = format!("{:?}", (&run.outcome, &run.log));
    assert!(!said.contains(GREEN_TOKEN), "the token was printed: {said}");
    run
}

/// What EC2 tells of an instance: nothing of its group.
fn spot(worker: &Worker) -> Value {
    json!({
        "version": "0", "id": "1", "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
        "account": "123456789012", "time": Timestamp::now().to_string(), "region": "us-east-1", "resources": [],
        "detail": {"instance-id": worker.instance_id, "instance-action": "terminate"},
    })
}

/// The POSTs of drains in both clusters.
fn drains(two: &Two) -> (usize, usize) {
    (posts(&two.blue), posts(&two.green))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_drained_in_its_own_cluster_and_nobody_else_is_asked() {
    let two = Two::start().await;
    let (blue, green) = two.both_ending();
    let lambda = two.deploy(&[]);
    assert_eq!(became(&tell(&two, lambda, &blue).await), ("completed", "drained"));
    assert_eq!((drains(&two), nomad_calls(&two.green)), ((1, 0), vec![]));
    let before = nomad_calls(&two.blue).len();
    assert_eq!(became(&tell(&two, lambda, &green).await), ("completed", "drained"));
    assert_eq!((drains(&two), nomad_calls(&two.blue).len()), ((1, 1), before));
    assert_eq!(count(&two.blue, "GetParameter"), 3, "the document and each token once");
    assert!(!is_held(&two.blue, &blue) && !is_held(&two.blue, &green));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_group_is_asked_everywhere() {
    let two = Two::start().await;
    let (blue, green) = (two.blue.add_worker(GROUP, 1).unwrap(), two.green_worker(1));
    let lambda = two.deploy(&[]);
    for worker in [&green, &blue] {
        let run = discreet(invoke_with(lambda, &spot(worker)).await);
        assert_eq!(became(&run), ("drain_started", "drain_posted"));
        assert_eq!(result(&run)["node_id"], worker.node_id);
    }
    assert_eq!(drains(&two), (1, 1));
    let stranger = Worker { instance_id: "i-0feedfacefeedface".to_owned(), ..blue };
    let run = discreet(invoke_with(lambda, &spot(&stranger)).await);
    assert_eq!(became(&run), ("ignored", "not_our_instance"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_does_not_wait_for_a_cluster_that_hangs() {
    let two = Two::start().await;
    let blue = two.blue.add_worker(GROUP, 1).unwrap();
    two.green.faults.always(System::Nomad, &Fault::Hang);
    let lambda = two.deploy(&[]);
    let run = discreet(invoke_with(lambda, &spot(&blue)).await);
    assert_eq!(became(&run), ("drain_started", "drain_posted"));
    // A call that hangs is given up and made again after ten seconds.
    assert!(nomad_calls(&two.green).len() <= 1, "{:?}", nomad_calls(&two.green));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_be_asked_may_have_the_node() {
    let two = Two::start().await;
    let green = two.green_worker(1);
    let nobody = ClosedPort::at(Ipv4Addr::LOCALHOST);
    two.set("green", "NOMAD_ADDR", format!("http://127.0.0.1:{}", nobody.number()).into());
    let mut function = function(&two.blue, &[("CLUSTERS_PARAMETER", "/clusters")]);
    function.timeout = Duration::from_secs(4);
    let run = discreet(invoke_with(two.blue.deploy(function), &spot(&green)).await);
    assert_eq!(failure(&run).0, "NomadUnavailable", "the event comes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_sees_every_cluster_through_while_one_is_down() {
    let two = Two::start().await;
    let (blue, green) = two.both_ending();
    let nobody = ClosedPort::at(Ipv4Addr::LOCALHOST);
    two.set("green", "NOMAD_ADDR", format!("http://127.0.0.1:{}", nobody.number()).into());
    let lambda = two.deploy_with_sweep(&[("SWEEP_LINGER", "2s")]);
    let run = discreet(sweep(lambda).await);
    let results = response(&run)["results"].as_array().unwrap();
    let of = |worker: &Worker| {
        let its = results.iter().find(|result| result["instance_id"] == worker.instance_id).unwrap();
        (its["outcome"].as_str().unwrap(), its["reason"].as_str().unwrap())
    };
    assert_eq!(of(&blue), ("completed", "drained"));
    assert_eq!(of(&green), ("held", "nomad_unreachable"));
    assert_eq!((&response(&run)["groups"], &response(&run)["held"]), (&json!(2), &json!(2)));
    assert!(!is_held(&two.blue, &blue) && is_held(&two.blue, &green));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cluster_has_policies_of_its_own() {
    let two = Two::start().await;
    let (blue, green) = two.both_ending();
    let mut document = two.document();
    document["clusters"]["blue"]["DRAIN_DEADLINE"] = "20m".into();
    document["clusters"]["green"]["PAUSE"] = true.into();
    two.say(&document);
    let lambda = two.deploy_with_sweep(&[("DRAIN_DEADLINE", "40m")]);
    discreet(sweep(lambda).await);
    assert_eq!(drains(&two), (1, 0));
    let minutes = 60_000_000_000_i64;
    assert_eq!(deadlines(&two.blue), [20 * minutes]);
    assert!(!is_held(&two.blue, &blue) && is_held(&two.blue, &green));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_no_cluster_is_ignored_and_counted() {
    let two = Two::start().await;
    two.blue.add_group("strangers", 3600).unwrap();
    let worker = two.blue.add_worker("strangers", 9).unwrap();
    terminate(&two.blue, &worker);
    let lambda = two.deploy(&[]);
    let run = tell(&two, lambda, &worker).await;
    assert_eq!(became(&run), ("ignored", "no_cluster"));
    let counted = run.log.iter().any(|line| {
        let line: Value = serde_json::from_str(&line.text).unwrap_or_default();
        line["Reason"] == "no_cluster" && line["Ignored"] == 1
    });
    assert!(counted, "{:?}", run.log);
    assert_eq!((drains(&two), nomad_calls(&two.blue)), ((0, 0), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_the_sweep_is_to_look_after_has_to_be_of_one_cluster() {
    let two = Two::start().await;
    let (blue, green) = two.both_ending();
    let mut tagged = GroupSettings::named("orphans");
    tagged.tags.insert("nomad-drain".to_owned(), "on".to_owned());
    two.blue.add_group_with(tagged, [Models::hook(3600)]).unwrap();
    two.blue.add_group("twins", 3600).unwrap();
    let mut document = two.document();
    document["clusters"]["blue"]["groups"] = json!([GROUP, "tw*"]);
    document["clusters"]["green"]["groups"] = json!(["*ins"]);
    two.say(&document);
    let lambda = two.deploy_with_sweep(&[("SWEEP_LINGER", "2s")]);
    let run = discreet(sweep(lambda).await);
    let (name, told) = failure(&run);
    assert_eq!(name, "ConfigurationError");
    assert!(told.contains("no cluster is that of group orphans"), "{told}");
    assert!(told.contains("group twins is of several clusters, blue and green"), "{told}");
    assert!(!is_held(&two.blue, &blue) && !is_held(&two.blue, &green), "the others were seen through");

    let twin = two.blue.add_worker("twins", 9).unwrap();
    terminate(&two.blue, &twin);
    let run = tell(&two, lambda, &twin).await;
    let (name, told) = failure(&run);
    assert_eq!(name, "ConfigurationError");
    assert!(told.contains("group twins is of several clusters, blue and green"), "{told}");
    assert!(is_held(&two.blue, &twin));
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_group_is_has_to_be_known_before_its_instance_is_let_go() {
    let two = Two::start().await;
    let (_, green) = two.both_ending();
    two.blue.aws.deny("autoscaling:DescribeAutoScalingGroups");
    let lambda = two.deploy(&[]);
    let run = tell(&two, lambda, &green).await;
    let (name, told) = failure(&run);
    assert_eq!(name, "AutoScalingUnavailable");
    assert!(told.contains("autoscaling:DescribeAutoScalingGroups"), "{told}");
    assert!(is_held(&two.blue, &green) && drains(&two) == (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_used_is_told_with_every_problem() {
    let two = Two::start().await;
    let (blue, _) = two.both_ending();
    let mut document = two.document();
    document["clusters"]["green"]["DRAIN_DEADLINE"] = "soon".into();
    document["clusters"]["green"]["NOMAD_TOKEN"] = GREEN_TOKEN.into();
    two.say(&document);
    let lambda = two.deploy(&[]);
    let run = tell(&two, lambda, &blue).await;
    let (name, told) = failure(&run);
    assert_eq!(name, "ConfigurationError");
    for expected in [
        "SSM parameter /clusters has 2 problems: ",
        "cluster green: DRAIN_DEADLINE is \"soon\"",
        "NOMAD_TOKEN does not belong",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    two.say(&two.document());
    assert_eq!(became(&tell(&two, lambda, &blue).await), ("completed", "drained"), "and is read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_not_there_is_named() {
    let two = Two::start().await;
    let (blue, _) = two.both_ending();
    let lambda = deploy(&two.blue, &[("CLUSTERS_PARAMETER", "/elsewhere")]);
    let run = tell(&two, lambda, &blue).await;
    let (name, told) = failure(&run);
    assert_eq!(name, "StoredValueNotFound");
    assert!(told.contains("SSM parameter /elsewhere") && told.contains("CLUSTERS_PARAMETER"), "{told}");
    let test = json!({"Service": "AWS Auto Scaling", "Event": "autoscaling:TEST_NOTIFICATION"});
    assert_eq!(
        became(&invoke_with(lambda, &test).await),
        ("ignored", "test_notification"),
        "it is not needed"
    );
}
