//! A deployment of a lab: right by every route, and broken one thing at a time.

use super::*;
use crate::aws::deployed::Metric;
use crate::clock::Clock;
use crate::lambda::tests::echo_runtime;

const GROUP: &str = "workers";

async fn lab() -> Lab {
    let lab = Lab::start(Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap())).await.unwrap();
    lab.add_group(GROUP, 3600).unwrap();
    lab
}

/// Where the hook's news go, and on until the function, as far as the description says.
fn path(lab: &Lab) -> Vec<String> {
    let deployed = lab.aws.deployed();
    let hook = &lab.aws.lifecycle_hooks(GROUP)[0];
    let mut path: Vec<String> = hook.target.arn().into_iter().map(str::to_owned).collect();
    if path.is_empty() {
        path.extend(deployed.rules[HOOK_RULE].targets.iter().map(|target| target.arn.clone()));
    }
    if let Some(topic) = path.last().and_then(|arn| deployed.topics.get(arn)) {
        path.extend(topic.subscriptions.iter().map(|one| one.endpoint.clone()));
    }
    let functions = deployed.functions.values();
    let reads = |function: &&DeployedFunction| {
        function.event_sources.iter().any(|source| path.last() == Some(&source.queue_arn))
    };
    let readers: Vec<String> =
        functions.filter(reads).map(|function| function_arn(lab.aws.account(), &function.name)).collect();
    path.extend(readers);
    path
}

#[tokio::test]
async fn by_every_route_the_hook_reaches_the_function() {
    for route in Route::ALL {
        let lab = lab().await;
        let deployment = lab.deployed_by(route);
        let path = path(&lab);
        assert_eq!(path.last(), Some(&deployment.function_arn()), "{route:?}: {path:?}");
        assert_eq!(path.contains(&deployment.queue_arn()), route.has_queue(), "{route:?}: {path:?}");
        let deployed = lab.aws.deployed();
        let policy = if route.has_queue() {
            &deployed.queues["nomad-drain"].policy
        } else {
            &deployed.functions["nomad-drain"].policy
        };
        // The hook's own role needs nobody's policy.
        assert_eq!(policy.is_empty(), route == Route::HookToQueue, "{route:?}");
    }
}

#[tokio::test]
async fn the_description_is_that_of_what_the_lab_hosts() {
    let lab = lab().await;
    let mut function = lab.function(&echo_runtime());
    function.timeout = Duration::from_secs(7);
    lab.deliver_by(Route::HookToQueue);
    lab.deploy(function);
    let deployment = lab.deployed();
    let deployed = lab.aws.deployed();
    assert_eq!(deployed.functions["nomad-drain"].timeout, Duration::from_secs(7));
    assert_eq!(deployed.functions["nomad-drain"].environment["AUTO_SCALING_GROUPS"], GROUP);
    assert_eq!(deployment.sweeper_arn(), deployment.function_arn(), "one function does both");
    assert!(deployed.queues["nomad-drain"].hosted.is_some());
    let runs = |lab: &Lab| {
        let range = ("2025-12-31T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
        let metric = Metric::OfFunction("nomad-drain", "Invocations");
        let counted = lab.aws.deployed().counted(metric, range, SignedDuration::from_mins(1));
        counted.values().map(|counted| counted.samples).sum::<u32>()
    };
    let before = runs(&lab);
    lab.sweep().await.unwrap();
    assert_eq!(runs(&lab), before + 1, "what runs is counted");
}

#[tokio::test]
async fn what_is_broken_is_broken_and_nothing_else() {
    let lab = lab().await;
    lab.deployed().unsubscribe();
    assert_eq!(path(&lab), [TOPIC]);
    let deployment = lab.deployed();
    deployment.stop_sweeping_for(Duration::from_mins(3));
    let runs = lab.aws.deployed().functions["nomad-drain-sweep"].runs.clone();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| lab.clock.now().duration_since(run.at) >= SignedDuration::from_mins(3)));
    deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 30);
    assert_eq!(lab.aws.lifecycle_hooks(GROUP)[0].heartbeat_timeout, 30);
    assert_eq!(path(&lab).last(), Some(&deployment.function_arn()));
}
