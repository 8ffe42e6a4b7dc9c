//! How long an instance is held: pauses, heartbeats and deadlines.

use std::time::Duration;

use drain_lab::lab::Worker;
use drain_lab::nomad::JobSpec;

use crate::harness::{
    GROUP, assert_released_when_empty, became, deadlines, deploy, deploy_with_sweep, ending,
    heartbeat_timeout, heartbeats, invoke, is_held, lab, lab_before, nomad_calls, present, sweep,
};

#[tokio::test]
async fn pause_is_heartbeats_and_nothing_else() {
    for tag in [false, true] {
        let lab = lab().await;
        heartbeat_timeout(&lab, 300);
        let worker = ending(&lab, 1);
        let variables: &[_] = if tag { &[] } else { &[("PAUSE", "on")] };
        if tag {
            lab.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
        }
        let lambda = deploy_with_sweep(&lab, variables);
        assert_eq!(became(&sweep(lambda).await), ("held", "paused"));
        assert_eq!(became(&invoke(&lab, lambda, &worker).await), ("held", "paused"));
        assert!(heartbeats(&lab, &worker) >= 1);
        assert_eq!(nomad_calls(&lab), Vec::<String>::new());
        assert!(is_held(&lab, &worker));
    }
}

#[tokio::test]
async fn when_the_pause_is_over_the_instance_is_finished() {
    let lab = lab().await;
    lab.aws.set_tag(GROUP, "nomad-drain-hold", Some("on")).unwrap();
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    lab.aws.set_tag(GROUP, "nomad-drain-hold", None).unwrap();
    sweep(lambda).await;
    assert_released_when_empty(&lab, &worker);
}

#[tokio::test]
async fn the_deadline_is_cut_to_what_the_hook_can_still_be_held() {
    let lab = lab_before(Duration::from_mins(4)).await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let _time = present(&lab);
    // 100 × 300 s, of which four minutes are over, less KILL_GRACE.
    let run = invoke(&lab, deploy_with_sweep(&lab, &[("DRAIN_DEADLINE", "10h")]), &worker).await;
    assert_eq!(became(&run), ("drain_started", "drain_posted"));
    let minutes = deadlines(&lab)[0] / 60_000_000_000;
    assert!((493..=494).contains(&minutes), "{minutes}");
    let said = |line: &str| line.contains("not DRAIN_DEADLINE's 10h") && line.contains("cannot be held");
    assert!(run.log.iter().any(|line| said(&line.text)), "{:#?}", run.log);
}

#[tokio::test]
async fn without_a_sweep_the_deadline_is_what_was_asked_for() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    invoke(&lab, deploy(&lab, &[("DRAIN_DEADLINE", "10h"), ("EVENT_LINGER", "200ms")]), &worker).await;
    assert_eq!(deadlines(&lab), [36_000_000_000_000]);
}

#[tokio::test]
async fn heartbeats_are_spread_over_the_minutes_and_sent_once_in_each() {
    let lab = lab().await;
    lab.nomad.add_job(JobSpec::batch("report", 30));
    let workers: Vec<Worker> = (1..=30).map(|number| ending(&lab, number)).collect();
    let lambda = deploy_with_sweep(&lab, &[]);
    sweep(lambda).await;
    let probes: usize = workers.iter().map(|worker| heartbeats(&lab, worker)).sum();
    assert_eq!(probes, 30, "each is probed once");
    sweep(lambda).await;
    let scheduled = workers.iter().map(|worker| heartbeats(&lab, worker)).sum::<usize>() - probes;
    // A time-out of an hour is a heartbeat every 20 minutes.
    assert!(scheduled <= 10, "{scheduled} of 30");
}

#[tokio::test]
async fn a_hook_of_five_minutes_gets_a_heartbeat_in_every_minute() {
    let lab = lab().await;
    heartbeat_timeout(&lab, 300);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let lambda = deploy_with_sweep(&lab, &[]);
    invoke(&lab, lambda, &worker).await;
    let before = heartbeats(&lab, &worker);
    sweep(lambda).await;
    let sent = heartbeats(&lab, &worker) - before;
    // Two if the minute changes meanwhile.
    assert!((1..=2).contains(&sent), "{sent} in one sweep of several looks");
}

#[tokio::test]
async fn past_max_hold_no_heartbeat_is_sent_and_the_hook_decides() {
    let lab = lab_before(Duration::from_mins(90)).await;
    heartbeat_timeout(&lab, 7200);
    lab.nomad.add_job(JobSpec::batch("report", 1));
    let worker = ending(&lab, 1);
    let _time = present(&lab);
    let lambda = deploy_with_sweep(&lab, &[("MAX_HOLD", "1h")]);
    sweep(lambda).await;
    let before = heartbeats(&lab, &worker);
    assert_eq!(became(&sweep(lambda).await), ("left_to_hook", "max_hold_reached"));
    assert_eq!(heartbeats(&lab, &worker), before);
    assert!(is_held(&lab, &worker));
}
