"""Whose node is it? Fallbacks, and servers that answer something else than was asked."""

from fake_aws import ec2_error
from fake_nomad import Node
from parallel import load_tests  # noqa: F401
from wire import Fault, Reply
from world import AGENT_ROUTE, NO_LEADER, SERVER_ROUTE, WorldTest, instance_id, loopback, sns, termination


class Auto(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.world.ec2(self.instance, self.ip)

    def test_a_node_without_the_attribute_is_found_by_its_address(self) -> None:
        node = self.world.node(None, self.ip)
        answer = self.world.terminate(self.instance)
        self.assertDrained(node, answer)
        kinds = self.world.kinds()
        self.assertEqual((kinds[:3], kinds.count("ec2")), (["ssm", "nodes", "ec2"], 1), self._story())
        self.assertNotIn("agent", kinds)

    def test_an_address_that_another_instance_s_node_has_proves_nothing(self) -> None:
        self.world.node(instance_id(), self.ip)
        self.assertFails(self.world.terminate(self.instance, 10), self.ip)

    def test_the_agent_is_asked_last(self) -> None:
        node = self.world.node(self.instance, self.ip, listed=False)  # it registers just now
        answer = self.world.terminate(self.instance, **self.world.agent(self.ip, node.id))
        self.assertDrained(node, answer)
        kinds = self.world.kinds()
        self.assertEqual([k for k in kinds if k in ("ec2", "agent", "drain")], ["ec2", "agent", "drain"])

    def test_an_agent_that_refuses_means_not_found(self) -> None:
        answer = self.world.terminate(self.instance, 10)
        self.assertFails(answer, self.instance, rf"{self.ip}.*4646", "not found|no .*node")

    def test_an_agent_that_hangs_up_means_not_found(self) -> None:
        self.world.fail("agent", Fault.RESET, times=None)
        answer = self.world.terminate(self.instance, 10, **self.world.agent(self.ip, "ignored"))
        self.assertFails(answer, self.instance, self.ip, "not found|no .*node")

    def test_an_agent_that_does_not_answer_means_not_found(self) -> None:
        self.world.fail("agent", Fault.HANG, times=None)
        answer = self.world.terminate(self.instance, 15, **self.world.agent(self.ip, "ignored"))
        self.assertFails(answer, self.instance, self.ip, "not found|no .*node")

    def test_an_instance_that_ec2_does_not_know_either(self) -> None:
        self.world.aws.instances.clear()
        self.assertFails(self.world.terminate(self.instance, 10), self.instance)

    def test_an_ec2_that_forbids_the_question(self) -> None:
        denied = ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
        self.world.fail("ec2", denied, times=None)
        self.assertFails(self.world.terminate(self.instance, 10), self.instance)

    def test_servers_that_do_not_answer_are_no_reason_to_ask_others(self) -> None:
        self.world.fail("nodes", NO_LEADER, times=None)
        self.assertFails(self.world.terminate(self.instance, 9), "leader")
        self.assertEqual(self.world.calls("ec2"), [], self._story())

    def test_no_ec2_call_when_the_attribute_is_there(self) -> None:
        node = self.world.node(self.instance)
        self.assertDrained(node, self.world.terminate(self.instance))
        self.assertRoute(*SERVER_ROUTE)


class ServerOnly(WorldTest):
    def test_the_attribute_is_found(self) -> None:
        node = self.world.node(self.instance)
        self.assertDrained(node, self.world.terminate(self.instance, NODE_LOOKUP="server"))
        self.assertRoute(*SERVER_ROUTE)

    def test_without_the_attribute_the_node_is_not_found_and_nobody_else_is_asked(self) -> None:
        ip = loopback()
        self.world.node(None, ip)
        self.world.ec2(self.instance, ip)
        self.assertFails(self.world.terminate(self.instance, NODE_LOOKUP="server"), self.instance)
        self.assertEqual(set(self.world.kinds()) & {"ec2", "agent"}, set())


class AgentOnly(WorldTest):
    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.world.ec2(self.instance, self.ip)

    def ask_agent_of(self, node_id: str | None) -> dict[str, str]:
        return self.world.agent(self.ip, node_id) | {"NODE_LOOKUP": "agent"}

    def test_the_address_is_accepted_when_the_attribute_is_absent(self) -> None:
        node = self.world.node(None, self.ip)
        self.assertDrained(node, self.world.terminate(self.instance, **self.ask_agent_of(node.id)))
        self.assertRoute(*AGENT_ROUTE)

    def test_the_attribute_is_accepted_whatever_the_address(self) -> None:
        node = self.world.node(self.instance)
        self.assertDrained(node, self.world.terminate(self.instance, **self.ask_agent_of(node.id)))

    def test_a_node_of_another_instance_is_not_drained(self) -> None:
        node = self.world.node(instance_id(), self.ip)
        self.assertFails(self.world.terminate(self.instance, **self.ask_agent_of(node.id)))

    def test_a_node_without_attribute_at_another_address_is_not_drained(self) -> None:
        node = self.world.node(None)
        self.assertFails(self.world.terminate(self.instance, **self.ask_agent_of(node.id)))

    def test_an_agent_that_is_a_server_has_no_node(self) -> None:
        self.assertFails(self.world.terminate(self.instance, **self.ask_agent_of(None)), self.ip)

    def test_an_agent_that_names_no_uuid_is_not_believed(self) -> None:
        for odd in ("../nodes", f"{self.world.bystanders[0].id}/drain", ""):
            variables = self.ask_agent_of(odd)
            self.assertFails(self.world.terminate(self.instance, **variables))


class ServersThatAnswerSomethingElse(WorldTest):
    def test_servers_that_ignore_the_filter_are_named_too_old(self) -> None:
        node = self.world.node(self.instance, version="1.2.6")
        self.world.nomad.ignores_filter = True
        self.assertFails(self.world.terminate(self.instance), "filter", r"1\.3|1\.2\.6")
        self.assertFalse(node.began_to_drain)

    def test_a_filter_ignored_in_a_cluster_of_one_does_not_hit_that_one(self) -> None:
        self.world.nomad.lies_in_list = self.world.bystanders[:1]
        self.assertFails(self.world.terminate(self.instance, 10, NODE_LOOKUP="server"))

    def test_a_listed_node_whose_attribute_differs_is_not_drained(self) -> None:
        mine = self.world.node(self.instance)
        self.world.nomad.lies_on_get[mine.id] = self.world.bystanders[0]
        self.assertFails(self.world.terminate(self.instance, 10, NODE_LOOKUP="server"))

    def test_a_document_of_another_node_is_not_believed(self) -> None:
        twin = self.world.node(self.instance, listed=False)
        mine = self.world.node(self.instance)
        self.world.nomad.lies_on_get[mine.id] = twin
        self.world.terminate(self.instance, 10, NODE_LOOKUP="server")
        self.assertNotIn(f"/v1/node/{twin.id}/drain", [call.path for call in self.world.drains])

    def test_of_two_nodes_with_one_instance_id_the_living_one_is_drained(self) -> None:
        self.world.node(self.instance, status="down", create_index=10)
        living = self.world.node(self.instance, create_index=30)
        answer = self.world.terminate(self.instance)
        self.assertTrue(answer.ok, answer)
        self.assertTrue(living.began_to_drain, self._story())

    def test_a_node_that_vanishes_between_list_and_read_is_not_found(self) -> None:
        self.world.node(self.instance)
        self.world.fail("node", Reply.text(404, "node not found"), times=None)
        self.assertFails(self.world.terminate(self.instance, 10, NODE_LOOKUP="server"), self.instance)

    def test_a_web_page_instead_of_nodes_is_an_error(self) -> None:
        page = Reply(200, "<html><title>Log in</title></html>", {"Content-Type": "text/html"})
        self.world.fail("nodes", page, times=None)
        address = f"{self.world.nomad_server.host}:{self.world.nomad_server.port}"
        self.assertFails(self.world.terminate(self.instance, 10), address)

    def test_after_a_lie_the_process_still_drains_the_right_node(self) -> None:
        node = self.world.node(self.instance)
        function = self.world.start(NODE_LOOKUP="server")
        self.world.nomad.lies_in_list = self.world.bystanders
        self.assertFails(function.invoke(sns(termination(self.instance)), 10))
        self.world.nomad.lies_in_list = None
        self.assertDrained(node, function.invoke(sns(termination(self.instance))))


class ServersThatChangeTheirStory(WorldTest):
    """A node was found, and from the drain on the servers tell of another one under its id."""

    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.world.ec2(self.instance, self.ip)

    def lie(self, mine: Node, instance: str | None, ip: str) -> None:
        """From the drain on: an empty node that has been drained, of this instance and at this address."""

        def on_drain(node: Node) -> None:
            lie = Node(ip, instance, id=mine.id, eligibility="ineligible")
            lie.drain, lie.last_drain, lie.modify_index = None, {**node.last_drain, "Status": "complete"}, 10_000
            self.world.nomad.lies_on_get[mine.id] = lie

        self.world.nomad.on_drain = on_drain

    def test_one_that_names_another_instance_releases_nothing(self) -> None:
        mine = self.world.node(self.instance, self.ip)
        self.lie(mine, instance_id(), self.ip)
        self.world.terminate(self.instance, 8)
        self.assertNotCompleted()

    def test_one_without_the_attribute_at_another_address_releases_nothing(self) -> None:
        mine = self.world.node(self.instance, self.ip)
        self.lie(mine, None, loopback())
        self.world.terminate(self.instance, 8)
        self.assertNotCompleted()

    def test_one_without_the_attribute_releases_nothing_where_addresses_prove_nothing(self) -> None:
        mine = self.world.node(self.instance, self.ip)
        self.lie(mine, None, self.ip)
        self.world.terminate(self.instance, 8, NODE_LOOKUP="server")
        self.assertNotCompleted()

    def test_one_that_has_only_lost_its_attribute_is_still_ours(self) -> None:
        mine = self.world.node(self.instance, self.ip)
        self.lie(mine, None, self.ip)
        self.assertSaid(self.world.terminate(self.instance, 8), "completed")
        self.assertCompleted()

    def test_a_listed_node_that_says_nothing_of_an_instance_is_not_drained(self) -> None:
        mine = self.world.node(self.instance, self.ip)
        self.world.nomad.lies_on_get[mine.id] = Node(self.ip, None, id=mine.id)
        self.assertFails(self.world.terminate(self.instance, 10))
