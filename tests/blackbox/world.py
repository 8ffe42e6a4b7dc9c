"""One small world for one test: AWS, Nomad servers, agents, and functions that run in it."""

from __future__ import annotations

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
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fake_aws import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, FakeAws, signature_problem
from fake_nomad import FakeAgent, FakeNomad, Node
from function import DEFAULT_DEADLINE, Answer, Function
from wire import Call, Fault, Journal, Reply, Server

ENV, REGION, AWS_REGION = "prod", "eu-west-1", "eu-central-1"
TOKEN_PARAMETER = f"/{ENV}-aws-{REGION}/broker/secrets/NOMAD_TOKEN"
GROUP, HOOK = "nomad-clients-prod", "drain-before-termination"
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
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


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


# ---- the world --------------------------------------------------------------------------


class World:
    def __init__(self) -> None:
        self.token = str(uuid.uuid4())
        self.secrets = [self.token, SECRET_KEY, SESSION_TOKEN]
        self.journal = Journal()
        self.aws = FakeAws(parameters={TOKEN_PARAMETER: self.token})
        self.nomad = FakeNomad(self.token)
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
        function = Function(environment, self._folder / str(next(self._numbers)))
        self.functions.append(function)
        return function

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


# ---- assertions -------------------------------------------------------------------------


class WorldTest(unittest.TestCase):
    """A test with a world of its own. However it ends: no secret shows, no process stays."""

    maxDiff = None

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.addCleanup(self._check_harness)
        self.addCleanup(self._check_secrets)
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

    def _check_harness(self) -> None:
        self.assertEqual(self.world.journal.crashes, [], "a fake has a bug")
