//! Certificates: theirs and ours.

use drain_lab::Face;
use drain_lab::authority::{Authority, Certificate};
use drain_lab::aws::ParameterType;
use jiff::{SignedDuration, Timestamp};

use super::{Clinic, Examination};

const SERVER: &str = "server.global.nomad";

/// A clinic whose Nomad is reached over TLS, with a certificate of its own authority.
struct Secure {
    clinic: Clinic,
    authority: Authority,
    _face: Face,
}

impl Secure {
    async fn with(issue: impl FnOnce(&Authority) -> Certificate, demands: bool) -> Self {
        let clinic = Clinic::open().await;
        let authority = Authority::new("Nomad Agent CA").unwrap();
        let tls = authority.server(&issue(&authority), demands).unwrap();
        let face = clinic.stage.nomad.serve_tls(&tls).await.unwrap();
        clinic.deployment.set_variable("NOMAD_ADDR", &face.url());
        clinic.deployment.set_variable("NOMAD_TLS_SERVER_NAME", SERVER);
        clinic.deployment.set_variable("NOMAD_CACERT_PARAMETER", "/nomad/ca");
        clinic.stage.aws.put_parameter("/nomad/ca", ParameterType::String, authority.pem());
        Self { clinic, authority, _face: face }
    }

    /// Shows this certificate to the servers.
    fn show(&self, ours: &Certificate) {
        let aws = &self.clinic.stage.aws;
        aws.put_parameter("/nomad/cert", ParameterType::String, &ours.pem);
        aws.put_parameter("/nomad/key", ParameterType::SecureString, &ours.key_pem);
        self.clinic.deployment.set_variable("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert");
        self.clinic.deployment.set_variable("NOMAD_CLIENT_KEY_PARAMETER", "/nomad/key");
    }

    async fn examine(&self) -> Examination {
        self.clinic.examine().await
    }
}

fn good(authority: &Authority) -> Certificate {
    authority.issue(&[SERVER, "127.0.0.1"]).unwrap()
}

fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

#[tokio::test]
async fn a_certificate_is_told_with_its_names_its_issuer_and_its_end() {
    let secure =
        Secure::with(|authority| authority.issue_until(&[SERVER, "127.0.0.1"], in_days(90)).unwrap(), false)
            .await;
    let examined = secure.examine().await;
    examined.complains_of(&[], 0);
    let said = examined.said("certificate");
    let end = in_days(90).to_string();
    for part in [SERVER, "127.0.0.1", "Nomad Agent CA", &end[..10]] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_a_warning_and_one_that_has_ended_an_error() {
    let secure =
        Secure::with(|authority| authority.issue_until(&[SERVER], in_days(12)).unwrap(), false).await;
    let examined = secure.examine().await;
    examined.complains_of(&["certificate-expires-soon"], 0);
    assert!(examined.said("certificate-expires-soon").contains("days"), "{examined:?}");
    let expired = Secure::with(|authority| authority.issue_expired(&[SERVER]).unwrap(), false).await;
    let examined = expired.examine().await;
    examined.complains_of(&["skipped", "certificate-expired", "skipped", "skipped"], 1);
    assert!(examined.said("certificate-expired").contains("nomad tls cert create"), "{examined:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_with_its_own() {
    let secure = Secure::with(|authority| authority.issue(&["server.eu.nomad"]).unwrap(), false).await;
    let examined = secure.examine().await;
    examined.complains_of(&["skipped", "certificate-name", "skipped", "skipped"], 1);
    assert!(examined.said("certificate-name").contains("server.eu.nomad"), "{examined:?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_for_servers_is_rejected_and_it_is_told_why() {
    let secure =
        Secure::with(|authority| authority.issue_for_clients(&[SERVER, "127.0.0.1"]).unwrap(), false).await;
    let examined = secure.examine().await;
    examined.complains_of(&["skipped", "certificate-rejected", "skipped", "skipped"], 1);
    let said = examined.said("certificate-rejected");
    assert!(
        said.contains("it is not for servers") && said.contains("nomad tls cert create -server"),
        "{said}"
    );
}

#[tokio::test]
async fn an_authority_that_nobody_believes_is_an_error() {
    let secure = Secure::with(good, false).await;
    secure.clinic.deployment.remove_variable("NOMAD_CACERT_PARAMETER");
    let examined = secure.examine().await;
    examined.complains_of(&["skipped", "certificate-authority", "skipped", "skipped"], 1);
    assert!(examined.said("certificate-authority").contains("NOMAD_CACERT_PARAMETER"), "{examined:?}");
}

#[tokio::test]
async fn believing_everybody_is_a_warning_and_hides_no_end() {
    let secure = Secure::with(|authority| authority.issue_expired(&[SERVER]).unwrap(), false).await;
    secure.clinic.deployment.remove_variable("NOMAD_CACERT_PARAMETER");
    secure.clinic.deployment.set_variable("NOMAD_SKIP_VERIFY", "on");
    secure.examine().await.complains_of(&["skip-verify", "certificate-expired"], 1);
}

#[tokio::test]
async fn servers_that_demand_a_certificate_get_one_or_it_is_told() {
    let secure = Secure::with(good, true).await;
    let examined = secure.examine().await;
    examined.complains_of(&["skipped", "client-certificate-demanded", "skipped", "skipped"], 1);
    secure.show(&secure.authority.issue(&["nomad-drain.lambda"]).unwrap());
    secure.examine().await.complains_of(&[], 0);
    secure.show(&secure.authority.issue_until(&["nomad-drain.lambda"], in_days(5)).unwrap());
    secure.examine().await.complains_of(&["client-certificate-expires-soon"], 0);
    let stranger = Authority::new("Somebody Else").unwrap();
    secure.show(&stranger.issue(&["nomad-drain.lambda"]).unwrap());
    let refused = ["skipped", "client-certificate-refused", "skipped", "skipped"];
    secure.examine().await.complains_of(&refused, 1);
    secure.show(&secure.authority.issue_expired(&["nomad-drain.lambda"]).unwrap());
    let examined = secure.examine().await;
    assert!(examined.complaints().contains(&"client-certificate-expired"), "{examined:?}");
    assert_eq!(examined.status, 1);
}

#[tokio::test]
async fn what_is_stored_and_is_no_certificate_is_told() {
    let secure = Secure::with(good, false).await;
    secure.clinic.stage.aws.put_parameter("/nomad/ca", ParameterType::String, "no certificate");
    let examined = secure.examine().await;
    examined.complains_of(&["skipped", "tls-material-invalid", "skipped", "skipped"], 1);
}
