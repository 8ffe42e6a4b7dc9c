//! What can go wrong between a request and its whole answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::tls::CertificateRejected;

/// An exchange that did not give a whole answer. `address` is `host:port` as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The name of the host gave no address.
    #[error("the name of {address} could not be resolved")]
    Dns {
        /// Host and port.
        address: String,
        /// Whether the resolver had no answer; otherwise its answer was that there is no such name.
        temporary: bool,
        /// What the resolver said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing listens there, or something turns us away.
    #[error("the connection to {address} was refused")]
    Refused {
        /// Host and port.
        address: String,
    },
    /// No connection in time. Usually a security group, a route, or a host that is not there.
    #[error("no connection to {address} within {} s", after.as_secs_f32())]
    ConnectTimedOut {
        /// Host and port.
        address: String,
        /// How long we tried.
        after: Duration,
    },
    /// The connection could not be made for another reason.
    #[error("no connection to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// We did not accept the server's certificate.
    #[error("TLS verification of {address} failed")]
    CertificateRejected {
        /// Host and port.
        address: String,
        /// The certificate and what is wrong with it.
        #[source]
        source: CertificateRejected,
    },
    /// The server did not accept us without a client certificate, and we have none.
    #[error("{address} demands a client certificate, and we have none")]
    ClientCertificateDemanded {
        /// Host and port.
        address: String,
        /// In which words of TLS.
        #[source]
        source: rustls::Error,
    },
    /// The server did not accept the client certificate that we showed.
    #[error("{address} does not accept our client certificate")]
    ClientCertificateRefused {
        /// Host and port.
        address: String,
        /// In which words of TLS.
        #[source]
        source: rustls::Error,
    },
    /// What answers does not speak TLS.
    #[error(
        "the server at {address} does not speak TLS: does its URL begin with http:// rather than https://?"
    )]
    NotTls {
        /// Host and port.
        address: String,
    },
    /// The TLS handshake failed for another reason, such as a server that is too old.
    #[error("the TLS handshake with {address} failed")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Connected, but no whole answer in time. The request may have had its effect.
    #[error("no answer from {address} within {} s", after.as_secs_f32())]
    TimedOut {
        /// Host and port.
        address: String,
        /// How long we waited.
        after: Duration,
    },
    /// The connection ended before the whole answer had come. The request may have had its effect.
    #[error("the connection to {address} was closed before the whole answer had come")]
    Disconnected {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is larger than we are willing to hold.
    #[error("the answer from {address} is larger than {limit} bytes")]
    TooLarge {
        /// Host and port.
        address: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl HttpError {
    /// Whether nothing was there to talk to: nothing listens at the address, or its name could not be looked up. Both
    /// pass when a server or a resolver is starting again, and last for ever when the address is wrong or no way leads
    /// to a resolver. They are known at once, so that a few tries tell.
    pub fn found_nobody(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Dns { temporary: true, .. })
    }

    /// Whether nobody answered at all: as if nothing were there.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::ConnectTimedOut { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Disconnected { .. } => true,
            Self::Dns { .. }
            | Self::CertificateRejected { .. }
            | Self::ClientCertificateDemanded { .. }
            | Self::ClientCertificateRefused { .. }
            | Self::NotTls { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the same request may succeed a moment later: time-outs, broken connections, a resolver without answer.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ConnectTimedOut { .. }
            | Self::Connect { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Disconnected { .. } => true,
            Self::Dns { temporary, .. } => *temporary,
            Self::CertificateRejected { .. }
            | Self::ClientCertificateDemanded { .. }
            | Self::ClientCertificateRefused { .. }
            | Self::NotTls { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Whether the server may have received the whole request, and done what it asks for.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Disconnected { .. } | Self::TooLarge { .. } => true,
            Self::Dns { .. }
            | Self::Refused { .. }
            | Self::ConnectTimedOut { .. }
            | Self::Connect { .. }
            | Self::CertificateRejected { .. }
            // Even if it comes late: a server reads no request before it has looked for the certificate.
            | Self::ClientCertificateDemanded { .. }
            | Self::ClientCertificateRefused { .. }
            | Self::NotTls { .. }
            | Self::Tls { .. } => false,
        }
    }

    /// The same, if we do show a certificate: then it is that one which was not accepted.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others stay what they are")]
    pub(crate) fn knowing(self, shows_certificate: bool) -> Self {
        match self {
            Self::ClientCertificateDemanded { address, source } if shows_certificate => {
                Self::ClientCertificateRefused { address, source }
            }
            error => error,
        }
    }

    /// Sorts hyper's error about making a connection.
    pub(crate) fn connecting(
        error: hyper_util::client::legacy::Error,
        address: String,
        after: Duration,
    ) -> Self {
        for cause in Chain(Some(&error)) {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Self::tls(tls, address);
            }
            // hyper-util's ConnectError is private; its text is all that tells a name that did not resolve.
            if cause.to_string().starts_with("dns error") {
                let temporary = !Chain(Some(&error)).any(says_no_such_name);
                return Self::Dns { address, temporary, source: Box::new(error) };
            }
            match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => return Self::Refused { address },
                Some(io::ErrorKind::TimedOut) => return Self::ConnectTimedOut { address, after },
                Some(_) | None => {}
            }
        }
        Self::Connect { address, source: Box::new(error) }
    }

    /// Sorts an error on a connection that stood. In TLS 1.3 a client's handshake is over before the server has looked
    /// for its certificate.
    pub(crate) fn disconnected(source: Box<dyn Error + Send + Sync>, address: String) -> Self {
        let tls = Chain(Some(&*source)).find_map(|cause| cause.downcast_ref::<rustls::Error>());
        match tls.filter(|tls| is_about_our_certificate(tls)).cloned() {
            Some(source) => Self::ClientCertificateDemanded { address, source },
            None => Self::Disconnected { address, source },
        }
    }

    fn tls(error: &rustls::Error, address: String) -> Self {
        if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error
            && let Some(rejected) = other.0.downcast_ref::<CertificateRejected>()
        {
            return Self::CertificateRejected { address, source: rejected.clone() };
        }
        if is_about_our_certificate(error) {
            return Self::ClientCertificateDemanded { address, source: error.clone() };
        }
        // The first byte of every message of TLS says what it is, and no letter is among them.
        if matches!(error, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) {
            return Self::NotTls { address };
        }
        Self::Tls { address, source: error.clone() }
    }
}

/// Whether the server turned us away because of a client certificate. If we show none, every alert about certificates
/// means that it is missing; which one a server chooses differs between versions of TLS and of Go.
fn is_about_our_certificate(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        error,
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::DecryptError
                | Alert::AccessDenied
        )
    )
}

/// Whether a resolver's error is an answer: there is no such name. The standard library keeps only the text of
/// `getaddrinfo`'s code. What is not known here counts as temporary: it costs a few tries.
fn says_no_such_name(error: &(dyn Error + 'static)) -> bool {
    const TEXTS: [&str; 5] = [
        // EAI_NONAME and EAI_NODATA of glibc
        "Name or service not known",
        "No address associated with hostname",
        // of musl
        "Name does not resolve",
        "Name has no usable address",
        // and of macOS
        "nodename nor servname provided",
    ];
    let text = error.to_string();
    TEXTS.iter().any(|known| text.contains(known))
}

/// An error, its cause, the cause of that… An I/O error's `source` skips the error that it wraps, which is the one
/// that matters here.
struct Chain<'a>(Option<&'a (dyn Error + 'static)>);

impl<'a> Iterator for Chain<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0.take()?;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        self.0 = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_without_answer_is_told_from_a_name_that_does_not_exist() {
        let cases = [
            ("Name or service not known", true),
            ("Name does not resolve", true),
            ("No address associated with hostname", true),
            ("Temporary failure in name resolution", false),
            ("Try again", false),
            ("Non-recoverable failure in name resolution", false),
        ];
        for (text, expected) in cases {
            let error = io::Error::other(format!("failed to lookup address information: {text}"));
            assert_eq!(says_no_such_name(&error), expected, "{text}");
        }
    }

    #[test]
    fn only_a_resolver_without_answer_is_worth_another_try() {
        let dns = |temporary| {
            let source = Box::new(io::Error::other("failed to lookup address information"));
            HttpError::Dns { address: "nomad:4646".to_owned(), temporary, source }
        };
        assert!(dns(true).is_transient() && dns(true).found_nobody());
        assert!(!dns(false).is_transient() && !dns(false).found_nobody());
    }
}
