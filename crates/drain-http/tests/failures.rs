//! Every way in which an exchange can fail, provoked on loopback, and the sentence that it gives.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drain_http::{HttpClient, HttpError, Limits, Trust};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body: 1024 };

/// Serves every connection with `serve` until the test ends.
async fn server<F, S>(serve: S) -> u16
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Reads the request's head, then writes `answer` and closes.
async fn answer(mut stream: TcpStream, answer: &'static [u8]) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer).await;
    let _ = stream.write_all(answer).await;
}

async fn get(client: &HttpClient, url: String, limits: Limits) -> Result<Bytes, HttpError> {
    let request = http::Request::get(url).body(Bytes::new()).unwrap();
    client.send(request, limits).await.map(http::Response::into_body)
}

async fn failure(url: String, limits: Limits) -> HttpError {
    get(&HttpClient::new(&Trust::web()).unwrap(), url, limits).await.unwrap_err()
}

/// The error and its causes on one line, as an operator reads them.
fn told(error: &HttpError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A certificate authority with a name, and a certificate for `names` that it signed.
struct Pki {
    authority: CertificateDer<'static>,
    authority_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

fn pki(names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Pki {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Nomad Agent CA");
    ca.distinguished_name.push(DnType::OrganizationName, "Lab");
    let authority = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    adjust(&mut params);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Pki {
        authority: authority.der().clone(),
        authority_pem: authority.pem(),
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    }
}

/// A server that shows a certificate of its own making.
fn self_signed(is_ca: IsCa) -> Pki {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    Pki {
        authority: certificate.der().clone(),
        authority_pem: certificate.pem(),
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()),
    }
}

async fn tls_server(pki: &Pki) -> u16 {
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
    serve_tls(config.with_single_cert(pki.chain.clone(), pki.key.clone_key().into()).unwrap()).await
}

/// A server that demands a client certificate.
async fn mutual_tls_server(pki: &Pki, version: &'static SupportedProtocolVersion) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pki.authority.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap());
    serve_tls(config.with_single_cert(pki.chain.clone(), pki.key.clone_key().into()).unwrap()).await
}

async fn serve_tls(config: rustls::ServerConfig) -> u16 {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    let port =
        server(|stream| answer(stream, b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone")).await;
    let client = HttpClient::new(&Trust::web()).unwrap();
    assert_eq!(get(&client, format!("http://127.0.0.1:{port}/"), LIMITS).await.unwrap(), "gone");
}

#[tokio::test]
async fn every_request_names_its_sender() {
    let port = server(|mut stream| async move {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or_default();
        let head = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
        let status =
            if head.contains("user-agent: lambda-nomad-drain/") { "200 OK" } else { "400 Bad Request" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\n\r\n{status:.6}");
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let client = HttpClient::new(&Trust::web()).unwrap();
    assert_eq!(get(&client, format!("http://127.0.0.1:{port}/"), LIMITS).await.unwrap(), "200 OK");
}

#[tokio::test]
async fn a_closed_port_is_refused_and_named() {
    // Bound and never listening: no server of another test can come to listen there.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert_eq!(told(&error), format!("the connection to 127.0.0.1:{port} was refused"));
    assert!(error.is_transient() && error.found_nobody() && !error.may_have_arrived());
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let error = failure("https://nomad.test-aws-nowhere.invalid/".to_owned(), LIMITS).await;
    assert!(matches!(error, HttpError::Dns { .. }), "{error:?}");
    assert!(told(&error).contains("nomad.test-aws-nowhere.invalid:443"), "{}", told(&error));
}

#[tokio::test]
async fn a_server_that_hangs_is_a_time_out() {
    let port = server(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { timeout: Duration::from_millis(50), ..LIMITS };
    let error = failure(format!("http://127.0.0.1:{port}/"), limits).await;
    assert_eq!(told(&error), format!("no answer from 127.0.0.1:{port} within 0.05 s"));
    assert!(error.is_transient() && error.may_have_arrived() && !error.found_nobody());
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_transient() {
    let port = server(|stream| answer(stream, b"")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert!(matches!(error, HttpError::Disconnected { .. }), "{error:?}");
    assert!(error.is_transient() && error.may_have_arrived());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    let port = server(|stream| answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert!(matches!(error, HttpError::Disconnected { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let port = server(|stream| answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), Limits { body: 3, ..LIMITS }).await;
    assert_eq!(told(&error), format!("the answer from 127.0.0.1:{port} is larger than 3 bytes"));
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
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_both_names() {
    let pki = pki(&["server.global.nomad"], |_| {});
    let port = tls_server(&pki).await;
    let client = HttpClient::new(&Trust::only([pki.authority]).unwrap()).unwrap();
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
    let client = HttpClient::new(&Trust::only([pki.authority]).unwrap()).unwrap();
    let error = get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap_err();
    assert!(told(&error).contains("it has expired"), "{}", told(&error));
}

#[tokio::test]
async fn the_authority_that_we_were_given_is_believed() {
    let pki = pki(&["localhost"], |_| {});
    let port = tls_server(&pki).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &pki.authority_pem).unwrap();
    for trust in [Trust::only([pki.authority]).unwrap(), Trust::pem_file(file.path()).unwrap()] {
        let client = HttpClient::new(&trust).unwrap();
        assert_eq!(get(&client, format!("https://localhost:{port}/"), LIMITS).await.unwrap(), "ok");
    }
}

#[test]
fn a_file_that_gives_no_authority_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    assert!(Trust::pem_file(&path).unwrap_err().to_string().contains("ca.pem cannot be read"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(Trust::pem_file(&path).unwrap_err().to_string().contains("ca.pem holds no certificate"));
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
    let client = HttpClient::new(&Trust::only([pki.authority.clone()]).unwrap()).unwrap();
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
    let client = HttpClient::new(&Trust::only([pki.authority.clone()]).unwrap()).unwrap();
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
