//! A certificate authority for one lab: it vouches for servers and for their clients, and nobody else trusts it.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub pem: String,
    /// Its private key, in PEM.
    pub key_pem: String,
    der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

/// How a server of the lab speaks TLS.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

impl Authority {
    /// A new one with this name, of which no other has the key.
    pub fn new(name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these DNS names and addresses.
    pub fn issue(&self, names: &[&str]) -> io::Result<Certificate> {
        self.signed(names, |_| {})
    }

    /// One that is good for clients only: a server that shows it is not believed.
    pub fn issue_for_clients(&self, names: &[&str]) -> io::Result<Certificate> {
        self.signed(names, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// One that has ended long ago.
    pub fn issue_expired(&self, names: &[&str]) -> io::Result<Certificate> {
        self.signed(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    /// One that ends when the day of this moment begins, in UTC.
    pub fn issue_until(&self, names: &[&str], end: Timestamp) -> io::Result<Certificate> {
        let end = end.to_zoned(TimeZone::UTC).date();
        let number = |part: i8| u8::try_from(part).map_err(io::Error::other);
        let (year, month, day) = (i32::from(end.year()), number(end.month())?, number(end.day())?);
        self.signed(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
        })
    }

    fn signed(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> io::Result<Certificate> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        adjust(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok(Certificate {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// A server with this certificate. If it `demands` one, whoever comes has to show a certificate of this authority, as
    /// with Nomad's `verify_https_client`.
    pub fn server(&self, certificate: &Certificate, demands: bool) -> io::Result<ServerTls> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = if demands {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider());
            builder.with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = certificate.chain();
        let config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
        Ok(ServerTls(Arc::new(config)))
    }

    /// A client that trusts this authority only, and shows this certificate.
    pub(crate) fn client(&self, certificate: &Certificate) -> io::Result<ClientConfig> {
        let (chain, key) = certificate.chain();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)
    }

    fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).map_err(io::Error::other)?;
        Ok(roots)
    }
}

impl Certificate {
    fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.der.clone()], self.key.clone_key().into())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
