//! The certificates of a cluster that speaks TLS only.

use std::fs;
use std::io;

use super::config::TlsFiles;
use super::debris::Home;
use crate::authority::Authority;

/// What a cluster that speaks TLS only has for it.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) authority: Authority,
    pub(super) server: TlsFiles,
    pub(super) client: TlsFiles,
}

impl Tls {
    /// Certificates with the names that Nomad expects, in files.
    pub(super) fn create(home: &Home) -> io::Result<Self> {
        let authority = Authority::new("Nomad Agent CA")?;
        let ca = home.path("ca.pem");
        fs::write(&ca, authority.pem())?;
        let files = |role: &str| {
            let issued = authority.issue(&[&format!("{role}.global.nomad"), "localhost", "127.0.0.1"])?;
            let (certificate, key) =
                (home.path(&format!("{role}.pem")), home.path(&format!("{role}-key.pem")));
            fs::write(&certificate, &issued.pem)?;
            fs::write(&key, &issued.key_pem)?;
            io::Result::Ok(TlsFiles { authority: ca.clone(), certificate, key })
        };
        let (server, client) = (files("server")?, files("client")?);
        Ok(Self { authority, server, client })
    }
}
