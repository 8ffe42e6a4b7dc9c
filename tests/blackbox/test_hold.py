"""With SWEEP=on: how long an instance can be held, heartbeats, groups that are not watched, pauses."""

import os
import time
from datetime import datetime, timedelta
from typing import Any

from fake_autoscaling import error, no_active_action, throttled
from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from wire import Fault, Reply
from world import (
    DEFAULT_HOOK,
    GROUP,
    NO_LEADER,
    Answer,
    WorldTest,
    ago_text,
    instance_id,
    sns,
    stamp,
    termination,
)

ON = {"SWEEP": "on", "POLL_INTERVAL": "200ms", "EVENT_LINGER": "2s"}
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class HoldTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.group = self.world.group()

    def event(self, ago: timedelta = timedelta(), **fields: Any) -> dict[str, Any]:
        return sns(termination(self.instance, LifecycleHookName=DEFAULT_HOOK, Time=ago_text(ago), **fields))

    def arrive(self, ago: timedelta = timedelta(), deadline: float = 15, **variables: str) -> Answer:
        return self.world.invoke(self.event(ago), deadline, **(ON | variables))

    def heartbeat_timeout(self, seconds: int) -> None:
        self.group.hooks[0].heartbeat_timeout = seconds

    def drains(self) -> None:
        """Our drain has run for ten minutes and has fifty to go; something runs on."""
        self.world.hold(self.instance, ago=10 * MINUTE)
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(50 * MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)


class Events(HoldTest):
    def test_an_empty_node_is_released_at_once(self) -> None:
        self.assertSaid(self.arrive(), "completed")
        self.assertCompleted()

    def test_what_takes_longer_is_left_to_the_sweep(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        answer = self.arrive()
        self.assertSaid(answer, "drain_started|draining|held")
        self.assertDrained(self.node, answer)
        self.assertNotCompleted()
        self.assertLess(answer.seconds, 4, "EVENT_LINGER is 2 s")

    def test_it_lingers(self) -> None:
        self.world.alloc(self.node, stop_takes=1)
        self.assertSaid(self.arrive(), "completed")
        self.assertCompleted()

    def test_the_linger_ends_before_the_invocation_does(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        answer = self.arrive(deadline=8, EVENT_LINGER="1h")
        self.assertTrue(answer.ok, answer)
        self.assertLess(answer.seconds, 4)

    def test_a_group_that_is_not_watched_is_ignored_loudly(self) -> None:
        self.group.tags = {"Name": "other"}
        self.assertIgnored(self.arrive(), "group_not_watched")
        self.assertTrue(self.warnings(GROUP), self._story())
        self.assertEqual(self.world.scaling.heartbeats, [])
        self.assertNotCompleted()

    def test_a_group_whose_tag_says_off_is_not_watched(self) -> None:
        for value in ("off", "false", "OFF", "False"):
            self.group.tags = {"nomad-drain": value}
            self.world.scaling.instances.clear()
            self.assertIgnored(self.arrive(), "group_not_watched")

    def test_a_listed_group_is_watched_without_a_tag(self) -> None:
        self.group.tags = {}
        self.assertSaid(self.arrive(AUTO_SCALING_GROUPS=f"other, {GROUP}"), "completed")

    def test_a_group_that_is_not_listed_is_not_watched_though_it_has_the_tag(self) -> None:
        self.assertIgnored(self.arrive(AUTO_SCALING_GROUPS="other,workers-*"), "group_not_watched")

    def test_a_glob_lists_groups(self) -> None:
        self.group.tags = {}
        self.assertSaid(self.arrive(AUTO_SCALING_GROUPS="nomad-*-prod"), "completed")

    def test_without_the_sweep_every_group_is_served(self) -> None:
        self.group.tags = {}
        self.assertSaid(self.arrive(SWEEP="off"), "completed")


class Deadline(HoldTest):
    def assertDeadline(self, expected: timedelta, ago: timedelta = timedelta(), **variables: str) -> None:
        self.world.alloc(self.node, stop_takes=None)
        answer = self.arrive(ago, **variables)
        self.assertTrue(answer.ok, answer)
        request = self.assertDrained(self.node, answer)
        self.assertAlmostEqual(request["DrainSpec"]["Deadline"] / 1e9, expected.total_seconds(), delta=6)

    def test_it_is_cut_to_what_the_hook_can_still_be_held(self) -> None:
        self.heartbeat_timeout(60)  # 100 minutes in all
        self.assertDeadline(100 * MINUTE - 30 * MINUTE - 2 * MINUTE, 30 * MINUTE, DRAIN_DEADLINE="2h")

    def test_the_kill_grace_is_kept_free(self) -> None:
        self.heartbeat_timeout(60)
        self.assertDeadline(100 * MINUTE - 10 * MINUTE, DRAIN_DEADLINE="3h", KILL_GRACE="10m")

    def test_it_is_not_cut_if_it_fits(self) -> None:
        self.assertDeadline(HOUR, 30 * MINUTE)

    def test_it_is_not_more_than_the_global_limit_of_48_hours(self) -> None:
        self.assertDeadline(48 * HOUR - 2 * MINUTE, DRAIN_DEADLINE="60h")

    def test_when_nothing_is_left_of_it_the_drain_is_forced(self) -> None:
        self.heartbeat_timeout(60)
        self.arrive(99 * MINUTE)
        self.assertEqual(self.world.drains[0].json["DrainSpec"]["Deadline"], -1_000_000_000)

    def test_a_message_without_a_time_is_dated_by_the_scaling_activity(self) -> None:
        self.heartbeat_timeout(60)
        self.world.alloc(self.node, stop_takes=None)
        self.world.hold(self.instance, ago=30 * MINUTE)
        event = sns(termination(self.instance, LifecycleHookName=DEFAULT_HOOK, Time=None))
        self.world.invoke(event, 15, **(ON | {"DRAIN_DEADLINE": "2h"}))
        self.assertAlmostEqual(
            self.world.drains[0].json["DrainSpec"]["Deadline"] / 1e9, 68 * 60, msg=self._story(), delta=6
        )

    def test_the_stamp_has_the_cut_deadline_and_the_hook_s_start(self) -> None:
        self.heartbeat_timeout(60)
        event = self.event(30 * MINUTE)
        self.world.alloc(self.node, stop_takes=None)
        self.world.invoke(event, 15, **(ON | {"DRAIN_DEADLINE": "2h"}))
        meta = self.world.drains[0].json["Meta"]
        texts = (meta["hook-started-at"], meta["deadline"])
        began, until = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in texts)
        self.assertAlmostEqual((until - began).total_seconds(), 98 * 60, delta=6)

    def test_when_the_limit_cannot_be_read_the_drain_starts_all_the_same(self) -> None:
        self.world.scaling.denied |= {"DescribeLifecycleHooks"}
        self.assertDeadline(HOUR)
        warned = self.warnings("autoscaling:DescribeLifecycleHooks")
        self.assertEqual(len(warned), 1, self._story())
        self.assertRegex(warned[0], r'"?Effect"?\s*[:=]\s*"?Allow')

    def test_an_operator_s_drain_that_ends_after_the_limit_is_brought_nearer_without_meta(self) -> None:
        self.heartbeat_timeout(60)
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(5 * HOUR, {"message": "rack"})
        self.arrive(DRAIN_DEADLINE="10h")
        (call,) = self.world.drains
        self.assertFalse(call.json.get("Meta"))
        self.assertAlmostEqual(call.json["DrainSpec"]["Deadline"] / 1e9, 98 * 60, delta=6)


class Heartbeats(HoldTest):
    def test_a_short_time_out_is_kept_alive_at_every_look(self) -> None:
        self.heartbeat_timeout(120)
        self.drains()
        self.assertTrue(self.world.sweep(SWEEP_LINGER="3s", POLL_INTERVAL="1s").ok)
        self.assertGreaterEqual(len(self.world.scaling.heartbeats), 2, self._story())
        self.assertTrue(self.warnings("120|300|HeartbeatTimeout"), "and a warning says that it is short")

    def test_five_minutes_are_kept_alive_by_every_sweep(self) -> None:
        self.heartbeat_timeout(300)
        self.drains()
        for count in (1, 2):
            self.assertTrue(self.world.sweep(SWEEP_LINGER="500ms").ok)
            self.assertGreaterEqual(len(self.world.scaling.heartbeats), count, self._story())

    def test_a_long_time_out_needs_few(self) -> None:
        """k = floor(7200 / 180) = 40 minutes: of forty instances one is due, give or take."""
        self.heartbeat_timeout(7200)
        for _ in range(40):
            node = self.world.node(instance_id())
            self.world.hold(node.instance_id, ago=10 * MINUTE)
            self.world.alloc(node, stop_takes=None)
            node.draining_for(50 * MINUTE, stamp(node.instance_id, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        answer = self.world.sweep(30, SWEEP_LINGER="1s")
        self.assertTrue(answer.ok, answer)
        # More than eight of forty happen once in a million runs; a minute that ends meanwhile doubles it.
        self.assertLessEqual(len(self.world.scaling.heartbeats), 8, self._story()[:3000])

    def test_half_of_them_are_due_when_the_time_out_is_six_minutes(self) -> None:
        """k = 2: each instance is due every other minute; together they are spread."""
        self.heartbeat_timeout(360)
        instances = []
        for _ in range(40):
            node = self.world.node(instance_id())
            instances.append(node.instance_id)
            self.world.hold(node.instance_id, ago=10 * MINUTE)
            self.world.alloc(node, stop_takes=None)
            node.draining_for(50 * MINUTE, stamp(node.instance_id, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        before = datetime.now().minute
        self.assertTrue(self.world.sweep(30, SWEEP_LINGER="500ms").ok)
        if datetime.now().minute != before:
            self.skipTest("the minute ended meanwhile")
        beaten = set(self.world.scaling.heartbeats)
        self.assertTrue(5 < len(beaten) < 35, len(beaten))

    def test_a_heartbeat_carries_the_instance_id(self) -> None:
        self.heartbeat_timeout(120)
        self.drains()
        self.world.sweep(SWEEP_LINGER="500ms")
        call = self.world.calls("heartbeat")[0]
        expected = {"AutoScalingGroupName": GROUP, "LifecycleHookName": DEFAULT_HOOK, "InstanceId": self.instance}
        self.assertEqual(call.form, call.form | expected)
        self.assertSigned(call, "autoscaling")

    def test_a_heartbeat_that_fails_is_tried_again(self) -> None:
        for trouble in (throttled(), Fault.RESET):
            with self.subTest(trouble):
                self.world.scaling.heartbeats.clear()
                self.heartbeat_timeout(300)
                self.drains()
                self.world.fail("heartbeat", trouble, times=2)
                self.assertTrue(self.world.sweep(SWEEP_LINGER="2s").ok)
                self.assertTrue(self.world.scaling.heartbeats, self._story())

    def test_no_active_action_is_an_end_and_no_error(self) -> None:
        self.heartbeat_timeout(300)
        self.drains()
        self.world.fail("heartbeat", error(400, "ValidationError", no_active_action(self.instance)), times=None)
        answer = self.world.sweep(SWEEP_LINGER="3s")
        self.assertTrue(answer.ok, answer)
        self.assertIn("no_active_action", answer.text)
        self.assertEqual(len(self.world.calls("heartbeat")), 1, "it is not looked at again")
        self.assertEqual(self.warnings("no active"), [])

    def test_past_max_hold_there_are_no_more_heartbeats_and_no_completion(self) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=3 * HOUR)
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(30 * MINUTE, stamp(self.instance, 3 * HOUR, 30 * MINUTE), began=HOUR)
        answer = self.world.sweep(DRAIN_DEADLINE="1h")
        self.assertTrue(answer.ok, answer)
        self.assertEqual(self.world.scaling.heartbeats, [], self._story())
        self.assertNotCompleted()
        self.assertIn("left_to_hook", answer.text)

    def test_the_stamp_remembers_the_start_when_activities_do_not(self) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=3 * HOUR)
        self.world.scaling.denied.add("DescribeScalingActivities")
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(30 * MINUTE, stamp(self.instance, 3 * HOUR, 30 * MINUTE), began=HOUR)
        self.assertTrue((answer := self.world.sweep()).ok, answer)
        self.assertEqual(self.world.scaling.heartbeats, [], self._story())

    def test_in_two_minutes_in_turn_each_is_due_once(self) -> None:
        """The whole schedule for k = 2. It waits for the next minute, so it has to be asked for."""
        if not os.environ.get("BLACKBOX_SLOW"):
            self.skipTest("takes up to a minute: set BLACKBOX_SLOW")
        self.heartbeat_timeout(360)
        instances = set()
        for _ in range(20):
            node = self.world.node(instance_id())
            instances.add(node.instance_id)
            self.world.hold(node.instance_id, ago=10 * MINUTE)
            self.world.alloc(node, stop_takes=None)
            node.draining_for(50 * MINUTE, stamp(node.instance_id, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        turns = []
        for _ in range(2):
            time.sleep(60.5 - time.time() % 60)
            self.world.scaling.heartbeats.clear()
            self.assertTrue(self.world.sweep(30, SWEEP_LINGER="2s").ok)
            turns.append(list(self.world.scaling.heartbeats))
        self.assertEqual(sorted(turns[0] + turns[1]), sorted(instances), "each once, in one of the two minutes")

    def test_max_hold_can_be_longer(self) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=3 * HOUR)
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(30 * MINUTE, stamp(self.instance, 3 * HOUR, 30 * MINUTE), began=HOUR)
        self.world.sweep(DRAIN_DEADLINE="1h", MAX_HOLD="4h")
        self.assertTrue(self.world.scaling.heartbeats, self._story())

    def test_past_max_hold_an_empty_node_is_still_released(self) -> None:
        self.world.hold(self.instance, ago=3 * HOUR)
        self.node.drained(MINUTE, stamp(self.instance, 3 * HOUR, -HOUR))
        self.world.sweep()
        self.assertCompleted()

    def test_a_missing_permission_is_one_warning_and_the_drain_goes_on(self) -> None:
        self.heartbeat_timeout(120)
        self.drains()
        self.world.scaling.denied.add("RecordLifecycleActionHeartbeat")
        answer = self.world.sweep(SWEEP_LINGER="2s")
        self.assertTrue(answer.ok, answer)
        warned = self.warnings("autoscaling:RecordLifecycleActionHeartbeat")
        self.assertEqual(len(warned), 1, self._story())
        self.assertRegex(warned[0], r'"?Effect"?\s*[:=]\s*"?Allow')


class Pause(HoldTest):
    def assertOnlyHeartbeats(self, node: Node, answer: Answer) -> None:
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertEqual(node.eligibility, "eligible")
        self.assertNotCompleted()
        self.assertTrue(self.world.scaling.heartbeats, self._story())

    def test_paused_a_sweep_only_sends_heartbeats(self) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=MINUTE)
        answer = self.world.sweep(PAUSE="on")
        self.assertOnlyHeartbeats(self.node, answer)

    def test_paused_an_event_starts_nothing(self) -> None:
        self.heartbeat_timeout(120)
        answer = self.arrive(PAUSE="on")
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertNotCompleted()
        self.assertSaid(answer, "held|ignored|left_to_hook", ".*(pause|hold|held).*")

    def test_the_group_s_tag_pauses_too(self) -> None:
        self.heartbeat_timeout(300)
        self.group.tags["nomad-drain-hold"] = "true"
        self.world.hold(self.instance, ago=MINUTE)
        self.assertOnlyHeartbeats(self.node, self.world.sweep())

    def test_the_tag_pauses_events(self) -> None:
        self.group.tags["nomad-drain-hold"] = "on"
        answer = self.arrive()
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertNotCompleted()

    def test_paused_a_node_that_is_empty_is_not_released(self) -> None:
        self.world.hold(self.instance, ago=10 * MINUTE)
        self.node.drained(MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE))
        answer = self.world.sweep(PAUSE="on")
        self.assertTrue(answer.ok, answer)
        self.assertNotCompleted()

    def test_other_groups_are_served_meanwhile(self) -> None:
        self.group.tags["nomad-drain-hold"] = "true"
        other = self.world.node(instance_id())
        self.world.group("others")
        self.world.hold(other.instance_id, "others", ago=MINUTE)
        self.world.sweep()
        self.assertCompleted(other.instance_id)

    def test_paused_without_a_sweep(self) -> None:
        answer = self.world.terminate(self.instance, 8, PAUSE="on")
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertNotCompleted()


class Outages(HoldTest):
    """When Nomad or Auto Scaling cannot be asked, instances are held, not let go."""

    def assertHeld(self, **variables: str) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=10 * MINUTE)
        self.node.drained(MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE))
        self.world.sweep(12, **variables)
        self.assertEqual(self.world.calls("complete"), [], self._story())
        self.assertTrue(self.world.scaling.heartbeats, f"it is kept alive meanwhile\n{self._story()}")

    def test_no_leader(self) -> None:
        for kind in ("nodes", "node", "allocations"):
            self.world.fail(kind, NO_LEADER, times=None)
        self.assertHeld()

    def test_servers_that_are_not_there(self) -> None:
        closed = self.world.serve(self.world.nomad)
        closed.close()
        self.assertHeld(NOMAD_ADDR=closed.url)

    def test_servers_that_hang(self) -> None:
        self.world.fail("nodes", Fault.HANG, times=None)
        self.assertHeld()

    def test_a_token_that_is_refused(self) -> None:
        self.world.nomad.token = "another"
        self.assertHeld()

    def test_a_token_that_cannot_be_read(self) -> None:
        self.world.aws.parameters.clear()
        self.assertHeld()

    def test_a_token_that_may_not_drain(self) -> None:
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=MINUTE)
        self.world.fail("drain", Reply.text(403, "Permission denied"), times=None)
        self.world.fail("eligibility", Reply.text(403, "Permission denied"), times=None)
        self.world.sweep(12)
        self.assertEqual(self.world.calls("complete"), [], self._story())
        self.assertTrue(self.world.scaling.heartbeats, self._story())

    def test_nodes_without_our_instance_are_not_a_release_within_the_grace(self) -> None:
        self.world.nomad.nodes.remove(self.node)
        self.heartbeat_timeout(300)
        self.world.hold(self.instance, ago=MINUTE)
        self.world.sweep(12, NODE_LOOKUP="server")
        self.assertNotCompleted()

    def test_auto_scaling_that_throttles_describe_calls(self) -> None:
        self.world.hold(self.instance, ago=10 * MINUTE)
        for kind in ("groups", "hooks", "instances", "warm_pool"):
            self.world.fail(kind, throttled(), times=None)
        self.world.sweep(10)
        self.assertNothingDrained()
        self.assertNotCompleted()

    def test_auto_scaling_that_throttles_completions_is_asked_again_by_the_next_sweep(self) -> None:
        self.world.hold(self.instance, ago=10 * MINUTE)
        self.node.drained(MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE))
        self.world.fail("complete", throttled(), times=40)
        self.world.sweep(9)
        self.assertNotCompleted()
        self.world.journal._plans["complete"].clear()
        self.world.sweep(9)
        self.assertCompleted()

    def test_an_outage_in_the_middle_of_a_sweep_is_sat_out(self) -> None:
        self.drains()
        alloc = self.node.allocs[0]
        function = self.world.start(**(ON | {"SWEEP_LINGER": "9s"})).wait_ready()
        function.hand_out({"action": "sweep"})
        self.world.journal.wait_for("allocations", 1, 10)
        for kind in ("node", "allocations"):
            self.world.fail(kind, NO_LEADER, times=5)
        self.world.journal.wait_for("allocations", 3, 10)
        self.world.nomad.end(alloc)
        self.assertTrue((answer := function.answer()).ok, answer)
        self.assertCompleted()


