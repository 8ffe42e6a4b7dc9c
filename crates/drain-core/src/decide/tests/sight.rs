//! What could not be seen is not "nothing".

use super::scene::*;

/// Every way in which Nomad does not answer, and what is said of it.
const OBSTACLES: [(Obstacle, Reason); 5] = [
    (Obstacle::Unreachable, Reason::NomadUnreachable),
    (Obstacle::NoLeader, Reason::NoClusterLeader),
    (Obstacle::TokenRefused, Reason::NomadTokenRefused),
    (Obstacle::Stale, Reason::NomadUnreadable),
    (Obstacle::Unreadable, Reason::NomadUnreadable),
];

#[test]
fn nodes_that_cannot_be_read_are_never_a_reason_to_complete() {
    for (obstacle, reason) in OBSTACLES {
        for minutes in [0, 1, 10, 119] {
            let scene = held().nodes(Nodes::Unknown(obstacle)).after(mins(minutes));
            assert_eq!(scene.waits(reason), Timestamp::MAX);
        }
    }
}

#[test]
fn allocations_that_cannot_be_read_are_never_a_reason_to_complete() {
    for (obstacle, reason) in OBSTACLES {
        let unread = |scene: Scene| scene.allocations(Allocations::Unknown(obstacle));
        unread(held().drained(mins(1))).after(mins(90)).waits(reason);
        unread(held().ineligible()).after(mins(30)).posts_because(Reason::DrainPosted);
        unread(held().drains(DrainDeadline::At(at(HOUR)))).after(mins(90)).waits(reason);
    }
}

#[test]
fn a_token_that_does_not_see_everything_starts_drains_and_never_completes_on_an_empty_list() {
    let blind = held().sight(Sight::NotEverything);
    blind.posts_because(Reason::DrainPosted);
    blind.clone().ineligible().posts_because(Reason::DrainPosted);
    blind.clone().drains(DrainDeadline::At(at(HOUR))).waits(Reason::CannotSeeAllocations);
    let until = blind.clone().drained(SECOND).after(mins(30)).waits(Reason::CannotSeeAllocations);
    assert_eq!(until, at(mins(62)), "then the deadline has passed whatever there was");
    blind.drained(SECOND).after(mins(62)).completes(Reason::DrainTimeout);
}

#[test]
fn what_such_a_token_does_see_counts() {
    let blind = held().sight(Sight::NotEverything);
    blind.clone().drained(SECOND).runs([stopping()]).waits(Reason::AllocationsRunning);
    blind.drains(DrainDeadline::At(at(HOUR))).runs([running()]).waits(Reason::AllocationsRunning);
}

#[test]
fn a_token_that_was_not_judged_yet_proves_nothing() {
    let unknown = held().sight(Sight::Unknown);
    unknown.posts_because(Reason::DrainPosted);
    unknown.clone().ineligible().posts_because(Reason::DrainPosted);
    unknown.clone().drained(SECOND).waits(Reason::NomadUnreachable);
    unknown.clone().drains(DrainDeadline::At(at(HOUR))).waits(Reason::NomadUnreachable);
    unknown.ineligible().runs([running()]).posts_because(Reason::DrainPosted);
}
