//! What we rely on in Nomad, as one set of tests for two clusters: the lab's, always, and a real one where a `nomad` is
//! found. Where the two differ, the lab is wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod drains;
mod gone;
mod outage;
mod reads;
mod slow;
mod stage;

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use drain_lab::real_nomad::{Cluster, find};
use tokio::sync::RwLock;

use self::stage::{Real, Stage};

/// Names the tests of each lane. In a lane one follows the other on the same nodes; lanes run side by side, so that the
/// one that waits holds nobody up. On the lab's cluster each test is alone.
macro_rules! contract {
    ($($lane:ident: [$($test:ident,)+],)+) => {
        mod emulated {
            $($(
                #[tokio::test]
                async fn $test() {
                    super::$lane::$test(&super::Stage::emulated().await).await;
                }
            )+)+
        }

        $(
            async fn $lane(stage: &Stage) {
                $(
                    let began = Instant::now();
                    stage.clear().await;
                    $lane::$test(stage).await;
                    say(&format!("contract: {} holds ({:.1} s)", stringify!($test), began.elapsed().as_secs_f32()));
                )+
            }
        )+
    };
}

contract! {
    drains: [
        an_empty_node_is_drained_at_once,
        a_second_request_moves_the_deadline_and_nothing_else,
        an_operator_may_cancel,
        an_only_allocation_moves_although_nothing_stands_in_for_it,
        no_more_allocations_move_at_a_time_than_the_job_permits,
        system_jobs_leave_last_or_stay,
        a_batch_job_that_ends_by_itself_ends_the_drain,
        a_sysbatch_job_is_waited_for_and_its_end_is_overlooked,
    ],
    slow: [
        a_batch_job_may_go_on_until_the_deadline,
        a_deadline_below_zero_is_now_and_zero_is_never,
        a_task_is_left_alone_for_its_shutdown_delay,
        a_task_that_ignores_its_signal_outlives_the_drain,
        a_drain_waits_for_a_task_that_takes_its_time_to_stop,
    ],
    gone: [
        what_ran_on_a_client_that_dies_is_lost,
        a_node_that_is_down_can_be_drained,
        a_node_whose_client_lives_comes_back_from_a_purge_as_a_new_one,
        a_node_that_is_down_is_purged_for_good,
    ],
    reads: [
        nodes_are_found_by_instance_though_others_lack_the_attribute,
        two_nodes_may_name_one_instance,
        a_read_waits_for_the_next_change,
        a_token_without_read_job_sees_an_empty_node,
        a_token_that_has_ended_is_refused,
        a_token_is_told_who_it_is,
        each_rule_of_the_policy_is_needed,
    ],
    outage: [
        a_drain_survives_its_servers,
    ],
}

#[tokio::test]
async fn a_real_cluster_keeps_the_contract() {
    if cfg!(not(target_os = "linux")) {
        return say(
            "contract: real Nomad skipped: it knows only Linux's way to have many addresses on loopback",
        );
    }
    let Some(nomad) = find(|name| std::env::var_os(name)) else {
        return say("contract: real Nomad skipped: there is no nomad on PATH, and NOMAD_BIN is not set");
    };
    let began = Instant::now();
    let real = start(&nomad).await;
    let agent = real.cluster.read().await.get("/v1/agent/self").await.unwrap();
    let version = agent["config"]["Version"]["Version"].as_str().unwrap().to_owned();
    say(&format!("contract: Nomad {version} with 9 clients ({:.1} s)", began.elapsed().as_secs_f32()));
    let stages = [real.stage(&[0, 1]), real.stage(&[2, 3]), real.stage(&[4, 5]), real.stage(&[6, 7, 8])];
    tokio::join!(drains(&stages[0]), slow(&stages[1]), gone(&stages[2]), reads(&stages[3]));
    // Alone: it takes the servers away from everybody.
    outage(&stages[0]).await;
}

/// Nine clients. The last but one runs on the instance of the one before, and the last knows of no instance.
async fn start(nomad: &Path) -> Real {
    let mut cluster = Cluster::start(nomad).await.unwrap();
    let mut instances = Vec::new();
    for number in 1..=9 {
        let id = (number < 9).then(|| format!("i-{:017x}", number.min(7)));
        cluster.start_client(number, id.as_deref()).await.unwrap();
        instances.push(id);
    }
    let ids = cluster.ready().await.unwrap();
    Real::new(RwLock::new(cluster), ids.into_iter().zip(instances).collect()).await
}

/// Says it even though the test passes: the test harness holds back what the print macros print, and no more.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
