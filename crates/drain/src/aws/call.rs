//! One signed call.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use drain_http::{HttpClient, Limits};
use http::{Request, Response};

use super::{AwsError, Service};
use crate::config::AwsSettings;

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// AWS, as the environment describes it.
#[derive(Clone, Debug)]
pub struct Aws {
    http: HttpClient,
    settings: AwsSettings,
}

impl Aws {
    /// AWS over this HTTP stack.
    pub fn new(http: HttpClient, settings: AwsSettings) -> Self {
        Self { http, settings }
    }

    /// The region that is called.
    pub fn region(&self) -> &str {
        self.settings.region.as_deref().unwrap_or("unknown region")
    }

    /// Signs and sends a POST. `headers` are signed too. The answer may have any status.
    pub(super) async fn post(
        &self,
        service: Service,
        operation: &str,
        headers: &[(&'static str, &str)],
        body: String,
        timeout: Duration,
    ) -> Result<Response<Bytes>, AwsError> {
        let Some(credentials) = &self.settings.credentials else {
            return Err(AwsError::NoCredentials { operation: operation.to_owned() });
        };
        let not_signable = |source: Box<dyn Error + Send + Sync>| AwsError::NotSignable {
            operation: operation.to_owned(),
            source,
        };

        let mut request = Request::post(format!("{}/", self.endpoint(service)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Bytes::from(body)).map_err(|error| not_signable(error.into()))?;

        let identity = credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(service.endpoint_prefix())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| not_signable(error.into()))?
            .into();
        let uri = request.uri().to_string();
        let signable =
            SignableRequest::new("POST", uri, headers.iter().copied(), SignableBody::Bytes(request.body()))
                .map_err(|error| not_signable(error.into()))?;
        let (instructions, _) =
            sign(signable, &params).map_err(|error| not_signable(error.into()))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);

        let limits = Limits { timeout, body: LARGEST_ANSWER };
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
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}", service.endpoint_prefix())
    }
}
