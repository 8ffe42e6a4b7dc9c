//! Whose credentials AWS is called with: the usual chain of the SDKs, with profiles and SSO.

use anyhow::Context as _;
use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use drain::Causes;

/// The chain, and the region that goes with it.
#[derive(Debug)]
pub(crate) struct Chain {
    provider: SharedCredentialsProvider,
    region: Option<Region>,
    /// Whether a profile was named: then nothing else will do.
    is_named: bool,
}

impl Chain {
    /// The chain that begins with this profile, if one is named.
    pub(crate) async fn of(profile: Option<&str>, region: Option<&str>) -> Self {
        let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let settings = aws_config::provider_config::ProviderConfig::default().with_http_client(https);
        let mut of_profile = ProfileFileRegionProvider::builder().configure(&settings);
        if let Some(profile) = profile {
            of_profile = of_profile.profile_name(profile);
        }
        let region = RegionProviderChain::first_try(region.map(|name| Region::new(name.to_owned())))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(of_profile.build())
            .region()
            .await;
        let settings = settings.with_region(region.clone());
        let provider = match profile {
            // Whoever names one means it, whatever keys are in the environment; so does the AWS CLI.
            Some(profile) => SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(profile).build(),
            ),
            None => SharedCredentialsProvider::new(
                DefaultCredentialsChain::builder().configure(settings).build().await,
            ),
        };
        Self { provider, region, is_named: profile.is_some() }
    }

    /// The region, as the variable that stands for it.
    pub(crate) fn region(&self) -> Option<(String, String)> {
        self.region.as_ref().map(|region| ("AWS_REGION".to_owned(), region.to_string()))
    }

    /// Credentials that are good now. `None` if there are none anywhere: a command that does not call AWS needs none.
    pub(crate) async fn credentials(&self) -> anyhow::Result<Option<Credentials>> {
        match self.provider.provide_credentials().await {
            Ok(credentials) => Ok(Some(credentials)),
            Err(CredentialsError::CredentialsNotLoaded(_)) if !self.is_named => Ok(None),
            Err(error) => Err(anyhow::anyhow!("{}", Causes(&error)))
                .context(
                "there are no usable AWS credentials: set AWS_PROFILE or --profile, log in (aws sso login), or set \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. What was tried last",
            ),
        }
    }
}
