//! Whom we trust, and the explanation when we do not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use crate::distinguished_name;

/// The certificate authorities that a client believes.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

impl Trust {
    /// Mozilla's list, built into the binary: reading the system's costs a cold Lambda more than everything else.
    pub fn web() -> Self {
        Self(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
    }

    /// Only these authorities, and no other.
    pub fn only(
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Only the authorities in this file, in PEM, and no other.
    pub fn pem_file(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
        let mut authorities = Vec::new();
        for authority in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            authorities.push(authority.map_err(unreadable)?);
        }
        if authorities.is_empty() {
            return Err(TrustError::Empty { path: path.to_owned() });
        }
        Self::only(authorities).map_err(|source| TrustError::NoAuthority { path: path.to_owned(), source })
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Explaining::new(Arc::clone(&self.0), Arc::clone(&provider))?;
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }
}

/// A file that gives no certificate authorities.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is not there, or not PEM.
    #[error("{path} cannot be read as PEM", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// It holds no certificate.
    #[error("{path} holds no certificate", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One of its certificates is none that could sign others.
    #[error("{path} holds a certificate that cannot be an authority", path = path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
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
}

impl fmt::Display for CertificateRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected_name, issuer, problem } = self;
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

fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    distinguished_name::readable(certificate.issuer())
}

/// Whether it names itself as its issuer.
fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
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
        CertificateError::Other(OtherError(other)) => format!("it cannot be verified ({other})"),
        other => other.to_string(),
    }
}

/// rustls writes a name as `DnsName("nomad.example")`.
fn bare(name: &str) -> &str {
    name.strip_prefix("DnsName(\"").and_then(|name| name.strip_suffix("\")")).unwrap_or(name)
}
