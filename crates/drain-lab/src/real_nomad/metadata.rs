//! The instance metadata service (IMDS), as far as Nomad's fingerprint of EC2 reads it.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};

use crate::http_face::{Face, loopback, serve as serve_face};

/// A session's token, which version 2 of the service asks for first.
const SESSION: &str = "a-session";

#[derive(Debug)]
struct Instance {
    id: String,
    address: Ipv4Addr,
}

/// Serves what an instance with this id and this private address is told about itself.
pub(super) async fn serve(instance_id: &str, address: Ipv4Addr) -> io::Result<Face> {
    let instance = Arc::new(Instance { id: instance_id.to_owned(), address });
    let router = Router::new()
        .route(
            "/latest/api/token",
            put(|| async { ([("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")], SESSION) }),
        )
        .route("/latest/meta-data/{*key}", get(answer))
        .with_state(instance);
    serve_face(loopback().await?, router)
}

async fn answer(
    State(instance): State<Arc<Instance>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<String, StatusCode> {
    if headers.get("X-Aws-Ec2-Metadata-Token").is_none_or(|token| token != SESSION) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    match key.as_str() {
        // Nomad asks for this one first, and believes that it is not on EC2 if there is none.
        "ami-id" => Ok("ami-0123456789abcdef0".to_owned()),
        "instance-id" => Ok(instance.id.clone()),
        "instance-type" => Ok("t3.micro".to_owned()),
        "local-ipv4" => Ok(instance.address.to_string()),
        "placement/availability-zone" => Ok("us-east-1a".to_owned()),
        _ => Err(StatusCode::NOT_FOUND),
    }
}
