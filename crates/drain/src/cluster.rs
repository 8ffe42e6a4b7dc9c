//! A Nomad cluster: how it is reached, and what this process keeps of it.

use crate::config::Config;
use crate::live::Kept;

/// One Nomad cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Everything that is set for it.
    pub(crate) config: Config,
    /// What is known of it from earlier invocations.
    pub(crate) kept: Kept,
}

impl Cluster {
    /// A cluster of which nothing is known yet.
    pub fn new(config: Config) -> Self {
        Self { config, kept: Kept::default() }
    }

    /// Says in every invocation what nobody should forget.
    pub(crate) fn warn(&self) {
        if self.config.tls.skip_verify {
            tracing::warn!(
                "NOMAD_SKIP_VERIFY is on: whoever is between this function and Nomad can read the token. Set NOMAD_CACERT and \
                 NOMAD_TLS_SERVER_NAME instead"
            );
        }
    }
}
