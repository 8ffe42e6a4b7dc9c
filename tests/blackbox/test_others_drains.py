"""Drains that others began, ended or cancelled; drains of long ago; drains that hang."""

import time
from datetime import timedelta

from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from world import DEFAULT_HOOK, WorldTest, instance_id, sns, stamp, termination

OPERATORS = {"message": "maintenance of the rack"}
QUICK = {"POLL_INTERVAL": "200ms"}
FORCE = -1_000_000_000
WEEK, HOUR, MINUTE = timedelta(days=7), timedelta(hours=1), timedelta(minutes=1)


class DrainTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def hold(self, ago: timedelta = 10 * MINUTE) -> None:
        """A lifecycle action that began some time ago, to be found by a sweep."""
        if DEFAULT_HOOK not in self.world.scaling.groups:
            self.world.group()
        self.world.hold(self.instance, ago=ago)


class OfLongAgo(DrainTest):
    """LastDrain alone proves nothing."""

    def test_an_eligible_node_that_was_drained_last_week_is_drained_anew(self) -> None:
        self.node.drained(WEEK, OPERATORS, eligible=True)
        self.world.alloc(self.node, stop_takes=1)
        answer = self.world.terminate(self.instance, **QUICK)
        self.assertDrained(self.node, answer)
        self.assertSaid(answer, "completed")

    def test_so_is_one_that_we_drained_ourselves_last_week(self) -> None:
        self.node.drained(WEEK, stamp(self.instance, WEEK, HOUR - WEEK), eligible=True)
        self.world.alloc(self.node, stop_takes=1)
        answer = self.world.terminate(self.instance, **QUICK)
        meta = self.assertDrained(self.node, answer)["Meta"]
        self.assertEqual((meta["managed-by"], meta["was-eligible"]), ("nomad-drain", "true"))

    def test_an_empty_eligible_node_that_was_drained_last_week_is_drained_anew(self) -> None:
        self.node.drained(WEEK, OPERATORS, eligible=True)
        self.assertDrained(self.node, self.world.terminate(self.instance, **QUICK))
        self.assertCompleted()

    def test_an_ineligible_node_that_still_runs_something_gets_our_drain(self) -> None:
        self.node.drained(WEEK, OPERATORS)
        self.world.alloc(self.node, stop_takes=1)
        answer = self.world.terminate(self.instance, **QUICK)
        self.assertDrained(self.node, answer)
        self.assertSaid(answer, "completed")

    def test_an_ineligible_node_that_was_never_drained_gets_our_drain(self) -> None:
        self.node.eligibility = "ineligible"
        self.world.alloc(self.node, stop_takes=1)
        meta = self.assertDrained(self.node, self.world.terminate(self.instance, **QUICK))["Meta"]
        self.assertEqual(meta["was-eligible"], "false")
        self.assertCompleted()

    def test_an_ineligible_empty_node_that_an_operator_has_drained_is_released(self) -> None:
        self.node.drained(10 * MINUTE, OPERATORS)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertCompleted()

    def test_tasks_that_outlive_our_own_finished_drain_are_waited_for(self) -> None:
        self.hold()
        self.node.drained(MINUTE, stamp(self.instance, 10 * MINUTE, HOUR))
        self.world.alloc(self.node, desired="stop", told=0.0, stop_takes=None)
        self.world.sweep()
        self.assertNotCompleted()


class Adopted(DrainTest):
    def test_an_operator_s_drain_in_time_is_kept_and_the_instance_released_at_its_end(self) -> None:
        self.world.alloc(self.node, type="batch", runs_for=2, stop_takes=None)
        self.node.draining_for(30 * MINUTE, OPERATORS)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertNothingDrained()
        self.assertEqual(self.node.last_drain["Meta"], OPERATORS)

    def test_one_without_a_deadline_is_brought_nearer_without_meta(self) -> None:
        self.world.alloc(self.node, type="batch", runs_for=2, stop_takes=None)
        self.node.draining_for(None, OPERATORS)
        answer = self.world.terminate(self.instance, **QUICK)
        request = self.assertDrained(self.node, answer)
        self.assertAlmostEqual(request["DrainSpec"]["Deadline"], 3600e9, delta=10e9)
        self.assertFalse(request.get("Meta"))
        self.assertEqual(self.node.last_drain["Meta"], OPERATORS)
        self.assertSaid(answer, "completed")

    def test_a_drain_by_force_is_waited_for(self) -> None:
        alloc = self.world.alloc(self.node, stop_takes=2)
        self.node.draining_by_force()
        self.node.tell(alloc, alloc.started)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertNothingDrained()

    def test_duplicates_do_not_move_the_deadline(self) -> None:
        self.world.alloc(self.node, stop_takes=None)
        event = sns(termination(self.instance))
        for _ in range(3):
            self.assertTrue(self.world.invoke(event, 6, **QUICK).ok)
        self.assertEqual(len(self.node.force_deadlines), 1, self._story())

    def test_a_drain_that_is_ours_is_not_touched_by_sweeps(self) -> None:
        self.hold()
        self.world.alloc(self.node, stop_takes=None)
        self.node.draining_for(50 * MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        for _ in range(2):
            self.assertTrue(self.world.sweep(SWEEP_LINGER="1s").ok)
        self.assertNothingDrained()
        self.assertNotCompleted()


class Cancelled(DrainTest):
    def assertLeftAlone(self, eligible: bool, posted: int) -> None:
        self.world.alloc(self.node, stop_takes=None)
        function = self.world.start(**QUICK).wait_ready()
        function.hand_out(sns(termination(self.instance)), 11)
        self.world.journal.wait_for("allocations", 2, 10)
        self.world.nomad.cancel(self.node, eligible)
        answer = function.answer()
        self.assertTrue(answer.ok, answer)
        self.assertEqual(len(self.world.drains), posted, self._story())
        self.assertNotCompleted()
        (result,) = answer.results
        self.assertRegex(f"{result['reason']} {result['message']}", r"cancel", "and it is said")

    def test_a_cancelled_drain_is_not_begun_again_at_once(self) -> None:
        self.assertLeftAlone(eligible=True, posted=1)

    def test_neither_if_the_node_stays_ineligible(self) -> None:
        self.assertLeftAlone(eligible=False, posted=1)

    def test_nor_by_the_next_sweep(self) -> None:
        self.hold()
        self.world.alloc(self.node, stop_takes=None)
        self.node.drained(MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE), "canceled", eligible=True)
        answer = self.world.sweep()
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertRegex(answer.text, "cancel")

    def test_after_five_minutes_it_is_drained_again_and_only_once(self) -> None:
        self.hold(timedelta(minutes=15))
        self.world.alloc(self.node, stop_takes=None)
        self.node.drained(6 * MINUTE, stamp(self.instance, 15 * MINUTE, 45 * MINUTE), "canceled", eligible=True)
        for _ in range(2):
            self.world.sweep(SWEEP_LINGER="1s")
        self.assertEqual(len(self.world.drains), 1, self._story())

    def test_a_drain_that_was_cancelled_last_week_is_no_obstacle(self) -> None:
        self.node.drained(WEEK, OPERATORS, "canceled", eligible=True)
        self.world.alloc(self.node)
        self.assertSaid(self.world.terminate(self.instance, **QUICK), "completed")
        self.assertEqual(len(self.world.drains), 1)


class Hangs(DrainTest):
    """Nomad's two known hangs: nothing runs, and the drain does not end. After 15 s it is ended."""

    def assertEnded(self, **variables: str) -> None:
        answer = self.world.terminate(self.instance, 35, POLL_INTERVAL="500ms", **variables)
        self.assertSaid(answer, "completed")
        self.assertCompleted()
        drains = self.world.drains
        self.assertEqual(len(drains), 2, self._story())
        self.assertEqual(drains[1].json["DrainSpec"]["Deadline"], FORCE)
        self.assertFalse(drains[1].json.get("Meta"), "what is attached stays")
        self.assertEqual(self.node.last_drain["Meta"]["managed-by"], "nomad-drain")
        self.assertTrue(14 < drains[1].at - drains[0].at < 22, drains[1].at - drains[0].at)

    def _ends_by_itself_while_it_drains(self, node: Node) -> None:
        """A sysbatch job: one that had ended before would be no hang."""
        job = self.world.alloc(node, type="sysbatch")
        self.world.nomad.on_drain = lambda _: setattr(job, "runs_for", time.time() - job.started + 0.3)

    def test_a_sysbatch_job_ended(self) -> None:
        self._ends_by_itself_while_it_drains(self.node)
        self.assertEnded()

    def test_an_allocation_was_stopping_before_the_drain_began(self) -> None:
        alloc = self.world.alloc(self.node, desired="stop", stop_takes=0.5)
        alloc.told = alloc.started
        self.assertEnded()

    def test_the_choice_about_system_jobs_is_kept(self) -> None:
        self.world.nomad.counts_system = False
        self.world.alloc(self.node, type="system", stop_takes=None)
        self._ends_by_itself_while_it_drains(self.node)
        self.assertEnded(DRAIN_IGNORE_SYSTEM_JOBS="true")
        self.assertIs(self.world.drains[1].json["DrainSpec"]["IgnoreSystemJobs"], True)

    def test_a_sweep_that_finds_a_hang_ends_it(self) -> None:
        self.hold()
        self.node.draining_for(50 * MINUTE, stamp(self.instance, 10 * MINUTE, 50 * MINUTE), began=10 * MINUTE)
        ended = self.node.allocs
        old = self.world.alloc(self.node, type="sysbatch", client="complete")
        old.modified = old.started = old.started - 300
        self.assertEqual(ended, [old])
        answer = self.world.sweep(30, SWEEP_LINGER="22s")
        self.assertTrue(answer.ok, answer)
        self.assertEqual([call.json["DrainSpec"]["Deadline"] for call in self.world.drains], [FORCE], self._story())
        self.assertCompleted()

    def test_what_runs_still_is_not_forced(self) -> None:
        other = self.world.node(instance_id())
        self.world.alloc(self.node, type="sysbatch", runs_for=0.3)
        self.world.alloc(self.node, type="batch", stop_takes=None)
        self.world.alloc(other, stop_takes=None)
        event = sns(termination(self.instance), termination(other.instance_id))
        self.assertTrue(self.world.invoke(event, 25, POLL_INTERVAL="500ms").ok)
        self.assertEqual(len(self.world.drains), 2, self._story())
        self.assertNotIn(FORCE, [call.json["DrainSpec"]["Deadline"] for call in self.world.drains])
