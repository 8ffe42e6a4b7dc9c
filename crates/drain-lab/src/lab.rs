//! A whole lab: an AWS account, a Nomad cluster and a function, wired together as in the real world.
//!
//! A hook's message reaches the function through the topic; an instance that ends takes its Nomad client with it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::aws::{Account, ActionResult, ApiError, Aws, Ec2News, Ec2State, Event};
use crate::aws::{GroupSettings, LifecycleHook, NotificationTarget, ParameterType};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::http_face::Face;
use crate::journal::Journal;
use crate::lambda::{Function, Lambda};
use crate::nomad::{Access, NodeSpec, NodeView, Nomad, Policy, Token};

/// The SSM parameter that holds the token: where the function looks for it if it is told nothing but `ENV=lab` and the
/// region.
pub const TOKEN_PARAMETER: &str = "/lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN";

/// The token in it. Tests look for it where it must not be.
pub const TOKEN: &str = "5f0c1a3e-7d42-4b0e-9a66-3f1de2c0ab17";

/// The topic to which the hook's messages go, and to which the function is subscribed.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:nomad-drain";

/// An AWS account and a Nomad cluster, and room for a function.
#[derive(Debug)]
pub struct Lab {
    /// The time of everything in it.
    pub clock: Clock,
    /// What happened.
    pub journal: Journal,
    /// What shall go wrong.
    pub faults: Faults,
    /// The account.
    pub aws: Aws,
    /// The cluster, with ACLs on.
    pub nomad: Nomad,
    aws_face: Face,
    nomad_face: Face,
    function: Arc<OnceLock<Lambda>>,
    /// Ends with the lab.
    _running: JoinSet<()>,
}

/// An instance that runs a Nomad client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker {
    /// The instance.
    pub instance_id: String,
    /// Its node.
    pub node_id: String,
    /// The node's name.
    pub name: String,
    /// The instance's private address.
    pub private_ip: Ipv4Addr,
}

impl Lab {
    /// Starts a lab without groups, nodes or a function. It ends when it is dropped.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        let journal = Journal::new(clock.clone());
        let faults = Faults::default();
        let aws = Aws::with_account(Account::default(), clock.clone(), journal.clone(), faults.clone());
        aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, TOKEN);
        let nomad = Nomad::new(clock.clone(), journal.clone(), faults.clone());
        nomad.enable_acl();
        // As in deploy/nomad/nomad-drain.policy.hcl, and nothing else.
        nomad.add_policy("nomad-drain", Policy::default().node(Access::Write).agent(Access::Read));
        nomad.add_token(Token::client(TOKEN, &["nomad-drain"]));

        let function = Arc::new(OnceLock::new());
        let mut running = JoinSet::new();
        running.spawn(aws.clone().run());
        running.spawn({
            let nomad = nomad.clone();
            async move { nomad.run().await }
        });
        running.spawn(wire(aws.events(), nomad.clone(), Arc::clone(&function)));
        let (aws_face, nomad_face) = (aws.serve().await?, nomad.serve().await?);
        Ok(Self { clock, journal, faults, aws, nomad, aws_face, nomad_face, function, _running: running })
    }

    /// Where AWS is.
    pub fn aws_url(&self) -> String {
        self.aws_face.url()
    }

    /// Where Nomad's servers are.
    pub fn nomad_url(&self) -> String {
        self.nomad_face.url()
    }

    /// The settings of a function that is at home in this lab.
    pub fn function(&self, bootstrap: &Path) -> Function {
        let env = [
            ("ENV", "lab".to_owned()),
            ("REGION", "us-east-1".to_owned()),
            ("NOMAD_ADDR", self.nomad_url()),
            ("AWS_ENDPOINT_URL", self.aws_url()),
        ];
        let env: BTreeMap<String, String> =
            env.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Function { env, ..Function::new("nomad-drain", bootstrap) }
    }

    /// Deploys the function and subscribes it to the topic. A lab has one function: of several, the first.
    pub fn deploy(&self, function: Function) -> &Lambda {
        self.function.get_or_init(|| {
            let account = self.aws.account().clone();
            Lambda::new(function, account, self.clock.clone(), self.journal.clone())
        })
    }

    /// The function that was deployed.
    pub fn lambda(&self) -> Option<&Lambda> {
        self.function.get()
    }

    /// Creates a group with a terminate hook whose messages go to the topic.
    pub fn add_group(&self, name: &str, heartbeat_timeout: u32) -> Result<(), ApiError> {
        self.aws.create_group(GroupSettings::named(name));
        let hook = LifecycleHook {
            heartbeat_timeout,
            default_result: ActionResult::Continue,
            target: NotificationTarget::Sns { topic_arn: TOPIC.to_owned() },
            ..LifecycleHook::terminating("nomad-drain-hook")
        };
        self.aws.put_lifecycle_hook(name, hook)
    }

    /// Adds an instance to a group, and the Nomad node that runs on it. `number` makes its name and its address, which
    /// is on the loopback network.
    pub fn add_worker(&self, group: &str, number: u8) -> Result<Worker, ApiError> {
        self.add_worker_as(group, number, |instance_id, node| node.instance_id(instance_id))
    }

    /// The same, with a node that is not quite as it should be.
    pub fn add_worker_as(
        &self,
        group: &str,
        number: u8,
        adjust: impl FnOnce(&str, NodeSpec) -> NodeSpec,
    ) -> Result<Worker, ApiError> {
        let private_ip = Ipv4Addr::new(127, 0, 1, number);
        let instance_id = self.aws.add_instance(group, Some(private_ip))?;
        let name = format!("worker-{number}");
        let spec = NodeSpec::new(&name).address(private_ip.to_string());
        let node_id = self.nomad.add_node(adjust(&instance_id, spec));
        Ok(Worker { instance_id, node_id, name, private_ip })
    }

    /// Serves the agent of a worker at the worker's address.
    pub async fn serve_agent(&self, worker: &Worker, port: u16) -> io::Result<Face> {
        let address = SocketAddr::new(IpAddr::V4(worker.private_ip), port);
        self.nomad.serve_agent_at(&worker.node_id, address).await
    }

    /// The node of a worker.
    pub fn node(&self, worker: &Worker) -> Option<NodeView> {
        self.nomad.node(&worker.node_id)
    }
}

/// Carries what the account announces to those whom it concerns.
async fn wire(mut events: UnboundedReceiver<Event>, nomad: Nomad, function: Arc<OnceLock<Lambda>>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Hook(notification) => {
                if let (Some(function), Some(payload)) = (function.get(), notification.lambda_payload()) {
                    function.invoke_async(payload);
                }
            }
            Event::Ec2(event) if event.news == Ec2News::StateChanged(Ec2State::ShuttingDown) => {
                let of_instance = |node: &NodeView| node.instance_id.as_deref() == Some(&event.instance_id);
                for node in nomad.nodes().into_iter().filter(of_instance) {
                    // The node may have been purged in the meantime: then nothing is left to end.
                    let _ = nomad.kill_client(&node.id);
                }
            }
            Event::Ec2(_) => {}
        }
    }
}
