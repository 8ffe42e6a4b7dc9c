//! What can go wrong between a request and its whole answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::tls::CertificateRejected;

/// An exchange that did not give a whole answer. `address` is `host:port` as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host has no address.
    #[error("the name of {address} could not be resolved")]
    Dns {
        /// Host and port.
        address: String,
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
    /// The server's certificate was not accepted.
    #[error("TLS verification of {address} failed")]
    CertificateRejected {
        /// Host and port.
        address: String,
        /// The certificate and what is wrong with it.
        #[source]
        source: CertificateRejected,
    },
    /// The TLS handshake failed for another reason, such as a server that speaks plain HTTP.
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
    /// Whether nothing listens at the address. A server that is starting again does so for a moment; an address that
    /// is wrong does so for ever.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the same request may succeed a moment later: time-outs and broken connections.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ConnectTimedOut { .. }
            | Self::Connect { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Disconnected { .. } => true,
            Self::Dns { .. }
            | Self::CertificateRejected { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Sorts hyper's error about making a connection.
    pub(crate) fn connecting(
        error: hyper_util::client::legacy::Error,
        address: String,
        after: Duration,
    ) -> Self {
        let chain = Chain(Some(&error));
        for cause in chain {
            let io = cause.downcast_ref::<io::Error>();
            let inner: Option<&(dyn Error + 'static)> =
                io.and_then(io::Error::get_ref).map(|inner| inner as _);
            if let Some(tls) = inner.unwrap_or(cause).downcast_ref::<rustls::Error>() {
                return Self::tls(tls, address);
            }
            // hyper-util's ConnectError is private; its text is all that tells a name that did not resolve.
            if cause.to_string().starts_with("dns error") {
                return Self::Dns { address, source: Box::new(error) };
            }
            match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => return Self::Refused { address },
                Some(io::ErrorKind::TimedOut) => return Self::ConnectTimedOut { address, after },
                Some(_) | None => {}
            }
        }
        Self::Connect { address, source: Box::new(error) }
    }

    fn tls(error: &rustls::Error, address: String) -> Self {
        if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error
            && let Some(rejected) = other.0.downcast_ref::<CertificateRejected>()
        {
            return Self::CertificateRejected { address, source: rejected.clone() };
        }
        Self::Tls { address, source: error.clone() }
    }
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
