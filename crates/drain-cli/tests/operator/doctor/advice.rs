//! What makes no drain fail, and is worth knowing.

use drain_lab::aws::GroupSettings;
use drain_lab::lab::Route;

use super::Clinic;
use super::provoke::{HOOK, complaints_of, provoke};
use crate::stage::GROUP;

#[tokio::test]
async fn a_group_that_retains_what_is_abandoned_is_told_of() {
    let complaint = format!("abandon-retains {HOOK}");
    let retains = |one: &Clinic| {
        one.stage.aws.create_group(GroupSettings::named(GROUP).retaining());
        one.deployment.set_variable("ON_DRAIN_TIMEOUT", "abandon");
    };
    provoke(Route::TopicToFunction, retains, &[&complaint]).await;
}

#[tokio::test]
async fn a_cluster_without_acls_is_told_of() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.stage.nomad.disable_acl();
    let examined = clinic.examine().await;
    assert_eq!((examined.complaints(), examined.status), (vec!["acl-disabled"], 0));
    assert!(examined.said("acl-disabled").contains("NOMAD_ACL=off"), "{examined:?}");
}

#[tokio::test]
async fn a_token_that_travels_over_plain_http_is_told_of() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    // Every address of this machine, and no name of the loopback network.
    let address = clinic.stage.nomad_url().replace("127.0.0.1", "0.0.0.0");
    clinic.deployment.set_variable("NOMAD_ADDR", &address);
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), [format!("nomad-plain-http {address}")]);
}

#[tokio::test]
async fn a_variable_that_does_nothing_is_told_of() {
    let clinic = Clinic::by(Route::TopicToFunction).await;
    clinic.deployment.set_variable("SWEEP", "off");
    clinic.deployment.set_variable("MAX_DRAINS_PER_GROUP", "3");
    let examined = clinic.examine().await;
    assert!(examined.said("configuration-advice").starts_with("MAX_DRAINS_PER_GROUP\n"), "{examined:?}");
}
