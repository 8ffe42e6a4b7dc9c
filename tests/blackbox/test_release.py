"""The plain mode (SWEEP unset): an instance is released when its work has really stopped, and not before."""

import time
from datetime import datetime, timedelta

from fake_autoscaling import KINDS as ACTIONS
from fake_autoscaling import throttled
from function import Function
from parallel import load_tests  # noqa: F401
from wire import Fault, Reply
from world import DEFAULT_HOOK, GROUP, NO_LEADER, SWEEP, WorldTest, ago_text, instance_id, sns, termination

HOUR_NS = 3_600_000_000_000
QUICK = {"POLL_INTERVAL": "200ms"}


class Plain(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)


class Release(Plain):
    def test_an_empty_node_is_released_at_once(self) -> None:
        answer = self.world.terminate(self.instance)
        self.assertSaid(answer, "completed")
        self.assertCompleted()
        self.assertLess(answer.seconds, 4, "nothing was waited for")

    def test_it_waits_for_the_last_allocation(self) -> None:
        slow = self.world.alloc(self.node, stop_takes=2)
        self.world.alloc(self.node, stop_takes=0.5)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertCompleted()
        self.assertEqual(slow.client, "complete")

    def test_it_looks_every_poll_interval_and_releases_soon_after_the_end(self) -> None:
        alloc = self.world.alloc(self.node, stop_takes=None)
        function = self.world.start(POLL_INTERVAL="500ms").wait_ready()
        function.hand_out(sns(termination(self.instance)))
        self.world.journal.wait_for("allocations", 2, 15)
        self.assertNotCompleted()
        self.world.nomad.end(alloc)
        (ended, done) = (self.world.journal.calls[-1].at, self.world.journal.wait_for("complete", 1, 5))
        self.assertEqual(len(done), 1, self._story())
        self.assertLess(done[0].at - ended, 2 * 0.5 + 1)
        self.assertSaid(function.answer(), "completed")

    def test_the_completion_names_the_action_in_full(self) -> None:
        event = termination(self.instance)
        self.world.invoke(sns(event))
        (call,) = self.world.calls("complete")
        expected = {
            "AutoScalingGroupName": GROUP,
            "LifecycleHookName": event["LifecycleHookName"],
            "InstanceId": self.instance,
            "LifecycleActionToken": event["LifecycleActionToken"],
            "LifecycleActionResult": "CONTINUE",
        }
        self.assertEqual(call.form, call.form | expected)

    def test_a_message_without_a_token_is_completed_by_the_instance_id(self) -> None:
        self.world.invoke(sns(termination(self.instance, LifecycleActionToken=None)))
        self.assertCompleted()
        self.assertNotIn("LifecycleActionToken", self.world.calls("complete")[0].form)

    def test_auto_scaling_is_asked_with_a_signature(self) -> None:
        self.world.terminate(self.instance)
        kinds = ("complete", "heartbeat", "hooks", "instances", "groups", "activities")
        calls = [call for kind in kinds for call in self.world.calls(kind)]
        self.assertTrue(calls)
        for call in calls:
            self.assertSigned(call, "autoscaling")

    def test_auto_scaling_can_have_an_endpoint_of_its_own(self) -> None:
        other = self.world.serve(self.world.aws)
        self.world.terminate(self.instance, AWS_ENDPOINT_URL_AUTO_SCALING=other.url)
        self.assertCompleted()
        self.assertEqual(self.world.calls("complete")[0].port, other.port)

    def test_no_hook_call_comes_before_the_drain(self) -> None:
        self.world.alloc(self.node)
        self.world.terminate(self.instance)
        self.assertRoute("ssm", "nodes", "node", "drain")

    def test_the_deadline_is_not_cut(self) -> None:
        self.world.group(heartbeat_timeout=30)  # it cannot be held for longer than 50 minutes
        event = termination(self.instance, LifecycleHookName=DEFAULT_HOOK)
        request = self.assertDrained(self.node, self.world.invoke(sns(event), DRAIN_DEADLINE="2h"))
        self.assertEqual(request["DrainSpec"]["Deadline"], 2 * HOUR_NS)

    def test_several_instances_in_one_event_are_each_released_when_they_are_empty(self) -> None:
        others = [self.world.node(instance_id()) for _ in range(4)]
        for number, node in enumerate(others):
            self.world.alloc(node, stop_takes=number * 0.7)
        instances = [self.instance, *(node.instance_id for node in others)]
        answer = self.world.invoke(sns(*map(termination, instances)), **QUICK)
        self.assertEqual({result["outcome"] for result in answer.results}, {"completed"}, answer)
        for instance in instances:
            self.assertCompleted(instance)

    def test_an_instance_that_needs_long_does_not_hold_up_the_others(self) -> None:
        stuck = self.world.node(instance_id())
        self.world.alloc(stuck, stop_takes=None)
        answer = self.world.invoke(sns(termination(stuck.instance_id), termination(self.instance)), 9, **QUICK)
        self.assertTrue(answer.ok, answer)
        self.assertCompleted()
        self.assertNotCompleted(stuck.instance_id)


class NotYet(Plain):
    """What still runs is waited for, whatever Nomad says of the drain."""

    def assertLeft(self, **variables: str) -> None:
        answer = self.world.terminate(self.instance, 9, **(QUICK | variables))
        self.assertSaid(answer, "left_to_hook")
        self.assertNotCompleted()
        self.assertLess(answer.seconds, 5.5, "it leaves 5 s before its deadline")

    def test_when_time_ends_the_hook_s_time_out_takes_over(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        self.assertLeft()

    def test_it_stays_until_five_seconds_before_its_deadline(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        answer = self.world.terminate(self.instance, 9)
        self.assertGreater(answer.seconds, 2.5, "an allocation that ends now would have been seen")

    def test_pending_counts(self) -> None:
        self.world.alloc(self.node, stop_takes=None, client="pending")
        self.assertLeft()

    def test_unknown_counts_on_a_node_that_is_ready(self) -> None:
        self.world.alloc(self.node, stop_takes=None, client="unknown")
        self.assertLeft()

    def test_a_task_that_outlives_the_drain_s_deadline_counts(self) -> None:
        self.world.alloc(self.node, type="batch", stop_takes=None)
        self.assertLeft(DRAIN_DEADLINE="1s")
        self.assertIsNone(self.node.drain, "Nomad has ended the drain")

    def test_a_kill_time_out_after_the_deadline_is_waited_for(self) -> None:
        self.world.alloc(self.node, type="batch", stop_takes=2)
        self.assertSaid(self.world.terminate(self.instance, DRAIN_DEADLINE="1s", **QUICK), "completed")
        self.assertCompleted()

    def test_system_jobs_count(self) -> None:
        self.world.alloc(self.node, type="system", stop_takes=None)
        self.assertLeft()
        self.assertIsNone(self.node.drain, "Nomad has ended the drain")

    def test_system_jobs_that_stop_are_waited_for(self) -> None:
        self.world.alloc(self.node, type="system", stop_takes=1.5)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")

    def test_system_jobs_do_not_count_when_they_are_spared(self) -> None:
        self.world.nomad.counts_system = False
        self.world.alloc(self.node, type="system", stop_takes=None)
        self.world.alloc(self.node, stop_takes=1)
        answer = self.world.terminate(self.instance, DRAIN_IGNORE_SYSTEM_JOBS="true", **QUICK)
        self.assertSaid(answer, "completed")
        self.assertCompleted()

    def test_sysbatch_jobs_count_though_system_jobs_are_spared(self) -> None:
        self.world.alloc(self.node, type="sysbatch", stop_takes=None)
        self.assertLeft(DRAIN_IGNORE_SYSTEM_JOBS="true")

    def test_a_job_that_appears_late_counts(self) -> None:
        self.world.nomad.on_drain = lambda node: self.world.alloc(node, runs_for=1.5)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")


class Answers(Plain):
    """Auto Scaling's answers to the completion."""

    def test_a_missing_permission_is_one_warning_with_the_statement_and_still_success(self) -> None:
        self.world.scaling.denied.add("CompleteLifecycleAction")
        self.assertSaid(self.world.terminate(self.instance, 12, **QUICK), "left_to_hook|drain_started|draining")
        warned = self.warnings("autoscaling:CompleteLifecycleAction")
        self.assertEqual(len(warned), 1, self._story())
        self.assertRegex(warned[0], r'"?Effect"?\s*[:=]\s*"?Allow')
        self.assertLessEqual(len(self.world.calls("complete")), 2, "a refusal is not tried again and again")

    def test_a_role_of_the_predecessor_drains_with_success(self) -> None:
        self.world.scaling.denied |= set(ACTIONS)
        self.world.alloc(self.node)
        answer = self.world.terminate(self.instance, 12, **QUICK)
        self.assertSaid(answer, "left_to_hook|drain_started|draining")
        self.assertDrained(self.node, answer)
        for action in self.world.scaling.denied:
            self.assertLessEqual(len(self.warnings(f"autoscaling:{action}")), 1, self._story())

    def test_a_late_event_is_still_drained_by_a_role_that_may_not_describe(self) -> None:
        self.world.scaling.denied |= {"DescribeAutoScalingInstances", "DescribeScalingActivities"}
        event = termination(self.instance, Time=ago_text(timedelta(minutes=10)))
        self.assertDrained(self.node, self.world.invoke(sns(event), 12, **QUICK))

    def test_no_active_action_is_an_end_and_no_error(self) -> None:
        event = termination(self.instance)
        self.world._happens(event)
        self.world.scaling.instances[self.instance].hook = None
        self.assertSaid(self.world.invoke(sns(event)), "completed|ignored|left_to_hook")
        self.assertLessEqual(len(self.world.calls("complete")), 1)
        self.assertEqual(self.warnings("no active"), [], "neither is it alarming")

    def test_throttling_passes(self) -> None:
        self.world.fail("complete", throttled(), times=2)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertCompleted()

    def test_a_broken_auto_scaling_passes(self) -> None:
        self.world.fail("complete", Reply(500, "<html>oops</html>", {"Content-Type": "text/html"}), times=2)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertCompleted()

    def test_a_reset_passes(self) -> None:
        self.world.fail("complete", Fault.RESET, times=2)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")

    def test_an_answer_that_was_lost_is_no_error(self) -> None:
        self.world.fail("complete", Fault.RESET, applied=True)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed|ignored|left_to_hook")
        self.assertCompleted()

    def test_throttling_that_does_not_pass_is_not_called_a_success(self) -> None:
        self.world.fail("complete", throttled(), times=None)
        answer = self.world.terminate(self.instance, 9, **QUICK)
        if answer.ok:  # an error would be tried again by Lambda
            self.assertSaid(answer, "left_to_hook|drain_started|draining")

    def test_two_invocations_at_once_release_once(self) -> None:
        self.world.alloc(self.node, stop_takes=2)
        event = sns(termination(self.instance))
        functions = [self.world.start(**QUICK).wait_ready() for _ in "ab"]
        for function in functions:
            function.hand_out(event)
        for function in functions:
            self.assertTrue((answer := function.answer()).ok, answer)
        self.assertCompleted()
        self.assertLessEqual(len(self.world.drains), 2)


class Interference(Plain):
    """Somebody does something to the node while its tasks stop."""

    def begin(self, **variables: str) -> Function:
        function = self.world.start(**(QUICK | variables)).wait_ready()
        function.hand_out(sns(termination(self.instance)), 12)
        self.world.journal.wait_for("allocations", 1, 10)
        return function

    def test_a_node_that_is_made_eligible_again_is_not_released_as_it_is(self) -> None:
        slow = self.world.alloc(self.node, type="system", stop_takes=None)
        function = self.begin()
        self.assertTrue(self.world.nomad.wait_until(lambda: self.node.drain is None, 5))
        self.node.eligibility = "eligible"
        self.world.nomad.end(slow)
        answer = function.answer()  # either it is drained once more, or it is left alone
        self.assertTrue(answer.ok, answer)

    def test_a_job_that_was_placed_after_the_drain_holds_the_instance(self) -> None:
        slow = self.world.alloc(self.node, type="system", stop_takes=None)
        function = self.begin()
        self.assertTrue(self.world.nomad.wait_until(lambda: self.node.drain is None, 5))
        self.node.eligibility = "eligible"
        self.world.alloc(self.node, stop_takes=None)
        self.world.nomad.end(slow)
        self.assertTrue((answer := function.answer()).ok, answer)
        self.assertNotCompleted()

    def test_a_deadline_that_an_operator_pushed_out_is_not_fought_over(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        function = self.begin()
        self.node.apply({"DrainSpec": {"Deadline": 2 * HOUR_NS}}, time.time())
        self.world.nomad._touch(self.node)
        self.assertTrue((answer := function.answer()).ok, answer)
        self.assertLessEqual(len(self.world.drains), 2, "brought nearer once at most")

    def test_an_operator_who_forces_the_drain_is_waited_for(self) -> None:
        slow = self.world.alloc(self.node, type="batch", stop_takes=2)
        function = self.begin()
        self.node.apply({"DrainSpec": {"Deadline": -1_000_000_000}}, time.time())
        self.world.nomad._touch(self.node)
        self.assertSaid(function.answer(), "completed")
        self.assertFalse(slow.live)
        self.assertEqual(len(self.world.drains), 1)

    def test_two_sweeps_at_once_release_once_and_hardly_move_the_deadline(self) -> None:
        self.world.group()
        self.world.hold(self.instance, ago=timedelta(minutes=1))
        self.world.alloc(self.node, stop_takes=2)
        variables = QUICK | {"SWEEP": "on", "SWEEP_LINGER": "6s"}
        functions = [self.world.start(**variables).wait_ready() for _ in "ab"]
        for function in functions:
            function.hand_out(SWEEP)
        for function in functions:
            self.assertTrue((answer := function.answer()).ok, answer)
        self.assertCompleted()
        deadlines = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in self.node.force_deadlines]
        self.assertLess(max(deadlines) - min(deadlines), timedelta(seconds=30))


class LateEvents(Plain):
    """They are checked before anything is posted: the instance may be in service again."""

    OLD = timedelta(minutes=10)
    MODE: dict[str, str] = {}

    def test_an_instance_that_is_no_longer_held_is_left_alone(self) -> None:
        event = termination(self.instance, Time=ago_text(self.OLD))
        self.world._happens(event)
        held = self.world.scaling.instances[self.instance]
        held.hook, held.state = None, "InService"
        self.assertIgnored(self.world.invoke(sns(event), **self.MODE), "no_longer_held")
        self.assertNotCompleted()

    def test_an_instance_that_is_gone_is_left_alone(self) -> None:
        event = termination(self.instance, Time=ago_text(self.OLD))
        self.world._happens(event)
        del self.world.scaling.instances[self.instance]
        function = self.world.start(**self.MODE).wait_ready()
        function._happens = lambda event: None
        self.assertIgnored(function.invoke(sns(event)), "no_longer_held")

    def test_an_instance_that_is_still_held_is_drained(self) -> None:
        event = termination(self.instance, Time=ago_text(self.OLD))
        self.assertDrained(self.node, self.world.invoke(sns(event), **self.MODE))
        self.assertCompleted()

    def test_an_instance_on_its_way_to_the_warm_pool_is_checked_and_drained(self) -> None:
        self.world.invoke(sns(termination(self.instance, Destination="WarmPool")), **self.MODE)
        self.assertEqual(self.world.drains[0].json["Meta"]["cause"], "warm-pool")
        self.assertCompleted()

    def test_a_warm_pool_event_of_an_instance_in_service_again_is_left_alone(self) -> None:
        event = termination(self.instance, Destination="WarmPool")
        self.world._happens(event)
        held = self.world.scaling.instances[self.instance]
        held.hook, held.state = None, "InService"
        self.assertIgnored(self.world.invoke(sns(event), **self.MODE), "no_longer_held")


class LateEventsWithTheSweep(LateEvents):
    MODE = {"SWEEP": "on"}


class Blind(Plain):
    """Unknown is not empty: what could not be read is never a reason to release."""

    def assertHeld(self, deadline: float = 9) -> None:
        self.world.terminate(self.instance, deadline, **QUICK)
        self.assertNotCompleted()
        self.assertEqual(self.world.calls("complete"), [], self._story())

    def test_no_leader(self) -> None:
        for kind in ("nodes", "node", "allocations"):
            self.world.fail(kind, NO_LEADER, times=None)
        self.assertHeld()

    def test_no_leader_after_the_drain_began(self) -> None:
        def outage(node: object) -> None:
            for kind in ("nodes", "node", "allocations"):
                self.world.fail(kind, NO_LEADER, times=None)

        self.world.nomad.on_drain = outage
        self.assertHeld()
        self.assertTrue(self.node.began_to_drain)

    def test_allocations_that_are_refused(self) -> None:
        self.world.fail("allocations", Reply.text(403, "Permission denied"), times=None)
        self.assertHeld()

    def test_allocations_that_never_come(self) -> None:
        self.world.fail("allocations", Fault.HANG, times=None)
        self.assertHeld()

    def test_allocations_that_are_cut_off(self) -> None:
        self.world.fail("allocations", Reply(200, "[", {"Content-Type": "application/json"}), times=None)
        self.assertHeld()

    def test_allocations_that_are_null_or_something_else(self) -> None:
        for odd in ("{}", '"none"', '{"allocations":[]}', "<html/>"):
            with self.subTest(odd):
                self.world.fail("allocations", Reply(200, odd, {"Content-Type": "application/json"}), times=None)
                self.assertHeld(7)

    def test_an_allocation_without_its_job_counts(self) -> None:
        """Whether it may be spared as a system job cannot be told."""
        self.world.alloc(self.node, type=None, stop_takes=None)
        self.world.terminate(self.instance, 9, DRAIN_IGNORE_SYSTEM_JOBS="true", **QUICK)
        self.assertNotCompleted()

    def test_a_status_of_the_future_is_not_an_end(self) -> None:
        self.world.alloc(self.node, client="hibernating", stop_takes=None)
        self.assertHeld()

    def test_a_token_that_is_refused(self) -> None:
        self.world.nomad.token = "another"
        self.assertHeld()

    def test_a_token_that_is_revoked_after_the_drain_began(self) -> None:
        self.world.nomad.on_drain = lambda node: setattr(self.world.nomad, "token", "another")
        self.assertHeld()

    def test_an_outage_that_passes_is_sat_out(self) -> None:
        alloc = self.world.alloc(self.node, stop_takes=0.5)
        self.world.fail("allocations", NO_LEADER, times=4)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertFalse(alloc.live)

    def test_a_server_that_shows_what_was_before_our_request_is_not_believed(self) -> None:
        self.node.drained(timedelta(days=7)).eligibility = "ineligible"
        self.world.alloc(self.node, stop_takes=None, looks=2)
        self.node.stale_reads = 3
        answer = self.world.terminate(self.instance, **QUICK)
        self.assertDrained(self.node, answer)
        self.assertCompleted()
        self.assertGreaterEqual(len(self.world.calls("node")), 4, "the stale answers, and one to believe")

    def test_a_stale_answer_is_no_reason_to_drain_again(self) -> None:
        self.node.stale_reads = 3
        self.assertDrained(self.node, self.world.terminate(self.instance, **QUICK))
        self.assertGreaterEqual(len(self.world.calls("node")), 4, "the stale answers, and one to believe")
        self.assertCompleted()
