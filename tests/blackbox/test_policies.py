"""What is decided when there is no good end: no node, a dead node, a deadline, two nodes, a settle time."""

from datetime import timedelta
from typing import Any

from fake_acl import Policy
from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from wire import Reply
from world import DEFAULT_HOOK, Answer, WorldTest, ago_text, sns, stamp, termination

QUICK = {"POLL_INTERVAL": "200ms"}
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


class PolicyTest(WorldTest):
    def arrive(self, ago: timedelta = timedelta(), deadline: float = 10, **variables: str) -> Answer:
        event = termination(self.instance, LifecycleHookName=DEFAULT_HOOK, Time=ago_text(ago))
        return self.world.invoke(sns(event), deadline, **(QUICK | variables))

    def sweep(self, ago: timedelta, deadline: float = 12, **variables: str) -> Answer:
        self.world.group()
        self.world.hold(self.instance, ago=ago)
        return self.world.sweep(deadline, **variables)


class NoNode(PolicyTest):
    """No node has joined for the instance. NODE_JOIN_GRACE (5 minutes) counts from the hook's start."""

    SERVER = {"NODE_LOOKUP": "server"}

    def test_after_the_grace_the_instance_is_released(self) -> None:
        self.assertSaid(self.arrive(6 * MINUTE, **self.SERVER), "completed")
        self.assertCompleted()

    def test_with_the_agent_asked_in_vain_too(self) -> None:
        self.world.ec2(self.instance, None)
        self.assertSaid(self.arrive(6 * MINUTE), "completed")
        self.assertCompleted()

    def test_after_the_grace_it_can_be_abandoned(self) -> None:
        self.assertSaid(self.arrive(6 * MINUTE, ON_NODE_NOT_FOUND="abandon", **self.SERVER), "abandoned")
        self.assertCompleted(result="ABANDON")

    def test_after_the_grace_it_can_be_held(self) -> None:
        self.arrive(6 * MINUTE, ON_NODE_NOT_FOUND="hold", **self.SERVER)
        self.assertNotCompleted()

    def test_a_sweep_holds_it_if_told_so(self) -> None:
        self.world.group(heartbeat_timeout=300)
        self.world.hold(self.instance, ago=20 * MINUTE)
        answer = self.world.sweep(ON_NODE_NOT_FOUND="hold", **self.SERVER)
        self.assertTrue(answer.ok, answer)
        self.assertNotCompleted()
        self.assertTrue(self.world.scaling.heartbeats, self._story())

    def test_within_the_grace_it_is_not_released(self) -> None:
        self.arrive(3 * MINUTE, **self.SERVER)
        self.assertNotCompleted()

    def test_the_grace_can_be_longer(self) -> None:
        self.arrive(6 * MINUTE, NODE_JOIN_GRACE="10m", **self.SERVER)
        self.assertNotCompleted()

    def test_the_grace_can_be_shorter(self) -> None:
        answer = self.arrive(deadline=15, NODE_JOIN_GRACE="2s", **self.SERVER)
        self.assertSaid(answer, "completed")
        self.assertGreater(answer.seconds, 1)

    def test_a_node_that_joins_within_the_grace_is_drained(self) -> None:
        function = self.world.start(**QUICK, **self.SERVER).wait_ready()
        event = termination(self.instance, LifecycleHookName=DEFAULT_HOOK)
        function.hand_out(sns(event), 20)
        self.world.journal.wait_for("nodes", 1, 10)
        node = self.world.node(self.instance)
        answer = function.answer()
        self.assertDrained(node, answer)
        self.assertCompleted()

    def test_a_sweep_releases_it_after_the_grace(self) -> None:
        answer = self.sweep(6 * MINUTE, **self.SERVER)
        self.assertTrue(answer.ok, answer)
        self.assertCompleted()

    def test_a_sweep_does_not_release_it_within_the_grace(self) -> None:
        answer = self.sweep(2 * MINUTE, **self.SERVER)
        self.assertTrue(answer.ok, answer)
        self.assertNotCompleted()

    def test_when_the_start_is_unknown_it_is_not_released(self) -> None:
        self.world.scaling.denied.add("DescribeScalingActivities")
        self.sweep(6 * MINUTE, **self.SERVER)
        self.assertNotCompleted()


class DownNode(PolicyTest):
    """The node missed its heartbeats. DOWN_GRACE (60 s) counts from the newest such event."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance, status="down")

    def assertMadeIneligibleFirst(self, node: Node | None = None) -> None:
        self.assertEqual((node or self.node).eligibility, "ineligible")
        kinds = self.world.kinds()
        first = min(kinds.index(kind) for kind in ("eligibility", "drain") if kind in kinds)
        self.assertLess(first, kinds.index("complete"), self._story())

    def test_after_the_grace_it_is_made_ineligible_and_released(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.world.alloc(self.node, client="lost")
        self.assertSaid(self.arrive(2 * MINUTE), "completed")
        self.assertCompleted()
        self.assertMadeIneligibleFirst()

    def test_unknown_allocations_do_not_count_on_it(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.assertSaid(self.arrive(2 * MINUTE), "completed")
        self.assertCompleted()

    def test_a_recent_change_of_its_record_does_not_date_it(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.node.status_updated = self.world.bystanders[0].status_updated + 1e7
        self.assertSaid(self.arrive(2 * MINUTE), "completed")

    def test_within_the_grace_it_is_not_released(self) -> None:
        self.node.missed_heartbeats(10 * SECOND)
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.arrive()
        self.assertNotCompleted()

    def test_the_newest_of_several_dates_it(self) -> None:
        self.node.missed_heartbeats(timedelta(days=7), HOUR, 10 * SECOND)
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.arrive()
        self.assertNotCompleted()

    def test_an_old_record_does_not_date_it(self) -> None:
        self.node.missed_heartbeats(10 * SECOND)
        self.node.status_updated -= 1e8
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.arrive()
        self.assertNotCompleted()

    def test_the_grace_is_a_setting(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.arrive(DOWN_GRACE="10m")
        self.assertNotCompleted()

    def test_a_grace_that_ends_meanwhile(self) -> None:
        self.node.missed_heartbeats(SECOND)
        self.world.alloc(self.node, client="unknown", stop_takes=None)
        self.assertSaid(self.arrive(deadline=15, DOWN_GRACE="3s"), "completed")
        self.assertCompleted()

    def test_it_is_not_released_when_it_cannot_be_made_ineligible(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        for kind in ("eligibility", "drain"):
            self.world.fail(kind, Reply.text(403, "Permission denied"), times=None)
        self.arrive(2 * MINUTE)
        self.assertNotCompleted()

    def test_a_node_that_comes_back_is_drained(self) -> None:
        self.node.missed_heartbeats(5 * SECOND)
        alloc = self.world.alloc(self.node, stop_takes=None)
        function = self.world.start(**QUICK).wait_ready()
        function.hand_out(sns(termination(self.instance, LifecycleHookName=DEFAULT_HOOK)), 20)
        self.world.journal.wait_for("node", 2, 10)
        self.node.status = "ready"
        looks = len(self.world.calls("node"))
        self.world.journal.wait_for("node", looks + 3, 10)
        self.assertNotCompleted()
        self.world.nomad.end(alloc)
        self.assertTrue((answer := function.answer()).ok, answer)
        self.assertTrue(self.node.began_to_drain)
        self.assertCompleted()

    def test_a_sweep_releases_it_too(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.assertTrue(self.sweep(10 * MINUTE).ok)
        self.assertCompleted()
        self.assertMadeIneligibleFirst()


class DisconnectedNode(PolicyTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance, status="disconnected")
        self.world.alloc(self.node, client="unknown", stop_takes=None)

    def test_after_the_grace_it_is_released(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.assertSaid(self.arrive(4 * MINUTE), "completed")
        self.assertCompleted()
        self.assertEqual(self.node.eligibility, "ineligible")

    def test_within_the_grace_it_is_not_released(self) -> None:
        self.node.missed_heartbeats(70 * SECOND)  # more than DOWN_GRACE, less than DISCONNECTED_GRACE
        self.arrive()
        self.assertNotCompleted()
        self.assertEqual(self.node.eligibility, "ineligible", "and a comeback gets nothing")

    def test_the_grace_is_a_setting(self) -> None:
        self.node.missed_heartbeats(5 * MINUTE)
        self.arrive(DISCONNECTED_GRACE="10m")
        self.assertNotCompleted()


class TwoNodes(PolicyTest):
    """One instance, two nodes: an agent has lost its data directory."""

    def setUp(self) -> None:
        super().setUp()
        self.old = self.world.node(self.instance, status="down", create_index=10).missed_heartbeats(HOUR)
        self.new = self.world.node(self.instance, create_index=30)

    def test_the_living_is_drained_and_the_other_made_ineligible(self) -> None:
        self.world.alloc(self.new, stop_takes=1.5)
        self.assertSaid(self.arrive(deadline=15), "completed")
        self.assertTrue(self.new.began_to_drain)
        self.assertEqual(self.old.eligibility, "ineligible", self._story())
        self.assertCompleted()

    def test_what_runs_on_the_living_holds_the_instance(self) -> None:
        self.world.alloc(self.new, stop_takes=None)
        answer = self.arrive()
        self.assertTrue(answer.ok, answer)
        self.assertNotCompleted()

    def test_the_result_tells_of_the_living(self) -> None:
        answer = self.arrive()
        self.assertEqual({result["node_id"] for result in answer.results} & {self.new.id}, {self.new.id}, answer)
        reasons = [result["reason"] for result in answer.results if result["node_id"] == self.new.id]
        self.assertNotIn("node_down", reasons)

    def test_two_living_nodes_are_both_drained(self) -> None:
        self.old.status = "ready"
        self.world.alloc(self.old, stop_takes=2)
        self.world.alloc(self.new, stop_takes=0.5)
        self.assertTrue((answer := self.arrive(deadline=15)).ok, answer)
        self.assertTrue(self.old.began_to_drain and self.new.began_to_drain)
        self.assertCompleted()

    def test_both_are_down(self) -> None:
        self.new.status = "down"
        self.new.missed_heartbeats(5 * MINUTE)
        self.assertTrue((answer := self.arrive(2 * MINUTE)).ok, answer)
        self.assertCompleted()
        self.assertEqual((self.old.eligibility, self.new.eligibility), ("ineligible", "ineligible"))

    def test_the_newer_has_only_just_gone_down(self) -> None:
        self.new.status = "down"
        self.new.missed_heartbeats(5 * SECOND)
        self.world.alloc(self.new, client="unknown", stop_takes=None)
        self.arrive(2 * MINUTE)
        self.assertNotCompleted()


class Gone(PolicyTest):
    def test_a_node_that_is_purged_meanwhile_is_done(self) -> None:
        node = self.world.node(self.instance)
        self.world.alloc(node, stop_takes=None)
        function = self.world.start(**QUICK).wait_ready()
        function.hand_out(sns(termination(self.instance, LifecycleHookName=DEFAULT_HOOK)), 15)
        self.world.journal.wait_for("allocations", 1, 10)
        self.world.nomad.purge(node)
        self.assertSaid(function.answer(), "completed")
        self.assertCompleted()


class Timeout(PolicyTest):
    """The drain's deadline has passed, and what runs does not stop. KILL_GRACE later a policy decides."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.stuck = self.world.alloc(self.node, type="batch", stop_takes=None)
        self.world.may_cut_off = True
        self.short = {"DRAIN_DEADLINE": "1s", "KILL_GRACE": "2s"}

    def assertAfterTheGrace(self) -> None:
        posted, done = self.world.drains[0].at, self.world.scaling.completions[0].at
        self.assertGreaterEqual(done - posted, 2.9, "the deadline and KILL_GRACE")
        self.assertLess(done - posted, 6)

    def test_it_goes_on(self) -> None:
        answer = self.arrive(deadline=15, **self.short)
        said = self.assertSaid(answer, "completed")
        self.assertNotIn(said["reason"], ("drained", "completed"), "and the reason says so")
        self.assertCompleted()
        self.assertAfterTheGrace()

    def test_it_can_be_abandoned(self) -> None:
        answer = self.arrive(deadline=15, ON_DRAIN_TIMEOUT="abandon", **self.short)
        self.assertSaid(answer, "abandoned")
        self.assertCompleted(result="ABANDON")
        self.assertAfterTheGrace()

    def test_not_before_the_grace_has_passed(self) -> None:
        for policy in ("continue", "abandon"):
            self.assertTrue(self.arrive(deadline=9, DRAIN_DEADLINE="1s", ON_DRAIN_TIMEOUT=policy).ok)
            self.assertNotCompleted()

    def test_not_because_somebody_asked_for_abandon(self) -> None:
        self.world.nomad.end(self.stuck)
        self.assertSaid(self.arrive(ON_DRAIN_TIMEOUT="abandon"), "completed")
        self.assertCompleted()

    def sweep_after(self, deadline: timedelta, **variables: str) -> Answer:
        """Our drain was forced by its deadline, that long ago; what it told to stop runs on."""
        self.node.drained(deadline, stamp(self.instance, deadline + HOUR, -deadline))
        self.stuck.desired, self.stuck.told = "stop", self.stuck.started
        return self.sweep(deadline + HOUR, MAX_HOLD="20h", **variables)

    def test_a_sweep_decides_when_the_grace_has_passed(self) -> None:
        self.assertTrue(self.sweep_after(5 * MINUTE).ok)
        self.assertCompleted()

    def test_a_sweep_abandons_when_the_grace_has_passed(self) -> None:
        self.assertTrue(self.sweep_after(5 * MINUTE, ON_DRAIN_TIMEOUT="abandon").ok)
        self.assertCompleted(result="ABANDON")

    def test_a_sweep_waits_for_the_grace(self) -> None:
        self.assertTrue(self.sweep_after(30 * SECOND).ok)
        self.assertNotCompleted()

    def test_a_sweep_waits_for_a_longer_grace(self) -> None:
        self.assertTrue(self.sweep_after(5 * MINUTE, KILL_GRACE="10m").ok)
        self.assertNotCompleted()

    def test_a_blind_token_does_not_turn_waiting_into_success(self) -> None:
        self.world.grant(policies={"drain": Policy()})
        self.assertTrue(self.sweep_after(30 * SECOND).ok)
        self.assertNotCompleted()


class Settle(PolicyTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.alloc = self.world.alloc(self.node, stop_takes=0.5)

    def test_it_waits_after_the_last_has_stopped(self) -> None:
        answer = self.arrive(deadline=15, SETTLE_DELAY="2s")
        self.assertSaid(answer, "completed")
        posted, done = self.world.drains[0].at, self.world.scaling.completions[0].at
        self.assertGreaterEqual(done - posted, 2.4, self._story())
        self.assertLess(done - posted, 5)

    def test_by_default_it_does_not_wait(self) -> None:
        answer = self.arrive(deadline=15)
        self.assertSaid(answer, "completed")
        self.assertLess(answer.seconds, 2.5)

    def test_time_that_is_not_enough_is_left_to_the_hook(self) -> None:
        self.arrive(SETTLE_DELAY="10m")
        self.assertNotCompleted()

    def test_a_sweep_counts_from_the_end_of_the_last_and_not_from_its_own_start(self) -> None:
        now = self.alloc.started
        self.alloc.client, self.alloc.desired, self.alloc.modified = "complete", "stop", now - 120
        self.node.drained(2 * MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE))
        self.assertTrue(self.sweep(10 * MINUTE, SETTLE_DELAY="1m").ok)
        self.assertCompleted()

    def test_a_sweep_waits_for_the_rest(self) -> None:
        now = self.alloc.started
        self.alloc.client, self.alloc.desired, self.alloc.modified = "complete", "stop", now - 10
        self.node.drained(10 * SECOND, stamp(self.instance, 10 * MINUTE, 50 * MINUTE))
        self.assertTrue(self.sweep(10 * MINUTE, SETTLE_DELAY="1m").ok)
        self.assertNotCompleted()


class Configuration(WorldTest):
    WRONG: dict[str, Any] = {
        "SWEEP": "sometimes",
        "SWEEP_LINGER": "50",
        "EVENT_LINGER": "-1s",
        "POLL_INTERVAL": "0s",
        "MAX_HOLD": "2 days",
        "KILL_GRACE": "x",
        "ON_DRAIN_TIMEOUT": "perhaps",
        "ON_NODE_NOT_FOUND": "cry",
        "NODE_JOIN_GRACE": "5",
        "DISCONNECTED_GRACE": "m",
        "DOWN_GRACE": "60",
        "PAUSE": "maybe",
    }

    def test_all_problems_at_once(self) -> None:
        answer = self.world.terminate(self.instance, **self.WRONG)
        self.assertFails(answer, *(rf"\b{name}\b" for name in self.WRONG))
        self.assertEqual(answer.error_type, "ConfigurationError")
        self.assertEqual(self.world.kinds(), [])

    def test_the_allowed_values_are_named(self) -> None:
        answer = self.world.terminate(self.instance, ON_NODE_NOT_FOUND="cry", ON_DRAIN_TIMEOUT="perhaps")
        self.assertFails(answer, r"\bcontinue\b", r"\babandon\b", r"\bhold\b")

    def test_a_sweep_tells_problems_too(self) -> None:
        answer = self.world.sweep(PAUSE="maybe")
        self.assertFails(answer, r"\bPAUSE\b")
        self.assertEqual(self.world.kinds(), [])

    def test_every_setting_is_accepted(self) -> None:
        node = self.world.node(self.instance)
        settings = {
            "SWEEP_LINGER": "50s", "EVENT_LINGER": "15s", "POLL_INTERVAL": "500ms", "MAX_HOLD": "3h",
            "KILL_GRACE": "2m",
            "ON_DRAIN_TIMEOUT": "abandon", "ON_NODE_NOT_FOUND": "hold", "NODE_JOIN_GRACE": "5m", "PAUSE": "OFF",
            "DISCONNECTED_GRACE": "2m", "DOWN_GRACE": "60s", "SETTLE_DELAY": "200ms", "AUTO_SCALING_GROUPS": "a,b*",
        }  # fmt: skip
        self.assertDrained(node, self.world.terminate(self.instance, **settings))
        self.assertCompleted()


