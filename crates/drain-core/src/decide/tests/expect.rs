//! What a test expects of a [`Scene`].

use super::scene::*;
use crate::ids::NodeId;
use crate::policy::ActionResult;

impl Scene {
    pub(super) fn decide(&self) -> Decision {
        let mut seen = self.seen.clone();
        if let Some(hold) = seen.hold.as_mut().filter(|_| self.heard) {
            hold.last_heartbeat = Some(self.now);
        }
        decide(&seen, &self.policy, self.now)
    }

    #[track_caller]
    pub(super) fn posts(&self) -> DrainRequest {
        let decision = self.decide();
        let Decision::Act(Action::Drain(request)) = decision else {
            panic!("{decision:?} instead of a drain")
        };
        request
    }

    #[track_caller]
    pub(super) fn posts_because(&self, reason: Reason) -> DrainRequest {
        let request = self.posts();
        assert_eq!(request.reason, reason);
        request
    }

    /// Until when it waits.
    #[track_caller]
    pub(super) fn waits(&self, reason: Reason) -> Timestamp {
        let decision = self.decide();
        let Decision::Wait { until, why } = decision else {
            panic!("{decision:?} instead of waiting: {reason:?}")
        };
        assert_eq!(why, reason);
        until
    }

    #[track_caller]
    pub(super) fn completes(&self, reason: Reason) {
        self.completes_with(ActionResult::Continue, reason);
    }

    #[track_caller]
    pub(super) fn completes_with(&self, result: ActionResult, reason: Reason) {
        assert_eq!(self.decide(), Decision::Act(Action::Complete { result, reason }));
    }

    #[track_caller]
    pub(super) fn finishes(&self, reason: Reason) {
        assert_eq!(self.decide(), Decision::Finish(reason));
    }

    #[track_caller]
    pub(super) fn heartbeats(&self) {
        assert_eq!(self.decide(), Decision::Act(Action::Heartbeat));
    }

    #[track_caller]
    pub(super) fn makes_ineligible(&self, which: usize) {
        let node = NodeId::parse(IDS[which]).unwrap();
        assert_eq!(self.decide(), Decision::Act(Action::MakeIneligible(node)));
    }

    #[track_caller]
    pub(super) fn gives_back(&self, ends_drain: bool) {
        let node = NodeId::parse(IDS[0]).unwrap();
        assert_eq!(self.decide(), Decision::Act(Action::GiveBack { node, ends_drain }));
    }

    #[track_caller]
    pub(super) fn purges(&self, which: usize) {
        assert_eq!(self.decide(), Decision::Act(Action::Purge(NodeId::parse(IDS[which]).unwrap())));
    }
}
