//! At DEBUG the log holds every decision with all that it was made of.

use std::time::Duration;

use drain_core::record::Record;
use drain_lab::lambda::InvocationRecord;
use serde_json::Value;

use crate::harness::{GROUP, became, deploy, invoke, lab, slow_service, terminate};

/// The records in the log of an invocation, as text. They come as an operator would find them: at the end of a line of text,
/// or in a field of a line of JSON.
fn records(run: &InvocationRecord) -> Vec<String> {
    let lines = run.log.iter().map(|line| line.text.as_str());
    lines
        .filter_map(|line| match serde_json::from_str::<Value>(line) {
            Ok(line) => line["record"].as_str().map(str::to_owned),
            Err(_) => line.split_once(" record=").map(|(_, record)| record.to_owned()),
        })
        .collect()
}

async fn drained(variables: &[(&str, &str)]) -> (InvocationRecord, String) {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_millis(300)));
    terminate(&lab, &worker);
    let lambda = deploy(&lab, variables);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    (run, worker.instance_id)
}

#[tokio::test]
async fn every_decision_can_be_made_again_from_the_log() {
    for format in ["Text", "JSON"] {
        let (run, instance) =
            drained(&[("AWS_LAMBDA_LOG_LEVEL", "DEBUG"), ("AWS_LAMBDA_LOG_FORMAT", format)]).await;
        let records: Vec<Record> = records(&run)
            .iter()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
            .collect();
        let mut decisions = Vec::new();
        for record in &records {
            assert_eq!(record.decide(), record.decision, "{record:?}");
            assert_eq!(record.observation.target.instance.as_str(), instance);
            decisions.push(format!("{:?}", record.decision));
        }
        assert!(decisions.first().is_some_and(|first| first.starts_with("Act(Drain(")), "{decisions:#?}");
        assert!(decisions.last().is_some_and(|last| last.starts_with("Act(Complete")), "{decisions:#?}");
        assert!(decisions.iter().any(|one| one.contains("AllocationsRunning")), "{decisions:#?}");
        // One that repeats the decision before it is left out.
        assert!(decisions.windows(2).all(|two| two[0] != two[1]), "{decisions:#?}");
    }
}

#[tokio::test]
async fn at_info_nothing_is_written_down() {
    let (run, _) = drained(&[("AWS_LAMBDA_LOG_LEVEL", "INFO"), ("RUST_LOG", "info")]).await;
    assert_eq!(records(&run), Vec::<String>::new());
}
