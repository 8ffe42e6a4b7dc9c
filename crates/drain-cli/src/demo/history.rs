//! What has happened so far, as the lab's journal and the function's answers tell it.

use drain_lab::journal::{Entry, Kind, System};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::nomad::AllocView;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::stage::Stage;
use super::story::{Part, Story};
use super::timeline::Actor;

/// What made the function run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trigger {
    /// The hook's message.
    Event,
    /// The schedule.
    Sweep,
}

/// What one run of the function said of one instance.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// When the run ended.
    pub(super) at: Timestamp,
    /// What made it run.
    pub(super) by: Trigger,
    /// The instance.
    pub(super) instance_id: String,
    /// What became of it, as one word.
    pub(super) outcome: String,
    /// Why, as one word.
    pub(super) reason: String,
}

/// What has happened up to the moment at which it was made.
#[derive(Debug)]
pub(super) struct History<'a> {
    /// Where.
    pub(super) stage: &'a Stage,
    /// What reached the lab and what changed in it, by time.
    pub(super) entries: Vec<Entry>,
    /// What the function said, by time.
    pub(super) answers: Vec<Answer>,
}

impl<'a> History<'a> {
    /// Everything up to now.
    pub(super) fn of(stage: &'a Stage) -> Self {
        let of = |lambda: Option<&Lambda>, by| {
            let runs = lambda.map(Lambda::invocations).unwrap_or_default();
            runs.into_iter().flat_map(move |run| answers(&run, by))
        };
        let lab = &stage.lab;
        let mut answers: Vec<Answer> =
            of(lab.lambda(), Trigger::Event).chain(of(lab.sweeper(), Trigger::Sweep)).collect();
        answers.sort_by_key(|answer| answer.at);
        Self { stage, entries: lab.journal.entries(), answers }
    }

    /// The changes of one kind that concerned one instance or node.
    pub(super) fn effects(&self, what: &str, subject: &str) -> impl Iterator<Item = &Entry> {
        let effects = self.entries.iter().filter(|entry| entry.kind == Kind::Effect);
        effects.filter(move |entry| entry.what == what && entry.subject == subject)
    }

    /// When the first instance was held: where the timeline begins.
    pub(super) fn begins(&self) -> Option<Timestamp> {
        self.stage.parts.iter().filter_map(|part| self.held_at(part)).min()
    }

    /// When the hook began to hold an instance.
    pub(super) fn held_at(&self, part: &Part) -> Option<Timestamp> {
        Some(self.effects("lifecycle action started", &part.worker.instance_id).next()?.at)
    }

    /// When the function could know of an instance: from the hook's message, or from the sweep that found it.
    pub(super) fn found_at(&self, part: &Part) -> Option<Timestamp> {
        let held = self.held_at(part)?;
        if self.found_by(part) != Some(Trigger::Sweep) {
            return Some(held);
        }
        let drained = self.drained_at(part.story)?;
        let runs = self.stage.lab.sweeper()?.invocations().into_iter();
        runs.map(|run| run.started_at).filter(|at| (held..=drained).contains(at)).max()
    }

    /// What told the function of an instance; nothing before it has answered.
    pub(super) fn found_by(&self, part: &Part) -> Option<Trigger> {
        let mut triggers = self.answers_about(part).map(|answer| answer.by).peekable();
        triggers.peek()?;
        Some(if triggers.any(|by| by == Trigger::Event) { Trigger::Event } else { Trigger::Sweep })
    }

    /// When the first drain of an instance's node began.
    pub(super) fn drained_at(&self, story: Story) -> Option<Timestamp> {
        Some(self.effects("drain started", &self.stage.part(story).worker.node_id).next()?.at)
    }

    /// Who drains an instance's node at a moment: the function, unless an operator has come before.
    pub(super) fn drains(&self, part: &Part, at: Timestamp) -> Actor {
        let by_operator = self.stage.notes.iter().any(|note| {
            note.who == Actor::Operator && note.node.as_ref() == Some(&part.worker.name) && note.at <= at
        });
        match part.story {
            _ if by_operator => Actor::Operator,
            Story::LostEvent => Actor::Sweep,
            Story::Ordinary | Story::SlowKill | Story::OperatorCancels | Story::NomadOutage => {
                Actor::Function
            }
        }
    }

    /// When the hook let an instance go.
    pub(super) fn released_at(&self, part: &Part) -> Option<Timestamp> {
        Some(self.effects("lifecycle action completed", &part.worker.instance_id).next()?.at)
    }

    /// Every allocation that an instance's node has had until it was released.
    pub(super) fn allocations(&self, part: &Part) -> Vec<AllocView> {
        let until = self.released_at(part).unwrap_or(Timestamp::MAX);
        let mut allocations = self.stage.allocations_on(&part.worker);
        allocations.retain(|alloc| alloc.created_at <= until);
        allocations
    }

    /// The allocations that ran on an instance's node at a moment.
    pub(super) fn running_at(&self, part: &Part, at: Timestamp) -> Vec<AllocView> {
        let mut allocations = self.allocations(part);
        allocations.retain(|alloc| alloc.created_at <= at && alloc.ended_at.is_none_or(|ended| ended > at));
        allocations
    }

    /// When the last allocation of an instance's node ended, if all have.
    pub(super) fn last_end(&self, part: &Part) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> =
            self.allocations(part).into_iter().map(|alloc| alloc.ended_at).collect();
        ends?.into_iter().max()
    }

    /// The heartbeats that kept an instance.
    pub(super) fn heartbeats(&self, part: &Part) -> impl Iterator<Item = &Entry> {
        self.effects("lifecycle action heartbeat", &part.worker.instance_id)
    }

    /// What the function said of an instance.
    pub(super) fn answers_about(&self, part: &Part) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.instance_id == part.worker.instance_id)
    }

    /// The answer of the run that completed an instance's lifecycle action.
    pub(super) fn completion(&self, part: &Part) -> Option<&Answer> {
        self.answers_about(part).find(|answer| answer.outcome == "completed")
    }

    /// Whether the function has given this reason for where a story's instance is.
    pub(super) fn has_answered(&self, story: Story, reason: &str) -> bool {
        self.answers_about(self.stage.part(story)).any(|answer| answer.reason == reason)
    }

    /// Whether a story's instance has been let go, and every run that was about it has said so.
    pub(super) fn is_over(&self, story: Story) -> bool {
        let part = self.stage.part(story);
        let event_is_over = story == Story::LostEvent || self.found_by(part) == Some(Trigger::Event);
        self.released_at(part).is_some() && self.completion(part).is_some() && event_is_over
    }

    /// Whether the function has kept a story's instance during the outage, and has said why.
    pub(super) fn has_held_through_outage(&self, story: Story) -> bool {
        let Some((from, to)) = self.stage.outage else { return false };
        let during = from..=to.unwrap_or(Timestamp::MAX);
        let part = self.stage.part(story);
        self.heartbeats(part).any(|beat| during.contains(&beat.at))
            && self.has_answered(story, "nomad_unreachable")
    }

    /// The calls of the function that were about one instance, or about it and others.
    pub(super) fn calls_about(&self, part: &Part, in_system: impl Fn(System) -> bool) -> usize {
        let ids = [&part.worker.instance_id, &part.worker.node_id];
        let names = |text: &str| ids.iter().any(|id| text.contains(id.as_str()));
        let calls = self.entries.iter().filter(|entry| entry.kind == Kind::Call && in_system(entry.system));
        calls.filter(|entry| names(&entry.subject) || names(&entry.detail)).count()
    }
}

/// Whether a system is one of Nomad's; the others are of AWS.
pub(super) fn is_nomad(system: System) -> bool {
    matches!(system, System::Nomad | System::Agent)
}

fn answers(run: &InvocationRecord, by: Trigger) -> Vec<Answer> {
    let took = run.init.unwrap_or_default() + run.duration;
    let at = run.started_at + SignedDuration::try_from(took).unwrap_or_default();
    let results = run.outcome.response().and_then(|response| response["results"].as_array());
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let answers = results.into_iter().flatten().map(|result| Answer {
        at,
        by,
        instance_id: word(&result["instance_id"]),
        outcome: word(&result["outcome"]),
        reason: word(&result["reason"]),
    });
    answers.collect()
}
