//! Queues and dead letters.

use std::time::Duration;

use drain_lab::lab::Route;

use super::provoke::provoke;

/// What the doctor says of the queue.
fn of_queue(code: &str) -> String {
    format!("{code} nomad-drain")
}

#[tokio::test]
async fn a_visibility_time_out_has_to_be_six_times_the_functions() {
    let route = Route::HookToQueue;
    let short = of_queue("queue-visibility-short");
    let set = |seconds| Duration::from_secs(seconds);
    provoke(route, |one| one.deployment.set_visibility_timeout(set(89)), &[&short]).await;
    provoke(route, |one| one.deployment.set_visibility_timeout(set(90)), &[]).await;
    provoke(route, |one| one.deployment.set_timeout(set(16)), &[&short]).await;
}

#[tokio::test]
async fn a_queue_has_to_give_messages_up_in_time_and_not_too_soon() {
    for route in [Route::HookToQueue, Route::TopicToQueue, Route::RuleToQueue] {
        let lost = of_queue("queue-without-dead-letters");
        provoke(route, |one| one.deployment.remove_dead_letter_queue(), &[&lost]).await;
        let early = of_queue("queue-gives-up-early");
        provoke(route, |one| one.deployment.set_max_receive_count(1), &[&early]).await;
    }
}

#[tokio::test]
async fn what_a_queue_gives_up_has_to_have_somewhere_to_go() {
    let gone = of_queue("dead-letter-queue-missing");
    provoke(Route::HookToQueue, |one| one.deployment.delete_dead_letter_queue(), &[&gone]).await;
}

#[tokio::test]
async fn events_that_lambda_gives_up_have_to_go_somewhere() {
    let lost = of_queue("function-without-dead-letters");
    provoke(Route::TopicToFunction, |one| one.deployment.drop_failed_events(), &[&lost]).await;
}
