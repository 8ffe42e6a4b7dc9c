//! Where invocations stand still: every call to the outside waits at a gate before its effect and after it, and whoever
//! walks decides who goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use drain_lab::clock::Clock;
use jiff::Timestamp;

/// The gate of one invocation. Cloning it gives another handle to the same gate.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    clock: Clock,
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Who waits, and since when.
    waiting: BTreeMap<u64, Timestamp>,
    /// Who sleeps, and until when.
    sleeping: BTreeMap<u64, Timestamp>,
    next: u64,
    granted: Granted,
    passed: u64,
}

/// Who may go on at the next poll.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Granted {
    #[default]
    Nobody,
    /// Of those that wait, the one at this place, counted round and round.
    One(usize),
    Everybody,
}

impl Gate {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, state: Rc::default() }
    }

    /// Waits for its turn.
    pub(crate) fn turn(&self) -> Turn {
        Turn { gate: self.clone(), ticket: None, until: None }
    }

    /// Sleeps until the clock has reached a moment.
    pub(crate) fn sleep_until(&self, moment: Timestamp) -> Turn {
        Turn { gate: self.clone(), ticket: None, until: Some(moment) }
    }

    /// Says who goes on at the next poll.
    pub(crate) fn grant(&self, granted: Granted) {
        let mut state = self.state.borrow_mut();
        state.granted = match granted {
            Granted::One(place) if !state.waiting.is_empty() => Granted::One(place % state.waiting.len()),
            Granted::One(_) => Granted::Nobody,
            Granted::Nobody | Granted::Everybody => granted,
        };
    }

    /// Whether somebody could go on now.
    pub(crate) fn is_busy(&self) -> bool {
        let now = self.clock.now();
        let state = self.state.borrow();
        !state.waiting.is_empty() || state.sleeping.values().any(|until| *until <= now)
    }

    /// Since when the one that has waited longest could have gone on.
    pub(crate) fn stalled_since(&self) -> Option<Timestamp> {
        let state = self.state.borrow();
        state.waiting.values().chain(state.sleeping.values()).min().copied()
    }

    /// When the next sleeper wakes.
    pub(crate) fn wakes_at(&self) -> Option<Timestamp> {
        self.state.borrow().sleeping.values().min().copied()
    }

    /// How many awaits are behind the invocation.
    pub(crate) fn passed(&self) -> u64 {
        self.state.borrow().passed
    }
}

/// One wait at a gate.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Gate,
    ticket: Option<u64>,
    until: Option<Timestamp>,
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Whoever walks polls again when somebody may go on: nobody between him and this wait may think that it need not.
        context.waker().wake_by_ref();
        let now = self.gate.clock.now();
        let gate = self.gate.clone();
        let mut state = gate.state.borrow_mut();
        let Some(ticket) = self.ticket else {
            let ticket = state.next;
            state.next += 1;
            match self.until {
                Some(moment) => state.sleeping.insert(ticket, moment),
                None => state.waiting.insert(ticket, now),
            };
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        let passes = match (self.until, state.granted) {
            (Some(moment), _) => moment <= now,
            (None, Granted::Everybody) => true,
            (None, Granted::One(place)) => state.waiting.keys().nth(place) == Some(&ticket),
            (None, Granted::Nobody) => false,
        };
        if !passes {
            return Poll::Pending;
        }
        if matches!((self.until, state.granted), (None, Granted::One(_))) {
            state.granted = Granted::Nobody;
        }
        state.waiting.remove(&ticket);
        state.sleeping.remove(&ticket);
        state.passed += 1;
        self.ticket = None;
        Poll::Ready(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.gate.state.borrow_mut();
            state.waiting.remove(&ticket);
            state.sleeping.remove(&ticket);
        }
    }
}
