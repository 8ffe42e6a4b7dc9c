//! The variables of a deployed function.

use std::collections::BTreeMap;

use anyhow::bail;
use drain::Causes;
use drain::aws::{Aws, Service, rest};
use drain::config::AwsSettings;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Chain, LOOK, Layers};

/// `GetFunctionConfiguration`'s answer, as far as it is read (AWS Lambda API Reference).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    environment: Environment,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
    error: Option<Refused>,
}

/// Why Lambda does not tell the variables: they are encrypted with a key that the caller may not use.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    error_code: String,
    message: String,
}

/// Asks Lambda for the variables of the function with this name or ARN.
pub(super) async fn variables(
    name: &str,
    layers: &Layers,
    chain: &Chain,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut settings = AwsSettings::parse(|name| layers.get(name))?;
    settings.credentials = chain.credentials().await?;
    let aws = Aws::new(drain::web()?, settings);
    let path = format!("/2015-03-31/functions/{}/configuration", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let asked = rest::get(&aws, Service::Lambda, "lambda:GetFunctionConfiguration", &path, LOOK).await;
    let Configuration { environment } = asked.map_err(|error| anyhow::anyhow!("{}", Causes(&error)))?;
    if let Some(Refused { error_code, message }) = environment.error {
        bail!("Lambda does not tell them: {error_code}: {message}");
    }
    Ok(environment.variables)
}
