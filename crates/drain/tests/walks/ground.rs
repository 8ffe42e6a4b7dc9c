//! The ground that a walk goes over: the lab's models, and what the walk knows of them that no invocation knows.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use drain::cluster::Cluster;
use drain::config::Config;
use drain_lab::aws::{Aws, Content, Ec2News, Ec2State, Event, GroupSettings, Instance, LifecycleHook};
use drain_lab::clock::Clock;
use drain_lab::faults::Faults;
use drain_lab::journal::Journal;
use drain_lab::nomad::{NodeSpec, NodeView, Nomad};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::faults::{Call, Fault, Kind};
use crate::ledger::Ledger;
use crate::setup::{GROUP, Joins, STRANGERS, Setup};
use crate::tally::Tally;

/// The lab, and what goes on in it.
pub(crate) struct Ground {
    pub(crate) clock: Clock,
    pub(crate) aws: Aws,
    pub(crate) nomad: Nomad,
    pub(crate) setup: Setup,
    pub(crate) config: Config,
    pub(crate) cluster: Cluster,
    pub(crate) groups: Vec<(GroupSettings, Vec<LifecycleHook>)>,
    /// Every instance there ever was.
    pub(crate) instances: Vec<String>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) tally: RefCell<Tally>,
    pub(crate) faults: RefCell<Vec<Fault>>,
    /// Until when Nomad has no leader.
    pub(crate) leaderless_until: Cell<Timestamp>,
    /// Whether the group's tag `nomad-drain-hold` is on.
    pub(crate) held_by_tag: Cell<bool>,
    pub(crate) sees_everything: Cell<bool>,
    /// Events that wait to be delivered, and those that were.
    pub(crate) inbox: RefCell<Vec<Mail>>,
    pub(crate) delivered: RefCell<Vec<Mail>>,
    /// Nodes whose machine is gone.
    pub(crate) dead: RefCell<BTreeSet<String>>,
    news: RefCell<UnboundedReceiver<Event>>,
    story: RefCell<Option<Vec<String>>>,
}

/// An event on its way to the function.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) payload: String,
    pub(crate) deliveries: u32,
    /// The instance that it announces something of, if no hook tells it.
    pub(crate) announces: Option<String>,
}

impl Ground {
    /// The lab as `setup` wants it. `telling` keeps the story.
    pub(crate) fn new(setup: &Setup, telling: bool) -> Self {
        let clock = Clock::stopped_at("2026-03-01T12:00:00.25Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let aws = Aws::new(clock.clone(), journal.clone(), Faults::default());
        let nomad = Nomad::new(clock.clone(), journal, Faults::default());
        let groups = setup.groups();
        let news = RefCell::new(aws.events());
        let mut instances = Vec::new();
        for (settings, hooks) in &groups {
            aws.create_group(settings.clone());
            for hook in hooks {
                aws.put_lifecycle_hook(&settings.name, hook.clone()).unwrap();
            }
        }
        nomad.add_node(NodeSpec::new("safe"));
        for joins in &setup.nodes {
            let id = aws.add_instance(GROUP, None).unwrap();
            match joins {
                Joins::Now => _ = nomad.add_node(node_of(&id)),
                Joins::After(seconds) => {
                    let moment = clock.now() + SignedDuration::from_secs(i64::from(*seconds));
                    nomad.add_node_at(moment, node_of(&id));
                }
                Joins::Never => {}
            }
            instances.push(id);
        }
        if setup.strangers {
            let id = aws.add_instance(STRANGERS, None).unwrap();
            nomad.add_node(node_of(&id));
            instances.push(id);
        }
        for (number, job) in setup.jobs.iter().enumerate() {
            nomad.add_job(job.spec(&format!("job-{number}")));
        }
        let config = setup.config();
        let settings = config.cluster().unwrap().clone();
        let ground = Self {
            clock,
            aws,
            nomad,
            groups,
            instances,
            ledger: RefCell::new(Ledger::new(&settings.policy)),
            config,
            cluster: Cluster::only(settings),
            tally: RefCell::default(),
            faults: RefCell::default(),
            leaderless_until: Cell::new(Timestamp::MIN),
            held_by_tag: Cell::new(false),
            sees_everything: Cell::new(setup.sees_everything),
            inbox: RefCell::default(),
            delivered: RefCell::default(),
            dead: RefCell::default(),
            news,
            story: RefCell::new(telling.then(Vec::new)),
            setup: setup.clone(),
        };
        ground.turn(Duration::from_mins(1));
        ground
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Turns the clock and lets the models catch up.
    pub(crate) fn turn(&self, by: Duration) {
        self.clock.advance(by);
        self.settle();
    }

    /// Lets what Auto Scaling and EC2 say have its consequences, and checks what has become of every lifecycle action.
    pub(crate) fn settle(&self) {
        self.ledger.borrow_mut().watch(self);
        while let Ok(event) = self.news.borrow_mut().try_recv() {
            match event {
                Event::Hook(notification) if matches!(notification.content, Content::Held { .. }) => {
                    if let Some(payload) = notification.lambda_payload() {
                        let payload = payload.to_string();
                        self.inbox.borrow_mut().push(Mail { payload, deliveries: 0, announces: None });
                    }
                }
                Event::Ec2(event) => {
                    if let Ec2News::StateChanged(Ec2State::ShuttingDown | Ec2State::Stopped) = event.news {
                        self.end_machine(&event.instance_id);
                    }
                    if let Some(payload) = event.event_bridge_event() {
                        let payload = payload.to_string();
                        let announces = may_drain(&event.news).then(|| event.instance_id.clone());
                        self.inbox.borrow_mut().push(Mail { payload, deliveries: 0, announces });
                    }
                }
                // Nobody publishes anything in a walk.
                Event::Hook(_) | Event::Published(_) => {}
            }
        }
    }

    /// The machine under an instance's nodes is gone.
    pub(crate) fn end_machine(&self, instance: &str) {
        for node in self.nodes_of(instance) {
            self.dead.borrow_mut().insert(node.id.clone());
            _ = self.nomad.kill_client(&node.id);
        }
    }

    pub(crate) fn instance(&self, id: &str) -> Instance {
        self.aws.instance(id).unwrap()
    }

    /// The nodes of an instance, the newest first.
    pub(crate) fn nodes_of(&self, instance: &str) -> Vec<NodeView> {
        let mut nodes = self.nomad.nodes();
        nodes.retain(|node| node.instance_id.as_deref() == Some(instance));
        nodes.sort_by_key(|node| std::cmp::Reverse(node.create_index));
        nodes
    }

    /// Whether the node of an instance will join later.
    pub(crate) fn awaits_node(&self, instance: &str) -> bool {
        let place = self.instances.iter().position(|id| id == instance);
        let joins = place.and_then(|place| self.setup.nodes.get(place));
        matches!(joins, Some(Joins::After(_))) && self.nodes_of(instance).is_empty()
    }

    /// How this call fails, if it does.
    pub(crate) fn fault(&self, call: Call) -> Option<Kind> {
        let now = self.now();
        let mut faults = self.faults.borrow_mut();
        faults.retain(|fault| !fault.is_over(now));
        let hit = faults.iter_mut().find_map(|fault| fault.hits(call, now).then_some(fault.kind));
        let leaderless = !call.is_auto_scaling() && self.leaderless_until.get() > now;
        let kind = hit.or(leaderless.then_some(Kind::NoLeader))?;
        if call.is_auto_scaling() {
            self.ledger.borrow_mut().unsteady();
        }
        self.tally.borrow_mut().fault(kind);
        Some(kind)
    }

    /// Whether nothing keeps the function from its work.
    pub(crate) fn is_sound(&self) -> bool {
        let now = self.now();
        let working = self.faults.borrow().iter().all(|fault| fault.is_over(now));
        working && self.leaderless_until.get() <= now && !self.held_by_tag.get()
    }

    /// One line of the story.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut *self.story.borrow_mut() {
            story.push(format!("{:.3} {}", self.now(), line()));
        }
    }

    pub(crate) fn story(&self) -> String {
        self.story.borrow().as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// How people call an instance in a story: by its number.
    pub(crate) fn name(&self, instance: &str) -> String {
        let place = self.instances.iter().position(|id| id == instance);
        place.map_or_else(|| instance.to_owned(), |place| format!("instance {place}"))
    }
}

/// The node that an instance's agent registers.
pub(crate) fn node_of(instance: &str) -> NodeSpec {
    NodeSpec::new(format!("on-{}", &instance[2..8])).instance_id(instance)
}

/// Whether the function may drain a node because of this.
fn may_drain(news: &Ec2News) -> bool {
    match news {
        Ec2News::StateChanged(state) => matches!(state, Ec2State::Stopping | Ec2State::ShuttingDown),
        Ec2News::SpotInterruption
        | Ec2News::RebalanceRecommendation
        | Ec2News::ScheduledChange(_)
        | Ec2News::CapacityReservationInterruption { .. } => true,
        Ec2News::RootVolumeReplaced | Ec2News::ActivityEnded(_) => false,
    }
}
