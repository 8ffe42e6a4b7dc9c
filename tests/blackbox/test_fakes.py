"""The fakes themselves: what they do is what tests conclude from."""

import time
import unittest
import xml.etree.ElementTree as xml
from datetime import timedelta
from urllib.parse import urlencode

from fake_acl import DOCUMENTED, Grants, Policy
from fake_autoscaling import XMLNS, FakeAutoScaling, Hook
from fake_nomad import Alloc, FakeNomad, Node
from wire import Call

SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-central-1/autoscaling/aws4_request, …"}
HOUR_NS = 3_600_000_000_000


class Drains(unittest.TestCase):
    def setUp(self) -> None:
        self.node = Node("127.0.0.9", "i-0abc1234")
        self.nomad = FakeNomad("t", nodes=[self.node])

    def drain(self, deadline: int = HOUR_NS, ignore_system: bool = False) -> None:
        self.node.apply({"DrainSpec": {"Deadline": deadline, "IgnoreSystemJobs": ignore_system}}, time.time())

    def add(self, **fields: object) -> Alloc:
        self.node.allocs.append(Alloc(**fields))
        return self.node.allocs[-1]

    def later(self, seconds: float) -> None:
        self.nomad._advance(time.time() + seconds)

    def test_an_empty_node_is_drained_at_once(self) -> None:
        self.drain()
        self.assertEqual((self.node.drain, self.node.last_drain["Status"]), (None, "complete"))
        self.assertEqual(self.node.eligibility, "ineligible")

    def test_a_service_is_told_and_takes_its_time(self) -> None:
        web = self.add(stop_takes=2)
        self.drain()
        self.later(1.9)
        self.assertTrue(web.live and self.node.drain)
        self.later(2.1)
        self.assertFalse(web.live or self.node.drain)

    def test_a_system_job_outlives_the_drain(self) -> None:
        log = self.add(type="system", stop_takes=3)
        self.drain()
        self.assertIsNone(self.node.drain)
        self.assertTrue(log.live)
        self.later(3.1)
        self.assertFalse(log.live)

    def test_a_system_job_that_is_spared_stays(self) -> None:
        log = self.add(type="system")
        self.drain(ignore_system=True)
        self.later(60)
        self.assertTrue(log.live and log.desired == "run")

    def test_at_the_deadline_the_drain_is_over_and_tasks_are_not(self) -> None:
        batch = self.add(type="batch", stop_takes=5)
        self.drain(1_000_000_000)
        self.later(0.9)
        self.assertIsNotNone(self.node.drain)
        self.later(1.1)
        self.assertIsNone(self.node.drain)
        self.assertTrue(batch.live and batch.desired == "stop")

    def test_the_two_known_hangs_and_their_remedy(self) -> None:
        for fields in ({"type": "sysbatch"}, {"desired": "stop", "told": time.time(), "stop_takes": 1}):
            with self.subTest(fields):
                self.setUp()
                alloc = self.add(**fields)
                self.drain()
                self.later(2)
                if alloc.live:
                    self.nomad.end(alloc)
                self.assertIsNotNone(self.node.drain)
                self.drain(-1_000_000_000)
                self.assertIsNone(self.node.drain)

    def test_a_second_request_moves_the_deadline_and_keeps_the_meta(self) -> None:
        self.add(stop_takes=None)
        self.node.apply({"DrainSpec": {"Deadline": HOUR_NS}, "Meta": {"a": "b"}}, time.time())
        began = self.node.drain["StartedAt"]
        self.drain(HOUR_NS // 2)
        self.assertEqual((self.node.drain["StartedAt"], self.node.last_drain["Meta"]), (began, {"a": "b"}))
        self.assertEqual(len(set(self.node.force_deadlines)), 2)


class Sight(unittest.TestCase):
    def test_who_sees_what(self) -> None:
        cases = [
            (Grants(), "default", True),
            (Grants(management=True, policies={}), "default", True),
            (Grants(policies={"a": Policy()}), "default", False),
            (Grants(policies={"a": Policy({"*": "read"})}), "x", True),
            (Grants(policies={"a": Policy({"*": "scale"})}), "x", True),
            (Grants(policies={"a": Policy({"default": "write"})}), "x", False),
            (Grants(policies={"a": Policy({"*": ["read-job"], "x": "deny"})}), "x", False),
            (Grants(policies={"a": Policy({"*": ["read-job"], "x": ["submit-job"]})}), "x", False),
            (Grants(policies={"a": Policy({"*": "read"}), "b": Policy({"x-*": "deny"})}), "x-1", False),
            (Grants(policies={"a": Policy(), "b": DOCUMENTED}, roles={"r": ["b"]}), "x", True),
        ]
        for grants, namespace, expected in cases:
            self.assertEqual(grants.sees(namespace), expected, grants)

    def test_the_documented_policy(self) -> None:
        document = DOCUMENTED.document("nomad-drain")
        self.assertEqual(document["RulesJSON"]["Namespaces"][0]["Capabilities"], ["read-job"])
        self.assertIn('namespace "*" { capabilities = ["read-job"] }', document["Rules"])


class Scaling(unittest.TestCase):
    def setUp(self) -> None:
        self.scaling = FakeAutoScaling()
        self.scaling.group("g", Hook("h", 60), tags={"nomad-drain": "a & b"})

    def ask(self, action: str, signed: bool = True, **form: str) -> tuple[int, xml.Element]:
        dotted = {key.replace("__", "."): value for key, value in form.items()}
        body = urlencode({"Action": action, "Version": "2011-01-01"} | dotted)
        reply = self.scaling.reply(Call("POST", "/", SIGNED if signed else {}, body.encode(), "", 0))
        return reply.status, xml.fromstring(reply.body)

    def texts(self, element: xml.Element, name: str) -> list[str | None]:
        return [found.text for found in element.iter(f"{{{XMLNS}}}{name}")]

    def test_a_call_without_a_signature_is_refused(self) -> None:
        self.assertEqual(self.ask("DescribeAutoScalingGroups", signed=False)[0], 403)

    def test_pages(self) -> None:
        for number in range(119):
            self.scaling.group(f"other-{number}", tags={})
        names: list[str | None] = []
        more: dict[str, str] = {}
        for pages in range(1, 9):
            status, answer = self.ask("DescribeAutoScalingGroups", **more)
            self.assertEqual(status, 200)
            names += self.texts(answer, "AutoScalingGroupName")
            if not (tokens := self.texts(answer, "NextToken")):
                break
            more = {"NextToken": tokens[0]}
        self.assertEqual((pages, len(set(names))), (3, 120))
        form = {"Filters__member__1__Name": "tag-key", "Filters__member__1__Values__member__1": "nomad-drain"}
        self.assertEqual(self.texts(self.ask("DescribeAutoScalingGroups", **form)[1], "AutoScalingGroupName"), ["g"])

    def test_a_hook_and_its_limits(self) -> None:
        _, answer = self.ask("DescribeLifecycleHooks", AutoScalingGroupName="g")
        self.assertEqual(self.texts(answer, "GlobalTimeout"), ["6000"])

    def test_an_action_is_completed_once(self) -> None:
        self.scaling.hold("i-0abc1234", "g", "h")
        form = {"AutoScalingGroupName": "g", "LifecycleHookName": "h", "InstanceId": "i-0abc1234"}
        self.assertEqual(self.ask("RecordLifecycleActionHeartbeat", **form)[0], 200)
        form["LifecycleActionResult"] = "CONTINUE"
        self.assertEqual(self.ask("CompleteLifecycleAction", **(form | {"LifecycleHookName": "x"}))[0], 400)
        self.assertEqual(self.ask("CompleteLifecycleAction", **form)[0], 200)
        status, answer = self.ask("CompleteLifecycleAction", **form)
        message = "No active Lifecycle Action found with instance ID i-0abc1234"
        self.assertEqual((status, self.texts(answer, "Message")), (400, [message]))
        self.assertEqual(self.scaling.results("i-0abc1234"), ["CONTINUE"])

    def test_warm_instances_are_only_in_their_pool(self) -> None:
        self.scaling.group("w", Hook("h"), warm_pool=True)
        self.scaling.hold("i-0abc1234", "w", "h", "Warmed:Pending:Wait", timedelta(minutes=1))
        self.assertEqual(self.texts(self.ask("DescribeAutoScalingGroups")[1], "InstanceId"), [])
        self.assertEqual(self.texts(self.ask("DescribeAutoScalingInstances")[1], "InstanceId"), [])
        pool = self.ask("DescribeWarmPool", AutoScalingGroupName="w")[1]
        self.assertEqual(self.texts(pool, "LifecycleState"), ["Warmed:Pending:Wait"])
