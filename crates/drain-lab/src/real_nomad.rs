//! A real Nomad cluster on loopback, for the tests that show whether the emulated one is right: one server and any
//! number of clients, with ACLs on and an instance's metadata for each client.
//!
//! The program is whatever [`find`] finds on this machine. Everything that is started lives in one temporary folder
//! and ends with the [`Cluster`], after a panic too.

mod agent;
mod api;
mod config;
mod debris;
mod front;
mod job;
mod metadata;
mod mirror;
mod tls;

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::agent::Agent;
use self::api::Api;
use self::config::ServerPorts;
use self::debris::Home;
pub use self::front::Front;
pub use self::mirror::Mirror;
use self::tls::Tls;
use crate::authority::Authority;
use crate::aws::IdentityProvider;
use crate::aws::ids::Ids;
use crate::http_face::Face;
use crate::nomad::JobSpec;

/// How long a leader and a client are waited for. A client that has registered sends its first heartbeat up to ten
/// seconds later, and only then the servers believe that it is ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often somebody who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The program `nomad`: what the variable `NOMAD_BIN` says, or else the first one on `PATH`. A `NOMAD_BIN` that leads
/// nowhere is returned too: whoever sets it wants to hear about it.
pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(path) = variable("NOMAD_BIN").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let folders = variable("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("nomad")).find(|path| path.is_file())
}

/// A cluster. Dropping it ends its agents and their tasks, and removes what they wrote.
#[derive(Debug)]
pub struct Cluster {
    nomad: PathBuf,
    server: Agent,
    ports: ServerPorts,
    clients: Vec<Client>,
    /// The first three numbers of the clients' addresses.
    network: [u8; 3],
    agent_port: u16,
    tls: Option<Tls>,
    /// Speaks with the server, and may do everything.
    api: Api,
    /// Last: it is removed when the agents are dead.
    home: Home,
}

/// A client and the metadata service of its instance.
#[derive(Debug)]
struct Client {
    name: String,
    agent: Agent,
    _metadata: Option<Face>,
}

impl Cluster {
    /// Starts a server, waits until it leads, and bootstraps its ACLs.
    pub async fn start(nomad: &Path) -> io::Result<Self> {
        Self::start_with(nomad, false).await
    }

    /// The same for a cluster that speaks TLS only, and demands a certificate of its authority from everybody.
    pub async fn start_secure(nomad: &Path) -> io::Result<Self> {
        Self::start_with(nomad, true).await
    }

    async fn start_with(nomad: &Path, secure: bool) -> io::Result<Self> {
        let home = Home::create()?;
        let tls = if secure { Some(Tls::create(&home)?) } else { None };
        // Clusters that run at the same time are most likely in different networks.
        let network = [127, fastrand::u8(64..), fastrand::u8(..)];
        let ports = ServerPorts { http: free_port()?, rpc: free_port()?, serf: free_port()? };
        let server = start_server(nomad, &home, ports, tls.as_ref())?;
        let secret = Ids::seeded(fastrand::u64(..)).uuid();
        let scheme = if secure { "https" } else { "http" };
        let ours =
            tls.as_ref().map(|tls| tls.authority.client(&tls.authority.issue(&["operator"])?)).transpose()?;
        let api = Api::new(format!("{scheme}://127.0.0.1:{}", ports.http), secret.clone(), ours);
        let agent_port = free_port()?;
        let clients = Vec::new();
        let nomad = nomad.to_owned();
        let mut cluster = Self { nomad, server, ports, clients, network, agent_port, tls, api, home };
        cluster.wait_for_leader().await?;
        cluster.post("/v1/acl/bootstrap", &json!({"BootstrapSecret": secret})).await?;
        Ok(cluster)
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        self.api.url()
    }

    /// Where the agents of clients are, as the function is told.
    pub fn agent_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{{ip}}:{}", self.agent_port)
    }

    /// The authority of a cluster that speaks TLS.
    pub fn authority(&self) -> Option<&Authority> {
        self.tls.as_ref().map(|tls| &tls.authority)
    }

    /// Makes a JWT auth method of this name. Those for whom `provider` vouches with this subject, to this audience, get
    /// the policy, whose rules these are, for as long as `lasts`.
    pub async fn jwt_auth_method(
        &self,
        name: &str,
        provider: &IdentityProvider,
        audience: &str,
        subject: &str,
        rules: &str,
        lasts: Duration,
    ) -> io::Result<()> {
        let policy = json!({"Name": name, "Rules": rules});
        self.post(&format!("/v1/acl/policy/{name}"), &policy).await?;
        let method = json!({
            "Name": name, "Type": "JWT", "TokenLocality": "local", "MaxTokenTTL": format!("{}s", lasts.as_secs()),
            "Config": {
                "JWTValidationPubKeys": [provider.public_key_pem()], "BoundIssuer": [provider.issuer()],
                "BoundAudiences": [audience], "ClaimMappings": {"sub": "role"},
            },
        });
        self.post("/v1/acl/auth-method", &method).await?;
        let rule = json!({
            "AuthMethod": name, "BindType": "policy", "BindName": name,
            "Selector": format!("value.role == {subject:?}"),
        });
        self.post("/v1/acl/binding-rule", &rule).await.map(drop)
    }

    /// The address of the client with this number, from 1 on.
    pub fn address(&self, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, number)
    }

    /// Starts a client. It can read the metadata of the instance with this id; without one it can read none, as where
    /// the metadata service is turned off.
    pub async fn start_client(&mut self, number: u8, instance_id: Option<&str>) -> io::Result<()> {
        let address = self.address(number);
        let metadata = match instance_id {
            Some(id) => Some(metadata::serve(id, address).await?),
            None => None,
        };
        let name = format!("client-{number}");
        let cgroup = self.home.cgroup(&name);
        let config =
            config::client(&self.home.path(&name), address, self.agent_port, self.ports.rpc, &cgroup);
        let config = config::with_tls(config, self.tls.as_ref().map(|tls| &tls.client));
        let variable = match &metadata {
            Some(face) => ("AWS_EC2_METADATA_SERVICE_ENDPOINT", face.url()),
            None => ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        };
        let agent = Agent::start(&self.nomad, &self.home, &name, &config, &[variable])?;
        self.clients.push(Client { name, agent, _metadata: metadata });
        Ok(())
    }

    /// Waits until every client is ready and can run tasks. Returns their nodes' ids in the order of their starts.
    pub async fn ready(&mut self) -> io::Result<Vec<String>> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let nodes = self.get("/v1/nodes").await?;
            let ids: Vec<String> =
                self.clients.iter().filter_map(|client| ready_node(&nodes, &client.name)).collect();
            if ids.len() == self.clients.len() {
                return Ok(ids);
            }
            for client in &mut self.clients {
                client.agent.must_run(give_up)?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Makes a token of type `client` with one policy, whose rules these are. Returns its secret.
    pub async fn token(&self, name: &str, rules: &str) -> io::Result<String> {
        self.token_lasting(name, rules, None).await
    }

    /// The same for one that ends.
    pub async fn token_lasting(
        &self,
        name: &str,
        rules: &str,
        lasts: Option<Duration>,
    ) -> io::Result<String> {
        let policy = json!({"Name": name, "Rules": rules});
        self.post(&format!("/v1/acl/policy/{name}"), &policy).await?;
        let mut token = json!({"Name": name, "Type": "client", "Policies": [name]});
        if let Some(lasts) = lasts {
            token["ExpirationTTL"] = format!("{}s", lasts.as_secs()).into();
        }
        let token = self.post("/v1/acl/token", &token).await?;
        token["SecretID"].as_str().map(str::to_owned).ok_or_else(|| io::Error::other("a token has no secret"))
    }

    /// What the server answers to a read by somebody who may read everything.
    pub async fn get(&self, path: &str) -> io::Result<Value> {
        self.api.call("GET", path, None).await
    }

    /// What the server answers to a change by somebody who may change everything.
    pub async fn post(&self, path: &str, body: &Value) -> io::Result<Value> {
        self.api.call("POST", path, Some(body)).await
    }

    /// A node, as the server shows it.
    pub async fn node(&self, id: &str) -> io::Result<Value> {
        self.get(&format!("/v1/node/{id}")).await
    }

    /// The allocations of a job.
    pub async fn allocations(&self, job: &str) -> io::Result<Vec<Value>> {
        let allocations = self.get(&format!("/v1/job/{job}/allocations")).await?;
        Ok(allocations.as_array().cloned().unwrap_or_default())
    }

    /// Drains a node as an operator does. `spec` is the `DrainSpec`.
    pub async fn drain(&self, node: &str, spec: &Value, meta: &Value) -> io::Result<()> {
        let request = json!({"DrainSpec": spec, "Meta": meta});
        self.post(&format!("/v1/node/{node}/drain"), &request).await.map(drop)
    }

    /// Lets a node take allocations again.
    pub async fn make_eligible(&self, node: &str) -> io::Result<()> {
        let request = json!({"Eligibility": "eligible"});
        self.post(&format!("/v1/node/{node}/eligibility"), &request).await.map(drop)
    }

    /// Registers a job: the content of `Job`.
    pub async fn run_job(&self, job: &Value) -> io::Result<()> {
        self.post("/v1/jobs", &json!({"Job": job})).await.map(drop)
    }

    /// Registers a job of the lab's for the nodes with these ids: a program that behaves as it says.
    pub async fn add_job(&self, spec: &JobSpec, nodes: &[String]) -> io::Result<()> {
        self.run_job(&job::register(spec, nodes)).await
    }

    /// Stops a job, as `nomad job stop` does.
    pub async fn stop_job(&self, job: &str) -> io::Result<()> {
        self.api.call("DELETE", &format!("/v1/job/{job}"), None).await.map(drop)
    }

    /// Ends the process of the client with this name, without a warning to anybody.
    pub fn kill_client(&mut self, name: &str) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.name == name) {
            client.agent.kill();
        }
    }

    /// Ends the server's process, without a warning to anybody.
    pub fn kill_server(&mut self) {
        self.server.kill();
    }

    /// Starts the server again where it was, and waits until it leads.
    pub async fn restart_server(&mut self) -> io::Result<()> {
        self.server = start_server(&self.nomad, &self.home, self.ports, self.tls.as_ref())?;
        self.wait_for_leader().await
    }

    async fn wait_for_leader(&mut self) -> io::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        while !self.get("/v1/status/leader").await.is_ok_and(|leader| leader != "") {
            self.server.must_run(give_up)?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn start_server(nomad: &Path, home: &Home, ports: ServerPorts, tls: Option<&Tls>) -> io::Result<Agent> {
    let config = config::with_tls(config::server(&home.path("server"), ports), tls.map(|tls| &tls.server));
    Agent::start(nomad, home, "server", &config, &[])
}

/// The id of the node with this name, if it can take tasks.
fn ready_node(nodes: &Value, name: &str) -> Option<String> {
    let node = nodes.as_array()?.iter().find(|node| node["Name"] == name)?;
    let ready = node["Status"] == "ready" && node["Drivers"]["raw_exec"]["Healthy"] == true;
    ready.then(|| node["ID"].as_str().map(str::to_owned)).flatten()
}

/// A port that nobody listens on. Somebody may be quicker than the agent that is told to take it: then the agent does
/// not start, and says so.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nomad_is_what_the_variable_says_or_else_on_the_path() {
        let found = |bin: Option<&str>, path: &str| {
            let (bin, path) = (bin.map(OsString::from), OsString::from(path));
            find(move |name| if name == "NOMAD_BIN" { bin.clone() } else { Some(path.clone()) })
        };
        assert_eq!(found(Some("/nowhere/nomad"), ""), Some("/nowhere/nomad".into()));
        assert_eq!(found(None, "/nowhere:/nowhere/else"), None);
        assert_eq!(found(Some(""), "/nowhere"), None);

        let home = Home::create().unwrap();
        let program = home.path("nomad");
        std::fs::write(&program, "").unwrap();
        let path = format!("/nowhere:{}", program.parent().unwrap().display());
        assert_eq!(found(None, &path), Some(program));
    }
}
