"""A drain is started once, whatever the network does and whoever has started one before."""

from datetime import timedelta

from parallel import load_tests  # noqa: F401
from wire import Fault, Reply
from world import NO_LEADER, TOO_MANY, WorldTest, loopback, sns, termination
from fake_aws import ec2_error, ssm_error

HOUR = timedelta(hours=1)
OPERATORS = {"message": "maintenance of the rack"}
OURS = {"managed-by": "nomad-drain", "cause": "terminate", "was-eligible": "true", "version": "0.1.0"}


class AlreadyDraining(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.world.alloc(self.node, stop_takes=None)

    def test_a_drain_that_ends_sooner_is_left_alone(self) -> None:
        self.node.draining_for(HOUR / 2, OPERATORS)
        answer = self.world.terminate(self.instance, 8)
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertIn(answer.results[0]["outcome"], ("draining", "left_to_hook"), answer)

    def test_a_few_seconds_nearer_are_not_worth_a_request(self) -> None:
        self.node.draining_for(HOUR + timedelta(seconds=4), OPERATORS)
        self.assertTrue(self.world.terminate(self.instance, 8).ok)
        self.assertNothingDrained()

    def test_a_drain_by_force_is_left_alone(self) -> None:
        self.node.draining_by_force()
        self.assertTrue(self.world.terminate(self.instance, 8).ok)
        self.assertNothingDrained()

    def test_a_drain_that_ends_later_is_brought_nearer(self) -> None:
        self.node.draining_for(HOUR + timedelta(seconds=60), OPERATORS)
        request = self.assertDrained(self.node, self.world.terminate(self.instance, 8))
        self.assertAlmostEqual(request["DrainSpec"]["Deadline"], 3600e9, delta=5e9)

    def test_a_drain_without_a_deadline_is_brought_nearer(self) -> None:
        self.node.draining_for(None, OPERATORS)
        self.assertDrained(self.node, self.world.terminate(self.instance, 8))

    def test_an_operator_s_drain_keeps_its_meta(self) -> None:
        self.node.draining_for(2 * HOUR, OPERATORS)
        request = self.assertDrained(self.node, self.world.terminate(self.instance, 8))
        self.assertFalse(request.get("Meta"))
        self.assertEqual(self.node.last_drain["Meta"], OPERATORS)

    def test_our_own_drain_is_stamped_again_when_brought_nearer(self) -> None:
        self.node.draining_for(2 * HOUR, OURS | {"instance-id": self.instance})
        request = self.assertDrained(self.node, self.world.terminate(self.instance, 8))
        self.assertEqual(request["Meta"]["managed-by"], "nomad-drain")
        self.assertEqual(request["Meta"]["was-eligible"], "true")

    def test_the_same_event_twice_drains_once(self) -> None:
        event = sns(termination(self.instance))
        function = self.world.start()
        self.assertTrue(function.invoke(event, 8).ok)
        again = function.invoke(event, 8)
        self.assertDrained(self.node, again)
        self.assertIn(again.results[0]["outcome"], ("draining", "left_to_hook"))

    def test_the_same_event_twice_drains_an_empty_node_once(self) -> None:
        self.node.allocs.clear()
        event = sns(termination(self.instance))
        function = self.world.start()
        self.assertTrue(function.invoke(event).ok)
        self.assertDrained(self.node, function.invoke(event))
        self.assertCompleted()

    def test_the_same_event_twice_drains_once_in_two_processes(self) -> None:
        event = sns(termination(self.instance))
        self.world.invoke(event, 8)
        self.assertDrained(self.node, self.world.invoke(event, 8))

    def test_an_operator_s_system_job_choice_is_kept_with_the_drain(self) -> None:
        self.node.draining_for(HOUR / 2, OPERATORS)
        self.assertTrue(self.world.terminate(self.instance, 8, DRAIN_IGNORE_SYSTEM_JOBS="true").ok)
        self.assertNothingDrained()


class LostAnswers(WorldTest):
    """A drain POST is never retried blind."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def assertReadBeforePostedAgain(self) -> None:
        kinds = self.world.kinds()
        places = [at for at, kind in enumerate(kinds) if kind == "drain"]
        for one, other in zip(places, places[1:]):
            self.assertIn("node", kinds[one:other], self._story())
        self.assertIn("node", kinds[places[0] :], self._story())

    def test_a_reset_after_the_drain_began_posts_no_second_one(self) -> None:
        self.world.fail("drain", Fault.RESET, applied=True)
        self.assertDrained(self.node, self.world.terminate(self.instance))
        self.assertReadBeforePostedAgain()

    def test_a_reset_before_the_drain_began_is_seen_and_repeated(self) -> None:
        self.world.fail("drain", Fault.RESET)
        self.assertDrained(self.node, self.world.terminate(self.instance), calls=2)
        self.assertReadBeforePostedAgain()

    def test_two_resets_are_two_reads(self) -> None:
        self.world.fail("drain", Fault.RESET, times=2)
        self.assertDrained(self.node, self.world.terminate(self.instance), calls=3)
        self.assertReadBeforePostedAgain()

    def test_a_time_out_after_the_drain_began_posts_no_second_one(self) -> None:
        self.world.fail("drain", Fault.HANG, applied=True)
        self.assertDrained(self.node, self.world.terminate(self.instance, 40))
        self.assertReadBeforePostedAgain()

    def test_a_time_out_before_the_drain_began_is_seen_and_repeated(self) -> None:
        self.world.fail("drain", Fault.HANG)
        self.assertDrained(self.node, self.world.terminate(self.instance, 40), calls=2)
        self.assertReadBeforePostedAgain()

    def test_a_connection_closed_before_the_drain_is_opened_again(self) -> None:
        self.world.fail("node", Fault.HANG_UP)
        self.assertDrained(self.node, self.world.terminate(self.instance))

    def test_a_drain_that_hangs_is_given_up_before_lambda_gives_up(self) -> None:
        self.world.fail("drain", Fault.HANG, times=None)
        self.assertFalse(self.world.terminate(self.instance, 8).ok)
        self.assertEqual(len(self.world.drains), 1, "there was no time for another")

    def test_a_leader_lost_in_mid_write_is_read_first(self) -> None:
        self.world.fail("drain", Reply.text(500, "leadership lost while committing log"), applied=True)
        self.assertDrained(self.node, self.world.terminate(self.instance))
        self.assertReadBeforePostedAgain()

    def test_a_gateway_s_time_out_is_read_first(self) -> None:
        self.world.fail("drain", Reply.text(504, "upstream request timeout"), applied=True)
        self.assertDrained(self.node, self.world.terminate(self.instance))
        self.assertReadBeforePostedAgain()


class PassingTroubles(WorldTest):
    """What passes is tried again within the invocation: it fails twice, then it works."""

    def assertRecovers(self, kind: str, answer: Reply | Fault, **variables: str) -> None:
        node = self.world.node(self.instance, loopback())
        if variables.get("NODE_LOOKUP") == "agent":
            self.world.ec2(self.instance, node.ip)
            variables |= self.world.agent(node.ip, node.id)
        self.world.fail(kind, answer, times=2)
        self.assertDrained(node, self.world.terminate(self.instance, 30, **variables), 3 if kind == "drain" else 1)
        self.assertGreaterEqual(len(self.world.calls(kind)), 3)

    def test_a_throttled_parameter_store(self) -> None:
        self.assertRecovers("ssm", ssm_error("ThrottlingException", "Rate exceeded"))

    def test_a_broken_parameter_store(self) -> None:
        self.assertRecovers("ssm", ssm_error("InternalServerError", "try again", 500))

    def test_too_many_connections_for_the_list(self) -> None:
        self.assertRecovers("nodes", TOO_MANY)

    def test_no_leader_for_the_list(self) -> None:
        self.assertRecovers("nodes", NO_LEADER)

    def test_no_leader_said_by_another_agent(self) -> None:
        self.assertRecovers("nodes", Reply.text(500, "rpc error: No cluster leader"))

    def test_a_bad_gateway_for_the_list(self) -> None:
        self.assertRecovers("nodes", Reply(502, "<html>Bad Gateway</html>", {"Content-Type": "text/html"}))

    def test_a_reset_of_the_list(self) -> None:
        self.assertRecovers("nodes", Fault.RESET)

    def test_no_leader_for_the_node(self) -> None:
        self.assertRecovers("node", NO_LEADER)

    def test_servers_that_are_not_ready(self) -> None:
        self.assertRecovers("node", Reply.text(500, "Not ready to serve consistent reads"))

    def test_too_many_connections_for_the_drain(self) -> None:
        self.assertRecovers("drain", TOO_MANY)

    def test_no_leader_for_the_drain(self) -> None:
        self.assertRecovers("drain", NO_LEADER)

    def test_a_throttled_ec2(self) -> None:
        throttled = ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.")
        self.assertRecovers("ec2", throttled, NODE_LOOKUP="agent")

    def test_an_ec2_that_says_throttling_with_400(self) -> None:
        self.assertRecovers("ec2", ec2_error(400, "Throttling", "Rate exceeded"), NODE_LOOKUP="agent")

    def test_an_agent_with_too_many_connections(self) -> None:
        self.assertRecovers("agent", TOO_MANY, NODE_LOOKUP="agent")
