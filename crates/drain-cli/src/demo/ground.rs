//! The Nomad of the demonstration: the lab's, or a real one.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use drain_lab::aws::ParameterType;
use drain_lab::journal::Kind;
use drain_lab::lab::{Lab, TOKEN_PARAMETER, Worker};
use drain_lab::nomad::{AllocView, DrainRequest, JobSpec, NodeView};
use drain_lab::real_nomad::{Cluster, Front, Mirror, find};
use serde_json::{Value, json};

/// What the documentation tells people to give the function's token.
const POLICY: &str = include_str!("../../../../deploy/nomad/nomad-drain.policy.hcl");

/// The Nomad of the demonstration.
#[derive(Debug)]
pub(super) enum Ground {
    /// The lab's.
    Emulated,
    /// A real cluster on this machine.
    Real(Box<Real>),
}

/// A real cluster, and what was last seen of it.
#[derive(Debug)]
pub(super) struct Real {
    cluster: Cluster,
    /// The way by which the function comes.
    front: Front,
    seen: Mirror,
    version: String,
    /// The instances whose clients have ended with them.
    ended: BTreeSet<String>,
}

impl Ground {
    /// The lab's Nomad, and so many workers in a group.
    pub(super) fn emulated(lab: &Lab, group: &str, workers: u8) -> anyhow::Result<(Self, Vec<Worker>)> {
        let workers: Result<_, _> = (1..=workers).map(|number| lab.add_worker(group, number)).collect();
        Ok((Self::Emulated, workers?))
    }

    /// A real server, and a client for each of so many instances of a group.
    pub(super) async fn real(lab: &Lab, group: &str, workers: u8) -> anyhow::Result<(Self, Vec<Worker>)> {
        if cfg!(not(target_os = "linux")) {
            bail!(
                "a real cluster on one machine needs Linux, where each client has its own loopback address"
            );
        }
        let Some(nomad) = find(|name| std::env::var_os(name)) else {
            bail!(
                "there is no nomad on PATH, and NOMAD_BIN is not set: install it \
                 (https://developer.hashicorp.com/nomad/install), or name the program in NOMAD_BIN"
            );
        };
        let mut cluster =
            Cluster::start(&nomad).await.with_context(|| format!("{} does not start", nomad.display()))?;
        let token = cluster.token("nomad-drain", POLICY).await?;
        lab.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, &token);
        let mut all = Vec::new();
        for number in 1..=workers {
            let (private_ip, name) = (cluster.address(number), format!("client-{number}"));
            let instance_id = lab.aws.add_instance(group, Some(private_ip))?;
            cluster.start_client(number, Some(&instance_id)).await?;
            all.push(Worker { instance_id, node_id: String::new(), name, private_ip });
        }
        for (worker, id) in all.iter_mut().zip(cluster.ready().await?) {
            worker.node_id = id;
        }
        let agent = cluster.get("/v1/agent/self").await?;
        let version = agent["config"]["Version"]["Version"].as_str().unwrap_or("?").to_owned();
        let front = cluster.front(lab.journal.clone()).await?;
        let seen = Mirror::new(lab.journal.clone());
        let real = Real { cluster, front, seen, version, ended: BTreeSet::new() };
        Ok((Self::Real(Box::new(real)), all))
    }

    /// Where the function finds the servers, if not where the lab has them.
    pub(super) fn address(&self) -> Option<String> {
        match self {
            Self::Emulated => None,
            Self::Real(real) => Some(real.front.url()),
        }
    }

    /// The version of a real Nomad.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Emulated => None,
            Self::Real(real) => Some(&real.version),
        }
    }

    /// Looks at a real cluster, and lets the clients of ended instances end. What is asked below is as of then.
    pub(super) async fn look(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let Self::Real(real) = self else { return Ok(()) };
        real.seen.look(&real.cluster).await?;
        let entries = lab.journal.entries().into_iter();
        let ended = entries.filter(|entry| entry.kind == Kind::Effect && entry.what == "instance terminated");
        for entry in ended {
            if real.ended.insert(entry.subject.clone())
                && let Some(node) = lab_node(real, &entry.subject)
            {
                real.cluster.kill_client(&node.name);
            }
        }
        Ok(())
    }

    /// A node.
    pub(super) fn node(&self, lab: &Lab, id: &str) -> Option<NodeView> {
        match self {
            Self::Emulated => lab.nomad.node(id),
            Self::Real(real) => real.seen.node(id),
        }
    }

    /// The allocations on a node, oldest first.
    pub(super) fn allocations_on(&self, lab: &Lab, node: &str) -> Vec<AllocView> {
        match self {
            Self::Emulated => lab.nomad.allocations_on(node),
            Self::Real(real) => real.seen.allocations_on(node),
        }
    }

    /// The allocations of a job, oldest first.
    pub(super) fn allocations_of(&self, lab: &Lab, job: &str) -> Vec<AllocView> {
        match self {
            Self::Emulated => lab.nomad.allocations_of(job),
            Self::Real(real) => real.seen.allocations_of(job),
        }
    }

    /// Runs a job on these of all nodes.
    pub(super) async fn add_job(
        &self,
        lab: &Lab,
        job: JobSpec,
        on: &[String],
        all: &[String],
    ) -> anyhow::Result<()> {
        match self {
            Self::Emulated => {
                let others: Vec<&String> = all.iter().filter(|node| !on.contains(node)).collect();
                for node in &others {
                    lab.nomad.set_eligibility(node, false)?;
                }
                lab.nomad.add_job(job);
                for node in &others {
                    lab.nomad.set_eligibility(node, true)?;
                }
            }
            Self::Real(real) => real.cluster.add_job(&job, on).await?,
        }
        Ok(())
    }

    /// Begins or cancels a drain, as an operator does.
    pub(super) async fn drain(&self, lab: &Lab, node: &str, request: DrainRequest) -> anyhow::Result<()> {
        match self {
            Self::Emulated => lab.nomad.drain(node, request)?,
            Self::Real(real) => {
                let spec = request.spec.map_or(Value::Null, |spec| {
                    let deadline = i64::try_from(spec.deadline.as_nanos()).unwrap_or(i64::MAX);
                    json!({"Deadline": deadline, "IgnoreSystemJobs": spec.ignore_system_jobs})
                });
                let body = json!({"DrainSpec": spec, "MarkEligible": request.mark_eligible});
                real.cluster.post(&format!("/v1/node/{node}/drain"), &body).await?;
            }
        }
        Ok(())
    }

    /// Cuts the servers off from the function, or lets it reach them again.
    pub(super) fn set_unreachable(&self, lab: &Lab, unreachable: bool) {
        match self {
            Self::Emulated => lab.nomad.set_unreachable(unreachable),
            Self::Real(real) => real.front.cut(unreachable),
        }
    }
}

/// The node on an instance.
fn lab_node(real: &Real, instance_id: &str) -> Option<NodeView> {
    real.seen.nodes().find(|node| node.instance_id.as_deref() == Some(instance_id)).cloned()
}
