//! The address of a Nomad API.

use std::fmt;

/// Where a Nomad server, agent or load balancer is: scheme, host, port and perhaps a path prefix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseUrl(String);

/// The text is not the address of a Nomad API.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an address: {problem}")]
pub struct InvalidUrl {
    text: String,
    problem: &'static str,
}

impl BaseUrl {
    /// Takes `http(s)://host[:port][/prefix]`.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.contains(['@', '?', '#']) {
            // Not quoted: a password or a token may stand there.
            let text = "http(s)://…".to_owned();
            let problem = "it may hold scheme, host, port and path; no user, no password, no ? and no #";
            return Err(InvalidUrl { text, problem });
        }
        let invalid = |problem| InvalidUrl { text: text.to_owned(), problem };
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(invalid("it has to begin with http:// or https://"));
        }
        let uri: http::Uri = text.parse().map_err(|_| invalid("it is not a URL"))?;
        let (authority, host) =
            (uri.authority().map_or("", http::uri::Authority::as_str), uri.host().unwrap_or(""));
        if host.is_empty() {
            return Err(invalid("it names no host"));
        }
        // What follows the host is a port, and one that cannot be would silently become the scheme's default.
        if authority != host && uri.port_u16().is_none_or(|port| port == 0) {
            return Err(invalid("its port has to be a number from 1 to 65535"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The address as text, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_keeps_its_path_prefix() {
        let base = BaseUrl::parse("https://lb.example:8443/nomad/").unwrap();
        assert_eq!(base.as_str(), "https://lb.example:8443/nomad");
        BaseUrl::parse("http://[::1]:4646").unwrap();
        for bad in [
            "nomad.example:4646",
            "ftp://x",
            "https://",
            "https://x/?a=b",
            "https://x/#y",
            "https:// x",
            "http://x:99999",
            "http://x:0",
            "http://x:",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in [
            "https://user:hunter2@x",
            "user:hunter2@x",
            "https://user:hun ter2@x",
            "https://x/?token=hunter2",
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
    }
}
