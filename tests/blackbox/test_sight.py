"""A token that cannot see allocations: Nomad answers it with an empty list, and that is never believed."""

from fake_acl import DOCUMENTED, WHAT_IT_TAKES, Policy
from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from wire import Fault, Reply
from world import Answer, NO_LEADER, WorldTest, instance_id, sns, termination

QUICK = {"POLL_INTERVAL": "200ms"}


class SightTest(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def assertBlind(self, **variables: str) -> Answer:
        """The drain starts, nothing is completed, and the result says what to grant."""
        # Nomad ends the drain after a second; what it could not stop runs on.
        answer = self.world.terminate(self.instance, 8, DRAIN_DEADLINE="1s", **(QUICK | variables))
        said = self.assertSaid(answer, "left_to_hook|draining|drain_started|held", "cannot_see_allocations")
        self.assertRegex(said["message"], WHAT_IT_TAKES)
        self.assertDrained(self.node, answer)
        self.assertEqual(self.world.calls("complete"), [], self._story())
        return answer

    def assertSees(self, **variables: str) -> None:
        alloc = self.world.alloc(self.node, stop_takes=1)
        answer = self.world.terminate(self.instance, 15, **(QUICK | variables))
        self.assertSaid(answer, "completed")
        self.assertCompleted()
        self.assertFalse(alloc.live)


class Blind(SightTest):
    def setUp(self) -> None:
        super().setUp()
        # It runs on and on; a token that cannot see its namespace sees an empty list.
        self.world.alloc(self.node, stop_takes=None, namespace="team-a")

    def test_node_write_alone(self) -> None:
        self.world.grant(policies={"drain": Policy()})
        self.assertBlind()

    def test_node_write_alone_through_a_role(self) -> None:
        self.world.grant(policies={"drain": Policy()}, roles={"drainer": ["drain"]})
        self.assertBlind()

    def test_one_namespace_of_many(self) -> None:
        self.world.grant(policies={"drain": Policy({"default": ["read-job"]})})
        self.assertBlind()

    def test_a_glob_that_is_not_every_namespace(self) -> None:
        self.world.grant(policies={"drain": Policy({"team-b*": "write", "*-c": "read"})})
        self.assertBlind()

    def test_every_namespace_without_read_job(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": ["list-jobs", "submit-job"]})})
        self.assertBlind()

    def test_every_namespace_but_one_that_is_denied(self) -> None:
        self.world.grant(policies={"drain": DOCUMENTED, "no": Policy({"team-a": "deny"}, node=None)})
        self.assertBlind()

    def test_every_namespace_but_a_glob_that_is_denied(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": "read", "team-*": ["deny"]})})
        self.assertBlind()

    def test_a_closer_rule_that_grants_something_else_hides_the_glob(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": ["read-job"], "team-a": ["submit-job"]})})
        self.assertBlind()

    def test_deny_beside_read_job_is_deny(self) -> None:
        self.world.grant(policies={"drain": DOCUMENTED, "no": Policy({"*": "deny"}, node=None)})
        self.assertBlind()

    def test_a_policy_that_does_not_exist_any_more(self) -> None:
        self.world.grant(policies={"drain": Policy()}, direct=["drain", "nomad-drain-deleted"])
        self.assertBlind()

    def test_only_what_runs_in_its_own_namespace_is_seen_and_that_has_ended(self) -> None:
        self.world.grant(policies={"drain": Policy({"default": ["read-job"]})})
        self.world.alloc(self.node, stop_takes=0.5)
        self.assertBlind()


class CannotTell(SightTest):
    """What the token may is unknown: that is not enough either."""

    def setUp(self) -> None:
        super().setUp()
        self.world.alloc(self.node, stop_takes=None, namespace="team-a")
        self.world.grant(policies={"drain": Policy()})

    def assertNeverCompleted(self) -> None:
        self.world.terminate(self.instance, 9, DRAIN_DEADLINE="1s", **QUICK)
        self.assertTrue(self.node.began_to_drain, "it may start drains all the same")
        self.assertEqual(self.world.calls("complete"), [], self._story())

    def test_the_token_cannot_be_looked_up(self) -> None:
        self.world.fail("token_self", Reply.text(500, "ACL token expired"), times=None)
        self.assertNeverCompleted()

    def test_there_is_no_leader_to_ask(self) -> None:
        self.world.fail("token_self", NO_LEADER, times=None)
        self.assertNeverCompleted()

    def test_the_policy_cannot_be_read(self) -> None:
        self.world.nomad.grants.unreadable.add("drain")
        self.assertNeverCompleted()

    def test_the_answer_is_lost(self) -> None:
        self.world.fail("policy", Fault.RESET, times=None)
        self.assertNeverCompleted()

    def test_rules_json_is_missing(self) -> None:
        self.world.fail("policy", Reply.json({"Name": "drain", "Rules": 'node { policy = "write" }'}), times=None)
        self.assertNeverCompleted()


class Sees(SightTest):
    def test_the_documented_policy(self) -> None:
        self.assertSees()

    def test_a_management_token(self) -> None:
        self.world.grant(management=True, policies={})
        self.assertSees()
        self.assertEqual(self.world.calls("policy"), [], "nothing needs to be looked up")

    def test_through_a_role(self) -> None:
        self.world.grant(policies={"node": Policy(), "see": Policy({"*": ["read-job"]}, None)}, roles={"r": ["see"]})
        self.assertSees()

    def test_through_a_role_alone(self) -> None:
        self.world.grant(policies={"drain": DOCUMENTED}, roles={"drainer": ["drain"]})
        self.assertSees()

    def test_the_read_policy_of_every_namespace(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": "read"})})
        self.assertSees()

    def test_the_write_policy_of_every_namespace(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": "write"})})
        self.assertSees()

    def test_the_scale_policy_which_includes_read_job(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": "scale"})})
        self.assertSees()

    def test_two_policies_together(self) -> None:
        self.world.grant(policies={"node": Policy(), "see": Policy({"*": ["list-jobs", "read-job"]}, None)})
        self.assertSees()

    def test_a_closer_rule_that_grants_it_too(self) -> None:
        self.world.grant(policies={"drain": Policy({"*": ["read-job"], "team-a": "write"})})
        self.assertSees()

    def test_a_passing_trouble_while_asking(self) -> None:
        self.world.fail("token_self", NO_LEADER, times=2)
        self.world.fail("policy", Fault.RESET)
        self.assertSees()

    def test_with_acls_off_everything_is_seen(self) -> None:
        self.world.nomad.acl = False
        self.assertSees(NOMAD_ACL="off")

    def test_servers_without_acls_are_no_obstacle_to_a_token(self) -> None:
        self.world.nomad.acl = False
        self.assertSees()

    def test_it_is_asked_after_the_drain_and_once_for_all(self) -> None:
        others: list[Node] = [self.world.node(instance_id()) for _ in range(5)]
        event = sns(termination(self.instance), *(termination(node.instance_id) for node in others))
        self.assertTrue(self.world.invoke(event, **QUICK).ok)
        kinds = self.world.kinds()
        self.assertEqual(kinds.count("token_self"), 1, self._story())
        self.assertLessEqual(kinds.count("policy"), 1, self._story())
        self.assertLess(kinds.index("drain"), kinds.index("token_self"))

    def test_a_warm_process_does_not_ask_again(self) -> None:
        other = self.world.node(instance_id())
        function = self.world.start()
        for instance in (self.instance, other.instance_id):
            self.assertTrue(function.invoke(sns(termination(instance))).ok)
            self.assertCompleted(instance)
        self.assertLessEqual(len(self.world.calls("token_self")), 2)
