"""The function is killed between any two of its calls; the next sweep finishes what it began."""

from datetime import timedelta

from parallel import load_tests  # noqa: F401
from wire import Call
from world import DEFAULT_HOOK, SWEEP, WorldTest, instance_id, sns, termination

ON = {"SWEEP": "on", "POLL_INTERVAL": "200ms", "EVENT_LINGER": "5s", "SWEEP_LINGER": "5s"}
MOST = 40  # calls of one drain, and then some


class Crashes(WorldTest):
    def crash_everywhere(self, by_sweep: bool, after: bool) -> None:
        """Kills it at its first call, then at its second, … until it is done before it can be killed."""
        self.world.group()
        for number in range(1, MOST):
            with self.subTest(call=number):
                node = self.world.node(instance_id())
                self.world.alloc(node, stop_takes=0.3)
                if by_sweep:
                    self.world.hold(node.instance_id, ago=timedelta(minutes=1))
                if not self._killed_at(number, node.instance_id, by_sweep, after):
                    self.assertGreater(number, 6, "it has hardly done anything")
                    return
                answer = self.world.sweep(15, **ON)
                self.assertTrue(answer.ok, answer)
                self.assertCompleted(node.instance_id)
                self.assertLessEqual(len(node.force_deadlines), 2)
                self.world.scaling.instances.clear()
                self.world.scaling.completions.clear()
        self.fail("it never came to an end")

    def _killed_at(self, number: int, instance: str, by_sweep: bool, after: bool) -> bool:
        journal = self.world.journal
        function = self.world.start(**ON).wait_ready()
        seen = []

        def kill(call: Call) -> None:
            seen.append(call)
            if len(seen) == number:
                function._process.kill()
                function._process.wait()

        name = "on_reply" if after else "on_call"
        setattr(journal, name, kill)
        event = SWEEP if by_sweep else sns(termination(instance, LifecycleHookName=DEFAULT_HOOK))
        function.hand_out(event, 15)
        try:
            function.answer(15)
            return False
        except AssertionError:
            return not function.alive
        finally:
            setattr(journal, name, lambda call: None)

    def test_an_event_before_each_call(self) -> None:
        self.crash_everywhere(by_sweep=False, after=False)

    def test_an_event_after_each_call(self) -> None:
        self.crash_everywhere(by_sweep=False, after=True)

    def test_a_sweep_before_each_call(self) -> None:
        self.crash_everywhere(by_sweep=True, after=False)

    def test_a_sweep_after_each_call(self) -> None:
        self.crash_everywhere(by_sweep=True, after=True)
