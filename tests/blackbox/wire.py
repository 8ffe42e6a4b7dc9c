"""A small HTTP/1.1 server for fakes: it records every request, and fails on demand.

A fake is an object with two methods: `kind(call)` names a request in one word, and
`reply(call)` answers it. The journal keeps the requests of all fakes of one world in
the order in which they were received in full.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Protocol
from urllib.parse import parse_qs, urlsplit


@dataclass
class Call:
    """One request, as the fake has seen it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    host: str
    port: int
    at: float = field(default_factory=time.monotonic)
    kind: str = ""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, str]:
        """The parameters of an AWS query call, wherever the client put them."""
        pairs = {**self.query, **parse_qs(self.body.decode("utf-8", "replace"))}
        return {name: values[-1] for name, values in pairs.items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.kind}({self.method} {self.target})"


@dataclass
class Reply:
    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        return cls(status, json.dumps(value), {"Content-Type": "application/json", **headers})

    @classmethod
    def text(cls, status: int, body: str) -> Reply:
        return cls(status, body, {"Content-Type": "text/plain; charset=utf-8"})


class Fault(Enum):
    """What can happen to an answer."""

    RESET = "the connection is reset after the request was read"
    HANG = "the request is read and never answered"
    HANG_UP = "the answer is given, then the connection is closed without a word"


class Fake(Protocol):
    def kind(self, call: Call) -> str: ...

    def reply(self, call: Call) -> Reply: ...


@dataclass
class _Plan:
    answer: Reply | Fault
    times: int | None
    applied: bool


class Journal:
    """What was asked in one world, and which requests are to fail."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self.crashes: list[str] = []
        self.on_call: Callable[[Call], None] = lambda call: None  # before a request is served
        self.on_reply: Callable[[Call], None] = lambda call: None  # when it was, before the answer is sent
        self._changed = threading.Condition()
        self._calls: list[Call] = []
        self._plans: dict[str, list[_Plan]] = defaultdict(list)

    @property
    def calls(self) -> list[Call]:
        with self._changed:
            return list(self._calls)

    def of(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call.kind == kind]

    def fail(self, kind: str, answer: Reply | Fault, times: int | None = 1, applied: bool = False) -> None:
        """The next `times` requests of that kind (None: all) get this answer.
        `applied`: the fake does its work first, only the answer is lost."""
        with self._changed:
            self._plans[kind].append(_Plan(answer, times, applied))

    def wait_for(self, kind: str, count: int, timeout: float) -> list[Call]:
        """Waits until that many requests of that kind have come in; returns what has."""
        with self._changed:
            self._changed.wait_for(lambda: self._count(kind) >= count, timeout)
        return self.of(kind)

    def answer(self, fake: Fake, call: Call) -> Reply | Fault:
        call.kind = fake.kind(call)
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
            plan = self._next_plan(call.kind)
        self.on_call(call)
        if plan is None:
            reply = fake.reply(call)
            self.on_reply(call)
            return reply
        if plan.answer is Fault.HANG_UP:
            return replace(fake.reply(call), hang_up=True)
        if plan.applied:
            fake.reply(call)
        return plan.answer

    def _count(self, kind: str) -> int:
        return sum(1 for call in self._calls if call.kind == kind)

    def _next_plan(self, kind: str) -> _Plan | None:
        plans = self._plans[kind]
        if not plans:
            return None
        plan = plans[0]
        if plan.times is not None:
            plan.times -= 1
            if plan.times == 0:
                plans.pop(0)
        return plan


class Server:
    """Serves one fake on one address until it is closed."""

    def __init__(
        self,
        fake: Fake,
        journal: Journal,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        handler = type("Handler", (_Handler,), {"fake": fake, "journal": journal})
        self._http = _Listener((host, port), handler)
        self._http.journal = journal
        if tls is not None:
            self._http.socket = tls.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self.host, self.port = self._http.server_address[:2]
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{self.host}:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many have been opened so far."""
        return len(self._http.connections)

    def drop_connections(self) -> None:
        """As servers and balancers do with idle ones."""
        for connection in self._http.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    journal: Journal

    def __init__(self, address: tuple[str, int], handler: type) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer.server_bind asks the resolver for a host name; nothing here needs one.
        if self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            self.journal.crashes.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: Fake
    journal: Journal

    def _serve(self) -> None:
        host, port = self.connection.getsockname()[:2]
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, self._read_body(), host, port)
        answer = self.journal.answer(self.fake, call)
        if answer is Fault.HANG:
            self.journal.closing.wait(120)
            self.close_connection = True
        elif answer is Fault.RESET:
            self._reset()
        else:
            self._send(call, answer)
            self.close_connection |= answer.hang_up

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _send(self, call: Call, reply: Reply) -> None:
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        headers = dict(reply.headers)
        if body and "gzip" in call.headers.get("accept-encoding", ""):
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        head = f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('',))[0]}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.wfile.write(head.encode() + b"\r\n" + body)  # one segment: no Nagle, no waiting

    def _reset(self) -> None:
        linger_zero = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass
