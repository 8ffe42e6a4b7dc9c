//! One signed call.

use std::error::Error;
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use drain_http::{HttpClient, Limits};
use http::{HeaderValue, Method, Request, Response};

use super::{AwsError, Service};
use crate::config::AwsSettings;

/// AWS, as the environment describes it.
#[derive(Clone, Debug)]
pub struct Aws {
    http: HttpClient,
    settings: AwsSettings,
    /// The trace of the invocation for which AWS is called.
    trace: Option<HeaderValue>,
}

impl Aws {
    /// AWS over this HTTP stack, unless the settings have one of their own.
    pub fn new(http: HttpClient, settings: AwsSettings) -> Self {
        let http = settings.http.clone().unwrap_or(http);
        Self { http, settings, trace: None }
    }

    /// The same, where each call is part of a trace. AWS recognises by it a function that calls itself, too (AWS Lambda
    /// Developer Guide, "Recursive loop detection").
    #[must_use]
    pub fn traced(self, trace_id: Option<&str>) -> Self {
        let trace = trace_id.and_then(|id| HeaderValue::from_str(id).ok());
        Self { trace, ..self }
    }

    /// The region that is called.
    pub fn region(&self) -> &str {
        self.settings.region.as_deref().unwrap_or("unknown region")
    }

    /// Signs and sends a POST to the service's root. `headers` are signed too. The answer may have any status.
    pub(super) async fn post(
        &self,
        service: Service,
        operation: &str,
        headers: &[(&'static str, &str)],
        body: String,
        limits: Limits,
    ) -> Result<Response<Bytes>, AwsError> {
        self.send(service, operation, Method::POST, "/", headers, body, limits).await
    }

    /// Signs and sends a request. `path` begins with a slash; `headers` are signed too. The answer may have any status.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
    pub(super) async fn send(
        &self,
        service: Service,
        operation: &str,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: String,
        limits: Limits,
    ) -> Result<Response<Bytes>, AwsError> {
        let Some(credentials) = &self.settings.credentials else {
            return Err(AwsError::NoCredentials { operation: operation.to_owned() });
        };
        let not_signable = |source: Box<dyn Error + Send + Sync>| AwsError::NotSignable {
            operation: operation.to_owned(),
            source,
        };

        let uri = format!("{}{path}", self.endpoint(service));
        let mut request = Request::builder().method(method.clone()).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Bytes::from(body)).map_err(|error| not_signable(error.into()))?;

        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.signing_region(service))
            .name(service.endpoint_prefix())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| not_signable(error.into()))?
            .into();
        let uri = request.uri().to_string();
        let signable = SignableRequest::new(
            method.as_str(),
            uri,
            headers.iter().copied(),
            SignableBody::Bytes(request.body()),
        )
        .map_err(|error| not_signable(error.into()))?;
        let (instructions, _) =
            sign(signable, &params).map_err(|error| not_signable(error.into()))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        if let Some(trace) = &self.trace {
            // Not signed: X-Ray's own daemons may change it.
            request.headers_mut().insert("x-amzn-trace-id", trace.clone());
        }

        self.http
            .send(request, limits)
            .await
            .map_err(|source| AwsError::NoAnswer { operation: operation.to_owned(), source })
    }

    /// Where a service is: the SDKs' variables first, then the region's public endpoint.
    fn endpoint(&self, service: Service) -> String {
        let AwsSettings { endpoint, service_endpoints, .. } = &self.settings;
        if let Some(configured) = service_endpoints.get(service.endpoint_variable()).or(endpoint.as_ref()) {
            return configured.to_string();
        }
        let region = self.region();
        if let Some((host, _)) = one_for_all_regions(service, region) {
            return format!("https://{host}");
        }
        format!("https://{}.{region}.{}", service.endpoint_prefix(), dns_suffix(region))
    }

    /// The region that a signature is for.
    fn signing_region(&self, service: Service) -> &str {
        one_for_all_regions(service, self.region()).map_or(self.region(), |(_, region)| region)
    }
}

/// The host of a service that has one for all regions of a partition, and the region that its signatures name (AWS General
/// Reference, "AWS Identity and Access Management endpoints and quotas").
fn one_for_all_regions(service: Service, region: &str) -> Option<(&'static str, &'static str)> {
    if service != Service::Iam {
        None
    } else if region.starts_with("cn-") {
        Some(("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"))
    } else if region.starts_with("us-gov-") {
        Some(("iam.us-gov.amazonaws.com", "us-gov-west-1"))
    } else if dns_suffix(region) == "amazonaws.com" {
        Some(("iam.amazonaws.com", "us-east-1"))
    } else {
        None
    }
}

/// What public host names of a region end with: in `aws` and `aws-us-gov` the same, in every other partition something
/// of its own. (`partitions.json` of AWS's SDKs.)
fn dns_suffix(region: &str) -> &'static str {
    const OTHERS: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    let other = OTHERS.iter().find(|(prefix, _)| region.starts_with(prefix));
    other.map_or("amazonaws.com", |(_, suffix)| suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_own_host_names() {
        for (region, suffix) in [
            ("eu-west-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
        ] {
            assert_eq!(dns_suffix(region), suffix, "{region}");
        }
    }
}
