"""Errors name their cause: what was asked, where, and what came back. None shows a secret."""

from parallel import load_tests  # noqa: F401
from fake_aws import ec2_error, ssm_error
from wire import Fault, Reply
from world import AUTHORITY, NO_LEADER, TOKEN_PARAMETER, WorldTest, instance_id, loopback, sns, termination


class Messages(WorldTest):
    def test_an_instance_id_that_is_missing(self) -> None:
        self.assertFails(self.world.invoke(sns(termination(None))), "instance.?id")
        self.assertEqual(self.world.kinds(), [])

    def test_an_instance_id_that_is_none(self) -> None:
        wrong_length = ("", "i-", "i-0abc123", "i-0123456789abcdef01")
        wrong_letters = ("i-XYZXYZXY", "I-0ABC1234", 'i-0abc1234" or Name != "', "i-0abc1234\n", "i-0abc123/../x")
        for odd in wrong_length + wrong_letters:
            self.assertFails(self.world.invoke(sns(termination(odd))), "instance.?id")
        self.assertEqual(self.world.kinds(), [])

    def test_the_malformed_instance_id_is_quoted(self) -> None:
        self.assertFails(self.world.invoke(sns(termination("i-nonsense"))), "i-nonsense")


class Aws(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.world.node(self.instance)

    def test_a_token_parameter_that_is_missing(self) -> None:
        self.world.aws.parameters.clear()
        self.assertFails(self.world.terminate(self.instance), TOKEN_PARAMETER)
        self.assertEqual(self.world.kinds(), ["ssm"], "and it is not tried again")

    def test_a_token_parameter_that_may_not_be_read(self) -> None:
        self.world.fail("ssm", ssm_error("AccessDeniedException", "User is not authorized"), times=None)
        self.assertFails(self.world.terminate(self.instance), TOKEN_PARAMETER, "denied|not authorized")
        self.assertEqual(self.world.kinds(), ["ssm"], "and it is not tried again")

    def test_a_token_parameter_of_another_name(self) -> None:
        variables = {"NOMAD_TOKEN_PARAMETER": "/elsewhere/nomad", "ENV": None, "REGION": None}
        self.assertFails(self.world.terminate(self.instance, **variables), "/elsewhere/nomad")

    def test_a_parameter_store_that_is_not_there(self) -> None:
        closed = self.world.serve(self.world.aws)
        closed.close()
        self.assertFails(self.world.terminate(self.instance, 10, AWS_ENDPOINT_URL=closed.url), TOKEN_PARAMETER)

    def test_an_instance_that_ec2_does_not_know(self) -> None:
        self.assertFails(self.world.terminate(self.instance, NODE_LOOKUP="agent"), self.instance, "EC2")
        self.assertEqual(len(self.world.calls("ec2")), 1, "and it is not tried again")

    def test_an_instance_without_a_private_address(self) -> None:
        self.world.ec2(self.instance, None)
        answer = self.world.terminate(self.instance, NODE_LOOKUP="agent")
        self.assertFails(answer, self.instance, "private (ip|address)")

    def test_an_ec2_that_forbids_the_question(self) -> None:
        denied = ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
        self.world.fail("ec2", denied, times=None)
        answer = self.world.terminate(self.instance, NODE_LOOKUP="agent")
        self.assertFails(answer, "DescribeInstances", "not authorized|denied|UnauthorizedOperation")
        self.assertEqual(len(self.world.calls("ec2")), 1, "and it is not tried again")


class Agent(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.node = self.world.node(self.instance, self.ip)
        self.world.ec2(self.instance, self.ip)

    def test_an_agent_that_is_not_there(self) -> None:
        answer = self.world.terminate(self.instance, 10, NODE_LOOKUP="agent")
        self.assertFails(answer, rf"{self.ip}.*4646")

    def test_an_agent_on_a_port_of_its_own_that_is_not_there(self) -> None:
        answer = self.world.terminate(self.instance, 10, NODE_LOOKUP="agent", NOMAD_AGENT_URL="http://{ip}:14646")
        self.assertFails(answer, rf"{self.ip}:14646")

    def test_an_agent_that_refuses_the_token(self) -> None:
        self.world.fail("agent", Reply.text(403, "Permission denied"), times=None)
        variables = self.world.agent(self.ip, self.node.id)
        answer = self.world.terminate(self.instance, 10, NODE_LOOKUP="agent", **variables)
        self.assertFails(answer, self.ip, "403|permission|denied|token")


class Servers(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)
        self.address = f"{self.world.nomad_server.host}:{self.world.nomad_server.port}"

    def test_servers_that_are_not_there(self) -> None:
        closed = self.world.serve(self.world.nomad)
        closed.close()
        self.assertFails(self.world.terminate(self.instance, 10, NOMAD_ADDR=closed.url), f"127.0.0.1:{closed.port}")

    def test_a_token_that_nomad_refuses(self) -> None:
        self.world.nomad.token = "another"
        self.assertFails(self.world.terminate(self.instance, 10), "token", "403|permission denied", self.address)
        self.assertLessEqual(len(self.world.calls("nodes")), 2, "at most once more, with a token read again")

    def test_a_token_that_may_not_drain(self) -> None:
        self.world.fail("drain", Reply.text(403, "Permission denied"), times=None)
        answer = self.world.terminate(self.instance, 10)
        self.assertFalse(answer.ok, answer)
        self.assertRegex(answer.error.lower(), "403|permission|denied")
        self.assertLessEqual(len(self.world.drains), 2)
        self.assertFalse(self.node.began_to_drain)

    def test_a_node_that_vanishes_before_the_drain(self) -> None:
        self.world.fail("drain", Reply.text(500, "node not found"), times=None)
        answer = self.world.terminate(self.instance, 10)
        self.assertFalse(answer.ok, answer)
        self.assertEqual(len(self.world.drains), 1, "this 500 does not pass")

    def test_no_cluster_leader(self) -> None:
        self.world.fail("nodes", NO_LEADER, times=None)
        self.assertFails(self.world.terminate(self.instance, 9), "no cluster leader", self.address)
        self.assertGreater(len(self.world.calls("nodes")), 1)

    def test_a_filter_that_nomad_refuses(self) -> None:
        self.world.fail("nodes", Reply.text(400, "failed to create result paginator: boom"), times=None)
        self.assertFails(self.world.terminate(self.instance, 9), "boom", self.address)
        self.assertEqual(len(self.world.calls("nodes")), 1, "and it is not tried again")

    def test_a_redirect_does_not_lead_the_token_elsewhere(self) -> None:
        stranger = self.world.serve(self.world.nomad)
        elsewhere = {"Location": f"http://localhost:{stranger.port}/v1/nodes"}
        self.world.fail("nodes", Reply(307, "", elsewhere), times=None)
        self.assertFails(self.world.terminate(self.instance, 10), "307|redirect")
        self.assertEqual(stranger.connections, 0)

    def test_servers_that_hang_are_given_up_before_lambda_gives_up(self) -> None:
        self.world.fail("nodes", Fault.HANG, times=None)
        self.assertFails(self.world.terminate(self.instance, 8), self.address)

    def test_no_node_of_that_instance(self) -> None:
        other = instance_id()
        self.assertFails(self.world.terminate(other, NODE_LOOKUP="server"), other, "not found|no .*node")

    def test_a_certificate_of_an_unknown_authority(self) -> None:
        servers = self.world.https_nomad("DNS:localhost,IP:127.0.0.1")
        self.assertFails(self.world.terminate(self.instance, NOMAD_ADDR=servers.url), "127.0.0.1", AUTHORITY)
        self.assertEqual(self.world.calls("nodes"), [], "nothing was said over that connection")

    def test_a_certificate_for_another_name(self) -> None:
        servers = self.world.https_nomad("DNS:nomad.example")
        address = f"https://localhost:{servers.port}"
        self.assertFails(self.world.terminate(self.instance, NOMAD_ADDR=address), "localhost", AUTHORITY)
        self.assertEqual(self.world.calls("nodes"), [], "nothing was said over that connection")


class Secrets(WorldTest):
    """Every test looks for secrets at the end; these ones make the function talk."""

    LOUD = {"AWS_LAMBDA_LOG_LEVEL": "TRACE", "RUST_LOG": "trace"}

    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.node = self.world.node(self.instance, self.ip)
        self.world.ec2(self.instance, self.ip)

    def assertTalked(self) -> None:
        self.assertTrue(self.world.functions[-1].output.strip())

    def test_the_server_route_at_the_highest_level(self) -> None:
        self.assertDrained(self.node, self.world.terminate(self.instance, **self.LOUD))
        self.assertTalked()

    def test_the_agent_route_at_the_highest_level(self) -> None:
        variables = self.LOUD | self.world.agent(self.ip, self.node.id) | {"NODE_LOOKUP": "agent"}
        self.assertDrained(self.node, self.world.terminate(self.instance, **variables))
        self.assertTalked()

    def test_json_logs_at_the_highest_level(self) -> None:
        variables = self.LOUD | {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
        self.assertDrained(self.node, self.world.terminate(self.instance, **variables))
        self.assertTalked()

    def test_a_refused_token_at_the_highest_level(self) -> None:
        self.world.nomad.token = "another"
        self.assertFails(self.world.terminate(self.instance, 10, **self.LOUD))
        self.assertTalked()

    def test_lost_connections_at_the_highest_level(self) -> None:
        for kind in ("ssm", "nodes", "node", "drain"):
            self.world.fail(kind, Fault.RESET)
        self.world.terminate(self.instance, **self.LOUD)
        self.assertTrue(self.node.began_to_drain, self._story())
        self.assertTalked()

    def test_a_token_that_is_no_header_value(self) -> None:
        self.world.aws.parameters[TOKEN_PARAMETER] = self.world.token + "\u00a0\u2028x\x01"
        self.assertFails(self.world.terminate(self.instance, 10, **self.LOUD), "token")
