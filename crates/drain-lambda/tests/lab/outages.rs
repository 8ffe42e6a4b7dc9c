//! What fails while the sweep works: everything that it holds is kept alive, and made up for.

use drain_lab::aws::GroupSettings;
use drain_lab::faults::Fault;
use drain_lab::lab::{Lab, TOKEN};
use drain_lab::nomad::Token;

use crate::harness::{
    GROUP, HEARTBEAT, assert_released_when_empty, became, completions, deploy_with_sweep, ending, failure,
    heartbeat_timeout, heartbeats, is_held, lab, posts, sweep, warnings,
};

/// Sweeps while something is wrong, and once more when it is not; in between the instance is held, and kept alive.
async fn survives(wrong: impl AsyncFn(&Lab, bool)) -> (String, String) {
    let lab = lab().await;
    heartbeat_timeout(&lab, 300);
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    wrong(&lab, true).await;
    let run = sweep(lambda).await;
    let (outcome, reason) = became(&run);
    assert!(is_held(&lab, &worker));
    assert!(heartbeats(&lab, &worker) >= 1, "not kept alive");
    wrong(&lab, false).await;
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
    (outcome.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn an_outage_of_nomad_is_survived() {
    let reported = survives(async |lab, wrong| lab.nomad.set_unreachable(wrong)).await;
    assert_eq!(reported, ("held".to_owned(), "nomad_unreachable".to_owned()));
}

#[tokio::test]
async fn a_cluster_without_a_leader_is_survived() {
    let reported = survives(
        async |lab, wrong| if wrong { lab.nomad.lose_leader(None) } else { lab.nomad.elect_leader() },
    );
    assert_eq!(reported.await, ("held".to_owned(), "no_cluster_leader".to_owned()));
}

#[tokio::test]
async fn a_refused_token_is_survived() {
    let reported = survives(async |lab, wrong| {
        if wrong {
            lab.nomad.delete_token(TOKEN);
        } else {
            lab.nomad.add_token(Token::client(TOKEN, &["nomad-drain"]));
        }
    });
    assert_eq!(reported.await, ("held".to_owned(), "nomad_token_refused".to_owned()));
}

#[tokio::test]
async fn a_token_that_may_not_be_read_is_survived() {
    let reported =
        survives(
            async |lab, wrong| {
                if wrong { lab.aws.deny("ssm:GetParameter") } else { lab.aws.allow("ssm:GetParameter") }
            },
        );
    assert_eq!(reported.await, ("held".to_owned(), "nomad_token_refused".to_owned()));
}

#[tokio::test]
async fn auto_scaling_that_asks_for_fewer_calls_is_asked_again() {
    let lab = lab().await;
    let worker = ending(&lab, 1);
    for operation in
        ["DescribeAutoScalingGroups", "DescribeLifecycleHooks", HEARTBEAT, "CompleteLifecycleAction"]
    {
        lab.faults.inject(operation, &Fault::Throttled, 2);
    }
    assert_eq!(
        became(&sweep(deploy_with_sweep(&lab, &[("SWEEP_LINGER", "8s")])).await),
        ("completed", "drained")
    );
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn a_completion_that_auto_scaling_does_not_take_is_made_up_by_the_next_sweep() {
    let lab = lab().await;
    lab.faults.always("CompleteLifecycleAction", &Fault::Throttled);
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    assert_eq!(became(&sweep(lambda).await), ("held", "auto_scaling_unavailable"));
    lab.faults.clear();
    assert_eq!(became(&sweep(lambda).await), ("completed", "drained"));
    assert_eq!((completions(&lab, &worker).len(), posts(&lab)), (1, 1));
}

#[tokio::test]
async fn a_sweep_that_may_not_list_groups_fails_with_the_statement() {
    let lab = lab().await;
    lab.aws.deny("autoscaling:DescribeAutoScalingGroups");
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    let (error_type, message) = failure(&run);
    assert_eq!(error_type, "AutoScalingUnavailable");
    assert!(message.contains("autoscaling:DescribeAutoScalingGroups"), "{message}");
}

#[tokio::test]
async fn what_the_role_may_not_do_is_one_warning_each_and_the_rest_is_done() {
    let lab = lab().await;
    lab.aws.create_group(GroupSettings::named(GROUP).with_warm_pool());
    let actions = ["DescribeLifecycleHooks", "DescribeWarmPool", "DescribeScalingActivities", HEARTBEAT];
    for action in &actions {
        lab.aws.deny(&format!("autoscaling:{action}"));
    }
    let workers = [ending(&lab, 1), ending(&lab, 2)];
    let run = sweep(deploy_with_sweep(&lab, &[])).await;
    for worker in &workers {
        assert_released_when_empty(&lab, worker);
    }
    let warnings = warnings(&run);
    for action in actions {
        let statement = format!(r#""Action":"autoscaling:{action}""#);
        let of_it = warnings.iter().filter(|warning| warning.contains(&statement)).count();
        assert_eq!(of_it, 1, "{action}: {warnings:#?}");
    }
}
