//! One walk: invocations that go on one await at a time, a clock that is turned, and a schedule of sweeps.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use drain::chronicle::Chronicle;
use drain::{Error, Handled, Site, Times, event, serve};
use jiff::{SignedDuration, Timestamp};

use crate::gate::{Gate, Granted};
use crate::ground::{Ground, Mail};
use crate::ledger::later;
use crate::setup::Setup;
use crate::world::Walked;

/// Awaits of one invocation, after which it goes round in circles.
const MOST_AWAITS: u64 = 20_000;

/// No call takes longer: then its answer comes, or the caller has given up.
const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(10);

/// A walk under way.
pub(crate) struct Walk {
    pub(crate) ground: Rc<Ground>,
    pub(crate) running: Vec<Invocation>,
    /// Whether a sweep begins every minute.
    pub(crate) scheduled: bool,
    next_sweep: Timestamp,
    invocations: usize,
}

/// An invocation of the function.
pub(crate) struct Invocation {
    number: usize,
    /// The event, or nothing for a sweep.
    mail: Option<Mail>,
    future: Pin<Box<dyn Future<Output = Result<Handled, Error>>>>,
    gate: Gate,
    cut_off: Timestamp,
}

impl Invocation {
    /// Whether it could go on now.
    pub(crate) fn is_busy(&self) -> bool {
        self.gate.is_busy()
    }
}

impl Walk {
    pub(crate) fn new(setup: &Setup, telling: bool) -> Self {
        let ground = Rc::new(Ground::new(setup, telling));
        let next_sweep = ground.now();
        Self { ground, running: Vec::new(), scheduled: setup.policy.sweep, next_sweep, invocations: 0 }
    }

    /// Invokes the function with an event.
    pub(crate) fn deliver(&mut self, mut mail: Mail) {
        if let Some(instance) = &mail.announces {
            self.ground.ledger.borrow_mut().announced(self.ground.now(), instance);
        }
        mail.deliveries += 1;
        match event::parse(&mail.payload, &self.ground.config.scope()) {
            Ok(event) => self.invoke(event, Some(mail)),
            Err(error) => panic!("the lab's own event cannot be parsed: {error}"),
        }
    }

    /// Invokes the function with the schedule's call.
    pub(crate) fn sweep(&mut self) {
        if !self.ground.setup.policy.sweep {
            return;
        }
        self.ground.ledger.borrow_mut().sweep_begins(self.ground.now());
        self.invoke(event::Event::Sweep, None);
    }

    fn invoke(&mut self, event: event::Event, mail: Option<Mail>) {
        let number = self.invocations;
        self.invocations += 1;
        self.ground.tally.borrow_mut().invocation();
        self.ground.say(|| {
            let what = if mail.is_some() { "event" } else { "sweep" };
            format!("  invocation #{number}: {what}")
        });
        let gate = Gate::new(self.ground.clock.clone());
        let world = Walked::new(Rc::clone(&self.ground), gate.clone(), number);
        let timeout = SignedDuration::from_secs(i64::from(self.ground.setup.lambda_timeout));
        let cut_off = later(self.ground.now(), timeout);
        let times = Times {
            looks_end: later(cut_off, SignedDuration::from_secs(-5)),
            ends: later(cut_off, SignedDuration::from_secs(-1)),
        };
        let ground = Rc::clone(&self.ground);
        let future = Box::pin(async move {
            let site = Site { cluster: &ground.cluster, world: &world };
            let chronicle = Rc::new(Chronicle::default());
            serve(&world, std::slice::from_ref(&site), &ground.config, event, times, &chronicle).await
        });
        self.running.push(Invocation { number, mail, future, gate, cut_off });
        self.poll(self.running.len() - 1, Granted::Nobody);
    }

    /// Lets an invocation go on. Whether it is still there.
    pub(crate) fn poll(&mut self, place: usize, granted: Granted) -> bool {
        let invocation = &mut self.running[place];
        invocation.gate.grant(granted);
        let polled = invocation.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        invocation.gate.grant(Granted::Nobody);
        if invocation.gate.passed() > MOST_AWAITS {
            let number = invocation.number;
            let mut ledger = self.ground.ledger.borrow_mut();
            ledger.broken.get_or_insert(format!("invocation #{number} goes round in circles"));
        }
        let done = match polled {
            Poll::Pending => return true,
            Poll::Ready(done) => done,
        };
        let Invocation { number, mail, .. } = self.running.remove(place);
        self.ground.say(|| match &done {
            Ok(handled) => {
                let results = handled.report.results.iter().map(|one| {
                    let instance = one.instance_id.as_deref().unwrap_or_default();
                    format!("{} {} {}", self.ground.name(instance), one.outcome, one.reason)
                });
                let failures = handled.failures.iter().map(|(_, error)| error.explanation());
                let told = results.chain(failures).collect::<Vec<_>>();
                format!("  #{number} is done: {}", told.join(", "))
            }
            Err(error) => format!("  #{number} fails: {}", error.explanation()),
        });
        match done {
            Ok(handled) => {
                let mut tally = self.ground.tally.borrow_mut();
                handled.report.results.iter().for_each(|entry| tally.result(entry.outcome, entry.reason));
                handled.failures.iter().for_each(|(_, error)| tally.result("error", error.name()));
                drop(tally);
                if !handled.failures.is_empty() {
                    self.failed(mail);
                }
            }
            Err(error) => {
                self.ground.tally.borrow_mut().result("error", error.name());
                self.failed(mail);
            }
        }
        false
    }

    /// Lambda tries an event again, twice; a sweep is followed by the next one.
    fn failed(&mut self, mail: Option<Mail>) {
        match mail {
            Some(mail) if mail.deliveries < 3 => self.ground.inbox.borrow_mut().push(mail),
            Some(_) => {}
            None => self.ground.ledger.borrow_mut().unsteady(),
        }
    }

    /// Lets one invocation take some awaits; `pick` says which of the calls that it makes at once goes on.
    pub(crate) fn go_on(&mut self, place: usize, awaits: u32, pick: usize) {
        for _ in 0..awaits {
            if !self.running[place].gate.is_busy() || !self.poll(place, Granted::One(pick)) {
                return;
            }
        }
    }

    /// Lets one invocation go on until it sleeps or ends.
    fn run_until_quiet(&mut self, place: usize) {
        while !self.is_broken() && self.running[place].gate.is_busy() {
            if !self.poll(place, Granted::Everybody) {
                return;
            }
        }
    }

    /// Lets every invocation go on until it sleeps or ends.
    pub(crate) fn run_all_until_quiet(&mut self) {
        while !self.is_broken()
            && let Some(place) = self.running.iter().position(|one| one.gate.is_busy())
        {
            self.run_until_quiet(place);
        }
    }

    /// The process dies.
    pub(crate) fn kill(&mut self, place: usize) {
        let Invocation { number, mail, .. } = self.running.remove(place);
        self.ground.say(|| format!("  invocation #{number} is killed"));
        self.failed(mail);
    }

    /// Turns the clock by some seconds while calls are under way.
    pub(crate) fn turn(&mut self, seconds: u32) {
        let by = SignedDuration::from_secs(i64::from(seconds));
        let then = later(self.ground.now(), by);
        let overdue = |one: &Invocation| {
            one.gate.is_busy()
                && one.gate.stalled_since().is_some_and(|since| later(since, LONGEST_CALL) < then)
        };
        while !self.is_broken()
            && let Some(place) = self.running.iter().position(overdue)
        {
            self.run_until_quiet(place);
        }
        self.ground.ledger.borrow_mut().unsteady();
        self.ground.turn(by.unsigned_abs());
        self.cut_off();
    }

    /// Lets time pass: every invocation goes on as it wants, and with a schedule a sweep begins every minute.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = later(self.ground.now(), SignedDuration::try_from(time).unwrap());
        loop {
            self.run_all_until_quiet();
            if self.ground.now() >= until || self.is_broken() {
                return;
            }
            if self.pass_to_next(until) {
                self.run_all_until_quiet();
                self.ground.ledger.borrow_mut().watch_the_idle(&self.ground);
            }
        }
    }

    /// Turns the clock to the next moment at which an invocation wakes, is cut off, or begins by the schedule. Whether
    /// a sweep begins.
    pub(crate) fn pass_to_next(&mut self, until: Timestamp) -> bool {
        let now = self.ground.now();
        if self.next_sweep < now {
            self.next_sweep = now;
        }
        let wakes = self.running.iter().filter_map(|one| one.gate.wakes_at());
        let cut_offs = self.running.iter().map(|one| one.cut_off);
        let sweep = self.scheduled.then_some(self.next_sweep);
        let next = wakes.chain(cut_offs).chain(sweep).chain([until]).min().unwrap_or(until);
        if next > now {
            self.ground.turn(next.duration_since(now).unsigned_abs());
            self.cut_off();
        }
        let sweeps = self.scheduled && self.next_sweep <= self.ground.now();
        if sweeps {
            self.sweep();
            self.next_sweep = later(self.next_sweep, SignedDuration::from_mins(1));
        }
        sweeps
    }

    /// Lambda ends what takes too long.
    fn cut_off(&mut self) {
        let now = self.ground.now();
        while let Some(place) = self.running.iter().position(|one| one.cut_off <= now) {
            self.kill(place);
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.ground.ledger.borrow().broken.is_some()
    }
}
