//! The agents' configuration.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The files with which an agent speaks TLS.
#[derive(Clone, Debug)]
pub(super) struct TlsFiles {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Lets an agent speak TLS with everybody, and demand certificates from everybody.
pub(super) fn with_tls(mut config: Value, files: Option<&TlsFiles>) -> Value {
    if let Some(TlsFiles { authority, certificate, key }) = files {
        config["tls"] = json!({
            "http": true, "rpc": true, "ca_file": authority, "cert_file": certificate, "key_file": key,
            "verify_server_hostname": true, "verify_https_client": true,
        });
    }
    config
}

/// Where the server listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerPorts {
    pub(super) http: u16,
    pub(super) rpc: u16,
    pub(super) serf: u16,
}

/// A server that is a whole cluster of servers.
pub(super) fn server(data: &Path, ports: ServerPorts) -> Value {
    let mut config = agent("server", data, Ipv4Addr::LOCALHOST);
    config["ports"] = json!({"http": ports.http, "rpc": ports.rpc, "serf": ports.serf});
    config["server"] = json!({
        "enabled": true,
        "bootstrap_expect": 1,
        // A client that is gone is missed within seconds.
        "min_heartbeat_ttl": "2s",
        "heartbeat_grace": "2s",
    });
    config
}

/// A client that can run any program, and believes that it is on EC2 if it can read an instance's metadata.
pub(super) fn client(data: &Path, address: Ipv4Addr, http: u16, server_rpc: u16, cgroup: &str) -> Value {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let mut config = agent(&name, data, address);
    config["ports"] = json!({ "http": http });
    config["client"] = json!({
        "enabled": true,
        "servers": [format!("127.0.0.1:{server_rpc}")],
        "network_interface": "lo",
        "cgroup_parent": cgroup,
        // Several clients share this machine: what they have to give is made up.
        "cpu_total_compute": 2000,
        "memory_total_mb": 2000,
        // Each of them waits for a service that is not there.
        "options": {"fingerprint.denylist": "env_gce,env_azure,env_digitalocean,consul,vault"},
    });
    config["plugin"] = json!({"raw_exec": {"config": {"enabled": true}}});
    config
}

fn agent(name: &str, data: &Path, address: Ipv4Addr) -> Value {
    json!({
        "name": name,
        "data_dir": data,
        "bind_addr": address,
        // Nomad refuses to advertise a loopback address by default.
        "advertise": {"http": address, "rpc": address, "serf": address},
        "disable_update_check": true,
        // By default no token may last for less than a minute.
        "acl": {"enabled": true, "token_min_expiration_ttl": "1s"},
    })
}
