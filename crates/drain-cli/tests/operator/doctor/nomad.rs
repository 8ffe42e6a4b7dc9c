//! Nomad: reachable, led, and new enough.

use drain_lab::nomad::Quirks;

use super::Clinic;

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_an_error_and_nothing_else_is_said_of_it() {
    let clinic = Clinic::open().await;
    clinic.stage.nomad.set_unreachable(true);
    let examined = clinic.examine().await;
    examined.complains_of(&["nomad-unreachable", "skipped", "skipped"], 1);
    assert!(examined.said("nomad-unreachable").contains("NOMAD_ADDR"), "{examined:?}");
}

#[tokio::test]
async fn a_cluster_without_a_leader_is_an_error() {
    let clinic = Clinic::open().await;
    clinic.stage.nomad.lose_leader(None);
    let examined = clinic.examine().await;
    examined.complains_of(&["nomad-no-leader", "skipped", "skipped"], 1);
    assert!(examined.said("nomad-no-leader").contains("nomad operator raft list-peers"));
}

#[tokio::test]
async fn servers_that_are_too_old_are_told() {
    let clinic = Clinic::open().await;
    clinic.stage.nomad.set_quirks(Quirks { version: "1.5.17", ..Quirks::default() });
    clinic.examine().await.complains_of(&["nomad-version-partly"], 0);
    clinic.stage.nomad.set_quirks(Quirks { version: "1.2.6", ..Quirks::default() });
    clinic.examine().await.complains_of(&["nomad-too-old"], 1);
}

#[tokio::test]
async fn an_address_of_something_else_is_told() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("NOMAD_ADDR", &clinic.stage.aws_url());
    let examined = clinic.examine().await;
    assert!(examined.complaints().contains(&"nomad-unreachable"), "{examined:?}");
    assert_eq!(examined.status, 1);
}
