"""Nomad servers (nodes, drains, allocations, ACLs) and the agent of one node.

Time is real. Before every answer the servers do what has become due: allocations end,
drains reach their deadline, drains complete.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from bexpr import FilterError, compile_filter
from fake_acl import Grants
from wire import Call, Reply

INSTANCE_ATTRIBUTE = "unique.platform.aws.instance-id"
NEVER = "0001-01-01T00:00:00Z"
FORCE_TAKES = 0.2  # a forced drain takes a moment
LIVE = ("pending", "running", "unknown")

NODES = re.compile(r"/v1/nodes$")
NODE = re.compile(r"/v1/node/([^/]+)$")
DRAIN = re.compile(r"/v1/node/([^/]+)/drain$")
ELIGIBILITY = re.compile(r"/v1/node/([^/]+)/eligibility$")
PURGE = re.compile(r"/v1/node/([^/]+)/purge$")
ALLOCATIONS = re.compile(r"/v1/node/([^/]+)/allocations$")
ALL_ALLOCATIONS = re.compile(r"/v1/allocations$")
TOKEN_SELF = re.compile(r"/v1/acl/token/self$")
POLICY = re.compile(r"/v1/acl/policy/([^/]+)$")
POLICIES = re.compile(r"/v1/acl/policies$")
ROLE = re.compile(r"/v1/acl/role/(?!name/)([^/]+)$")
ROLE_BY_NAME = re.compile(r"/v1/acl/role/name/([^/]+)$")
ROLES = re.compile(r"/v1/acl/roles$")

ROUTES: list[tuple[str, re.Pattern[str], tuple[str, ...]]] = [
    ("nodes", NODES, ("GET",)),
    ("node", NODE, ("GET",)),
    ("drain", DRAIN, ("POST", "PUT")),
    ("eligibility", ELIGIBILITY, ("POST", "PUT")),
    ("purge", PURGE, ("POST", "PUT")),
    ("allocations", ALLOCATIONS, ("GET",)),
    ("all_allocations", ALL_ALLOCATIONS, ("GET",)),
    ("token_self", TOKEN_SELF, ("GET",)),
    ("policy", POLICY, ("GET",)),
    ("policies", POLICIES, ("GET",)),
    ("role", ROLE, ("GET",)),
    ("role_by_name", ROLE_BY_NAME, ("GET",)),
    ("roles", ROLES, ("GET",)),
]


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, timezone.utc)


@dataclass
class Alloc:
    """One allocation. Told to stop, it takes `stop_takes` seconds; None: until a test says `end`."""

    job: str = "web"
    type: str | None = "service"  # None: the answer says nothing of the job
    namespace: str = "default"
    stop_takes: float | None = 0.0
    runs_for: float | None = None  # then it ends by itself
    client: str = "running"
    desired: str = "run"
    looks: int | None = None  # it ends when the function has asked that often after it was told
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.time)
    told: float | None = None
    modified: float | None = None
    ended: float | None = None
    modify_index: int = 30
    watched: bool = False  # by the drainer

    @property
    def live(self) -> bool:
        return self.client in LIVE

    def ends(self) -> float | None:
        moments = []
        if self.told is not None and self.stop_takes is not None and self.looks is None:
            moments.append(self.told + self.stop_takes)
        if self.runs_for is not None:
            moments.append(self.started + self.runs_for)
        return min(moments, default=None) if self.live else None

    def document(self, node: Node) -> dict[str, Any]:
        name = f"{self.job}.app[0]"
        modified = self.modified if self.modified is not None else self.started
        return {
            "ID": self.id,
            "Namespace": self.namespace,
            "EvalID": "5c7a7a5e-0000-4000-8000-000000000000",
            "Name": name,
            "NodeID": node.id,
            "NodeName": node.name,
            "JobID": self.job,
            "Job": None if self.type is None else {
                "Region": "global",
                "Namespace": self.namespace,
                "ID": self.job,
                "Name": self.job,
                "Type": self.type,
                "Priority": 50,
                "Datacenters": ["*"],
                "TaskGroups": [
                    {
                        "Name": "app",
                        "Count": 1,
                        "Tasks": [{"Name": "main", "Driver": "exec", "KillTimeout": 5_000_000_000}],
                    }
                ],
                "Status": "running",
                "Version": 0,
            },
            "TaskGroup": "app",
            "DesiredStatus": self.desired,
            "DesiredDescription": "alloc is being migrated" if self.desired == "stop" else "",
            "DesiredTransition": {"Migrate": self.told is not None or None, "Reschedule": None},
            "ClientStatus": self.client,
            "ClientDescription": "",
            "TaskStates": {"main": {"State": "running" if self.live else "dead", "Failed": False, "Events": []}},
            "DeploymentStatus": {"Healthy": True, "Canary": False, "ModifyIndex": 20},
            "FollowupEvalID": "",
            "CreateIndex": 20,
            "ModifyIndex": self.modify_index,
            "AllocModifyIndex": self.modify_index,
            "CreateTime": int(self.started * 1e9),
            "ModifyTime": int(modified * 1e9),
        }

    def stub(self, node: Node) -> dict[str, Any]:
        left_out = ("Job", "AllocModifyIndex")
        document = self.document(node)
        return {k: v for k, v in document.items() if k not in left_out} | {"JobType": self.type, "JobVersion": 0}


@dataclass
class Node:
    """A client node, as the servers know it."""

    ip: str
    instance_id: str | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "ready"
    eligibility: str = "eligible"
    version: str = "1.10.3"
    create_index: int = 20
    listed: bool = True
    drain: dict[str, Any] | None = None
    last_drain: dict[str, Any] | None = None
    allocs: list[Alloc] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    status_updated: float = 1_790_000_000
    modify_index: int = 0
    force_at: float | None = None
    stale_reads: int = 0  # that often a read after a drain request shows what was before it
    force_deadlines: list[str] = field(default_factory=list)  # every one that it ever had

    def __post_init__(self) -> None:
        self.modify_index = self.modify_index or self.create_index + 5

    @property
    def name(self) -> str:
        return f"node-{self.id[:4]}"

    @property
    def began_to_drain(self) -> bool:
        return self.last_drain is not None

    # -- what was before the test begins

    def draining_for(
        self, left: timedelta | None, meta: dict[str, str] | None = None, began: timedelta = timedelta()
    ) -> Node:
        """Somebody has started a drain that long ago; None: one without a deadline."""
        ns = 0 if left is None else int((left + began).total_seconds() * 1e9)
        self._start(ns, False, meta, time.time() - began.total_seconds())
        return self

    def draining_by_force(self) -> Node:
        self._start(-1_000_000_000, False, None, time.time())
        self.force_at = None  # it hangs
        return self

    def drained(
        self, ago: timedelta, meta: dict[str, str] | None = None, status: str = "complete", eligible: bool = False
    ) -> Node:
        """A drain ended that long ago: `complete` or `canceled`."""
        moment = seconds(datetime.now(timezone.utc) - ago)
        began = seconds(datetime.now(timezone.utc) - ago - timedelta(minutes=1))
        self.last_drain = {
            "StartedAt": began, "UpdatedAt": moment, "Status": status, "AccessorID": "token:7a8b3c1e", "Meta": meta,
        }  # fmt: skip
        self.eligibility = "eligible" if eligible else "ineligible"
        return self

    def missed_heartbeats(self, *ago: timedelta) -> Node:
        for each in sorted(ago, reverse=True):
            self.event("Cluster", "Node heartbeat missed", time.time() - each.total_seconds())
        return self

    def event(self, subsystem: str, message: str, when: float, **details: str) -> None:
        self.events.append(
            {"CreateIndex": 0, "Details": details or None, "Message": message, "Subsystem": subsystem,
             "Timestamp": rfc3339(at(when))}
        )  # fmt: skip
        self.events = self.events[-10:]

    # -- the drain

    def apply(self, request: dict[str, Any], now: float) -> None:
        spec, meta = request.get("DrainSpec"), request.get("Meta") or None
        self.status_updated = now
        if spec is None:
            self.cancel(now, request.get("MarkEligible") is True)
            return
        kept = self.last_drain.get("Meta") if self.drain and self.last_drain else None
        self.event("Drain", "Node drain strategy updated" if self.drain else "Node drain strategy set", now)
        changed = self.drain is None or self.drain["Deadline"] != spec["Deadline"]
        self._start(spec["Deadline"], spec.get("IgnoreSystemJobs", False), meta or kept, now)
        if changed and self.is_done():
            self.complete(now, forced=False)

    def cancel(self, now: float, eligible: bool) -> None:
        self.drain, self.force_at = None, None
        self.last_drain = {**(self.last_drain or {}), "Status": "canceled", "UpdatedAt": seconds(at(now))}
        if eligible:
            self.eligibility = "eligible"
        self.event("Drain", "Node drain disabled", now)

    def _start(self, deadline_ns: int, ignore_system_jobs: bool, meta: dict[str, str] | None, now: float) -> None:
        force = rfc3339(at(now + deadline_ns / 1e9)) if deadline_ns > 0 else NEVER
        if deadline_ns:
            self.force_at = now + (deadline_ns / 1e9 if deadline_ns > 0 else FORCE_TAKES)
        else:
            self.force_at = None
        began = self.drain["StartedAt"] if self.drain else rfc3339(at(now))
        last_began = self.last_drain["StartedAt"] if self.drain and self.last_drain else seconds(at(now))
        if self.drain is None:
            for alloc in self.allocs:
                alloc.watched = alloc.live and alloc.type in ("service", "batch") and alloc.desired == "run"
        self.eligibility = "ineligible"
        self.force_deadlines.append(force)
        self.drain = {
            "Deadline": deadline_ns,
            "IgnoreSystemJobs": ignore_system_jobs,
            "ForceDeadline": force,
            "StartedAt": began,
        }
        self.last_drain = {
            "StartedAt": last_began,
            "UpdatedAt": seconds(at(now)),
            "Status": "draining",
            "AccessorID": "token:7a8b3c1e-0000-4000-8000-000000000000",
            "Meta": meta,
        }
        for alloc in self.allocs:
            if alloc.watched and alloc.type == "service":
                self.tell(alloc, now)

    @staticmethod
    def tell(alloc: Alloc, now: float) -> None:
        if alloc.live and alloc.told is None:
            alloc.told, alloc.desired, alloc.modified = now, "stop", now

    def is_done(self) -> bool:
        return not any(alloc.live and alloc.type != "system" for alloc in self.allocs)

    def complete(self, now: float, forced: bool) -> None:
        """The drain is over for the servers. That tells nothing about tasks."""
        assert self.drain is not None and self.last_drain is not None
        for alloc in self.allocs:
            if alloc.live and not (alloc.type == "system" and self.drain["IgnoreSystemJobs"]):
                self.tell(alloc, now)
        self.drain, self.force_at = None, None
        self.last_drain = {**self.last_drain, "Status": "complete", "UpdatedAt": seconds(at(now))}
        self.event("Drain", "Node drain complete", now, **({"deadline_reached": "true"} if forced else {}))

    def document(self) -> dict[str, Any]:
        attributes = {"kernel.name": "linux", "unique.network.ip-address": self.ip}
        if self.instance_id is not None:
            attributes |= {"platform.aws.ami-id": "ami-1", INSTANCE_ATTRIBUTE: self.instance_id}
        return {
            "ID": self.id,
            "Name": self.name,
            "Datacenter": "dc1",
            "HTTPAddr": f"{self.ip}:4646",
            "TLSEnabled": False,
            "Attributes": attributes,
            "Links": {},
            "Meta": {},
            "NodeClass": "",
            "NodePool": "default",
            "Drain": self.drain is not None,
            "DrainStrategy": dict(self.drain) if self.drain else None,
            "SchedulingEligibility": self.eligibility,
            "Status": self.status,
            "StatusDescription": "",
            "StatusUpdatedAt": int(self.status_updated),
            "Events": [dict(event) for event in self.events],
            "Drivers": {},
            "HostVolumes": {},
            "LastDrain": dict(self.last_drain) if self.last_drain else None,
            "CreateIndex": self.create_index,
            "ModifyIndex": self.modify_index,
        }

    def stub(self) -> dict[str, Any]:
        kept = (
            "ID", "Name", "Datacenter", "NodeClass", "NodePool", "SchedulingEligibility", "Status",
            "StatusDescription", "Drivers", "HostVolumes", "LastDrain", "CreateIndex", "ModifyIndex", "Drain",
        )  # fmt: skip
        document = self.document()
        return {"Address": self.ip, "Version": self.version, **{name: document[name] for name in kept}}


@dataclass
class FakeNomad:
    """The servers, with ACLs on: without the token there is only 403."""

    token: str
    prefix: str = ""
    nodes: list[Node] = field(default_factory=list)
    acl: bool = True
    grants: Grants = field(default_factory=Grants)
    ignores_filter: bool = False
    lies_in_list: list[Node] | None = None  # what the list shows, whatever is asked for
    lies_on_get: dict[str, Node] = field(default_factory=dict)  # whose document a GET shows
    on_drain: Callable[[Node], None] = lambda node: None  # what happens right after a drain request
    counts_system: bool = True
    index: int = 1000
    allocs_index: int = 900
    _stale: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # ---- what a test does

    def end(self, alloc: Alloc, client: str = "complete") -> None:
        with self._lock:
            self._advance(time.time())
            self._end(alloc, client, time.time())

    def cancel(self, node: Node, eligible: bool = True) -> None:
        """An operator: nomad node drain -disable."""
        with self._lock:
            self._advance(time.time())
            node.cancel(time.time(), eligible)
            self._touch(node)

    def purge(self, node: Node) -> None:
        with self._lock:
            self.nodes.remove(node)
            self.index += 1

    def running_on(self, instance_id: str) -> list[str]:
        """What really runs on that instance, or may come to run there: what no completion may cut off."""
        with self._lock:
            self._advance(time.time())
            open_nodes = [
                f"{node.name} ({node.status}, {node.eligibility}, {'draining' if node.drain else 'not draining'})"
                for node in self.nodes
                if node.instance_id == instance_id
                and (node.eligibility == "eligible" or (node.drain and node.status == "ready"))
            ]
            return open_nodes + [
                f"{alloc.job} ({alloc.type}, {alloc.client})"
                for node in self.nodes
                if node.instance_id == instance_id and node.status not in ("down", "disconnected")
                for alloc in node.allocs
                if alloc.live and (alloc.type != "system" or self.counts_system)
            ]

    def wait_until(self, test: Callable[[], bool], timeout: float) -> bool:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self._lock:
                self._advance(time.time())
                if test():
                    return True
            time.sleep(0.02)
        return False

    # ---- time passes

    def _advance(self, now: float) -> None:
        while True:
            due: list[tuple[float, Node, Alloc | None]] = []
            for node in self.nodes:
                if node.drain and node.force_at is not None and node.force_at <= now:
                    due.append((node.force_at, node, None))
                for alloc in node.allocs:
                    if (end := alloc.ends()) is not None and end <= now:
                        due.append((end, node, alloc))
            if not due:
                return
            moment, node, alloc = min(due, key=lambda item: item[0])
            if alloc is None:
                node.complete(moment, forced=True)
                self._touch(node)
            else:
                self._end(alloc, "complete", moment)

    def _end(self, alloc: Alloc, client: str, now: float) -> None:
        node = next(node for node in self.nodes if alloc in node.allocs)
        self.index += 1
        self.allocs_index = self.index
        alloc.client, alloc.modified, alloc.ended, alloc.modify_index = client, now, now, self.index
        if node.drain and alloc.watched and node.is_done():
            node.complete(now, forced=False)
            self._touch(node)

    def _touch(self, node: Node) -> int:
        self.index += 1
        node.modify_index = self.index
        return self.index

    # ---- HTTP

    def kind(self, call: Call) -> str:
        path = call.path.removeprefix(self.prefix)
        if call.path.startswith(self.prefix):
            for kind, pattern, methods in ROUTES:
                if pattern.match(path) and call.method in methods:
                    return kind
        return f"nomad:{call.method} {call.path}"

    def reply(self, call: Call) -> Reply:
        if self.acl and call.headers.get("x-nomad-token") != self.token:
            return Reply.text(403, "Permission denied")
        path = call.path.removeprefix(self.prefix)
        for kind, pattern, _ in ROUTES:
            if kind == call.kind:
                found = pattern.match(path)
                assert found is not None
                return self._after_index(call, lambda: getattr(self, f"_{kind}")(call, *found.groups()))
        return Reply.text(404, "Invalid path")

    def _after_index(self, call: Call, answer: Callable[[], Reply]) -> Reply:
        """A blocking query waits until its index has passed, or its time."""
        index = int(call.query.get("index", ["0"])[0])
        end = time.monotonic() + (_duration(call.query.get("wait", ["300s"])[0]) if index else 0)
        while True:
            with self._lock:
                self._advance(time.time())
                reply = answer()
            if time.monotonic() >= end or reply.status != 200 or int(reply.headers["X-Nomad-Index"]) > index:
                return reply
            time.sleep(0.05)

    def _nodes(self, call: Call) -> Reply:
        expression = call.query.get("filter", [None])[0]
        chosen = [node for node in self.nodes if node.listed]
        if self.lies_in_list is not None:
            chosen = self.lies_in_list
        elif expression is not None and not self.ignores_filter:
            try:
                test = compile_filter(expression)
                chosen = [node for node in chosen if test(node.document())]
            except FilterError as error:
                return Reply.text(400, f"failed to read result page: {error}")
        return _answer([node.stub() for node in chosen], self.index)

    def _node(self, call: Call, node_id: str) -> Reply:
        if stale := self._stale.get(node_id):
            document = stale.pop()
            return _answer(document, document["ModifyIndex"])
        node = self.lies_on_get.get(node_id) or self._find(node_id)
        return _answer(node.document(), node.modify_index) if node else Reply.text(404, "node not found")

    def _drain(self, call: Call, node_id: str) -> Reply:
        node = self._find(node_id)
        if node is None:
            return Reply.text(500, "node not found")
        spec = call.json.get("DrainSpec")
        if spec is not None and type(spec.get("Deadline")) is not int:
            return Reply.text(400, "json: cannot unmarshal string into Go value of type int64")
        self._stale[node_id] = [node.document() for _ in range(node.stale_reads)]
        index = self._touch(node)
        node.apply(call.json, time.time())
        for alloc in node.allocs:
            if alloc.told is not None:
                alloc.modify_index = max(alloc.modify_index, index)
        self.on_drain(node)
        return _answer({"NodeModifyIndex": index, "EvalIDs": None, "EvalCreateIndex": 0, "Index": index}, index)

    def _eligibility(self, call: Call, node_id: str) -> Reply:
        node = self._find(call.json.get("NodeID") or node_id)
        if node is None:
            return Reply.text(500, "node not found")
        wanted = call.json.get("Eligibility")
        if wanted not in ("eligible", "ineligible"):
            return Reply.text(500, f'invalid scheduling eligibility "{wanted}"')
        if wanted == "eligible" and node.drain:
            return Reply.text(500, "can not set node's scheduling eligibility to eligible while it is draining")
        index = 0
        if node.eligibility != wanted:
            node.eligibility, index = wanted, self._touch(node)
            node.event("Cluster", f"Node marked as {wanted} for scheduling", time.time())
        return _answer({"NodeModifyIndex": index, "EvalIDs": None, "EvalCreateIndex": 0, "Index": index}, index)

    def _purge(self, call: Call, node_id: str) -> Reply:
        node = self._find(node_id)
        if node is None:
            return Reply.text(500, "node not found")
        self.purge(node)
        return _answer({"EvalIDs": None, "EvalCreateIndex": 0, "NodeModifyIndex": self.index}, self.index)

    def _allocations(self, call: Call, node_id: str) -> Reply:
        node = self._find(node_id)
        if node is None:
            return _answer([], self.allocs_index)
        for alloc in node.allocs:
            if alloc.live and alloc.told is not None and alloc.looks is not None:
                alloc.looks -= 1
                if alloc.looks < 0:
                    self._end(alloc, "complete", time.time())
        index = max((alloc.modify_index for alloc in node.allocs), default=self.allocs_index)
        return _answer([alloc.document(node) for alloc in node.allocs if self._sees(alloc)], index)

    def _all_allocations(self, call: Call) -> Reply:
        if self.acl and not self.grants.management and not any(
            self.grants.sees(alloc.namespace) for node in self.nodes for alloc in node.allocs
        ):
            return Reply.text(403, "Permission denied")
        expression = call.query.get("filter", [None])[0]
        try:
            test = compile_filter(expression) if expression else (lambda document: True)
            shown = [
                alloc.stub(node)
                for node in self.nodes
                for alloc in node.allocs
                if self._sees(alloc) and test(alloc.document(node))
            ]
        except FilterError as error:
            return Reply.text(400, f"failed to read result page: {error}")
        return _answer(shown, self.index)

    def _sees(self, alloc: Alloc) -> bool:
        return not self.acl or self.grants.sees(alloc.namespace)

    def _token_self(self, call: Call) -> Reply:
        if not self.acl:
            return Reply.text(400, "ACL support disabled")
        return _answer(self.grants.token(self.token), 14)

    def _policy(self, call: Call, name: str) -> Reply:
        grants = self.grants
        allowed = grants.management or name in grants.all()
        if not allowed or name in grants.unreadable:
            return Reply.text(403, "Permission denied")
        if name not in grants.policies:
            return Reply.text(404, "ACL policy not found")
        return _answer(grants.policies[name].document(name), 9)

    def _policies(self, call: Call) -> Reply:
        names = sorted(self.grants.all() & set(self.grants.policies))
        return _answer([self.grants.policies[name].stub(name) for name in names], 12)

    def _role(self, call: Call, role_id: str) -> Reply:
        for name in self.grants.roles:
            if self.grants.role_id(name) == role_id:
                return _answer(self.grants.role(name), 13)
        return Reply.text(403, "Permission denied")

    def _role_by_name(self, call: Call, name: str) -> Reply:
        if name in self.grants.roles:
            return _answer(self.grants.role(name), 13)
        return Reply.text(403, "Permission denied")

    def _roles(self, call: Call) -> Reply:
        return _answer([self.grants.role(name) for name in self.grants.roles], 13)

    def _find(self, node_id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == node_id), None)


@dataclass
class FakeAgent:
    """The agent on an instance. It says which node it is, and nothing else."""

    token: str
    node_id: str | None
    acl: bool = True

    def kind(self, call: Call) -> str:
        return "agent" if call.path == "/v1/agent/self" else f"agent:{call.method} {call.path}"

    def reply(self, call: Call) -> Reply:
        if self.acl and call.headers.get("x-nomad-token") != self.token:
            return Reply.text(403, "Permission denied")
        if call.kind != "agent":
            return Reply.text(404, "Invalid path")
        stats: dict[str, Any] = {"runtime": {"arch": "amd64", "version": "go1.24"}}
        if self.node_id is not None:
            stats["client"] = {
                "node_id": self.node_id,
                "known_servers": "127.0.0.1:4647",
                "num_allocations": "3",
                "last_heartbeat": "1.2s",
                "heartbeat_ttl": "13.5s",
            }
        member = {"Name": "", "Addr": None, "Port": 0, "Tags": None, "Status": ""}
        return _answer({"config": {"Datacenter": "dc1", "Region": "global"}, "member": member, "stats": stats}, 99)


def _answer(value: Any, index: int) -> Reply:
    headers = {"X-Nomad-Index": str(index), "X-Nomad-KnownLeader": "true", "X-Nomad-LastContact": "0"}
    return Reply.json(value, **headers)


def _duration(text: str) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)(ms|s|m|h)", text))
