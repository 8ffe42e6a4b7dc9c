//! Values that AWS keeps for us, or a file, and what they are for.

use std::fmt;

/// Where a value is kept.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// A parameter of Systems Manager: its name or ARN.
    Parameter(String),
    /// A secret of Secrets Manager: its name or ARN.
    Secret(String),
    /// A file: its path. For the operator's tool, and for what is in the function's package.
    File(String),
}

impl Place {
    /// What a `…_PARAMETER` variable names: a secret, if it is the ARN of one; a file, if it is `file:` and a path, which can
    /// be no parameter's name; else a parameter.
    pub fn parse(text: &str) -> Self {
        if let Some(path) = text.strip_prefix("file:") {
            return Self::File(path.to_owned());
        }
        let is_secret = text.starts_with("arn:") && text.split(':').nth(2) == Some("secretsmanager");
        if is_secret { Self::Secret(text.to_owned()) } else { Self::Parameter(text.to_owned()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "SSM parameter {name}"),
            Self::Secret(name) => write!(f, "secret {name}"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

/// What a stored value is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The Nomad token.
    Token,
    /// The authorities that may vouch for Nomad.
    Authorities,
    /// The certificate that we show to Nomad.
    Certificate,
    /// The key of that certificate.
    Key,
    /// The document of the clusters.
    Clusters,
    /// The address of the webhook.
    Webhook,
}

impl Purpose {
    /// The variable that names such a value.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Token => "NOMAD_TOKEN_PARAMETER",
            Self::Authorities => "NOMAD_CACERT_PARAMETER",
            Self::Certificate => "NOMAD_CLIENT_CERT_PARAMETER",
            Self::Key => "NOMAD_CLIENT_KEY_PARAMETER",
            Self::Clusters => "CLUSTERS_PARAMETER",
            Self::Webhook => "NOTIFY_WEBHOOK_PARAMETER",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "the Nomad token",
            Self::Authorities => "the certificate authorities for Nomad",
            Self::Certificate => "the client certificate for Nomad",
            Self::Key => "the key of the client certificate for Nomad",
            Self::Clusters => "the document of the Nomad clusters",
            Self::Webhook => "the address of the webhook",
        })
    }
}
