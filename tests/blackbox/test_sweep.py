"""The sweep: it finds what is held, whoever forgot it, and sees it through in few calls."""

import sys
from datetime import datetime, timedelta
from typing import Any

from fake_autoscaling import Hook, error, throttled
from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from wire import Call, Reply
from world import DEFAULT_HOOK, GROUP, WorldTest, instance_id, loopback, scheduled, sns, stamp, termination

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SHORT = {"SWEEP": "on", "SWEEP_LINGER": "3s", "POLL_INTERVAL": "200ms"}


def count(said: Any) -> int:
    """Whether it is told as a number or as a list."""
    return said if isinstance(said, int) else len(said)


class SweepTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.group = self.world.group()

    def hold(self, ago: timedelta = MINUTE, **fields: Any) -> None:
        self.world.hold(self.instance, ago=ago, **fields)

    def assertNothingDone(self) -> None:
        self.assertNothingDrained()
        self.assertEqual(self.node.eligibility, "eligible")
        self.assertNotCompleted()
        self.assertEqual(self.world.scaling.heartbeats, [])


class Finds(SweepTest):
    def assertReleased(self, cause: str | None = None) -> None:
        self.assertCompleted()
        self.assertDrained(self.node, self.answer)
        if cause is not None:
            self.assertEqual(self.world.drains[0].json["Meta"]["cause"], cause)

    def test_an_instance_that_no_event_told_of(self) -> None:
        self.hold()
        self.answer = self.world.sweep()
        self.assertReleased("terminate")
        self.assertSaid(self.answer, "completed")

    def test_by_a_schedule_of_eventbridge(self) -> None:
        for source in ("aws.events", "aws.scheduler"):
            node = self.world.node(instance_id())
            self.world.hold(node.instance_id, ago=MINUTE)
            self.assertTrue(self.world.invoke(scheduled(source), **SHORT).ok)
            self.assertCompleted(node.instance_id)

    def test_a_root_volume_that_is_replaced(self) -> None:
        self.hold(state="ReplacingRootVolume:Wait")
        self.answer = self.world.sweep()
        self.assertReleased("root-volume")

    def test_an_instance_on_its_way_into_the_warm_pool(self) -> None:
        self.group.warm_pool = True
        self.hold(state="Warmed:Pending:Wait")
        self.answer = self.world.sweep()
        self.assertReleased("warm-pool")

    def test_a_warm_instance_that_is_terminated(self) -> None:
        self.group.warm_pool = True
        self.hold(state="Warmed:Terminating:Wait")
        self.answer = self.world.sweep()
        self.assertReleased()

    def test_the_stamp_has_the_start_of_the_scaling_activity(self) -> None:
        self.hold(ago=20 * MINUTE)
        self.world.sweep()
        meta = self.world.drains[0].json["Meta"]
        held = self.world.scaling.instances[self.instance]
        began = datetime.fromisoformat(meta["hook-started-at"].replace("Z", "+00:00"))
        self.assertLess(abs(began - held.since), timedelta(seconds=2))
        self.assertEqual((meta["auto-scaling-group"], meta["lifecycle-hook"]), (GROUP, DEFAULT_HOOK))

    def test_the_deadline_is_cut_by_what_has_passed_already(self) -> None:
        self.group.hooks[0].heartbeat_timeout = 60
        self.world.alloc(self.node, stop_takes=1)
        self.hold(ago=20 * MINUTE)
        self.world.sweep(DRAIN_DEADLINE="3h", MAX_HOLD="6h")
        spec = self.world.drains[0].json["DrainSpec"]
        self.assertAlmostEqual(spec["Deadline"] / 1e9, (100 - 20 - 2) * 60, delta=6)

    def test_what_an_event_began_and_could_not_finish(self) -> None:
        alloc = self.world.alloc(self.node, stop_takes=None)
        event = sns(termination(self.instance, LifecycleHookName=DEFAULT_HOOK))
        self.world.invoke(event, **(SHORT | {"EVENT_LINGER": "500ms"}))
        self.assertNotCompleted()
        self.world.nomad.end(alloc)
        self.answer = self.world.sweep()
        self.assertReleased()
        # Without an event there is no token; the instance id is enough.
        self.assertEqual(self.world.calls("complete")[0].form["InstanceId"], self.instance)

    def test_it_lingers_for_what_is_nearly_done(self) -> None:
        self.world.alloc(self.node, stop_takes=1.5)
        self.hold()
        self.answer = self.world.sweep()
        self.assertReleased()

    def test_it_ends_at_once_when_nothing_is_held(self) -> None:
        answer = self.world.sweep(SWEEP_LINGER="30s")
        self.assertTrue(answer.ok, answer)
        self.assertLess(answer.seconds, 3)

    def test_the_linger_ends_before_the_invocation_does(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        self.hold()
        answer = self.world.sweep(8, SWEEP_LINGER="50s")
        self.assertTrue(answer.ok, answer)
        self.assertLess(answer.seconds, 4)

    def test_the_result_says_how_much_there_is(self) -> None:
        self.hold()
        other = self.world.node(instance_id())
        self.world.hold(other.instance_id)
        self.world.group("another")
        body = self.world.sweep().body
        self.assertEqual((count(body["groups"]), count(body["held"])), (2, 2), body)
        self.assertEqual(len(body["results"]), 2)

    def test_the_result_of_a_sweep_with_nothing_to_do(self) -> None:
        body = self.world.sweep().body
        self.assertEqual((count(body["groups"]), count(body["held"]), body["results"]), (1, 0, []))

    def test_what_others_hold_does_not_keep_ours_waiting(self) -> None:
        stuck = self.world.node(instance_id())
        self.world.alloc(stuck, stop_takes=None)
        self.world.hold(stuck.instance_id)
        self.hold()
        self.answer = self.world.sweep()
        self.assertCompleted()
        self.assertNotCompleted(stuck.instance_id)


class LeavesAlone(SweepTest):
    def test_instances_that_are_not_held(self) -> None:
        moving = ("Terminating", "Terminating:Proceed", "Pending:Wait")
        for state in ("InService", "Standby", "Terminating:Retained", *moving):
            with self.subTest(state):
                self.hold(state=state)
                self.assertTrue(self.world.sweep(SWEEP_LINGER="500ms").ok)
                self.assertNothingDone()

    def test_warm_instances_that_are_not_held(self) -> None:
        self.group.warm_pool = True
        for state in ("Warmed:Stopped", "Warmed:Running", "Warmed:Pending:Proceed", "Warmed:Terminating:Retained"):
            with self.subTest(state):
                self.hold(state=state)
                self.assertTrue(self.world.sweep(SWEEP_LINGER="500ms").ok)
                self.assertNothingDone()

    def test_groups_without_the_tag(self) -> None:
        self.group.tags = {"Name": "web"}
        self.hold()
        answer = self.world.sweep()
        self.assertTrue(answer.ok, answer)
        self.assertNothingDone()

    def test_groups_whose_tag_says_off(self) -> None:
        for value in ("off", "false", "Off", "FALSE"):
            with self.subTest(value):
                self.group.tags = {"nomad-drain": value}
                self.hold()
                self.assertTrue(self.world.sweep(SWEEP_LINGER="500ms").ok)
                self.assertNothingDone()

    def test_any_other_value_of_the_tag_watches(self) -> None:
        for value in ("on", "true", "", "prod cluster", "0ff"):
            with self.subTest(value):
                self.group.tags = {"nomad-drain": value}
                node = self.world.node(instance_id())
                self.world.hold(node.instance_id)
                self.world.sweep()
                self.assertCompleted(node.instance_id)

    def test_groups_without_our_hook(self) -> None:
        self.group.hooks = [Hook("somebody-elses")]
        self.hold(hook="somebody-elses")
        self.assertTrue(self.world.sweep().ok)
        self.assertNothingDone()

    def test_groups_with_a_launch_hook_of_that_name(self) -> None:
        self.group.hooks = [Hook(DEFAULT_HOOK, transition="autoscaling:EC2_INSTANCE_LAUNCHING"), Hook("other")]
        self.hold(hook="other")
        self.assertTrue(self.world.sweep().ok)
        self.assertNothingDone()

    def test_instances_that_another_hook_holds(self) -> None:
        """Describe calls do not say whose turn it is; a heartbeat does, before anything is drained."""
        self.group.hooks.append(Hook("backup-logs"))
        self.hold(hook="backup-logs")
        answer = self.world.sweep()
        self.assertTrue(answer.ok, answer)
        self.assertNothingDone()
        self.assertIn("no_active_action", answer.text)
        self.assertEqual(len(self.world.calls("heartbeat")), 1, "and it is not looked at again")
        self.assertEqual(self.warnings("no.active"), [])

    def test_the_probe_comes_before_the_drain(self) -> None:
        self.hold()
        self.world.sweep()
        kinds = self.world.kinds()
        self.assertLess(kinds.index("heartbeat"), kinds.index("drain"), self._story())

    def test_a_probe_that_gets_no_answer_starts_nothing(self) -> None:
        self.world.fail("heartbeat", throttled(), times=None)
        self.hold()
        self.world.sweep(9)
        self.assertNothingDrained()
        self.assertNotCompleted()

    def test_in_a_dry_run_everything(self) -> None:
        self.hold()
        answer = self.world.sweep(DRY_RUN="on")
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertNotCompleted()


class Groups(SweepTest):
    def assertSwept(self, listed: str, *names: str) -> None:
        nodes = {}
        for name in ("nomad-a", "nomad-b", "web-a", "nomad"):
            nodes[name] = self.world.node(instance_id())
            self.world.group(name, tags={})
            self.world.hold(nodes[name].instance_id, name)
        answer = self.world.sweep(AUTO_SCALING_GROUPS=listed)
        self.assertTrue(answer.ok, answer)
        done = {name for name, node in nodes.items() if self.world.scaling.results(node.instance_id)}
        self.assertEqual(done, set(names), self._story())

    def test_names(self) -> None:
        self.assertSwept("nomad-a, web-a", "nomad-a", "web-a")

    def test_globs(self) -> None:
        self.assertSwept("nomad-*", "nomad-a", "nomad-b")

    def test_names_and_globs(self) -> None:
        self.assertSwept("web-a,*-b", "web-a", "nomad-b")

    def test_a_name_is_no_prefix(self) -> None:
        self.assertSwept("nomad", "nomad")

    def test_a_listed_group_that_does_not_exist_is_a_warning(self) -> None:
        self.hold()
        answer = self.world.sweep(AUTO_SCALING_GROUPS=f"{GROUP},gone-for-good")
        self.assertTrue(answer.ok, answer)
        self.assertCompleted()
        self.assertTrue(self.warnings("gone-for-good"), self._story())

    def test_no_group_at_all_is_a_warning(self) -> None:
        self.world.scaling.groups.clear()
        answer = self.world.sweep()
        self.assertTrue(answer.ok, answer)
        self.assertTrue(self.warnings("group"), self._story())
        self.assertEqual(count(answer.body["groups"]), 0)

    def test_a_glob_that_matches_nothing_is_a_warning(self) -> None:
        answer = self.world.sweep(AUTO_SCALING_GROUPS="nothing-like-this-*")
        self.assertTrue(answer.ok, answer)
        self.assertTrue(self.warnings("group"), self._story())

    def test_another_hook_can_be_ours(self) -> None:
        self.group.hooks = [Hook("drain-a"), Hook("drain-b")]
        self.hold(hook="drain-b")
        self.world.sweep(LIFECYCLE_HOOK_NAME="drain-a,drain-b")
        self.assertCompleted()

    def test_a_group_that_is_deleted_meanwhile_does_not_hide_the_others(self) -> None:
        gone = self.world.node(instance_id())
        self.world.group("a-gone")
        self.world.hold(gone.instance_id, "a-gone")
        self.hold()
        real = self.world.scaling.reply

        def reply(call: Call) -> Reply:
            if call.kind == "hooks" and call.form["AutoScalingGroupName"] == "a-gone":
                message = "AutoScalingGroup name not found - Group a-gone not found"
                return error(400, "ValidationError", message)
            return real(call)

        self.world.scaling.reply = reply
        self.world.sweep()
        self.assertCompleted()

    def test_an_answer_that_is_cut_off_is_not_believed(self) -> None:
        self.hold()
        self.world.fail("groups", Reply(200, "<DescribeAutoScalingGroupsResponse><Des"), times=None)
        answer = self.world.sweep(9)
        if answer.ok:
            self.assertTrue(self.warnings("group"), self._story())
        self.assertNotCompleted()

    def test_hundreds_of_groups_over_many_pages(self) -> None:
        names = [f"fleet-{number:03}" for number in range(130)]
        for name in names:
            self.world.group(name)
        chosen = {name: self.world.node(instance_id()) for name in (names[0], names[70], names[-1])}
        for name, node in chosen.items():
            self.world.hold(node.instance_id, name)
        answer = self.world.sweep(30)
        self.assertTrue(answer.ok, answer)
        for node in chosen.values():
            self.assertCompleted(node.instance_id)
        self.assertEqual(count(answer.body["groups"]), 131)
        # Hooks are read only for groups that hold something.
        asked = {call.form["AutoScalingGroupName"] for call in self.world.calls("hooks")}
        self.assertLessEqual(asked, set(chosen))

    def test_many_listed_names_are_asked_for_in_portions(self) -> None:
        names = [f"fleet-{number:03}" for number in range(130)]
        for name in names:
            self.world.group(name, tags={})
        self.world.hold(self.instance, names[-1])
        answer = self.world.sweep(30, AUTO_SCALING_GROUPS=",".join(names))
        self.assertTrue(answer.ok, answer)
        self.assertCompleted()

    def test_many_held_instances_of_a_warm_pool_over_pages(self) -> None:
        self.world.scaling.page = 5
        self.group.warm_pool = True
        nodes = [self.world.node(instance_id()) for _ in range(12)]
        for node in nodes:
            self.world.hold(node.instance_id, state="Warmed:Terminating:Wait")
        answer = self.world.sweep(30)
        self.assertTrue(answer.ok, answer)
        for node in nodes:
            self.assertCompleted(node.instance_id)


class Cost(SweepTest):
    def test_thirty_at_once_in_few_calls(self) -> None:
        nodes: list[Node] = [self.world.node(instance_id()) for _ in range(30)]
        for node in nodes:
            self.world.alloc(node, stop_takes=1)
            self.world.hold(node.instance_id)
        answer = self.world.sweep(40, SWEEP_LINGER="20s", POLL_INTERVAL="2s")
        self.assertTrue(answer.ok, answer)
        for node in nodes:
            self.assertCompleted(node.instance_id)
            self.assertEqual(len(node.force_deadlines), 1)
        kinds = self.world.kinds()
        self.assertEqual(kinds.count("drain"), 30)
        self.assertEqual(kinds.count("ssm"), 1)
        self.assertLessEqual(kinds.count("hooks"), 1)
        self.assertLessEqual(kinds.count("token_self"), 1)
        self.assertLessEqual(kinds.count("nodes"), 6, "nodes are looked up in batches")
        self.assertLessEqual(self.world.nomad_server.connections, 25)
        self.tell("a sweep of thirty nodes", 30)

    def test_one_event(self) -> None:
        self.assertTrue(self.world.terminate(self.instance).ok)
        self.tell("an event for an empty node, plain", 1)

    def test_one_event_with_the_sweep(self) -> None:
        self.assertTrue(self.world.terminate(self.instance, **SHORT).ok)
        self.tell("an event for an empty node, SWEEP=on", 1)

    def test_one_found_by_the_sweep(self) -> None:
        self.hold()
        self.assertTrue(self.world.sweep().ok)
        self.tell("an empty node that a sweep found", 1)

    def test_a_sweep_of_a_node_that_drains_for_long(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        self.hold(ago=10 * MINUTE)
        self.node.draining_for(50 * MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        self.assertTrue(self.world.sweep(15, SWEEP_LINGER="9s", POLL_INTERVAL="1s").ok)
        self.tell("nine seconds of a long drain, a look a second", 1)

    def tell(self, what: str, nodes: int) -> None:
        kinds = self.world.kinds()
        parts = ", ".join(f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
        print(f"\n{len(kinds) / nodes:.1f} calls per drained node: {what} ({parts})", file=sys.stderr)


class Lookup(SweepTest):
    def test_a_node_without_the_attribute_is_found_by_its_address(self) -> None:
        ip = loopback()
        instance = instance_id()
        node = self.world.node(None, ip)
        self.world.ec2(instance, ip)
        self.world.hold(instance)
        answer = self.world.sweep()
        self.assertTrue(answer.ok, answer)
        self.assertTrue(node.began_to_drain, self._story())
        self.assertCompleted(instance)
