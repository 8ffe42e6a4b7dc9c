//! Whom we trust, and the explanation when we do not.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use crate::distinguished_name;

/// How a client and a server prove to each other who they are.
#[derive(Clone, Debug)]
pub struct Tls {
    trust: Trust,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Believes whom `trust` believes, and shows no certificate.
    pub fn new(trust: Trust) -> Self {
        Self { trust, identity: None, server_name: None }
    }

    /// Shows this certificate to servers that ask for one.
    #[must_use]
    pub fn showing(self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Expects this name in every server's certificate, whatever host was asked for: certificates of Nomad's hold
    /// `server.global.nomad`, and rarely the name of a load balancer.
    pub fn expecting(self, server_name: &str) -> Result<Self, InvalidServerName> {
        let name = ServerName::try_from(server_name.to_owned());
        let name = name.map_err(|_| InvalidServerName(server_name.to_owned()))?;
        Ok(Self { server_name: Some(name), ..self })
    }

    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        self.server_name.clone()
    }

    pub(crate) fn shows_certificate(&self) -> bool {
        self.identity.is_some()
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = match &self.trust {
            Trust::Authorities(roots) => Arc::new(Explaining::new(Arc::clone(roots), Arc::clone(&provider))?),
            Trust::Anybody => Arc::new(Believing(provider.signature_verification_algorithms)),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(match &self.identity {
            Some(Identity(shown)) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(shown))))
            }
            None => config.with_no_client_auth(),
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A text that no certificate can hold as a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is {0:?}, which is neither a host name nor an IP address")]
pub struct InvalidServerName(String);

/// Whom a client believes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Servers for whom one of these authorities vouches, and no others.
    Authorities(Arc<RootCertStore>),
    /// Everybody, whatever certificate they show: whoever is in between can read and change everything.
    Anybody,
}

impl Trust {
    /// Mozilla's list, built into the binary: reading the system's costs a cold Lambda more than everything else.
    pub fn web() -> Self {
        Self::Authorities(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
    }

    /// Only these authorities, and no other.
    pub fn only(
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        Ok(Self::Authorities(Arc::new(roots)))
    }

    /// Only the authorities in this text, in PEM, and no other.
    pub fn pem(text: &[u8]) -> Result<Self, PemError> {
        Self::only(certificates(text)?).map_err(PemError::NoAuthority)
    }
}

/// A certificate of our own, with its chain, and the key that belongs to it. Nothing prints the key.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Takes a certificate, followed by those that lead to its authority, and its private key (PKCS #8, PKCS #1 or SEC 1),
    /// all in PEM.
    pub fn pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(certificate).map_err(IdentityError::Certificate)?;
        // What the parser says of a key may quote a part of it.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let shown = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                IdentityError::Mismatch
            } else {
                IdentityError::UnusableKey(error)
            }
        })?;
        Ok(Self(Arc::new(shown)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let all = all.map_err(PemError::NotPem)?;
    if all.is_empty() { Err(PemError::NoCertificate) } else { Ok(all) }
}

/// A text that gives no certificates.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It is not PEM.
    #[error("it is not PEM")]
    NotPem(#[source] rustls::pki_types::pem::Error),
    /// It holds no certificate.
    #[error("it holds no certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// One of its certificates is none that could sign others.
    #[error("it holds a certificate that cannot be an authority")]
    NoAuthority(#[source] rustls::Error),
}

/// A certificate and a key that cannot be shown to anybody.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate cannot be used.
    #[error("the certificate cannot be used")]
    Certificate(#[source] PemError),
    /// There is no private key.
    #[error("the key is not a private key in PEM; one that is encrypted cannot be used")]
    NoKey,
    /// The key is of another certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// The key cannot be used.
    #[error("the key cannot be used")]
    UnusableKey(#[source] rustls::Error),
}

/// A certificate that was not accepted: for which name, issued by whom, and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateRejected {
    /// The name that the certificate had to be valid for.
    pub expected_name: String,
    /// The issuer as the certificate names it, such as `CN=Nomad Agent CA, O=HashiCorp Inc.`
    pub issuer: Option<String>,
    /// What is wrong with it, in words.
    pub problem: String,
    /// What kind of problem that is.
    pub kind: Rejection,
}

/// Why a certificate was not accepted, as far as it tells what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// No authority that we believe vouches for it.
    UnknownIssuer,
    /// It is valid for other names.
    WrongName,
    /// It has expired.
    Expired,
    /// Something else.
    Other,
}

impl fmt::Display for CertificateRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected_name, issuer, problem, kind: _ } = self;
        let issuer = issuer.as_deref().unwrap_or("an issuer without a name");
        write!(f, "the certificate for {expected_name}, issued by {issuer}, is not accepted: {problem}")
    }
}

impl std::error::Error for CertificateRejected {}

/// Verifies as webpki does, and says more when it refuses.
#[derive(Debug)]
struct Explaining(Arc<WebPkiServerVerifier>);

impl Explaining {
    fn new(roots: Arc<RootCertStore>, provider: Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map(Self)
            .map_err(|error| rustls::Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(
            |error| {
                let rejected = CertificateRejected {
                    expected_name: server_name.to_str().into_owned(),
                    issuer: issuer(end_entity),
                    problem: problem(&error, is_self_signed(end_entity)),
                    kind: kind(&error),
                };
                rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(rejected))))
            },
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Believes every certificate, and still proves that whoever shows it has its key.
#[derive(Debug)]
struct Believing(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    distinguished_name::readable(certificate.issuer())
}

/// Whether it names itself as its issuer.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls' error is open-ended")]
fn kind(error: &rustls::Error) -> Rejection {
    let rustls::Error::InvalidCertificate(error) = error else { return Rejection::Other };
    match error {
        CertificateError::UnknownIssuer => Rejection::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Rejection::WrongName
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Rejection::Expired,
        _ => Rejection::Other,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls' error is open-ended; its own text serves the rest"
)]
fn problem(error: &rustls::Error, self_signed: bool) -> String {
    let rustls::Error::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        // OpenSSL makes such a certificate unless it is told otherwise.
        CertificateError::Other(OtherError(other))
            if matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            let whose = if self_signed { "it is self-signed and" } else { "it is" };
            format!(
                "{whose} marked as a certificate authority's (CA:TRUE), which no server may show: the server needs one \
                 with CA:FALSE that an authority issued"
            )
        }
        CertificateError::UnknownIssuer if self_signed => {
            "it is self-signed, and is not among the certificates that we trust".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "it does not lead to a certificate authority that we trust (unknown issuer)".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it carries no name at all (no subject alternative name)".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            format!("it is valid for other names only: {}", names.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not for servers (its extended key usage lacks serverAuth)".to_owned()
        }
        CertificateError::Other(OtherError(other)) => format!("it cannot be verified ({other})"),
        other => other.to_string(),
    }
}

/// rustls writes a name as `DnsName("nomad.example")`.
fn bare(name: &str) -> &str {
    name.strip_prefix("DnsName(\"").and_then(|name| name.strip_suffix("\")")).unwrap_or(name)
}
