//! Events: which of the instances that they name are ours to look after, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::rc::Rc;

use drain_core::ids::InstanceId;
use drain_core::observation::{Cause, Origin, Target};
use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};

use crate::admission::Admission;
use crate::chronicle::{Chronicle, Happened, What, Whom};
use crate::config::Config;
use crate::error::Error;
use crate::event::{Delivery, Message};
use crate::invocation::{Handled, Times};
use crate::later;
use crate::reconcile::{Looks, Warned};
use crate::sites::{Site, see_through_at};
use crate::together::Became;
use crate::world::{Clock as _, World};

/// An instance, and which parts of the event named it.
struct Named {
    target: Target,
    metadata: Option<String>,
    deliveries: BTreeSet<usize>,
}

/// Does what the parts of an event ask for. A part fails if something that it asked for did: whoever sent it sends it
/// again, and what has succeeded by then is recognised and not done twice.
pub(crate) async fn handle<W: World>(
    account: &W::Account,
    sites: &[Site<'_, W>],
    config: &Config,
    times: Times,
    chronicle: &Rc<Chronicle>,
    deliveries: Vec<Delivery>,
) -> Handled {
    let now = account.now();
    let lingers = config.event_linger.map_or(Timestamp::MAX, |linger| later(now, linger));
    let looks = Looks {
        sweeping: false,
        poll_interval: config.poll_interval,
        linger_until: times.looks_end.min(lingers),
        ends: times.ends,
        warned: Warned::default(),
        chronicle: Rc::clone(chronicle),
        by_hand: None,
    };
    if !config.sweep && deliveries.iter().any(|delivery| delivery.queue_message.is_some()) {
        looks.warned.once(
            "messages come from a queue, and SWEEP is off: a drain that outlasts this invocation is left to the hook's \
             time-out, because a message that has begun its drain is done with",
        );
    }
    if !config.sweep && deliveries.iter().flat_map(|delivery| &delivery.messages).flatten().any(is_from_bus) {
        looks.warned.once(
            "EventBridge tells of hooks, and SWEEP is off: it delivers as well as it can and no better, and an event that it \
             loses is found by a sweep only",
        );
    }
    let mut handled = Handled::of(&deliveries);
    let named = targets(deliveries, now, &mut handled);
    // Nobody asks anything about an interruption before its drain: it waits for no answer about others.
    let (urgent, others): (Vec<Named>, Vec<Named>) =
        named.into_iter().partition(|named| named.target.interrupts_by_itself());
    let frame = Admission { account, sites, config, looks: &looks };
    let both = join(done(&frame, urgent), done(&frame, others)).await;
    for (deliveries, became) in both.0.into_iter().chain(both.1) {
        match became {
            Ok(entries) => handled.report.results.extend(entries),
            Err(error) => {
                for delivery in deliveries {
                    handled.failed(delivery, &error);
                }
            }
        }
    }
    handled
}

/// Whether `EventBridge` told of a hook that holds an instance.
fn is_from_bus(message: &Message) -> bool {
    matches!(message, Message::Target(target, _) if target.origin == Origin::Bus)
}

/// What became of instances, and of which parts of the event.
async fn done<W: World>(admission: &Admission<'_, W>, named: Vec<Named>) -> Vec<(BTreeSet<usize>, Became)> {
    let failures = Failures::of(&named, admission.account.now());
    let (targets, deliveries): (Vec<_>, Vec<_>) =
        named.into_iter().map(|named| ((named.target, named.metadata), named.deliveries)).unzip();
    let mut all = Vec::new();
    let (mut asked, mut who) = (Vec::new(), Vec::new());
    for (admitted, deliveries) in admission.admit(targets).await.into_iter().zip(deliveries) {
        match admitted {
            Ok(one) => {
                asked.push(one);
                who.push(deliveries);
            }
            Err(became) => all.push((deliveries, became)),
        }
    }
    let became = see_through_at(admission.sites, admission.looks, asked).await;
    all.extend(who.into_iter().zip(became));
    failures.tell(&admission.looks.chronicle, &all);
    all
}

/// What is said of instances for which nothing could be begun.
struct Failures(Vec<(BTreeSet<usize>, Whom)>);

impl Failures {
    /// Of those of which no earlier attempt has said it: Lambda tries again a minute after the first one. What has no time
    /// is said each time.
    fn of(named: &[Named], now: Timestamp) -> Self {
        let is_first = |named: &&Named| {
            named.target.told_at.is_none_or(|told| now.duration_since(told) < SignedDuration::from_mins(1))
        };
        let first = named.iter().filter(is_first);
        Self(first.map(|named| (named.deliveries.clone(), Whom::of(&named.target, &[]))).collect())
    }

    fn tell(self, chronicle: &Chronicle, became: &[(BTreeSet<usize>, Became)]) {
        for (deliveries, whom) in self.0 {
            let failure = became
                .iter()
                .find_map(|(parts, became)| became.as_ref().err().filter(|_| *parts == deliveries));
            if let Some(error) = failure {
                chronicle.tell(Happened { cluster: None, whom, what: What::Failed { error: error.name() } });
            }
        }
    }
}

/// The instances that an event names, each once for whatever is to be done.
fn targets(deliveries: Vec<Delivery>, now: Timestamp, handled: &mut Handled) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut places: BTreeMap<InstanceId, Vec<usize>> = BTreeMap::new();
    for (index, delivery) in deliveries.into_iter().enumerate() {
        let messages = match delivery.messages {
            Ok(messages) => messages,
            Err(error) => {
                handled.failed(index, &Rc::new(Error::Event(error)));
                continue;
            }
        };
        for message in messages {
            match message {
                Message::Target(target, metadata) => {
                    let known = places.entry(target.instance.clone()).or_default();
                    let same = known
                        .iter()
                        .copied()
                        .find(|place| all.get(*place).is_some_and(|known| is_same(&known.target, &target)));
                    if let Some(known) = same.and_then(|place| all.get_mut(place)) {
                        known.target = merged(&known.target, target, now);
                        known.metadata = known.metadata.take().or(metadata);
                        known.deliveries.insert(index);
                    } else {
                        known.push(all.len());
                        all.push(Named { target, metadata, deliveries: BTreeSet::from([index]) });
                    }
                }
                Message::Ignored(ignored) => {
                    tracing::info!(reason = ignored.reason.as_str(), "ignored: {}", ignored.explanation);
                    handled.report.results.push(ignored.into());
                }
            }
        }
    }
    all
}

/// Whether two parts of an event ask for the same, whatever their reasons. Each hook has a lifecycle action of its own.
fn is_same(one: &Target, other: &Target) -> bool {
    let is_same_hook = one.hook.is_none() || other.hook.is_none() || one.hook == other.hook;
    one.instance == other.instance
        && mem::discriminant(&one.errand) == mem::discriminant(&other.errand)
        && is_same_hook
}

/// Of two reasons to drain an instance the hook's is the one that can be completed, and an interruption the one that does
/// not wait, unless it was so long ago that it says nothing any more.
fn merged(one: &Target, other: Target, now: Timestamp) -> Target {
    let urgency = |target: &Target| match (target.cause(), target.origin) {
        (_, Origin::Event | Origin::Bus | Origin::Sweep) => 4,
        (Some(Cause::Spot), Origin::Broadcast) => 3,
        (Some(Cause::StateChange), Origin::Broadcast) => 2,
        (Some(Cause::ScheduledChange), Origin::Broadcast) => 1,
        (_, Origin::Broadcast) => 0,
    };
    let interrupts = |target: &&Target| target.cause() == Some(Cause::Spot) && !target.is_too_late(now);
    let spot = [one, &other].into_iter().find(interrupts);
    let interrupted = spot.map(|target| (target.errand, target.told_at));
    // Of two actions of one hook the newer one is the one that goes on.
    let rank = |target: &Target| (urgency(target), target.told_at);
    let mut first = if rank(&other) > rank(one) { other } else { one.clone() };
    if let Some((errand, told_at)) = interrupted {
        (first.errand, first.told_at) = (errand, told_at);
    }
    first
}

#[cfg(test)]
mod tests {
    use drain_core::ids::HookName;
    use drain_core::observation::Errand;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn told(hook: Option<&str>, cause: Cause, seconds: i64) -> Target {
        Target {
            instance: InstanceId::parse("i-0123456789abcdef0").unwrap(),
            group: None,
            hook: hook.map(|name| HookName::parse(name).unwrap()),
            token: Some(seconds.to_string()),
            errand: Errand::Drain(cause),
            told_at: Some(at(seconds)),
            hook_started_at: hook.map(|_| at(seconds)),
            origin: if hook.is_some() { Origin::Event } else { Origin::Broadcast },
        }
    }

    #[test]
    fn of_two_actions_of_one_hook_the_newer_one_goes_on() {
        let (old, new) = (told(Some("a"), Cause::Terminate, 0), told(Some("a"), Cause::Terminate, 60));
        assert!(is_same(&old, &new));
        for both in [[&old, &new], [&new, &old]] {
            assert_eq!(merged(both[0], both[1].clone(), at(61)), new);
        }
    }

    #[test]
    fn each_hook_has_an_action_of_its_own_and_what_names_none_is_about_all_of_them() {
        let a = told(Some("a"), Cause::Terminate, 0);
        assert!(!is_same(&a, &told(Some("b"), Cause::Terminate, 0)));
        let spot = told(None, Cause::Spot, 5);
        assert!(is_same(&a, &spot));
        for both in [[&a, &spot], [&spot, &a]] {
            let one = merged(both[0], both[1].clone(), at(10));
            assert_eq!((&one.hook, one.cause(), one.told_at), (&a.hook, Some(Cause::Spot), Some(at(5))));
            let late = merged(both[0], both[1].clone(), at(200));
            assert_eq!(late, a, "it says nothing any more");
        }
    }
}
