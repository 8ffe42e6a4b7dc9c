"""Nodes of instances that come back, or were never taken; nodes that ended instances leave behind; taking turns."""

from __future__ import annotations

import time
from datetime import timedelta

from fake_autoscaling import Hook
from parallel import load_tests  # noqa: F401
from wire import Reply
from world import DEFAULT_HOOK, GROUP, WorldTest, instance_id, sns, stamp, termination

SEEN = timedelta(hours=1)
MINUTES = timedelta(minutes=1)


class Returned(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.group = self.world.group(warm_pool=True)
        self.node = self.world.node(self.instance)

    def drained(self, cause: str, ago: timedelta = SEEN, **fields: str) -> None:
        """Our drain for that cause was over that long ago; it had taken a minute."""
        meta = stamp(self.instance, ago, timedelta(), cause=cause, **fields)
        self.node.drained(ago, meta)

    def member(self, state: str) -> None:
        self.world.hold(self.instance, state=state).hook = None

    def sweep(self, **variables: str) -> None:
        self.answer = self.world.sweep(AUTO_SCALING_GROUPS=GROUP, SWEEP_LINGER="1s", **variables)
        self.assertTrue(self.answer.ok, self.answer)

    def assertGivenBack(self) -> None:
        self.assertEqual(self.node.eligibility, "eligible", self._story())
        self.assertSaid(self.answer, "restored")

    def assertLeft(self) -> None:
        self.assertEqual(self.node.eligibility, "ineligible", self._story())
        asked = [call.path for call in self.world.calls("eligibility") + self.world.drains]
        self.assertEqual([path for path in asked if self.node.id in path], [], self._story())

    def test_by_cause_and_state(self) -> None:
        back = {
            "warm-pool": {"InService", "Pending", "Pending:Proceed"},
            "root-volume": {"InService", "Pending", "Pending:Proceed"},
            "rebalance": {"InService"},
            "scheduled-change": {"InService"},
        }
        for cause in ("terminate", "spot", "state-change", "manual", *back):
            for state in ("InService", "Pending", "Pending:Proceed", "Standby", "Warmed:Stopped", "Warmed:Running"):
                with self.subTest(cause=cause, state=state):
                    self.world.nomad.nodes.remove(self.node)
                    self.world.scaling.instances.clear()
                    self.instance = instance_id()
                    self.node = self.world.node(self.instance)
                    self.drained(cause)
                    self.member(state)
                    self.sweep()
                    if state in back.get(cause, ()):
                        self.assertGivenBack()
                    else:
                        self.assertLeft()

    def test_not_within_two_minutes(self) -> None:
        self.member("InService")
        self.drained("warm-pool", timedelta(seconds=20))
        self.sweep()
        self.assertLeft()

    def test_not_before_restore_after(self) -> None:
        self.member("InService")
        self.drained("rebalance", 20 * MINUTES)
        self.sweep()
        self.assertLeft()
        self.sweep(RESTORE_AFTER="10m")
        self.assertGivenBack()

    def test_not_what_somebody_cancelled(self) -> None:
        self.member("InService")
        self.drained("warm-pool")
        self.node.last_drain["Status"] = "canceled"
        self.sweep()
        self.assertLeft()

    def test_not_what_was_ineligible_before(self) -> None:
        self.member("InService")
        self.drained("warm-pool", was_eligible="false")
        self.sweep()
        self.assertLeft()

    def test_not_somebody_elses(self) -> None:
        self.member("InService")
        self.node.drained(SEEN, {"message": "by hand"})
        self.sweep()
        self.assertLeft()

    def test_not_what_an_operator_disabled_since(self) -> None:
        self.member("InService")
        self.drained("warm-pool")
        self.node.event("Cluster", "Node marked as eligible for scheduling", time.time() - 1800)
        self.node.event("Cluster", "Node marked as ineligible for scheduling", time.time() - 600)
        self.sweep()
        self.assertLeft()

    def test_a_drain_that_still_runs_ends_with_one_post(self) -> None:
        self.member("InService")
        meta = stamp(self.instance, 5 * MINUTES, timedelta(hours=1), cause="warm-pool")
        self.node.draining_for(timedelta(hours=1), meta, 5 * MINUTES)
        self.world.alloc(self.node, stop_takes=None)
        self.sweep()
        self.assertGivenBack()
        self.assertEqual([call.json for call in self.world.drains], [{"DrainSpec": None, "MarkEligible": True}])
        self.assertEqual(self.world.calls("eligibility"), [])

    def test_only_ineligible_nodes_are_asked_for(self) -> None:
        self.sweep()
        [call] = self.world.calls("nodes")
        self.assertIn("SchedulingEligibility", call.query["filter"][0])
        self.assertIn("ineligible", call.query["filter"][0])

    def test_a_failure_to_list_them_does_not_disturb_the_sweep(self) -> None:
        held = instance_id()
        node = self.world.node(held)
        self.world.hold(held)
        self.world.fail("eligibility", Reply.text(500, "No cluster leader"), times=None)
        self.drained("warm-pool")
        self.member("InService")
        self.sweep()
        self.assertEqual(self.world.scaling.results(held), ["CONTINUE"], node)
        self.assertEqual(self.node.eligibility, "ineligible")

    def test_before_the_launch_hook_judges_it(self) -> None:
        self.world.may_cut_off = True  # it comes, it does not go
        self.drained("warm-pool")
        self.world.hold(self.instance, hook="nomad-launch-hook", state="Pending:Wait")
        self.group.hooks.append(Hook("nomad-launch-hook", 600, transition="autoscaling:EC2_INSTANCE_LAUNCHING"))
        self.sweep(ON_LAUNCH="wait")
        self.assertEqual(self.node.eligibility, "eligible")
        self.assertSaid(self.answer, "completed", "node_ready")
        self.assertCompleted()


class LeftBehind(Returned):
    """The sweep purges what terminations have left behind."""

    def purged(self) -> bool:
        self.sweep(PURGE_NODES="on")
        return bool(self.world.calls("purge"))

    def test_by_cause_and_state(self) -> None:
        self.node.status = "down"
        for cause in ("warm-pool", "spot", "rebalance", "manual"):
            self.drained(cause)
            self.assertFalse(self.purged(), cause)
        self.drained("terminate")
        self.assertTrue(self.purged())
        self.assertSaid(self.answer, "completed", "node_purged")

    def test_not_while_auto_scaling_knows_the_instance(self) -> None:
        self.node.status = "down"
        self.drained("terminate")
        self.member("Terminating:Proceed")
        self.assertFalse(self.purged())

    def test_not_a_live_node(self) -> None:
        self.drained("terminate")
        self.assertFalse(self.purged())

    def test_not_of_a_group_that_is_not_ours(self) -> None:
        self.node.status = "down"
        self.drained("terminate", auto_scaling_group="of-another-account")
        self.assertFalse(self.purged())

    def test_not_unless_it_was_asked_for(self) -> None:
        self.node.status = "down"
        self.drained("terminate")
        self.sweep()
        self.assertEqual(self.world.calls("purge"), [])


class Turns(WorldTest):
    LIMIT = {"MAX_DRAINS_PER_GROUP": "1", "AUTO_SCALING_GROUPS": GROUP, "SWEEP": "on", "EVENT_LINGER": "1s"}

    def setUp(self) -> None:
        super().setUp()
        self.world.group(heartbeat_timeout=300)
        self.nodes = {}
        for number in range(3):
            instance = instance_id()
            self.world.hold(instance, ago=timedelta(minutes=10 - number))
            self.nodes[instance] = self.world.node(instance)
            self.world.alloc(self.nodes[instance], stop_takes=None)

    def test_an_event_starts_none(self) -> None:
        self.instance = list(self.nodes)[0]
        token = self.world.scaling.instances[self.instance].token
        message = termination(self.instance, LifecycleHookName=DEFAULT_HOOK, LifecycleActionToken=token)
        answer = self.world.invoke(sns(message), 9, **self.LIMIT)
        self.assertSaid(answer, "held", "waiting_for_turn")
        self.assertNothingDrained()
        self.assertEqual(self.nodes[self.instance].eligibility, "ineligible")

    def test_a_sweep_starts_the_first(self) -> None:
        for _ in range(2):
            self.world.sweep(**self.LIMIT, SWEEP_LINGER="1s")
        first, *others = self.nodes.values()
        self.assertEqual([node.drain is not None for node in self.nodes.values()], [True, False, False], self._story())
        self.assertEqual([node.eligibility for node in others], ["ineligible"] * 2)
        kept_alive = {call.form["InstanceId"] for call in self.world.calls("heartbeat")}
        self.assertEqual(kept_alive, set(self.nodes), "all of them")
