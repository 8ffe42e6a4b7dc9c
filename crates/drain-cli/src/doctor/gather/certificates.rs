//! The certificates: what Nomad's servers show, whoever believes them, and what we show.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drain::config::{ClusterConfig, Material, Purpose};
use drain::live::LiveAccount;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::why;
use crate::doctor::facts::{Certificate, Fact, Why};

/// What a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The certificates that the servers show. `None` without TLS.
pub(super) async fn shown(config: &ClusterConfig) -> Option<Fact<Vec<Certificate>>> {
    if !config.nomad_addr.is_https() {
        return None;
    }
    let uri: http::Uri = config.nomad_addr.as_str().parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let name = config.tls.server_name().unwrap_or(&host).to_owned();
    let failed = |said: String| {
        let todo = "See whether NOMAD_ADDR can be reached from here.".to_owned();
        Some(Fact::Unknown(Why::Failed { said, todo }))
    };
    match tokio::time::timeout(HANDSHAKE, chain(&host, port, &name)).await {
        Ok(Ok(chain)) if !chain.is_empty() => Some(Fact::Known(chain)),
        Ok(Ok(_)) => failed("The servers show no certificate that can be read".to_owned()),
        Ok(Err(error)) => failed(format!("The handshake with {host}:{port} failed: {error}")),
        Err(_) => failed(format!("No handshake with {host}:{port} within {} s", HANDSHAKE.as_secs())),
    }
}

/// A handshake for the certificates alone: nothing is sent, and what is shown is believed by nobody.
async fn chain(host: &str, port: u16, name: &str) -> Result<Vec<Certificate>, String> {
    let recorder = Arc::new(Recorder::new());
    let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(&recorder) as _;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let connection = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let ended = TlsConnector::from(Arc::new(config)).connect(name, connection).await;
    let seen = recorder.seen();
    // Servers that demand a certificate of ours end the handshake after they have shown theirs.
    match ended {
        Err(error) if seen.is_empty() => Err(error.to_string()),
        _ => Ok(seen.iter().filter_map(|der| read(der)).collect()),
    }
}

/// The certificate that we show, if one is configured.
pub(super) async fn own(config: &ClusterConfig, account: &LiveAccount) -> Option<Fact<Certificate>> {
    let text;
    let pem = match config.tls.certificate()? {
        Material::Read(pem) => pem,
        Material::Stored(place) => match account.stored(Purpose::Certificate, place).await {
            Ok(stored) => {
                text = stored;
                text.as_bytes()
            }
            Err(error) => return Some(Fact::Unknown(why(&error))),
        },
    };
    let first = CertificateDer::pem_slice_iter(pem).next();
    let certificate = first.and_then(Result::ok).and_then(|der| read(&der));
    Some(certificate.map_or_else(
        || {
            let said = "It is not a certificate in PEM".to_owned();
            let todo = "Store the whole text in PEM, with its BEGIN and END lines.".to_owned();
            Fact::Unknown(Why::Failed { said, todo })
        },
        Fact::Known,
    ))
}

/// What is looked at of a certificate; `None` if it is none.
fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
    let names: Vec<String> = names.unwrap_or_default();
    let subject = certificate.subject().to_string();
    Some(Certificate {
        // Many have no subject: their names say whose they are.
        subject: if subject.is_empty() { names.first().cloned().unwrap_or_default() } else { subject },
        names,
        issuer: certificate.issuer().to_string(),
        not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds name no server")]
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Believes everything, and remembers what it was shown. Nothing is sent over such a connection.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn new() -> Self {
        Self { provider: provider(), seen: Mutex::default() }
    }

    fn seen(&self) -> Vec<CertificateDer<'static>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let all = all.map(|one| one.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
