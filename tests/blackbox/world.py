"""One small world for one test: AWS, Nomad servers, agents, and functions that run in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import secrets
import shutil
import ssl
import subprocess
import tempfile
import unittest
import uuid
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from fake_aws import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, FakeAws, signature_problem
from fake_acl import Grants
from fake_autoscaling import Group, Held, Hook
from fake_nomad import Alloc, FakeAgent, FakeNomad, Node
from function import DEFAULT_DEADLINE, SEEN_REASONS, Answer, Function
from wire import Call, Fault, Journal, Reply, Server

ENV, REGION, AWS_REGION = "prod", "eu-west-1", "eu-central-1"
TOKEN_PARAMETER = f"/{ENV}-aws-{REGION}/broker/secrets/NOMAD_TOKEN"
GROUP, HOOK = "nomad-clients-prod", "drain-before-termination"
DEFAULT_HOOK = "nomad-drain-hook"  # whose instances a sweep looks for, unless told otherwise
SERVER_ROUTE = ("ssm", "nodes", "node", "drain")
AGENT_ROUTE = ("ssm", "ec2", "agent", "node", "drain")
NO_LEADER = Reply.text(500, "No cluster leader")
TOO_MANY = Reply.text(429, "Your IP is issuing too many concurrent connections, please rate limit your calls\n")


def instance_id() -> str:
    return f"i-{secrets.token_hex(9)[:17]}"


def loopback() -> str:
    """An address of 127/8 that nobody else uses: the private IP of an instance."""
    return f"127.{random.randint(20, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"


def now_text() -> str:
    return text_of(datetime.now(timezone.utc))


def ago_text(ago: timedelta) -> str:
    return text_of(datetime.now(timezone.utc) - ago)


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# ---- events -----------------------------------------------------------------------------


def termination(instance: str | None, **fields: Any) -> dict[str, Any]:
    """What a terminate hook says. A field given as None is left out."""
    message = {
        "Origin": "AutoScalingGroup",
        "LifecycleHookName": HOOK,
        "Destination": "EC2",
        "AccountId": "123456789012",
        "RequestId": str(uuid.uuid4()),
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "AutoScalingGroupName": GROUP,
        "Service": "AWS Auto Scaling",
        "Time": now_text(),
        "EC2InstanceId": instance,
        "LifecycleActionToken": str(uuid.uuid4()),
    } | fields
    return {name: value for name, value in message.items() if value is not None}


def launch(instance: str) -> dict[str, Any]:
    transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    return termination(instance, Origin="EC2", Destination="AutoScalingGroup", LifecycleTransition=transition)


def setup_notification() -> dict[str, Any]:
    arn = f"arn:aws:autoscaling:{AWS_REGION}:123456789012:autoScalingGroup:d3ab46f5:autoScalingGroupName/{GROUP}"
    return {
        "AccountId": "123456789012",
        "RequestId": "b36d6757-57c7-11e8-a9ca-b3409db76d91",
        "AutoScalingGroupARN": arn,
        "AutoScalingGroupName": GROUP,
        "Service": "AWS Auto Scaling",
        "Event": "autoscaling:TEST_NOTIFICATION",
        "Time": now_text(),
    }


def group_notification(instance: str) -> dict[str, Any]:
    """An ordinary notification of the group: an instance has gone. It has no token."""
    return setup_notification() | {
        "Event": "autoscaling:EC2_INSTANCE_TERMINATE",
        "Progress": 50,
        "Cause": "At 2026-01-01T00:00:00Z a user request changed the desired capacity from 2 to 1.",
        "ActivityId": "18b2ec17-3e9b-4c15-8024-ff2e8ce8786a",
        "StatusCode": "InProgress",
        "StatusMessage": "",
        "Description": f"Terminating EC2 instance: {instance}",
        "EC2InstanceId": instance,
        "StartTime": now_text(),
        "EndTime": now_text(),
        "Details": {"Subnet ID": "subnet-1", "Availability Zone": "eu-central-1a"},
    }


def sns(*messages: dict[str, Any] | str) -> dict[str, Any]:
    """As SNS hands messages to a function; a string is taken as it is."""
    return {"Records": [_record(m if isinstance(m, str) else json.dumps(m)) for m in messages]}


def _record(text: str) -> dict[str, Any]:
    topic = f"arn:aws:sns:{AWS_REGION}:123456789012:lifecycle"
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{topic}:f4fdba36-a856-4dde-ad38-99aa1190c534",
        "Sns": {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": topic,
            "Subject": "Auto Scaling:  Lifecycle action 'TERMINATING' in progress.",
            "Message": text,
            "Timestamp": now_text(),
            "SignatureVersion": "1",
            "Signature": "kp5cD==",
            "SigningCertUrl": f"https://sns.{AWS_REGION}.amazonaws.com/SimpleNotificationService-60ea.pem",
            "UnsubscribeUrl": f"https://sns.{AWS_REGION}.amazonaws.com/?Action=Unsubscribe",
            "MessageAttributes": {},
        },
    }


SWEEP = {"action": "sweep"}


def scheduled(source: str = "aws.events") -> dict[str, Any]:
    """What EventBridge hands to a function on a schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": "123456789012",
        "time": now_text()[:-5] + "Z",
        "region": AWS_REGION,
        "resources": [f"arn:aws:events:{AWS_REGION}:123456789012:rule/nomad-drain-sweep"],
        "detail": {},
    }


def stamp(instance: str, began: timedelta, deadline: timedelta, **fields: str) -> dict[str, str]:
    """The Meta of a drain that we began that long ago, with the deadline that far ahead of now."""
    now = datetime.now(timezone.utc)
    return {
        "managed-by": "nomad-drain",
        "version": "0.1.0",
        "instance-id": instance,
        "auto-scaling-group": GROUP,
        "lifecycle-hook": DEFAULT_HOOK,
        "cause": "terminate",
        "was-eligible": "true",
        "hook-started-at": text_of(now - began),
        "deadline": text_of(now + deadline),
        "message": "nomad-drain: the instance is being terminated",
    } | {name.replace("_", "-"): value for name, value in fields.items()}


def terminations(event: Any) -> list[dict[str, Any]]:
    """The terminate hooks' messages in an event: what Auto Scaling must know of."""
    texts = [event]
    if isinstance(event, dict) and isinstance(event.get("Records"), list):
        texts = [r.get("Sns", {}).get("Message") for r in event["Records"] if isinstance(r, dict)]
    found = []
    for text in texts:
        if isinstance(text, str):
            try:
                text = json.loads(text)
            except (ValueError, RecursionError):
                continue
        if isinstance(text, dict) and text.get("LifecycleTransition") == "autoscaling:EC2_INSTANCE_TERMINATING":
            found.append(text)
    return found


# ---- the world --------------------------------------------------------------------------


class World:
    def __init__(self) -> None:
        self.token = str(uuid.uuid4())
        self.secrets = [self.token, SECRET_KEY, SESSION_TOKEN]
        self.journal = Journal()
        self.aws = FakeAws(parameters={TOKEN_PARAMETER: self.token})
        self.nomad = FakeNomad(self.token)
        self.scaling = self.aws.scaling
        self.scaling.running_on = self.nomad.running_on
        self.may_cut_off = False  # whether a completion may find something running
        self.bystanders = [self.node(instance_id()), self.node()]
        self.functions: list[Function] = []
        self._servers: list[Server] = []
        self._folder = Path(tempfile.mkdtemp(prefix="drain-blackbox-"))
        self._numbers = itertools.count()
        self.aws_server = self.serve(self.aws)
        self.nomad_server = self.serve(self.nomad)
        self.variables = {
            "ENV": ENV,
            "REGION": REGION,
            "AWS_REGION": AWS_REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "AWS_ENDPOINT_URL": self.aws_server.url,
            "NOMAD_ADDR": self.nomad_server.url,
        }

    def serve(self, fake: Any, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Server:
        server = Server(fake, self.journal, host, port, tls)
        self._servers.append(server)
        return server

    # -- what there is

    def node(self, instance: str | None = None, ip: str | None = None, **fields: Any) -> Node:
        """A client node. Without an instance id it lacks the attribute."""
        node = Node(ip or loopback(), instance, **fields)
        self.nomad.nodes.append(node)
        return node

    def alloc(self, node: Node, **fields: Any) -> Alloc:
        alloc = Alloc(**fields)
        node.allocs.append(alloc)
        return alloc

    def group(self, name: str = GROUP, hook: str = DEFAULT_HOOK, heartbeat_timeout: int = 3600, **fields: Any) -> Group:
        """A group with one terminate hook; it is tagged to be watched unless told otherwise."""
        return self.scaling.group(name, Hook(hook, heartbeat_timeout), **fields)

    def hold(
        self,
        instance: str,
        group: str = GROUP,
        hook: str = DEFAULT_HOOK,
        state: str = "Terminating:Wait",
        ago: timedelta = timedelta(),
    ) -> Held:
        """That group's hook holds the instance, since that long ago."""
        return self.scaling.hold(instance, group, hook, state, ago)

    def grant(self, **fields: Any) -> None:
        self.nomad.grants = Grants(**fields)

    def ec2(self, instance: str, ip: str | None) -> None:
        self.aws.instances[instance] = ip

    def agent(self, ip: str, node_id: str | None, port: int = 0) -> dict[str, str]:
        """An agent at that address; returns the variable that leads to it."""
        server = self.serve(FakeAgent(self.token, node_id, self.nomad.acl), ip, port)
        return {"NOMAD_AGENT_URL": f"http://{{ip}}:{server.port}"}

    def rotate_token(self) -> None:
        """The old token is revoked, a new one is in the parameter."""
        self.token = str(uuid.uuid4())
        self.secrets.append(self.token)
        self.nomad.token = self.aws.parameters[TOKEN_PARAMETER] = self.token

    def fail(self, kind: str, answer: Reply | Fault, times: int | None = 1, applied: bool = False) -> None:
        self.journal.fail(kind, answer, times, applied)

    # -- what is done in it

    def start(self, **variables: str | None) -> Function:
        """Starts a function; a variable given as None is not set at all."""
        merged = self.variables | variables
        environment = {name: value for name, value in merged.items() if value is not None}
        function = Function(environment, self._folder / str(next(self._numbers)), self._happens)
        self.functions.append(function)
        return function

    def _happens(self, event: Any) -> None:
        """A hook's message arrives: Auto Scaling holds that instance, unless the test says what it does."""
        for message in terminations(event):
            names = ("EC2InstanceId", "AutoScalingGroupName", "LifecycleHookName")
            instance, group, hook = (message.get(name) for name in names)
            if not all(isinstance(name, str) for name in (instance, group, hook)):
                continue
            if instance in self.scaling.instances:
                continue
            if group not in self.scaling.groups:
                self.group(group, hook)
            state = {"WarmPool": "Warmed:Pending:Wait", "AutoScalingGroup": "ReplacingRootVolume:Wait"}
            held = self.hold(instance, group, hook, state.get(message.get("Destination"), "Terminating:Wait"))
            held.token = message.get("LifecycleActionToken", held.token)
            with contextlib.suppress(KeyError, TypeError, ValueError):
                held.since = datetime.fromisoformat(message["Time"].replace("Z", "+00:00"))

    def sweep(self, deadline: float = DEFAULT_DEADLINE, **variables: str | None) -> Answer:
        """One sweep, with short times unless told otherwise."""
        short = {"SWEEP": "on", "SWEEP_LINGER": "3s", "POLL_INTERVAL": "200ms"}
        return self.invoke(SWEEP, deadline, **(short | variables))

    def invoke(self, event: Any, deadline: float = DEFAULT_DEADLINE, **variables: str | None) -> Answer:
        return self.start(**variables).invoke(event, deadline)

    def terminate(self, instance: str, deadline: float = DEFAULT_DEADLINE, **variables: str | None) -> Answer:
        """The main job: a terminate hook's message arrives through SNS."""
        return self.invoke(sns(termination(instance)), deadline, **variables)

    # -- what was seen of it

    def kinds(self) -> list[str]:
        return [call.kind for call in self.journal.calls]

    def calls(self, kind: str) -> list[Call]:
        return self.journal.of(kind)

    @property
    def drains(self) -> list[Call]:
        return self.journal.of("drain")

    def close(self) -> None:
        for function in self.functions:
            function.close()
        self.journal.closing.set()
        for server in self._servers:
            server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- certificates

    def https_nomad(self, names: str) -> Server:
        """Servers with a certificate for these names, from an authority nobody knows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._certificate(names))
        return self.serve(self.nomad, tls=context)

    def _certificate(self, names: str) -> tuple[Path, Path]:
        if shutil.which("openssl") is None:
            raise unittest.SkipTest("no openssl command to make a certificate with")
        at = self._folder / "tls"
        at.mkdir()
        (at / "san").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for arguments in (
            ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", f"/CN={AUTHORITY}"],
            ["req", *key, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=nomad"],
            ["x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "cert.pem", "-days", "2", "-extfile", "san"],
        ):  # fmt: skip
            subprocess.run(["openssl", *arguments], cwd=at, check=True, capture_output=True)
        return at / "cert.pem", at / "key.pem"


AUTHORITY = "Blackbox Test Authority"
RESULT = {"instance_id", "node_id", "auto_scaling_group", "lifecycle_hook", "outcome", "reason", "message"}
OUTCOMES = ("drain_started", "draining", "completed", "abandoned", "left_to_hook", "held", "restored", "ignored")


# ---- assertions -------------------------------------------------------------------------


class WorldTest(unittest.TestCase):
    """A test with a world of its own. However it ends: no secret shows, no process stays."""

    maxDiff = None

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.addCleanup(self._check_harness)
        self.addCleanup(self._check_secrets)
        self.addCleanup(self._check_completions)
        self.addCleanup(self._check_results)
        self.instance = instance_id()

    def assertDrained(self, node: Node, answer: Answer, calls: int = 1) -> dict[str, Any]:
        """That node, no other, by that many requests; returns the last request's body."""
        self.assertTrue(answer.ok, answer)
        paths = {call.path for call in self.world.drains}
        self.assertEqual(paths, {f"{self.world.nomad.prefix}/v1/node/{node.id}/drain"}, answer)
        self.assertEqual(len(self.world.drains), calls, self._story())
        return self.world.drains[-1].json

    def assertRoute(self, *expected: str) -> None:
        """Exactly these calls, up to and including the one that drains."""
        kinds = self.world.kinds()
        self.assertIn("drain", kinds, self._story())
        done = kinds[: kinds.index("drain") + 1]
        self.assertEqual(Counter(done), Counter(expected), self._story())

    def assertNothingDrained(self) -> None:
        self.assertEqual(self.world.drains, [], self._story())

    def assertFails(self, answer: Answer, *facts: str) -> None:
        """An error that names all these facts, and nothing was drained."""
        self.assertFalse(answer.ok, answer)
        self.assertNothingDrained()
        self.assertRegex(answer.error_type or "", r"^[A-Z][A-Za-z0-9]+$", answer)
        for fact in facts:
            self.assertRegex(answer.error, re.compile(fact, re.IGNORECASE), answer)

    def assertIgnored(self, answer: Answer, reason: str = r"[a-z][a-z0-9_]*") -> None:
        self.assertTrue(answer.ok, answer)
        self.assertNothingDrained()
        self.assertEqual([result["outcome"] for result in answer.results], ["ignored"], answer)
        self.assertRegex(answer.results[0]["reason"], rf"^{reason}$", answer)

    def assertCompleted(self, instance: str | None = None, result: str = "CONTINUE") -> None:
        """Once, with that result."""
        self.assertEqual(self.world.scaling.results(instance or self.instance), [result], self._story())

    def assertNotCompleted(self, instance: str | None = None) -> None:
        self.assertEqual(self.world.scaling.results(instance or self.instance), [], self._story())

    def assertSaid(self, answer: Answer, outcome: str, reason: str = r"[a-z][a-z0-9_]*") -> dict[str, Any]:
        """Success, and the first result for the instance is this; alternatives are separated by |."""
        self.assertTrue(answer.ok, f"{answer}\n{self._story()}")
        results = [result for result in answer.results if result["instance_id"] == self.instance]
        self.assertTrue(results, f"{answer}\n{self._story()}")
        self.assertRegex(results[0]["outcome"], rf"^({outcome})$", f"{answer}\n{self._story()}")
        self.assertRegex(results[0]["reason"], rf"^({reason})$", answer)
        return results[0]

    def warnings(self, *facts: str) -> list[str]:
        """The log's lines at WARN or above that have all these facts."""
        found = []
        for function in self.world.functions:
            for line in function.output.splitlines():
                plain = re.sub(r"\x1b\[[0-9;]*m", "", line).replace('\\"', '"')
                if re.search(r"\b(WARN|ERROR)\b", plain) and all(re.search(f, plain, re.IGNORECASE) for f in facts):
                    found.append(plain)
        return found

    def assertSigned(self, call: Call, service: str, region: str = AWS_REGION) -> None:
        self.assertIsNone(signature_problem(call, service, region), call)

    def _story(self) -> str:
        said = "\n".join(function.output[-3000:] for function in self.world.functions)
        return f"calls: {', '.join(map(str, self.world.journal.calls))}\n{said}"

    def _check_secrets(self) -> None:
        for secret in self.world.secrets:
            for function in self.world.functions:
                self.assertNotIn(secret, function.output, "a secret was logged")
                self.assertNotIn(secret, function.said, "a secret was answered")

    def _check_results(self) -> None:
        """Results have their documented form, and do not claim what is not so."""
        for answer in (answer for function in self.world.functions for answer in function.answers if answer.ok):
            body = answer.body
            for result in body["results"] if isinstance(body, dict) and "results" in body else []:
                self.assertEqual(set(result), RESULT, answer)
                self.assertIn(result["outcome"], OUTCOMES, answer)
                self.assertRegex(result["reason"], r"^[a-z][a-z0-9_]*$", answer)
                SEEN_REASONS.add(result["reason"])
                held = self.world.scaling.instances.get(result["instance_id"])
                if result["outcome"] in ("completed", "abandoned") and held is not None:
                    self.assertIsNone(held.hook, f"said to be {result['outcome']}, but still held: {answer}")

    def _check_completions(self) -> None:
        """The promise above all others: no completion while anything runs."""
        if not self.world.may_cut_off:
            for done in self.world.scaling.completions:
                self.assertEqual(done.running, [], f"{done.instance_id} was released too early\n{self._story()}")

    def _check_harness(self) -> None:
        self.assertEqual(self.world.journal.crashes, [], "a fake has a bug")
