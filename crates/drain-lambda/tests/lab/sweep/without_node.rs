//! Instances that have no node, or none yet.

use std::time::Duration;

use drain_lab::lab::Lab;
use drain_lab::lambda::InvocationRecord;
use drain_lab::nomad::NodeSpec;
use jiff::SignedDuration;

use crate::harness::{
    GROUP, became, count, deploy_with_sweep, function, invoke, lab, lab_before, present, sweep, terminate,
    warnings,
};

/// Sweeps over an instance that has no node, and that the hook has held for so long.
async fn sweep_without_node(
    since: Duration,
    variables: &[(&str, &str)],
    prepare: impl Fn(&Lab),
) -> (Lab, InvocationRecord) {
    let lab = lab_before(since).await;
    let never = lab.clock.now() + SignedDuration::from_hours(9);
    let worker = lab.add_late_worker(GROUP, 1, never).unwrap();
    terminate(&lab, &worker);
    prepare(&lab);
    let _time = present(&lab);
    let mut all = vec![("NODE_LOOKUP", "server")];
    all.extend(variables);
    let run = sweep(deploy_with_sweep(&lab, &all)).await;
    (lab, run)
}

#[tokio::test]
async fn the_scaling_activity_says_since_when_an_instance_without_a_node_is_held() {
    let minutes = Duration::from_mins;
    let (lab, run) = sweep_without_node(minutes(6), &[], |_| {}).await;
    assert_eq!(became(&run), ("completed", "node_not_found"));
    assert_eq!(count(&lab, "DescribeScalingActivities"), 1);
    let (_, run) = sweep_without_node(minutes(4), &[], |_| {}).await;
    assert_eq!(became(&run), ("held", "waiting_for_node"));
    let (_, run) = sweep_without_node(minutes(6), &[("ON_NODE_NOT_FOUND", "hold")], |_| {}).await;
    assert_eq!(became(&run), ("held", "held_without_node"));
    let (_, run) = sweep_without_node(minutes(6), &[("ON_NODE_NOT_FOUND", "abandon")], |_| {}).await;
    assert_eq!(became(&run), ("abandoned", "node_not_found"));
}

#[tokio::test]
async fn an_instance_without_a_node_whose_start_nobody_tells_is_left_to_the_hook() {
    let deny = |lab: &Lab| lab.aws.deny("autoscaling:DescribeScalingActivities");
    let (lab, run) = sweep_without_node(Duration::from_mins(6), &[], deny).await;
    assert_eq!(became(&run), ("left_to_hook", "hook_start_unknown"));
    assert!(warnings(&run).iter().any(|warning| warning.contains("autoscaling:DescribeScalingActivities")));
    assert_eq!(count(&lab, "CompleteLifecycleAction"), 0);
}

#[tokio::test]
async fn an_event_for_an_instance_whose_node_has_not_joined_is_left_to_the_sweep() {
    let lab = lab().await;
    let never = lab.clock.now() + SignedDuration::from_hours(9);
    let worker = lab.add_late_worker(GROUP, 1, never).unwrap();
    terminate(&lab, &worker);
    let mut settings =
        function(&lab, &[("SWEEP", "on"), ("AUTO_SCALING_GROUPS", GROUP), ("NODE_LOOKUP", "server")]);
    settings.timeout = Duration::from_secs(5);
    settings.env.insert("EVENT_LINGER".to_owned(), "300ms".to_owned());
    let lambda = lab.deploy(settings);
    assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("held", "waiting_for_node"));
    lab.nomad.add_node(NodeSpec::new(&worker.name).instance_id(&worker.instance_id));
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
}
