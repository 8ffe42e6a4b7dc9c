//! What a client believes, what it shows, and the sentence for everything else.

use drain_http::{HttpClient, HttpError, Identity, Rejection, Tls, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa};
use rustls::pki_types::CertificateDer;

use crate::pki::{mutual_tls_server, pki, self_signed, tls_server};
use crate::servers::{LIMITS, answer, failure, get, server, told};

fn believing<const N: usize>(authorities: [CertificateDer<'static>; N]) -> HttpClient {
    HttpClient::new(&Tls::new(Trust::only(authorities).unwrap())).unwrap()
}

fn rejection(error: &HttpError) -> Rejection {
    let HttpError::CertificateRejected { source, .. } = error else { panic!("{error:?}") };
    source.kind
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_with_its_issuer() {
    let port = tls_server(&pki(&["localhost"], |_| {})).await;
    let error = failure(format!("https://localhost:{port}/"), LIMITS).await;
    assert_eq!(
        told(&error),
        format!(
            "TLS verification of localhost:{port} failed: the certificate for localhost, issued by \
             CN=Nomad Agent CA, O=Lab, is not accepted: it does not lead to a certificate authority that we trust \
             (unknown issuer)"
        )
    );
    assert!(!error.is_transient());
    assert_eq!(rejection(&error), Rejection::UnknownIssuer);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_both_names() {
    let pki = pki(&["server.global.nomad"], |_| {});
    let port = tls_server(&pki).await;
    let client = believing([pki.authority]);
    let error = get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap_err();
    let told = told(&error);
    assert!(
        told.contains("for localhost") && told.ends_with("other names only: server.global.nomad"),
        "{told}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused_as_expired() {
    let pki = pki(&["localhost"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let port = tls_server(&pki).await;
    let client = believing([pki.authority]);
    let error = get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap_err();
    assert!(told(&error).contains("it has expired"), "{}", told(&error));
    assert_eq!(rejection(&error), Rejection::Expired);
}

#[tokio::test]
async fn the_authorities_that_we_were_given_are_believed() {
    let pki = pki(&["localhost"], |_| {});
    let port = tls_server(&pki).await;
    let another = crate::pki::pki(&["localhost"], |_| {}).authority_pem;
    let both = format!("{another}{}", pki.authority_pem);
    let client = HttpClient::new(&Tls::new(Trust::pem(both.as_bytes()).unwrap())).unwrap();
    assert_eq!(get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap(), "ok");
}

#[test]
fn a_text_that_gives_no_authority_is_told() {
    let problem = |text: &str| Trust::pem(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(problem(""), "it holds no certificate (-----BEGIN CERTIFICATE-----)");
    assert_eq!(problem("-----BEGIN CERTIFICATE-----\nMIIB\n"), "it is not PEM");
}

#[tokio::test]
async fn the_name_that_is_expected_is_the_one_that_counts() {
    let pki = pki(&["server.global.nomad"], |_| {});
    let port = tls_server(&pki).await;
    let url = format!("https://127.0.0.1:{port}/");
    let tls = Tls::new(Trust::only([pki.authority]).unwrap());
    let client = HttpClient::new(&tls.clone().expecting("server.global.nomad").unwrap()).unwrap();
    assert_eq!(get(&client, url.clone(), LIMITS).await.unwrap(), "ok");
    let client = HttpClient::new(&tls.clone().expecting("server.mars.nomad").unwrap()).unwrap();
    let error = get(&client, url, LIMITS).await.unwrap_err();
    assert!(told(&error).contains("for server.mars.nomad"), "{}", told(&error));
    assert_eq!(rejection(&error), Rejection::WrongName);
    assert!(tls.expecting("not a name").is_err());
}

#[tokio::test]
async fn whoever_believes_everybody_reads_every_answer() {
    let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for pki in [pki(&["elsewhere"], |_| {}), pki(&["localhost"], expired), self_signed(IsCa::ExplicitNoCa)] {
        let port = tls_server(&pki).await;
        let client = HttpClient::new(&Tls::new(Trust::Anybody)).unwrap();
        assert_eq!(get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_demands_one() {
    let pki = pki(&["localhost"], |_| {});
    let tls = Tls::new(Trust::only([pki.authority.clone()]).unwrap());
    let (certificate, key) = &pki.pem;
    let ours = Identity::pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(format!("{ours:?}"), "Identity(redacted)");
    let stranger = crate::pki::pki(&["localhost"], |_| {});
    let (certificate, key) = &stranger.pem;
    let others = Identity::pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let port = mutual_tls_server(&pki, version).await;
        let url = format!("https://localhost:{port}/");
        let client = HttpClient::new(&tls.clone().showing(ours.clone())).unwrap();
        assert_eq!(get(&client, url.clone(), LIMITS).await.unwrap(), "ok");
        let client = HttpClient::new(&tls.clone().showing(others.clone())).unwrap();
        let error = get(&client, url, LIMITS).await.unwrap_err();
        assert!(matches!(error, HttpError::ClientCertificateRefused { .. }), "{error:?}");
        assert!(!error.is_transient() && !error.may_have_arrived());
    }
}

#[test]
fn what_cannot_be_shown_is_told_without_a_word_of_the_key() {
    let (pki, another) = (pki(&["localhost"], |_| {}), crate::pki::pki(&["localhost"], |_| {}));
    let (certificate, key) = &pki.pem;
    let problem = |certificate: &str, key: &str| {
        let error = Identity::pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        format!("{error} {error:?}")
    };
    assert!(problem("", key).starts_with("the certificate cannot be used"));
    assert!(problem(certificate, certificate).starts_with("the key is not a private key in PEM"));
    assert!(problem(certificate, &another.pem.1).starts_with("the key does not belong to the certificate"));
    let cut = &key[..key.len() - 40];
    assert!(!problem(certificate, cut).contains(&key[40..60]));
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_on_a_tls_port_is_told_as_such() {
    let port = server(|stream| answer(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let error = failure(format!("https://localhost:{port}/"), LIMITS).await;
    assert_eq!(
        told(&error),
        format!(
            "the server at localhost:{port} does not speak TLS: does its URL begin with http:// rather than https://?"
        )
    );
    assert!(!error.is_transient() && !error.may_have_arrived());
}

#[tokio::test]
async fn a_server_that_demands_a_client_certificate_is_told_from_one_that_hangs_up() {
    let pki = pki(&["localhost"], |_| {});
    let client = believing([pki.authority.clone()]);
    let port = mutual_tls_server(&pki, &rustls::version::TLS13).await;
    let error = get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap_err();
    assert_eq!(
        told(&error),
        format!(
            "localhost:{port} demands a client certificate, and we have none: received fatal alert: CertificateRequired"
        )
    );
    assert!(!error.is_transient() && !error.may_have_arrived());
}

#[tokio::test]
async fn a_server_that_breaks_the_handshake_off_is_told_in_the_words_of_tls() {
    let pki = pki(&["localhost"], |_| {});
    let client = believing([pki.authority.clone()]);
    // For want of a certificate as well, but TLS 1.2 leaves it to the server to say so.
    let port = mutual_tls_server(&pki, &rustls::version::TLS12).await;
    let error = get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert!(told(&error).contains("received fatal alert"), "{}", told(&error));
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_told_as_such() {
    let cases = [
        (IsCa::ExplicitNoCa, "it is self-signed, and is not among the certificates that we trust"),
        (
            IsCa::Ca(BasicConstraints::Unconstrained),
            "it is self-signed and marked as a certificate authority's (CA:TRUE), which no server may show: the server \
             needs one with CA:FALSE that an authority issued",
        ),
    ];
    for (is_ca, expected) in cases {
        let port = tls_server(&self_signed(is_ca)).await;
        let error = failure(format!("https://localhost:{port}/"), LIMITS).await;
        assert!(told(&error).ends_with(expected), "{}", told(&error));
    }
}
