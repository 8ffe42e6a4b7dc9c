"""Variables: defaults, forms that are accepted, and problems that are told all at once."""

from parallel import load_tests  # noqa: F401
from world import SERVER_ROUTE, TOKEN_PARAMETER, WorldTest, instance_id, sns, termination


class Defaults(WorldTest):
    """The predecessor was deployed with ENV and REGION alone."""

    ALONE = {"NOMAD_ADDR": None, "AWS_REGION": None}

    def test_the_token_parameter_and_the_servers_follow_from_env_and_region(self) -> None:
        answer = self.world.terminate(self.instance, 10, ENV="stage", REGION="us-west-2", **self.ALONE)
        self.assertEqual(self.world.calls("ssm")[0].json["Name"], "/stage-aws-us-west-2/broker/secrets/NOMAD_TOKEN")
        self.assertFails(answer, "/stage-aws-us-west-2/broker/secrets/NOMAD_TOKEN")

    def test_the_servers_are_named_in_the_error(self) -> None:
        answer = self.world.terminate(self.instance, 10, **self.ALONE)
        self.assertEqual(self.world.calls("ssm")[0].json["Name"], TOKEN_PARAMETER)
        self.assertFails(answer, r"nomad\.prod-aws-eu-west-1\.tis\.loc")

    def test_they_are_not_needed_when_nothing_follows_from_them(self) -> None:
        node = self.world.node(self.instance)
        variables = {"ENV": None, "REGION": None, "NOMAD_TOKEN_PARAMETER": TOKEN_PARAMETER}
        self.assertDrained(node, self.world.terminate(self.instance, **variables))
        self.assertRoute(*SERVER_ROUTE)

    def test_empty_means_unset_and_white_space_is_trimmed(self) -> None:
        node = self.world.node(self.instance)
        empty = "NOMAD_REGION NOMAD_TOKEN_PARAMETER NODE_LOOKUP DRAIN_DEADLINE DRY_RUN LIFECYCLE_HOOK_NAME"
        padded = {"ENV": " prod ", "NOMAD_ADDR": f"  {self.world.nomad_server.url} ", "NOMAD_ACL": "  "}
        variables = dict.fromkeys(empty.split(), "") | padded
        request = self.assertDrained(node, self.world.terminate(self.instance, **variables))
        self.assertEqual(request["DrainSpec"]["Deadline"], 3_600_000_000_000)
        self.assertEqual(self.world.calls("nodes")[0].query.get("region"), None)


class Forms(WorldTest):
    def assertDeadline(self, text: str, ns: int) -> None:
        node = self.world.node(self.instance)
        request = self.assertDrained(node, self.world.terminate(self.instance, DRAIN_DEADLINE=text))
        self.assertEqual(request["DrainSpec"]["Deadline"], ns)

    def test_hours_and_minutes(self) -> None:
        self.assertDeadline("1h30m", 5_400_000_000_000)

    def test_many_minutes(self) -> None:
        self.assertDeadline("90m", 5_400_000_000_000)

    def test_seconds_with_white_space_around(self) -> None:
        self.assertDeadline(" 45s ", 45_000_000_000)

    def test_less_than_a_second_is_now(self) -> None:
        self.assertDeadline("200ms", -1_000_000_000)

    def test_booleans_in_any_case(self) -> None:
        for value in ("TRUE", "On", "1", "False", "OFF", "0"):
            dry = value in ("TRUE", "On", "1")
            with self.subTest(value):
                node = self.world.node(instance_id())
                answer = self.world.terminate(node.instance_id, DRY_RUN=value)
                self.assertTrue(answer.ok, answer)
                self.assertEqual(node.began_to_drain, not dry)


class Problems(WorldTest):
    def assertRefused(self, *facts: str, **variables: str | None) -> None:
        """ConfigurationError that names the facts, twice, from a process that lives; nobody was asked."""
        function = self.world.start(**variables)
        for _ in range(2):
            answer = function.invoke(sns(termination(self.instance)))
            self.assertFails(answer, *facts)
            self.assertEqual(answer.error_type, "ConfigurationError")
        self.assertTrue(function.alive)
        self.assertEqual(function.init_errors, [])
        self.assertEqual(self.world.kinds(), [])

    def test_nothing_is_set(self) -> None:
        self.assertRefused(r"\bENV\b", r"\bREGION\b", ENV=None, REGION=None, NOMAD_ADDR=None, AWS_REGION=None)

    def test_the_parameter_alone_needs_env_and_region(self) -> None:
        self.assertRefused(r"\bENV\b", r"\bREGION\b", ENV=None, REGION="")

    def test_all_problems_at_once(self) -> None:
        variables = {
            "NODE_LOOKUP": "magic",
            "DRAIN_DEADLINE": "60",
            "DRAIN_IGNORE_SYSTEM_JOBS": "perhaps",
            "DRY_RUN": "yes",
            "NOMAD_ACL": "none",
            "NOMAD_ADDR": "nomad.example:4646",
            "NOMAD_AGENT_URL": "{ip}:4646",
        }
        self.assertRefused(*(rf"\b{name}\b" for name in variables), **variables)

    def test_the_allowed_values_are_named(self) -> None:
        self.assertRefused("NODE_LOOKUP", "magic", r"\bauto\b", r"\bserver\b", r"\bagent\b", NODE_LOOKUP="magic")

    def test_the_allowed_booleans_are_named(self) -> None:
        self.assertRefused("DRY_RUN", "maybe", r"\bon\b", r"\boff\b", DRY_RUN="maybe")

    def test_durations_without_a_sense(self) -> None:
        for text in ("60", "0", "0s", "0h0m", "-5m", "h", "1d", "1h30", "5 minutes", "s5", "99999999999999999999h"):
            with self.subTest(text):
                self.assertRefused("DRAIN_DEADLINE", DRAIN_DEADLINE=text)

    def test_addresses_without_a_sense(self) -> None:
        for text in ("localhost:4646", "ftp://nomad:4646", "https://", "//nomad", "http://no mad"):
            with self.subTest(text):
                self.assertRefused("NOMAD_ADDR", NOMAD_ADDR=text)

    def test_a_secret_in_an_address_is_not_repeated(self) -> None:
        # Whatever it makes of credentials in an address, it may not show them.
        self.world.invoke(sns(termination(self.instance)), 8, NOMAD_ADDR=f"http://me:{self.world.token}@127.0.0.1:9")
