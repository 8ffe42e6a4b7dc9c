"""Twenty instances that end together start draining together."""

import sys
import time

from world import WorldTest, instance_id, sns, termination

INSTANCES = 20
PROMISED, TOLERATED = 1.0, 5.0


class Burst(WorldTest):
    def test_twenty_terminations_at_once(self) -> None:
        nodes = {instance: self.world.node(instance) for instance in (instance_id() for _ in range(INSTANCES))}
        functions = {instance: self.world.start() for instance in nodes}
        for function in functions.values():
            function.wait_ready()
        start = time.monotonic()
        for instance, function in functions.items():
            function.hand_out(sns(termination(instance)))
        drains = self.world.journal.wait_for("drain", INSTANCES, 3 * TOLERATED)
        self.assertEqual({call.path for call in drains}, {f"/v1/node/{node.id}/drain" for node in nodes.values()})
        after = sorted(call.at - start for call in drains)
        verdict = "as promised" if after[-1] <= PROMISED else f"later than the promised {PROMISED:.0f} s"
        print(f"\n{INSTANCES} drains, {after[0]:.3f} to {after[-1]:.3f} s after the events: {verdict}", file=sys.stderr)
        self.assertLess(after[-1], TOLERATED)
        for function in functions.values():
            answer = function.answer()
            self.assertTrue(answer.ok, answer)
        self.assertEqual(len(self.world.drains), INSTANCES)
