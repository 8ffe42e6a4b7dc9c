"""Messages that are not ours are ignored with a reason; malformed ones do no harm."""

from parallel import load_tests  # noqa: F401
from world import HOOK, WorldTest, group_notification, instance_id, launch, setup_notification, sns, termination


class NotOurs(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def assertIgnoredBothWays(self, message: dict) -> None:
        function = self.world.start()
        for event in (sns(message), message):
            self.assertIgnored(function.invoke(event))
        self.assertEqual(self.world.kinds(), [], "and nobody was asked")

    def test_the_test_notification_of_a_new_hook(self) -> None:
        self.assertIgnoredBothWays(setup_notification())

    def test_a_launch(self) -> None:
        self.assertIgnoredBothWays(launch(self.instance))

    def test_an_ordinary_notification_of_the_group(self) -> None:
        self.assertIgnoredBothWays(group_notification(self.instance))

    def test_another_hook(self) -> None:
        answer = self.world.terminate(self.instance, LIFECYCLE_HOOK_NAME="some-hook")
        self.assertIgnored(answer, "other_hook")

    def test_one_of_our_hooks(self) -> None:
        answer = self.world.terminate(self.instance, LIFECYCLE_HOOK_NAME=f"some-hook , {HOOK}")
        self.assertDrained(self.node, answer)

    def test_a_name_that_only_begins_like_ours(self) -> None:
        answer = self.world.terminate(self.instance, LIFECYCLE_HOOK_NAME=HOOK[:-1])
        self.assertIgnored(answer, "other_hook")

    def test_an_ignored_message_does_not_hide_the_next(self) -> None:
        event = sns(setup_notification(), termination(self.instance))
        answer = self.world.invoke(event)
        self.assertDrained(self.node, answer)
        self.assertEqual([result["outcome"] == "ignored" for result in answer.results], [True, False], answer)


class Malformed(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def assertRefusedAndSurvived(self, *events: object) -> None:
        """A clear error each; then a good event still works."""
        function = self.world.start()
        for event in events:
            self.assertFails(function.invoke(event), r"\w+ \w+")
        self.assertEqual(self.world.kinds(), [], "and nobody was asked")
        self.assertDrained(self.node, function.invoke(sns(termination(self.instance))))

    def test_a_message_that_is_cut_off(self) -> None:
        self.assertRefusedAndSurvived(sns('{"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING",'))

    def test_fields_of_another_type(self) -> None:
        good = termination(self.instance)
        self.assertRefusedAndSurvived(
            sns(good | {"EC2InstanceId": 17}),
            sns(good | {"EC2InstanceId": [self.instance]}),
            sns(good | {"EC2InstanceId": None}),
            good | {"EC2InstanceId": {}},
        )

    def test_a_record_without_a_message(self) -> None:
        without = sns(termination(self.instance))
        del without["Records"][0]["Sns"]["Message"]
        bare = {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0"}]}
        self.assertRefusedAndSurvived(without, bare)

    def test_payloads_that_are_no_event_are_answered(self) -> None:
        function = self.world.start()
        odd_records = [{"Records": records} for records in ([], 1, [None])]
        for event in ({}, [], None, 17, "text", True, *odd_records, sns("hello")):
            answer = function.invoke(event)
            self.assertTrue(answer.text, event)
        self.assertNothingDrained()
        self.assertDrained(self.node, function.invoke(sns(termination(self.instance))))

    def test_a_transition_of_the_future_drains_nothing(self) -> None:
        message = termination(self.instance, LifecycleTransition="autoscaling:EC2_INSTANCE_PAUSING")
        self.assertIn("PAUSING", self.world.invoke(sns(message)).text)
        self.assertNothingDrained()

    def test_hostile_text_is_answered(self) -> None:
        function = self.world.start()
        deep = "[" * 5_000 + "]" * 5_000
        long, zero = termination("i-" + "f" * 100_000), termination(instance_id() + "\u0000")
        for event in (sns(deep), sns("\ud83d"), sns(long), sns(zero)):
            self.assertFalse(function.invoke(event).ok, "accepted")
        self.assertNothingDrained()
        self.assertDrained(self.node, function.invoke(sns(termination(self.instance))))
