//! Who hears what: the task that carries announcements to the cluster, the function and the queue.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::route::{Parcel, Route};
use crate::aws::{Event, NotificationTarget};
use crate::lambda::{EventSourceMapping, Lambda};
use crate::models::{TOPIC, follow};
use crate::nomad::Nomad;
use crate::sqs::Queue;

/// Who hears what.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) function: OnceLock<Lambda>,
    pub(super) sweep: OnceLock<Lambda>,
    pub(super) queue: OnceLock<(Queue, EventSourceMapping)>,
    /// The function reads the queue.
    mapped: AtomicBool,
    /// On which way the news arrives; none if every hook's own target decides.
    pub(super) route: Mutex<Option<Route>>,
    /// `EventBridge` has a rule whose target is the function, whatever the route.
    pub(super) rule: AtomicBool,
    /// Nothing that the account announces arrives at the function. What somebody publishes does.
    pub(super) lost: AtomicBool,
    /// How many parcels have been handed over.
    pub(super) handed_over: AtomicU64,
    /// Those who want to know when everything that was announced has been carried.
    askers: UnboundedSender<oneshot::Sender<()>>,
}

/// What [`Wiring::carried`] asks.
pub(super) type Askers = UnboundedReceiver<oneshot::Sender<()>>;

impl Wiring {
    pub(super) fn new() -> (Arc<Self>, Askers) {
        let (askers, asked) = unbounded_channel();
        let wiring = Self {
            function: OnceLock::new(),
            sweep: OnceLock::new(),
            queue: OnceLock::new(),
            mapped: AtomicBool::default(),
            route: Mutex::default(),
            rule: AtomicBool::default(),
            lost: AtomicBool::default(),
            handed_over: AtomicU64::default(),
            askers,
        };
        (Arc::new(wiring), asked)
    }

    pub(super) fn sweeper(&self) -> Option<&Lambda> {
        self.sweep.get().or(self.function.get())
    }

    /// Maps the function to the queue as soon as there are both.
    pub(super) fn map(&self) {
        if let (Some(function), Some((queue, mapping))) = (self.function.get(), self.queue.get())
            && !self.mapped.swap(true, Ordering::SeqCst)
        {
            function.add_event_source(queue, *mapping);
        }
    }

    /// Waits until everything that was announced has been carried.
    pub(super) async fn carried(&self) {
        let (sender, answer) = oneshot::channel();
        // Both fail when the lab ends, and then nothing is carried any more.
        _ = self.askers.send(sender);
        _ = answer.await;
    }

    fn is_queue(&self, target: &NotificationTarget) -> bool {
        self.queue.get().is_some_and(|(queue, _)| target.arn() == Some(&queue.arn()))
    }

    fn hand_over(&self, event: &Event) {
        let is_heard = match event {
            Event::Hook(_) | Event::Ec2(_) => !self.lost.load(Ordering::SeqCst),
            // Nobody is subscribed to other topics.
            Event::Published(published) => published.topic == TOPIC,
        };
        if !is_heard {
            return;
        }
        let route = *self.route.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match (route, event) {
            (Some(route), event) => route.carry(event),
            (None, Event::Hook(notification)) if self.is_queue(&notification.target) => {
                Route::HookToQueue.carry(event)
            }
            (None, Event::Hook(notification)) => notification.lambda_payload().map(Parcel::Invocation),
            (None, Event::Ec2(_)) => None,
            (None, Event::Published(_)) => Route::TopicToFunction.carry(event),
        };
        let has_rule = self.rule.load(Ordering::SeqCst) && route != Some(Route::RuleToFunction);
        let second = if has_rule { Route::RuleToFunction.carry(event) } else { None };
        for parcel in first.into_iter().chain(second) {
            match parcel {
                Parcel::Invocation(payload) => {
                    let Some(function) = self.function.get() else { continue };
                    function.invoke_async(payload);
                }
                Parcel::Message(body) => {
                    let Some((queue, _)) = self.queue.get() else { continue };
                    queue.send(body);
                }
            }
            self.handed_over.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Carries what the account announces to those whom it concerns.
pub(super) async fn wire(
    mut events: UnboundedReceiver<Event>,
    nomad: Nomad,
    wiring: Arc<Wiring>,
    mut asked: Askers,
) {
    loop {
        tokio::select! {
            // In this order: whoever asks is answered when no event is left.
            biased;
            event = events.recv() => {
                let Some(event) = event else { return };
                follow(&event, &nomad);
                wiring.hand_over(&event);
            }
            Some(asker) = asked.recv() => {
                _ = asker.send(());
            }
        }
    }
}
