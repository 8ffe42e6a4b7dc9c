//! Lambda's API: the operation is in the method and the path. (AWS Lambda API Reference, "Actions".)

use std::collections::BTreeMap;

use axum::http::Method;
use axum::http::request::Parts;

use super::{Call, decode, form};
use crate::aws::ApiError;
use crate::aws::http::service::Service;

/// The paths of Lambda's API begin with the date of the version in which an operation came.
const VERSIONS: [&str; 3] = ["/2015-03-31/", "/2019-09-25/", "/2019-09-30/"];

/// Whether a path is one of Lambda's.
pub(super) fn is_rest(path: &str) -> bool {
    VERSIONS.iter().any(|version| path.starts_with(version))
}

impl Call {
    /// The name of the function, whatever the query says and the payload of an invocation become parameters.
    pub(super) fn read_rest(head: &Parts, body: &[u8]) -> Result<Self, (Service, ApiError)> {
        let path: Vec<String> = head.uri.path().trim_matches('/').split('/').map(plus_is_plus).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (operation, function) = match (&head.method, &path[..]) {
            (&Method::GET, ["2015-03-31", "functions", name, "configuration"]) => {
                ("GetFunctionConfiguration", Some(name))
            }
            (&Method::GET, ["2015-03-31", "functions", name, "policy"]) => ("GetPolicy", Some(name)),
            (&Method::GET, ["2015-03-31", "event-source-mappings"]) => ("ListEventSourceMappings", None),
            (&Method::GET, ["2019-09-25", "functions", name, "event-invoke-config"]) => {
                ("GetFunctionEventInvokeConfig", Some(name))
            }
            (&Method::GET, ["2019-09-30", "functions", name, "concurrency"]) => {
                ("GetFunctionConcurrency", Some(name))
            }
            (&Method::POST, ["2015-03-31", "functions", name, "invocations"]) => ("Invoke", Some(name)),
            (method, _) => {
                return Err((Service::Lambda, Service::Lambda.unknown(method.as_str())));
            }
        };
        let mut parameters: BTreeMap<String, String> = form(head.uri.query().unwrap_or_default()).collect();
        if let Some(name) = function {
            parameters.insert("FunctionName".to_owned(), (*name).to_owned());
        }
        if operation == "Invoke" {
            parameters.insert("Payload".to_owned(), String::from_utf8_lossy(body).into_owned());
            let kind = head.headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
            parameters.insert("InvocationType".to_owned(), kind.unwrap_or("RequestResponse").to_owned());
        }
        Ok(Self { service: Service::Lambda, operation: operation.to_owned(), parameters })
    }
}

/// A part of a path, decoded: a plus is itself there.
fn plus_is_plus(part: &str) -> String {
    decode(&part.replace('+', "%2B"))
}
