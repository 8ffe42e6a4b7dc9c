//! The loop, against a world of which every answer is scripted.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use drain_core::ids::{InstanceId, NodeId};
use drain_core::observation::{Cause, LastDrain, LastDrainStatus, Node, RunningDrain};
use drain_http::HttpError;
use jiff::SignedDuration;
use nomad_client::NomadError;

use super::*;

/// What becomes of a POST.
#[derive(Clone, Copy, Debug)]
enum Post {
    Accepted,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    Lost,
    /// It takes effect on an empty node, whose drain is over at once, and the answer is lost.
    AnswerLostAndDrained,
    Refused,
}

struct Scripted {
    posts: RefCell<VecDeque<Post>>,
    node: RefCell<Node>,
    calls: RefCell<Vec<&'static str>>,
    pauses_left: RefCell<u32>,
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy::default()
}

fn target() -> Target {
    Target {
        instance: InstanceId::parse("i-0123456789abcdef0").unwrap(),
        group: None,
        hook: None,
        cause: Cause::Terminate,
        hook_started_at: None,
    }
}

fn idle_node() -> Node {
    Node {
        id: NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").unwrap(),
        name: "worker-1".to_owned(),
        eligible: true,
        drain: None,
        last_drain: None,
    }
}

impl Scripted {
    fn new(posts: &[Post]) -> Self {
        Self {
            posts: RefCell::new(posts.iter().copied().collect()),
            node: RefCell::new(idle_node()),
            calls: RefCell::default(),
            pauses_left: RefCell::new(10),
        }
    }

    fn take_effect(&self, meta: Option<&BTreeMap<String, String>>, status: LastDrainStatus) {
        let mut node = self.node.borrow_mut();
        node.eligible = false;
        node.drain = (status == LastDrainStatus::Draining)
            .then(|| RunningDrain::Until(now() + SignedDuration::from_hours(1)));
        node.last_drain = Some(LastDrain { status, meta: meta.cloned().unwrap_or_default() });
    }
}

impl World for Scripted {
    async fn observe(&self, seen: &Observation) -> Result<Observation, Error> {
        self.calls.borrow_mut().push("GET");
        Ok(Observation { target: seen.target.clone(), node: self.node.borrow().clone() })
    }

    async fn apply(&self, action: &Action) -> Result<(), Error> {
        self.calls.borrow_mut().push("POST");
        let Action::Drain(request) = action;
        let meta = request.meta.as_ref();
        let post = self.posts.borrow_mut().pop_front().expect("a POST too many");
        match post {
            Post::Accepted => {
                self.take_effect(meta, LastDrainStatus::Draining);
                return Ok(());
            }
            Post::AnswerLost => self.take_effect(meta, LastDrainStatus::Draining),
            Post::AnswerLostAndDrained => self.take_effect(meta, LastDrainStatus::Complete),
            Post::Lost => {}
            Post::Refused => {
                let source = "not a request".into();
                let (operation, server) = ("POST".to_owned(), "http://nomad".to_owned());
                return Err(Error::NomadRefused(NomadError::InvalidRequest { operation, server, source }));
            }
        }
        Err(Error::NomadUnavailable(NomadError::NoAnswer {
            operation: "POST".to_owned(),
            server: "http://nomad".to_owned(),
            source: HttpError::TimedOut { address: "nomad:80".to_owned(), after: Duration::from_secs(10) },
        }))
    }

    async fn pause(&self, _attempts: u32) -> bool {
        let mut left = self.pauses_left.borrow_mut();
        let some = *left > 0;
        *left = left.saturating_sub(1);
        some
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

async fn run(world: &Scripted) -> Result<ReportEntry, Error> {
    reconcile(world, &policy(), Observation { target: target(), node: idle_node() }).await
}

#[tokio::test]
async fn a_drain_that_is_accepted_is_one_call() {
    let world = Scripted::new(&[Post::Accepted]);
    let entry = run(&world).await.unwrap();
    assert_eq!((entry.outcome, entry.reason), ("drain_started", "drain_posted"));
    assert_eq!(*world.calls.borrow(), ["POST"]);
}

#[tokio::test]
async fn a_post_without_an_answer_is_followed_by_a_read_and_not_by_a_post() {
    for post in [Post::AnswerLost, Post::AnswerLostAndDrained] {
        let world = Scripted::new(&[post]);
        let entry = run(&world).await.unwrap();
        assert_eq!((entry.outcome, entry.reason), ("drain_started", "drain_posted"), "{post:?}");
        assert_eq!(*world.calls.borrow(), ["POST", "GET"], "{post:?}");
    }
}

#[tokio::test]
async fn a_post_that_never_arrived_is_sent_again_after_the_read() {
    let world = Scripted::new(&[Post::Lost, Post::Lost, Post::Accepted]);
    run(&world).await.unwrap();
    assert_eq!(*world.calls.borrow(), ["POST", "GET", "POST", "GET", "POST"]);
}

#[tokio::test]
async fn when_no_time_is_left_the_failure_is_the_answer() {
    let world = Scripted::new(&[Post::Lost]);
    *world.pauses_left.borrow_mut() = 0;
    assert_eq!(run(&world).await.unwrap_err().name(), "NomadUnavailable");
    assert_eq!(*world.calls.borrow(), ["POST"]);
}

#[tokio::test]
async fn a_refusal_that_will_not_pass_is_not_tried_again() {
    let world = Scripted::new(&[Post::Refused]);
    assert_eq!(run(&world).await.unwrap_err().name(), "NomadRefused");
    assert_eq!(*world.calls.borrow(), ["POST"]);
}
