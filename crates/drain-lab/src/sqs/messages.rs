//! The messages of a queue: who may see them, and what becomes of those that nobody deletes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::aws::ids::Ids;

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The number of the message in its queue.
    number: u64,
    pub(super) id: String,
    pub(super) body: String,
    pub(super) sent_at: Timestamp,
    pub(super) first_received_at: Option<Timestamp>,
    /// How often it was received.
    pub(super) receives: u32,
    place: Place,
}

/// Where a message is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// For everybody to receive, when it is its turn.
    Visible { turn: u64 },
    /// Somebody has received it.
    Hidden { until: Timestamp },
}

/// Something for the journal.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    pub(super) id: String,
    pub(super) detail: String,
}

/// All messages of a queue and of its dead-letter queue. Whatever happens to one costs no more if there are thousands.
#[derive(Debug)]
pub(super) struct Messages {
    max_receive_count: u32,
    ids: Ids,
    /// By number.
    kept: BTreeMap<u64, Message>,
    /// The numbers of those that are visible, by turn.
    visible: BTreeMap<u64, u64>,
    hidden: BTreeSet<(Timestamp, u64)>,
    dead: Vec<Message>,
    last_number: u64,
    last_turn: u64,
    happened: Vec<Happened>,
}

impl Message {
    /// Differs every time that the message is received.
    pub(super) fn receipt_handle(&self) -> String {
        format!("{}#{}", self.id, self.receives)
    }
}

impl Messages {
    pub(super) fn new(max_receive_count: u32) -> Self {
        Self {
            max_receive_count,
            ids: Ids::seeded(11),
            kept: BTreeMap::new(),
            visible: BTreeMap::new(),
            hidden: BTreeSet::new(),
            dead: Vec::new(),
            last_number: 0,
            last_turn: 0,
            happened: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, body: String, at: Timestamp) -> String {
        self.last_number += 1;
        let (number, id, turn) = (self.last_number, self.ids.uuid(), self.next_turn(self.last_number));
        let place = Place::Visible { turn };
        let (sent_at, first_received_at) = (at, None);
        let message =
            Message { number, id: id.clone(), body, sent_at, first_received_at, receives: 0, place };
        self.kept.insert(number, message);
        self.note(at, "message sent", id.clone(), String::new());
        id
    }

    /// Hides the oldest visible messages until a moment, and returns them.
    pub(super) fn receive(&mut self, most: usize, at: Timestamp, until: Timestamp) -> Vec<Message> {
        let mut received = Vec::new();
        while received.len() < most
            && let Some((_, number)) = self.visible.pop_first()
        {
            let Some(message) = self.kept.get_mut(&number) else { continue };
            message.receives += 1;
            message.first_received_at.get_or_insert(at);
            message.place = Place::Hidden { until };
            self.hidden.insert((until, number));
            received.push(message.clone());
        }
        for message in &received {
            self.note(at, "message received", message.id.clone(), format!("time {}", message.receives));
        }
        received
    }

    /// Deletes a message, as long as nobody has received it later: an old receipt handle is taken and means nothing.
    pub(super) fn delete(&mut self, message: &Message, at: Timestamp) {
        let is_latest = |kept: &Message| kept.receives == message.receives;
        let Some(kept) = self.kept.get(&message.number).filter(|kept| is_latest(kept)) else { return };
        match kept.place {
            Place::Visible { turn } => _ = self.visible.remove(&turn),
            Place::Hidden { until } => _ = self.hidden.remove(&(until, message.number)),
        }
        self.kept.remove(&message.number);
        self.note(at, "message deleted", message.id.clone(), String::new());
    }

    /// Shows what has been hidden for long enough, and gives up what was received too often.
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        while let Some(&(at, number)) = self.hidden.first()
            && at <= now
        {
            self.hidden.pop_first();
            let Some(message) = self.kept.get(&number) else { continue };
            let id = message.id.clone();
            if message.receives >= self.max_receive_count {
                let detail = format!("received {} times", message.receives);
                self.note(at, "message given up", id, detail);
                self.dead.extend(self.kept.remove(&number));
            } else {
                let turn = self.next_turn(number);
                if let Some(message) = self.kept.get_mut(&number) {
                    message.place = Place::Visible { turn };
                }
                self.note(at, "message visible again", id, String::new());
            }
        }
    }

    /// Sends again what is dead, and returns how many that are. SQS gives such messages new ids and new lives.
    pub(super) fn redrive(&mut self, at: Timestamp) -> usize {
        let dead = std::mem::take(&mut self.dead);
        let count = dead.len();
        for message in dead {
            self.send(message.body, at);
        }
        count
    }

    pub(super) fn visible(&self) -> usize {
        self.visible.len()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.hidden.len()
    }

    pub(super) fn dead(&self) -> &[Message] {
        &self.dead
    }

    /// When the next hidden message is shown.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.hidden.first().map(|(at, _)| *at)
    }

    /// What happened since the last time.
    pub(super) fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    fn next_turn(&mut self, number: u64) -> u64 {
        self.last_turn += 1;
        self.visible.insert(self.last_turn, number);
        self.last_turn
    }

    fn note(&mut self, at: Timestamp, what: &'static str, id: String, detail: String) {
        self.happened.push(Happened { at, what, id, detail });
    }
}
