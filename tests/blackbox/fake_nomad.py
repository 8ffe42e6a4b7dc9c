"""Nomad servers (node list, node, drain) and the agent of one node."""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from bexpr import FilterError, compile_filter
from wire import Call, Reply

INSTANCE_ATTRIBUTE = "unique.platform.aws.instance-id"
NEVER = "0001-01-01T00:00:00Z"

NODES = re.compile(r"/v1/nodes$")
NODE = re.compile(r"/v1/node/([^/]+)$")
DRAIN = re.compile(r"/v1/node/([^/]+)/drain$")


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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

    def draining_for(self, left: timedelta | None, meta: dict[str, str] | None = None) -> Node:
        """Somebody has started a drain; None: one without a deadline."""
        ns = 0 if left is None else int(left.total_seconds() * 1e9)
        self._start(ns, False, meta)
        return self

    def draining_by_force(self) -> Node:
        self._start(-1_000_000_000, False, None)
        return self

    def apply(self, request: dict[str, Any]) -> None:
        spec, meta = request.get("DrainSpec"), request.get("Meta") or None
        if spec is None:
            self.drain, self.last_drain = None, {**(self.last_drain or {}), "Status": "canceled"}
            return
        kept = self.last_drain.get("Meta") if self.drain and self.last_drain else None
        self._start(spec["Deadline"], spec.get("IgnoreSystemJobs", False), meta or kept)

    def _start(self, deadline_ns: int, ignore_system_jobs: bool, meta: dict[str, str] | None) -> None:
        now = datetime.now(timezone.utc)
        force = rfc3339(now + timedelta(microseconds=deadline_ns / 1000)) if deadline_ns > 0 else NEVER
        started = self.drain["StartedAt"] if self.drain else rfc3339(now)
        self.eligibility = "ineligible"
        self.drain = {
            "Deadline": deadline_ns,
            "IgnoreSystemJobs": ignore_system_jobs,
            "ForceDeadline": force,
            "StartedAt": started,
        }
        self.last_drain = {
            "StartedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "UpdatedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Status": "draining",
            "AccessorID": "token:7a8b3c1e-0000-4000-8000-000000000000",
            "Meta": meta,
        }

    def document(self) -> dict[str, Any]:
        attributes = {"kernel.name": "linux", "unique.network.ip-address": self.ip}
        if self.instance_id is not None:
            attributes |= {"platform.aws.ami-id": "ami-1", INSTANCE_ATTRIBUTE: self.instance_id}
        return {
            "ID": self.id,
            "Name": f"node-{self.id[:4]}",
            "Datacenter": "dc1",
            "HTTPAddr": f"{self.ip}:4646",
            "TLSEnabled": False,
            "Attributes": attributes,
            "Links": {},
            "Meta": {},
            "NodeClass": "",
            "NodePool": "default",
            "Drain": self.drain is not None,
            "DrainStrategy": self.drain,
            "SchedulingEligibility": self.eligibility,
            "Status": self.status,
            "StatusDescription": "",
            "StatusUpdatedAt": 1790000000,
            "Events": [],
            "Drivers": {},
            "HostVolumes": {},
            "LastDrain": self.last_drain,
            "CreateIndex": self.create_index,
            "ModifyIndex": self.create_index + 5,
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
    ignores_filter: bool = False
    lies_in_list: list[Node] | None = None  # what the list shows, whatever is asked for
    lies_on_get: dict[str, Node] = field(default_factory=dict)  # whose document a GET shows
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def kind(self, call: Call) -> str:
        path = call.path.removeprefix(self.prefix)
        if not call.path.startswith(self.prefix):
            return f"nomad:{call.method} {call.path}"
        if NODES.match(path) and call.method == "GET":
            return "nodes"
        if NODE.match(path) and call.method == "GET":
            return "node"
        if DRAIN.match(path) and call.method in ("POST", "PUT"):
            return "drain"
        return f"nomad:{call.method} {path}"

    def reply(self, call: Call) -> Reply:
        if self.acl and call.headers.get("x-nomad-token") != self.token:
            return Reply.text(403, "Permission denied")
        path = call.path.removeprefix(self.prefix)
        with self._lock:
            match call.kind:
                case "nodes":
                    return self._list(call)
                case "node":
                    return self._get(NODE.match(path)[1])
                case "drain":
                    return self._drain(DRAIN.match(path)[1], call)
        if path.endswith("/allocations"):
            return _answer([])
        return Reply.text(404, "Invalid path")

    def _list(self, call: Call) -> Reply:
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
        return _answer([node.stub() for node in chosen])

    def _get(self, node_id: str) -> Reply:
        node = self.lies_on_get.get(node_id) or self._find(node_id)
        return _answer(node.document()) if node else Reply.text(404, "node not found")

    def _drain(self, node_id: str, call: Call) -> Reply:
        node = self._find(node_id)
        if node is None:
            return Reply.text(500, "node not found")
        spec = call.json.get("DrainSpec")
        if spec is not None and type(spec.get("Deadline")) is not int:
            return Reply.text(400, "json: cannot unmarshal string into Go value of type int64")
        node.apply(call.json)
        return _answer({"NodeModifyIndex": 99, "EvalIDs": None, "EvalCreateIndex": 0, "Index": 99})

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
        return _answer({"config": {"Datacenter": "dc1", "Region": "global"}, "member": member, "stats": stats})


def _answer(value: Any) -> Reply:
    headers = {"X-Nomad-Index": "99", "X-Nomad-KnownLeader": "true", "X-Nomad-LastContact": "0"}
    return Reply.json(value, **headers)
