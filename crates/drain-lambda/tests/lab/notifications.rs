//! Notifications: to a topic and to a webhook, once for each change, and never in the way.

use std::time::Duration;

use drain_lab::aws::{ParameterType, Published};
use drain_lab::faults::Fault;
use drain_lab::journal::System;
use drain_lab::lab::Lab;
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::webhook::{SECRET_PATH, Webhook};
use serde_json::{Value, json};

use crate::harness::{
    GROUP, became, completions, count, deploy, deploy_with_sweep, ending, failure, invoke, invoke_with, lab,
    message_of, slow_service, sweep, terminate, warnings,
};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:ops";
const ADDRESS: &str = "/nomad-drain/webhook";

/// A lab with a webhook whose address is kept in a parameter.
async fn with_webhook() -> (Lab, Webhook) {
    let lab = lab().await;
    let webhook = Webhook::start().await.unwrap();
    lab.aws.put_parameter(ADDRESS, ParameterType::SecureString, &webhook.address());
    lab.aws.create_topic(TOPIC);
    (lab, webhook)
}

/// A function that tells both of them.
fn telling<'lab>(lab: &'lab Lab, variables: &[(&str, &str)]) -> &'lab Lambda {
    deploy(lab, &[&[("NOTIFY_TOPIC_ARN", TOPIC), ("NOTIFY_WEBHOOK_PARAMETER", ADDRESS)], variables].concat())
}

fn discreet(run: &InvocationRecord) {
    assert!(!format!("{run:?}").contains(SECRET_PATH), "the webhook's address was printed: {run:?}");
}

fn texts(webhook: &Webhook) -> Vec<String> {
    let bodies = webhook.told().into_iter().map(|body| serde_json::from_str::<Value>(&body).unwrap());
    bodies.map(|body| body["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_drain_is_told_when_it_starts_and_when_it_has_finished() {
    let (lab, webhook) = with_webhook().await;
    let lambda = telling(&lab, &[]);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_secs(1)));
    terminate(&lab, &worker);
    let event = message_of(&lab, &worker);
    let run = invoke_with(lambda, &event).await;
    assert_eq!(became(&run), ("completed", "drained"));
    discreet(&run);
    let whom = format!("{} [group {GROUP}, node {}]", worker.instance_id, worker.node_id);
    let expected = [format!("Drain started: {whom}"), format!("Drained and released: {whom}")];
    let published = lab.aws.published();
    assert_eq!(published.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), expected);
    let Published { topic, subject, event: word, .. } = &published[0];
    assert_eq!(
        (topic.as_str(), subject.as_str(), word.as_str()),
        (TOPIC, "nomad-drain: drain started", "started")
    );
    assert_eq!(texts(&webhook), expected.map(|text| format!("nomad-drain: {text}")));
    // Again: there is no change.
    invoke_with(lambda, &event).await;
    assert_eq!((lab.aws.published().len(), webhook.told().len()), (2, 2));
}

#[tokio::test]
async fn work_that_was_cut_off_is_told_as_what_it_is() {
    let (lab, webhook) = with_webhook().await;
    let lambda = telling(&lab, &[("DRAIN_DEADLINE", "1s"), ("KILL_GRACE", "1s"), ("MAX_HOLD", "1h")]);
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_hours(1)));
    terminate(&lab, &worker);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&run), ("completed", "drain_timeout"));
    let texts = texts(&webhook);
    assert!(texts.last().unwrap().contains("Drain timed out, released with work still running"), "{texts:?}");
}

#[tokio::test]
async fn a_drain_that_cannot_be_started_is_told_once_however_often_lambda_tries() {
    let (lab, webhook) = with_webhook().await;
    let lambda = telling(&lab, &[("NOMAD_TOKEN", "00000000-1111-2222-3333-444444444444")]);
    let worker = ending(&lab, 1);
    let mut event = message_of(&lab, &worker);
    for attempt in 0..3 {
        // Lambda tries again one and three minutes later.
        let age = jiff::SignedDuration::from_secs([1, 62, 185][attempt]);
        event["Time"] = format!("{:.3}", jiff::Timestamp::now() - age).into();
        let run = invoke_with(lambda, &event).await;
        assert_eq!(failure(&run).0, "NomadTokenRefused");
        discreet(&run);
    }
    let texts = texts(&webhook);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("Drain could not be started") && texts[0].ends_with("(NomadTokenRefused)"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn who_does_not_answer_neither_delays_a_drain_nor_fails_an_invocation() {
    let (lab, webhook) = with_webhook().await;
    webhook.hang();
    lab.faults.inject(System::Sns, &Fault::Hang, 8);
    let lambda = telling(&lab, &[]);
    let worker = ending(&lab, 1);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    let completed =
        lab.journal.entries().into_iter().find(|entry| entry.what == "CompleteLifecycleAction").unwrap();
    let told = lab.journal.entries().into_iter().filter(|entry| entry.what == "Publish").nth(1).unwrap();
    assert!(completed.at < told.at, "nothing waited for the second attempt");
    assert_eq!(completions(&lab, &worker).len(), 1);
    let said = warnings(&run);
    assert!(said.iter().any(|line| line.contains("could not be published to arn:aws:sns")), "{said:?}");
    assert!(
        said.iter().any(|line| line.contains("could not be sent to the webhook of SSM parameter")),
        "{said:?}"
    );
    discreet(&run);
    assert!(run.log.iter().any(|line| line.text.contains("\"NotificationsFailed\":")), "{:?}", run.log);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_a_server_error_is_once() {
    for (status, attempts) in [(404, 1), (500, 2)] {
        let (lab, webhook) = with_webhook().await;
        webhook.answer_with(status);
        let lambda = deploy(&lab, &[("NOTIFY_WEBHOOK_PARAMETER", ADDRESS)]);
        let worker = ending(&lab, 1);
        let run = invoke(&lab, lambda, &worker).await;
        assert_eq!(became(&run), ("completed", "drained"));
        assert!(
            warnings(&run).iter().any(|line| line.contains(&format!("it answered {status}"))),
            "{:?}",
            warnings(&run)
        );
        let first = texts(&webhook).into_iter().filter(|text| text.contains("Drain started")).count();
        assert_eq!(first, attempts, "{status}");
    }
}

#[tokio::test]
async fn what_the_role_may_not_do_is_a_warning() {
    let (lab, _webhook) = with_webhook().await;
    lab.aws.deny("sns:Publish");
    let run = invoke(&lab, telling(&lab, &[]), &ending(&lab, 1)).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert!(
        warnings(&run).iter().any(|line| line.contains("sns:Publish was refused")),
        "{:?}",
        warnings(&run)
    );
}

#[tokio::test]
async fn a_sweep_tells_of_many_in_few_messages() {
    let (lab, webhook) = with_webhook().await;
    let lambda = deploy_with_sweep(&lab, &[("NOTIFY_WEBHOOK_PARAMETER", ADDRESS), ("SWEEP_LINGER", "1s")]);
    lab.nomad.add_job(drain_lab::nomad::JobSpec::system("logs").stop_takes(Duration::from_hours(1)));
    for worker in lab.add_workers(GROUP, 30).unwrap() {
        terminate(&lab, &worker);
    }
    let run = sweep(lambda).await;
    assert_eq!(run.outcome.response().unwrap()["held"], 30);
    assert_eq!(count(&lab, crate::harness::POST), 30);
    let told = texts(&webhook);
    assert!((1..=15).contains(&told.len()), "{} messages", told.len());
    let named: usize = told.iter().map(|text| text.matches("i-").count()).sum();
    let more: usize = told
        .iter()
        .filter_map(|text| text.split("and ").nth(1)?.split(' ').next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(named + more, 30, "{told:?}");
}

#[tokio::test]
async fn an_address_has_to_be_kept_and_not_given() {
    let lab = lab().await;
    let secret = format!("https://hooks.example/{SECRET_PATH}");
    let lambda = deploy(&lab, &[("NOTIFY_WEBHOOK_PARAMETER", &secret), ("NOTIFY_TOPIC_ARN", "ops")]);
    let run = invoke_with(lambda, &json!({"action": "sweep"})).await;
    let (error, message) = failure(&run);
    assert_eq!(error, "ConfigurationError");
    assert!(message.contains("NOTIFY_WEBHOOK_PARAMETER looks like an address"), "{message}");
    assert!(message.contains("NOTIFY_TOPIC_ARN is not the ARN of an SNS topic"), "{message}");
    discreet(&run);
}
