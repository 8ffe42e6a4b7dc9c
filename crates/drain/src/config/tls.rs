//! How Nomad and we prove to each other who we are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use drain_http::{Identity, Tls, Trust};
use zeroize::Zeroizing;

use super::reader::Reader;
use super::stored::{Place, Purpose};
use super::variables::{self as var, Variable};
use crate::error::Causes;

/// Texts that were read from their places.
pub(crate) type Stored = BTreeMap<Place, Zeroizing<String>>;

/// Everything about TLS that the environment says.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The only authorities that are believed about Nomad; without them, the public ones are.
    authorities: Option<Pem>,
    /// The certificate that is shown to Nomad, and its key.
    identity: Option<(Pem, Pem)>,
    /// The name that Nomad's servers have in their certificates, if it is not the host's.
    server_name: Option<String>,
    /// Whether everybody is believed.
    pub skip_verify: bool,
}

/// A text in PEM.
#[derive(Clone)]
enum Pem {
    /// It was read from files.
    Read(Zeroizing<Vec<u8>>),
    /// It has yet to be read.
    Stored(Place),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("Read(redacted)"),
            Self::Stored(place) => write!(f, "Stored({place})"),
        }
    }
}

impl Pem {
    fn text<'a>(&'a self, stored: &'a Stored) -> &'a [u8] {
        match self {
            Self::Read(text) => text,
            Self::Stored(place) => stored.get(place).map_or(&[], |text| text.as_bytes()),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Read(_) => None,
            Self::Stored(place) => Some(place),
        }
    }
}

/// TLS towards Nomad's servers, and towards the agents on instances.
#[derive(Clone, Debug)]
pub(crate) struct BothWays {
    pub(crate) servers: Tls,
    pub(crate) agents: Tls,
}

/// A text in PEM, or where it is.
#[derive(Clone, Copy)]
pub enum Material<'a> {
    /// It was read from files.
    Read(&'a [u8]),
    /// AWS keeps it.
    Stored(&'a Place),
}

impl TlsSettings {
    /// The certificate that is shown to Nomad, if one is. Nothing gives its key.
    pub fn certificate(&self) -> Option<Material<'_>> {
        self.identity.as_ref().map(|(certificate, _)| match certificate {
            Pem::Read(text) => Material::Read(text),
            Pem::Stored(place) => Material::Stored(place),
        })
    }

    /// The name that Nomad's servers have in their certificates, if it is not the host's.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether Nomad is reached as the rest of the world is.
    pub(crate) fn is_usual(&self) -> bool {
        let Self { authorities, identity, server_name, skip_verify } = self;
        authorities.is_none() && identity.is_none() && server_name.is_none() && !skip_verify
    }

    /// What has to be read from AWS first.
    pub fn places(&self) -> Vec<(Purpose, &Place)> {
        let (certificate, key) = self.identity.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
        let all = [
            (Purpose::Authorities, self.authorities.as_ref()),
            (Purpose::Certificate, certificate),
            (Purpose::Key, key),
        ];
        all.into_iter().filter_map(|(purpose, pem)| Some((purpose, pem?.place()?))).collect()
    }

    /// Puts it together from what was read. The error is one sentence, and says nothing of a key.
    pub(crate) fn build(&self, stored: &Stored) -> Result<BothWays, (Purpose, String)> {
        let trust = match &self.authorities {
            _ if self.skip_verify => Trust::Anybody,
            Some(pem) => Trust::pem(pem.text(stored))
                .map_err(|error| (Purpose::Authorities, Causes(&error).to_string()))?,
            None => Trust::web(),
        };
        let mut tls = Tls::new(trust);
        if let Some((certificate, key)) = &self.identity {
            let identity = Identity::pem(certificate.text(stored), key.text(stored))
                .map_err(|error| (Purpose::Certificate, Causes(&error).to_string()))?;
            tls = tls.showing(identity);
        }
        let named = |name: &str| {
            // It was checked when it was read.
            tls.clone().expecting(name).map_err(|error| (Purpose::Certificate, error.to_string()))
        };
        match &self.server_name {
            Some(name) => Ok(BothWays { servers: named(name)?, agents: named(&agent_name(name))? }),
            None => Ok(BothWays { servers: tls.clone(), agents: tls }),
        }
    }
}

/// The name in an agent's certificate. Nomad's own are called `server.<region>.nomad` and `client.<region>.nomad`, and its
/// CLI expects the latter of the agent on a node (hashicorp/nomad, api/api.go).
fn agent_name(server_name: &str) -> String {
    let region = server_name.strip_prefix("server.").and_then(|rest| rest.strip_suffix(".nomad"));
    region.map_or_else(|| server_name.to_owned(), |region| format!("client.{region}.nomad"))
}

/// Reads the settings and the files that they name, and tries them as far as they are known.
pub(super) fn settings(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> TlsSettings {
    let trusted = [&var::NOMAD_CACERT, &var::NOMAD_CAPATH, &var::NOMAD_CACERT_PARAMETER];
    let set: Vec<&Variable> = trusted.into_iter().filter(|variable| reader.is_set(variable)).collect();
    if let Some((first, others)) = set.split_first() {
        let unread =
            |other: &&Variable| format!("{} is not read: {} comes before it", other.name, first.name);
        warnings.extend(others.iter().map(unread));
    }
    let authorities = match set.first() {
        Some(variable) if variable.name == var::NOMAD_CAPATH.name => folder(reader, variable),
        Some(variable) if variable.name == var::NOMAD_CACERT.name => file(reader, variable),
        Some(variable) => stored(reader, variable),
        None => None,
    };
    let certificate = pem(reader, &var::NOMAD_CLIENT_CERT, &var::NOMAD_CLIENT_CERT_PARAMETER, warnings);
    let key = pem(reader, &var::NOMAD_CLIENT_KEY, &var::NOMAD_CLIENT_KEY_PARAMETER, warnings);
    let identity = match (certificate, key) {
        (Asked::Set(certificate), Asked::Set(key)) => certificate.zip(key),
        (Asked::Set(_), Asked::Unset) => {
            reader.problem(
                var::NOMAD_CLIENT_KEY.name,
                "is not set, and the client certificate is: they go together",
            );
            None
        }
        (Asked::Unset, Asked::Set(_)) => {
            reader
                .problem(var::NOMAD_CLIENT_CERT.name, "is not set, and the client key is: they go together");
            None
        }
        (Asked::Unset, Asked::Unset) => None,
    };
    let server_name = reader.text(&var::NOMAD_TLS_SERVER_NAME).filter(|name| {
        let tried = Tls::new(Trust::Anybody).expecting(name);
        tried.map_err(|error| reader.problem(var::NOMAD_TLS_SERVER_NAME.name, &error.to_string())).is_ok()
    });
    let skip_verify = reader.boolean(&var::NOMAD_SKIP_VERIFY).unwrap_or_default();
    if skip_verify && let Some(variable) = set.first() {
        warnings.push(format!("{} is not read: NOMAD_SKIP_VERIFY is on", variable.name));
    }
    let settings = TlsSettings { authorities, identity, server_name, skip_verify };
    if settings.places().is_empty()
        && let Err((purpose, problem)) = settings.build(&Stored::new())
    {
        let variable = match purpose {
            Purpose::Authorities => set.first().copied().unwrap_or(&var::NOMAD_CACERT),
            Purpose::Certificate | Purpose::Key | Purpose::Token | Purpose::Clusters | Purpose::Webhook => {
                &var::NOMAD_CLIENT_CERT
            }
        };
        let path = reader.text(variable).unwrap_or_default();
        reader.problem(variable.name, &format!("cannot be used: {path}: {problem}"));
    }
    settings
}

/// Whether a text is asked for, and the text if it can be had.
enum Asked {
    Unset,
    Set(Option<Pem>),
}

fn pem(reader: &mut Reader<'_>, path: &Variable, place: &Variable, warnings: &mut Vec<String>) -> Asked {
    match (reader.is_set(path), reader.is_set(place)) {
        (false, false) => Asked::Unset,
        (false, true) => Asked::Set(stored(reader, place)),
        (true, also) => {
            if also {
                warnings.push(format!("{} is not read: {} comes before it", place.name, path.name));
            }
            Asked::Set(file(reader, path))
        }
    }
}

fn stored(reader: &Reader<'_>, variable: &Variable) -> Option<Pem> {
    Some(Pem::Stored(Place::parse(&reader.text(variable)?)))
}

fn file(reader: &mut Reader<'_>, variable: &Variable) -> Option<Pem> {
    let path = PathBuf::from(reader.text(variable)?);
    Some(Pem::Read(read(reader, variable, &path)?))
}

/// All files of a folder, one after the other.
fn folder(reader: &mut Reader<'_>, variable: &Variable) -> Option<Pem> {
    let folder = PathBuf::from(reader.text(variable)?);
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) => {
            reader.problem(variable.name, &format!("cannot be used: {}: {error}", folder.display()));
            return None;
        }
    };
    paths.retain(|path| path.is_file());
    paths.sort();
    let mut all = Zeroizing::new(Vec::new());
    for path in paths {
        all.extend_from_slice(&read(reader, variable, &path)?);
        all.push(b'\n');
    }
    Some(Pem::Read(all))
}

fn read(reader: &mut Reader<'_>, variable: &Variable, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            reader.problem(
                variable.name,
                &format!("cannot be used: {} cannot be read: {error}", path.display()),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_certificate_has_a_name_of_its_own() {
        assert_eq!(agent_name("server.global.nomad"), "client.global.nomad");
        assert_eq!(agent_name("server.eu-west.nomad"), "client.eu-west.nomad");
        assert_eq!(agent_name("server.example.com"), "server.example.com");
        assert_eq!(agent_name("nomad.example.com"), "nomad.example.com");
    }
}
