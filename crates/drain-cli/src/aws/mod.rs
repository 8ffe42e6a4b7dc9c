//! What the operator's tool asks AWS beside what the function asks: one file for each service, on the function's own signed
//! client. Nothing here changes anything.

pub(crate) mod cloudwatch;
pub(crate) mod events;
pub(crate) mod iam;
pub(crate) mod lambda;
pub(crate) mod policy;
pub(crate) mod sns;
pub(crate) mod sqs;
pub(crate) mod sts;

use std::time::Duration;

use bytes::Bytes;
use drain::aws::query::{self, Form};
use drain::aws::{Aws, AwsError, Service};
use drain_http::Limits;
use serde::Deserialize;

/// What one call may take.
const CALL: Duration = Duration::from_secs(10);

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// So many pages of a list are read at most: a service that gives the same page again and again ends nothing.
const MOST_PAGES: usize = 100;

/// How often a call is tried that fails in a way that may pass, and the pause before the second attempt.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// Tries a call again while it fails in a way that may pass: throttling, above all.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, AwsError>) -> Result<T, AwsError> {
    let mut attempt = 1;
    loop {
        match call().await {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// Sends a form.
async fn ask(aws: &Aws, service: Service, operation: &str, form: Form) -> Result<Bytes, AwsError> {
    let limits = Limits { timeout: CALL, body: LARGEST_ANSWER };
    patiently(async || query::send(aws, service, operation, form.clone(), limits).await).await
}

/// Asks a service that speaks JSON.
async fn ask_json<T: serde::de::DeserializeOwned>(
    aws: &Aws,
    service: Service,
    operation: &str,
    target: &str,
    body: &serde_json::Value,
) -> Result<T, AwsError> {
    patiently(async || drain::aws::json::call(aws, service, operation, target, body, CALL).await).await
}

/// Asks a service whose questions are paths.
async fn ask_path<T: serde::de::DeserializeOwned>(
    aws: &Aws,
    service: Service,
    operation: &str,
    path: &str,
) -> Result<T, AwsError> {
    patiently(async || drain::aws::rest::get(aws, service, operation, path, CALL).await).await
}

/// Reads XML.
fn read<T: for<'de> Deserialize<'de>>(operation: &str, xml: &[u8]) -> Result<T, AwsError> {
    quick_xml::de::from_str(&String::from_utf8_lossy(xml))
        .map_err(|error| query::unreadable(operation, error))
}

/// `<member>` elements.
#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new", rename = "member")]
    members: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { members: Vec::new() }
    }
}

/// `<entry><key>…</key><value>…</value></entry>` elements: SNS's maps.
#[derive(Default, Deserialize)]
struct Entries {
    #[serde(default, rename = "entry")]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    #[serde(default)]
    value: String,
}

impl Entries {
    fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }
}

/// A token that leads to the next page, if there is one.
fn next_page(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

/// The value, or `None` if the service says by this code that there is none.
fn or_absent<T>(answer: Result<T, AwsError>, codes: &[&str]) -> Result<Option<T>, AwsError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code().is_some_and(|code| codes.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}
