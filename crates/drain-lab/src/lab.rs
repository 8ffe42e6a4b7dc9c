//! A whole lab: an AWS account, a Nomad cluster and a function, wired together as in the real world.
//!
//! A hook's message reaches the function through the topic; an instance that ends takes its Nomad client with it; a
//! second function, or the same one, sweeps when it is time.

mod deployed;
mod route;
mod wiring;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub use self::deployed::Deployment;
pub use self::route::Route;
use self::wiring::{Wiring, wire};
use crate::aws::Account;
use crate::aws::deployed::{DeployedFunction, DeployedQueue};
use crate::aws::ids::Ids;
use crate::clock::Clock;
use crate::http_face::Face;
use crate::journal::Journal;
use crate::lambda::{EventSourceMapping, Function, InvocationRecord, Lambda};
use crate::models::Models;
pub use crate::models::{HOOK, LAUNCH_HOOK, TOKEN, TOKEN_PARAMETER, TOPIC, Worker};
use crate::sqs::{Queue, QueueSettings};

/// An AWS account and a Nomad cluster, and room for a function. It has everything that [`Models`] have.
#[derive(Debug)]
pub struct Lab {
    models: Models,
    aws_face: Face,
    nomad_face: Face,
    wiring: Arc<Wiring>,
    /// Ends with the lab.
    running: Mutex<JoinSet<()>>,
}

impl Lab {
    /// Starts a lab without groups, nodes or a function. It ends when it is dropped.
    pub async fn start(clock: Clock) -> io::Result<Self> {
        let models = Models::unwired(clock.clone(), Journal::new(clock));
        let (wiring, asked) = Wiring::new();
        let (aws, nomad) = (models.aws.clone(), models.nomad.clone());
        let mut running = JoinSet::new();
        running.spawn(aws.clone().run());
        running.spawn({
            let nomad = nomad.clone();
            async move { nomad.run().await }
        });
        running.spawn(wire(aws.events(), nomad.clone(), Arc::clone(&wiring), asked));
        aws.create_topic(TOPIC);
        let (aws_face, nomad_face) = (aws.serve().await?, nomad.serve().await?);
        Ok(Self { models, aws_face, nomad_face, wiring, running: Mutex::new(running) })
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

    /// Deploys the function and subscribes it to whatever brings it news: the topic, or what [`Lab::deliver_by`] says. Panics
    /// if one is deployed already: a test that believes to run another would prove nothing.
    pub fn deploy(&self, function: Function) -> &Lambda {
        let lambda = self.deploy_to(&self.wiring.function, function);
        self.wiring.map();
        lambda
    }

    fn deploy_to<'a>(&self, place: &'a OnceLock<Lambda>, function: Function) -> &'a Lambda {
        let name = function.name.clone();
        let mut is_new = false;
        let lambda = place.get_or_init(|| {
            is_new = true;
            let account = self.aws.account().clone();
            Lambda::new(function, account, self.clock.clone(), self.journal.clone())
        });
        assert!(is_new, "cannot deploy {name}: this lab runs {} already", lambda.function_arn());
        self.aws.change_deployed(|deployed| {
            let new = || DeployedFunction::new(lambda.settings(), self.aws.account());
            deployed.functions.entry(name).or_insert_with(new).hosted = Some(lambda.clone());
        });
        lambda
    }

    /// The function that was deployed.
    pub fn lambda(&self) -> Option<&Lambda> {
        self.wiring.function.get()
    }

    /// The settings of the same function for the sweep: one run at a time, a minute long, and no retries, as the next
    /// sweep is one.
    pub fn sweep_function(&self, bootstrap: &Path) -> Function {
        let mut function = self.function(bootstrap);
        function.env.insert("SWEEP".to_owned(), "on".to_owned());
        Function {
            name: "nomad-drain-sweep".to_owned(),
            timeout: Duration::from_mins(1),
            max_concurrency: 1,
            retry_after: vec![],
            ..function
        }
    }

    /// Deploys the function for the sweep, in processes of its own. Panics if one is deployed already.
    pub fn deploy_sweep(&self, function: Function) -> &Lambda {
        self.deploy_to(&self.wiring.sweep, function)
    }

    /// The function that sweeps: the one that was deployed for it, or else the one that gets the events.
    pub fn sweeper(&self) -> Option<&Lambda> {
        self.wiring.sweeper()
    }

    /// Sweeps once, now, and waits for the end of it; none if no function is deployed.
    pub async fn sweep(&self) -> Option<InvocationRecord> {
        let event = scheduled_event(self.aws.account(), self.clock.now());
        Some(self.sweeper()?.invoke(&event).await)
    }

    /// Sweeps again and again, by the lab's clock, until the lab ends: first when `every` has passed. A clock that is
    /// turned past several moments at once brings one sweep for each.
    pub fn schedule_sweep(&self, every: Duration) {
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        let (clock, account, wiring) =
            (self.clock.clone(), self.aws.account().clone(), Arc::clone(&self.wiring));
        let mut next = clock.now() + every;
        self.running.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            loop {
                clock.sleep_until(next).await;
                if let Some(sweeper) = wiring.sweeper() {
                    sweeper.invoke_async(scheduled_event(&account, next));
                }
                next += every;
            }
        });
    }

    /// Delivers what the account announces from now on by this route, whatever target a hook names: so one story can be
    /// told in every envelope. A route with a queue gets one with usual settings, unless [`Lab::create_queue`] has made
    /// it; what is sent before the function is deployed waits there.
    pub fn deliver_by(&self, route: Route) {
        if route.has_queue() && self.queue().is_none() {
            self.create_queue(QueueSettings::named("nomad-drain"), EventSourceMapping::default());
        }
        *self.wiring.route.lock().unwrap_or_else(PoisonError::into_inner) = Some(route);
    }

    /// Creates the queue for routes that have one, from which the deployed function will read. Panics if there is one
    /// already.
    pub fn create_queue(&self, settings: QueueSettings, mapping: EventSourceMapping) -> &Queue {
        let mut is_new = false;
        let (queue, _) = self.wiring.queue.get_or_init(|| {
            is_new = true;
            let account = self.aws.account().clone();
            (Queue::new(settings, account, self.clock.clone(), self.journal.clone()), mapping)
        });
        assert!(is_new, "this lab has a queue already: {}", queue.arn());
        self.aws.change_deployed(|deployed| {
            let name = queue.settings().name.clone();
            let described = deployed.queues.entry(name.clone()).or_insert_with(|| DeployedQueue::new(&name));
            described.visibility_timeout = queue.settings().visibility_timeout;
            described.hosted = Some(queue.clone());
        });
        self.wiring.map();
        queue
    }

    /// The queue, if a route needed one or [`Lab::create_queue`] made it.
    pub fn queue(&self) -> Option<&Queue> {
        self.wiring.queue.get().map(|(queue, _)| queue)
    }

    /// Waits until everything that was announced has been delivered, and no function runs or is about to. What waits for
    /// the clock to be turned, as a retry or a visibility timeout does, is not waited for.
    pub async fn quiet(&self) {
        loop {
            // A look lets happen, and be announced, what has become due.
            self.aws.next_due();
            self.wiring.carried().await;
            let before = self.wiring.handed_over.load(Ordering::SeqCst);
            for function in [&self.wiring.function, &self.wiring.sweep].into_iter().filter_map(OnceLock::get)
            {
                function.quiet().await;
            }
            if let Some(queue) = self.queue().filter(|_| self.lambda().is_some()) {
                queue.quiet().await;
            }
            // What ran may have made the account say more.
            self.wiring.carried().await;
            if self.wiring.handed_over.load(Ordering::SeqCst) == before {
                return;
            }
        }
    }

    /// Subscribes the function to `EventBridge`, which tells it of every hook of every group, of every launch and
    /// termination, and of what EC2 and AWS Health say, besides whatever the route or the hooks' own targets bring.
    pub fn add_event_bridge_rule(&self) {
        self.wiring.rule.store(true, Ordering::SeqCst);
    }

    /// Whether everything that the account announces is lost on its way to the function; what somebody sends to the function,
    /// to the queue or to the topic is not.
    pub fn lose_events(&self, lost: bool) {
        self.wiring.lost.store(lost, Ordering::SeqCst);
    }

    /// Serves the agent of a worker at the worker's address, on a free port.
    pub async fn serve_agent(&self, worker: &Worker) -> io::Result<Face> {
        let address = SocketAddr::new(IpAddr::V4(worker.private_ip), 0);
        self.nomad.serve_agent_at(&worker.node_id, address).await
    }
}

impl Deref for Lab {
    type Target = Models;

    fn deref(&self) -> &Models {
        &self.models
    }
}

/// What `EventBridge` sends when a rule with a schedule is due.
pub fn scheduled_event(account: &Account, at: Timestamp) -> Value {
    let Account { id, region, .. } = account;
    let number = u64::try_from(at.as_millisecond()).unwrap_or_default();
    json!({
        "version": "0",
        "id": Ids::seeded(number).uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": id,
        "time": format!("{at:.0}"),
        "region": region,
        "resources": [format!("arn:aws:events:{region}:{id}:rule/nomad-drain-sweep")],
        "detail": {},
    })
}

#[cfg(test)]
mod tests;
