//! The account's endpoints. One listener serves every service, as they differ in their protocol and in the scope of
//! their signatures.

mod autoscaling;
mod call;
mod cloudwatch;
mod ec2;
mod events;
mod iam;
mod json;
mod lambda;
mod secrets_manager;
mod service;
mod sigv4;
mod sns;
mod sqs;
mod ssm;
mod sts;
mod xml;

use std::io;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;

use self::call::Call;
use self::service::{Protocol, Service};
use self::sigv4::Refusal;
use super::ids::Ids;
use super::{Account, ApiError, Aws};
use crate::authority::ServerTls;
use crate::http_face::{Admission, Disconnect, Face, loopback, serve, serve_with, with_fault};

impl Aws {
    /// Serves every service that the lab knows at one address, until the face is dropped. Faults are taken by
    /// the name of the operation: `GetParameter`.
    pub async fn serve(&self) -> io::Result<Face> {
        serve(loopback().await?, self.router())
    }

    /// The same over TLS.
    pub async fn serve_tls(&self, tls: &ServerTls) -> io::Result<Face> {
        serve_with(loopback().await?, self.router(), Some(tls.clone()), |_| Admission::Serve)
    }

    fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }
}

async fn answer(State(aws): State<Aws>, request: Request) -> Result<Response, Disconnect> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Disconnect)?.to_bytes();
    // Not from the model's own source: a client that polls must not change the identifiers of a scenario.
    let request_id = Ids::seeded(fastrand::u64(..)).uuid();
    let call = match Call::read(&head, &body) {
        Ok(call) => call,
        Err((service, error)) => return Ok(refuse(service, &error, &request_id)),
    };
    if let Some(trace) = head.headers.get("x-amzn-trace-id").and_then(|id| id.to_str().ok()) {
        aws.trace(trace);
    }
    let service = call.service;
    let (caller, verdict) = identify(aws.account(), service, &head, &body);
    let detail = verdict.as_ref().err().map(|refusal| format!("refused: {refusal}")).unwrap_or_default();
    aws.shared.journal.call(service.system(), &call.operation, call.subject(), detail);
    if let Err(refusal) = verdict
        && aws.checks_signatures()
    {
        return Ok(refuse(service, &refusal.answer(service), &request_id));
    }
    let aws = aws.called_by(caller);
    if service == Service::AutoScaling && aws.throttles() {
        return Ok(refuse(service, &service.throttled(), &request_id));
    }
    let fault = aws.shared.faults.take(service.system(), &call.operation);
    let throttled = || refuse(service, &service.throttled(), &request_id);
    with_fault(fault, throttled, run(&aws, &call, &request_id)).await
}

/// Who signed a request, the function's role or the operator, and whether that is true.
fn identify(
    account: &Account,
    service: Service,
    head: &Parts,
    body: &[u8],
) -> (Account, Result<(), Refusal>) {
    let scope = (service.signing_region(account), service.signing_name());
    let verify = |account: &Account| sigv4::verify(account, scope, head, body, Timestamp::now());
    match verify(account) {
        Err(Refusal::UnknownCredentials) => {
            let operator = account.operator();
            let verdict = verify(&operator);
            let caller = if verdict.is_ok() { operator } else { account.clone() };
            (caller, verdict)
        }
        verdict => (account.clone(), verdict),
    }
}

/// Does what an authentic call asks for.
async fn run(aws: &Aws, call: &Call, request_id: &str) -> Response {
    let body = match call.service {
        Service::Ssm => ssm::answer(aws, call),
        Service::SecretsManager => secrets_manager::answer(aws, call),
        Service::Sqs => sqs::answer(aws, call),
        Service::Events => events::answer(aws, call),
        Service::Lambda if call.operation == "Invoke" => {
            return match lambda::invoke(aws, call).await {
                Ok(response) => response,
                Err(error) => refuse(call.service, &error, request_id),
            };
        }
        Service::Lambda => lambda::answer(aws, call),
        Service::Sns => sns::answer(aws, call, request_id),
        Service::Sts => sts::answer(aws, call, request_id),
        Service::Iam => iam::answer(aws, call, request_id),
        Service::CloudWatch => cloudwatch::answer(aws, call, request_id),
        Service::AutoScaling => autoscaling::answer(aws, call, request_id),
        Service::Ec2 => ec2::answer(aws, call, request_id),
    };
    match body {
        Ok(body) => respond(call.service, StatusCode::OK, body, request_id),
        Err(error) => refuse(call.service, &error, request_id),
    }
}

fn refuse(service: Service, error: &ApiError, request_id: &str) -> Response {
    let body = match service.protocol() {
        Protocol::Json => json::error(service, error),
        Protocol::Rest => lambda::error(error),
        Protocol::Query => xml::error(service, error, request_id),
        Protocol::Ec2 => ec2::error(error, request_id),
    };
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(service, status, body, request_id);
    let named = match service.protocol() {
        Protocol::Rest => Some(("x-amzn-errortype", error.code.to_owned())),
        Protocol::Json if service == Service::Sqs => sqs::query_error(error),
        Protocol::Json | Protocol::Query | Protocol::Ec2 => None,
    };
    if let Some((name, value)) = named
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn respond(service: Service, status: StatusCode, body: String, request_id: &str) -> Response {
    let headers = [(header::CONTENT_TYPE.as_str(), service.content_type()), ("x-amzn-requestid", request_id)];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests;
