"""From an event to a drain: which calls are made, and what they say."""

from datetime import datetime, timedelta, timezone

from fake_aws import FakeAws
from fake_nomad import INSTANCE_ATTRIBUTE
from parallel import load_tests  # noqa: F401
from world import (
    AGENT_ROUTE,
    GROUP,
    HOOK,
    REGION,
    SERVER_ROUTE,
    TOKEN_PARAMETER,
    WorldTest,
    instance_id,
    loopback,
    sns,
    termination,
)

HOUR_NS = 3_600_000_000_000


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class ServerRoute(WorldTest):
    """The node is found by its attribute: SSM, node list, node, drain."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.world.node(self.instance)

    def test_four_calls_and_no_other(self) -> None:
        answer = self.world.terminate(self.instance)
        self.assertDrained(self.node, answer)
        self.assertRoute(*SERVER_ROUTE)

    def test_a_direct_message_works_like_one_through_sns(self) -> None:
        answer = self.world.invoke(termination(self.instance))
        self.assertDrained(self.node, answer)
        self.assertRoute(*SERVER_ROUTE)

    def test_a_message_without_the_newer_fields_is_enough(self) -> None:
        old = termination(self.instance, Origin=None, Destination=None, RequestId=None, AccountId=None)
        answer = self.world.invoke(sns(old))
        self.assertDrained(self.node, answer)
        self.assertRoute(*SERVER_ROUTE)

    def test_unknown_fields_and_metadata_do_no_harm(self) -> None:
        new = termination(self.instance, NotificationMetadata='{"a": [1]}', Tomorrow={"field": None})
        self.assertDrained(self.node, self.world.invoke(sns(new)))

    def test_an_old_short_instance_id_works(self) -> None:
        node = self.world.node("i-0abc1234")
        self.assertDrained(node, self.world.terminate("i-0abc1234"))

    def test_the_token_parameter_is_read_decrypted_and_signed(self) -> None:
        self.world.terminate(self.instance)
        (call,) = self.world.calls("ssm")
        self.assertEqual(call.json, {"Name": TOKEN_PARAMETER, "WithDecryption": True})
        self.assertSigned(call, "ssm")

    def test_without_aws_region_the_region_variable_signs(self) -> None:
        self.assertDrained(self.node, self.world.terminate(self.instance, AWS_REGION=None))
        self.assertSigned(self.world.calls("ssm")[0], "ssm", REGION)

    def test_the_list_is_asked_with_exactly_the_guarded_filter(self) -> None:
        self.world.terminate(self.instance)
        (call,) = self.world.calls("nodes")
        key = f'"{INSTANCE_ATTRIBUTE}"'
        expected = f'Attributes contains {key} and Attributes[{key}] == "{self.instance}"'
        self.assertEqual(call.query, {"filter": [expected]})

    def test_the_node_is_read_by_its_id(self) -> None:
        self.world.terminate(self.instance)
        call = self.world.calls("node")[0]
        self.assertEqual((call.path, call.query), (f"/v1/node/{self.node.id}", {}))

    def test_every_nomad_call_carries_the_token_in_its_header_only(self) -> None:
        self.world.terminate(self.instance)
        for call in self.world.calls("nodes") + self.world.calls("node") + self.world.drains:
            self.assertEqual(call.headers.get("x-nomad-token"), self.world.token, call)
            self.assertNotIn(self.world.token, call.target)

    def test_the_drain_request(self) -> None:
        request = self.assertDrained(self.node, self.world.terminate(self.instance))
        self.assertEqual(set(request), {"DrainSpec", "MarkEligible", "Meta"})
        self.assertEqual(request["DrainSpec"], {"Deadline": HOUR_NS, "IgnoreSystemJobs": False})
        self.assertIs(request["MarkEligible"], False)
        self.assertEqual(self.world.drains[0].query, {})

    def test_the_stamp(self) -> None:
        event = termination(self.instance)
        meta = self.assertDrained(self.node, self.world.invoke(sns(event)))["Meta"]
        facts = {
            "managed-by": "nomad-drain",
            "instance-id": self.instance,
            "auto-scaling-group": GROUP,
            "lifecycle-hook": HOOK,
            "cause": "terminate",
            "was-eligible": "true",
        }
        self.assertEqual(meta, meta | facts)
        self.assertEqual(set(meta) - set(facts), {"version", "hook-started-at", "deadline", "message"})
        self.assertTrue(all(isinstance(value, str) and value for value in meta.values()), meta)
        self.assertLess(abs(moment(meta["hook-started-at"]) - moment(event["Time"])), timedelta(seconds=1))
        in_an_hour = datetime.now(timezone.utc) + timedelta(hours=1)
        self.assertLess(abs(moment(meta["deadline"]) - in_an_hour), timedelta(seconds=30))

    def test_the_stamp_says_when_the_node_was_not_eligible(self) -> None:
        self.node.eligibility = "ineligible"
        self.world.alloc(self.node)
        meta = self.assertDrained(self.node, self.world.terminate(self.instance))["Meta"]
        self.assertEqual(meta["was-eligible"], "false")

    def test_the_result(self) -> None:
        answer = self.world.terminate(self.instance)
        (result,) = answer.results
        names = {"instance_id", "node_id", "auto_scaling_group", "lifecycle_hook", "outcome", "reason", "message"}
        self.assertEqual(set(result), names)
        found = [result[name] for name in ("instance_id", "node_id", "auto_scaling_group", "lifecycle_hook")]
        self.assertEqual(found, [self.instance, self.node.id, GROUP, HOOK])
        self.assertIn(result["outcome"], ("drain_started", "draining", "completed"))
        self.assertRegex(result["reason"], r"^[a-z][a-z0-9_]*$")

    def test_a_path_prefix_is_kept(self) -> None:
        self.world.nomad.prefix = "/proxy/nomad"
        for slash in ("", "/"):
            address = f"{self.world.nomad_server.url}/proxy/nomad{slash}"
            self.world.terminate(self.instance, NOMAD_ADDR=address)
        self.assertEqual([call.path for call in self.world.drains], [f"/proxy/nomad/v1/node/{self.node.id}/drain"])
        self.assertRoute(*SERVER_ROUTE)

    def test_the_nomad_region_goes_into_every_query(self) -> None:
        self.assertDrained(self.node, self.world.terminate(self.instance, NOMAD_REGION="frankfurt"))
        for call in self.world.calls("nodes") + self.world.calls("node") + self.world.drains:
            self.assertEqual(call.query.get("region"), ["frankfurt"], call)

    def test_system_jobs_can_be_spared(self) -> None:
        answer = self.world.terminate(self.instance, DRAIN_IGNORE_SYSTEM_JOBS="true")
        spec = self.assertDrained(self.node, answer)["DrainSpec"]
        self.assertEqual(spec, {"Deadline": HOUR_NS, "IgnoreSystemJobs": True})

    def test_a_dry_run_reads_and_posts_nothing(self) -> None:
        answer = self.world.terminate(self.instance, DRY_RUN="on")
        self.assertTrue(answer.ok, answer)
        self.assertEqual(self.world.kinds()[:3], list(SERVER_ROUTE[:3]))
        asked = [call for call in self.world.journal.calls if call.port == self.world.nomad_server.port]
        self.assertEqual({call.method for call in asked}, {"GET"})
        self.assertNotCompleted()
        self.assertEqual(self.world.scaling.heartbeats, [])

    def test_with_acls_off_no_token_is_read_or_sent(self) -> None:
        self.world.nomad.acl = False
        answer = self.world.terminate(self.instance, NOMAD_ACL="off", ENV=None, REGION=None)
        self.assertDrained(self.node, answer)
        self.assertRoute("nodes", "node", "drain")
        self.assertCompleted()
        for call in self.world.journal.calls:
            self.assertNotIn("x-nomad-token", call.headers)
            if call.port == self.world.nomad_server.port:
                self.assertNotIn("authorization", call.headers)

    def test_two_messages_in_one_event_share_the_token_and_the_list(self) -> None:
        other = instance_id()
        nodes = [self.node, self.world.node(other)]
        answer = self.world.invoke(sns(termination(self.instance), termination(other)))
        self.assertEqual({result["instance_id"] for result in answer.results}, {self.instance, other})
        self.assertEqual({call.path for call in self.world.drains}, {f"/v1/node/{n.id}/drain" for n in nodes})
        counts = [len(self.world.calls(kind)) for kind in ("ssm", "nodes", "drain")]
        self.assertEqual(counts, [1, 1, 2], self._story())

    def test_a_large_event_opens_few_connections(self) -> None:
        instances = [instance_id() for _ in range(10)]
        nodes = [self.world.node(instance) for instance in instances]
        answer = self.world.invoke(sns(*map(termination, instances)))
        self.assertTrue(answer.ok, answer)
        self.assertTrue(all(node.began_to_drain for node in nodes), self._story())
        self.assertEqual(len(self.world.calls("nodes")), 1)
        # Two are promised; a connection pool may have opened another one in vain.
        self.assertLessEqual(self.world.nomad_server.connections, 3)

    def test_a_warm_process_survives_that_its_connections_were_closed(self) -> None:
        other = self.world.node(instance_id())
        function = self.world.start()
        function.invoke(sns(termination(self.instance)))
        function.wait_idle()
        for server in (self.world.nomad_server, self.world.aws_server):
            server.drop_connections()
        answer = function.invoke(sns(termination(other.instance_id)))
        self.assertTrue(answer.ok and other.began_to_drain, answer)
        self.assertEqual(len(self.world.drains), 2)

    def test_a_warm_process_takes_up_a_new_token(self) -> None:
        other = self.world.node(instance_id())
        function = self.world.start()
        function.invoke(sns(termination(self.instance)))
        self.world.rotate_token()
        answer = function.invoke(sns(termination(other.instance_id)))
        self.assertTrue(answer.ok and other.began_to_drain, answer)

    def test_the_stamp_tells_why_an_instance_leaves(self) -> None:
        fields = {
            "warm-pool": {"Destination": "WarmPool"},
            "root-volume": {"Destination": "AutoScalingGroup", "Action": "ReplaceRootVolume"},
        }
        for cause, changed in fields.items():
            node = self.world.node(instance_id())
            self.world.invoke(sns(termination(node.instance_id, **changed)))
            self.assertEqual(self.world.drains[-1].json["Meta"]["cause"], cause)

    def test_one_bad_message_does_not_keep_the_others_waiting(self) -> None:
        unknown = termination(instance_id())
        answer = self.world.invoke(sns("{cut off", unknown, termination(self.instance)), 10, NODE_LOOKUP="server")
        self.assertFalse(answer.ok, "and the event is tried again")
        self.assertTrue(self.node.began_to_drain, self._story())

    def test_a_second_event_is_served_by_the_same_process(self) -> None:
        other = self.world.node(instance_id())
        function = self.world.start()
        self.assertDrained(self.node, function.invoke(sns(termination(self.instance))))
        self.assertTrue(function.invoke(sns(termination(other.instance_id))).ok)
        self.assertEqual([n.began_to_drain for n in (self.node, other)], [True, True])
        self.assertTrue(function.alive)


class AgentRoute(WorldTest):
    """The node is asked who it is: SSM, EC2, agent, node, drain."""

    def setUp(self) -> None:
        super().setUp()
        self.ip = loopback()
        self.node = self.world.node(self.instance, self.ip)
        self.world.ec2(self.instance, self.ip)
        self.variables = self.world.agent(self.ip, self.node.id) | {"NODE_LOOKUP": "agent"}

    def test_five_calls_and_no_other(self) -> None:
        answer = self.world.terminate(self.instance, **self.variables)
        self.assertDrained(self.node, answer)
        self.assertRoute(*AGENT_ROUTE)

    def test_the_drain_request_is_the_same(self) -> None:
        request = self.assertDrained(self.node, self.world.terminate(self.instance, **self.variables))
        self.assertEqual(request["DrainSpec"], {"Deadline": HOUR_NS, "IgnoreSystemJobs": False})
        self.assertEqual(request["Meta"]["instance-id"], self.instance)

    def test_ec2_is_asked_for_that_instance_and_signed(self) -> None:
        self.world.terminate(self.instance, **self.variables)
        (call,) = self.world.calls("ec2")
        self.assertEqual(call.form, call.form | {"InstanceId.1": self.instance, "Version": "2016-11-15"})
        self.assertEqual(set(call.form), {"Action", "Version", "InstanceId.1"})
        self.assertSigned(call, "ec2")

    def test_the_agent_is_asked_at_the_private_address_with_the_token(self) -> None:
        self.world.terminate(self.instance, **self.variables)
        (call,) = self.world.calls("agent")
        self.assertEqual((call.method, call.host), ("GET", self.ip))
        self.assertEqual(call.headers.get("x-nomad-token"), self.world.token)

    def test_the_agent_listens_on_port_4646_unless_told_otherwise(self) -> None:
        try:
            self.world.agent(self.ip, self.node.id, port=4646)
        except OSError as error:
            self.skipTest(f"port 4646 of {self.ip}: {error}")
        answer = self.world.terminate(self.instance, NODE_LOOKUP="agent")
        self.assertDrained(self.node, answer)
        self.assertRoute(*AGENT_ROUTE)

    def test_ssm_and_ec2_can_have_endpoints_of_their_own(self) -> None:
        others = [self.world.serve(FakeAws(self.world.aws.parameters, self.world.aws.instances)) for _ in "ab"]
        self.variables |= {"AWS_ENDPOINT_URL_SSM": others[0].url, "AWS_ENDPOINT_URL_EC2": others[1].url}
        self.assertDrained(self.node, self.world.terminate(self.instance, **self.variables))
        ports = [self.world.calls(kind)[0].port for kind in ("ssm", "ec2")]
        self.assertEqual(ports, [server.port for server in others])

    def test_with_https_servers_the_agent_is_first_asked_without_the_token(self) -> None:
        servers = self.world.https_nomad("DNS:localhost,IP:127.0.0.1")
        self.world.terminate(self.instance, 10, NOMAD_ADDR=servers.url, **self.variables)
        tokens = [call.headers.get("x-nomad-token") for call in self.world.calls("agent")]
        self.assertEqual(tokens, [None, self.world.token], self._story())

    def test_with_acls_off_the_agent_gets_no_token(self) -> None:
        self.world.nomad.acl = False
        self.variables |= self.world.agent(self.ip, self.node.id)
        answer = self.world.terminate(self.instance, NOMAD_ACL="off", **self.variables)
        self.assertDrained(self.node, answer)
        self.assertRoute("ec2", "agent", "node", "drain")
        self.assertTrue(all("x-nomad-token" not in call.headers for call in self.world.journal.calls))
