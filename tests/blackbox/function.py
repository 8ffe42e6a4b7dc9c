"""One `bootstrap` process and the Lambda Runtime API that it talks to."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from wire import Call, Journal, Reply, Server

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = "/2018-06-01/runtime"
DEFAULT_DEADLINE = 20.0


def bootstrap() -> Path:
    """The binary under test: $BOOTSTRAP, or what cargo built last."""
    if named := os.environ.get("BOOTSTRAP"):
        return Path(named).resolve()
    built = [ROOT / "target" / profile / "bootstrap" for profile in ("release", "debug")]
    found = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"build the function or set BOOTSTRAP; looked for {', '.join(map(str, built))}")
    return found[-1]


@dataclass
class Answer:
    """What the function said about one event."""

    ok: bool
    text: str
    seconds: float

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error_type(self) -> str | None:
        return None if self.ok else self.body.get("errorType")

    @property
    def error(self) -> str:
        return "" if self.ok else self.body.get("errorMessage", "")

    @property
    def results(self) -> list[dict[str, Any]]:
        return self.body["results"] if self.ok else []

    def __str__(self) -> str:
        return f"{'response' if self.ok else 'error'} after {self.seconds:.2f} s: {self.text}"


SEEN_REASONS: set[str] = set()  # in this run, in any test


class Died(AssertionError):
    pass


@dataclass
class _Invocation:
    request_id: str
    payload: bytes
    seconds: float
    handed_out: float = 0.0


class _RuntimeApi:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.polled = threading.Event()
        self.idle = threading.Event()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.pending: queue.Queue[_Invocation] = queue.Queue()
        self.said: list[str] = []
        self.init_errors: list[str] = []
        self._open: dict[str, _Invocation] = {}

    def kind(self, call: Call) -> str:
        return call.path.removeprefix(RUNTIME).rsplit("/", 1)[-1]

    def reply(self, call: Call) -> Reply:
        if call.path == f"{RUNTIME}/invocation/next":
            return self._next()
        self.said.append(f"{call.headers} {call.body.decode('utf-8', 'replace')}")
        if call.path == f"{RUNTIME}/init/error":
            self.init_errors.append(call.body.decode("utf-8", "replace"))
            return Reply.json({"status": "OK"}, 202)
        match = re.fullmatch(rf"{RUNTIME}/invocation/([^/]+)/(response|error)", call.path)
        invocation = self._open.pop(match[1], None) if match else None
        if match is None or invocation is None:
            return Reply.json({"errorType": "InvalidRequestID"}, 400)
        seconds = call.at - invocation.handed_out
        self.answers.put(Answer(match[2] == "response", call.body.decode("utf-8", "replace"), seconds))
        return Reply.json({"status": "OK"}, 202)

    def _next(self) -> Reply:
        self.polled.set()
        self.idle.set()
        while not self.journal.closing.is_set():
            try:
                invocation = self.pending.get(timeout=0.2)
            except queue.Empty:
                continue
            self.idle.clear()
            self._open[invocation.request_id] = invocation
            invocation.handed_out = time.monotonic()
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + invocation.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:drain",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            }
            return Reply(200, invocation.payload, headers)
        return Reply.text(410, "the test is over")


class Function:
    """A running function. It is started at once and killed by `close`."""

    def __init__(self, variables: dict[str, str], folder: Path, happens: Callable[[Any], None]) -> None:
        folder.mkdir()
        self._happens = happens  # is told of every event before the function is
        self.answers: list[Answer] = []
        self._journal = Journal()
        self._api = _RuntimeApi(self._journal)
        self._server = Server(self._api, self._journal)
        self._output = [folder / "stdout", folder / "stderr"]
        with open(self._output[0], "wb") as stdout, open(self._output[1], "wb") as stderr:
            self._process = subprocess.Popen(
                [bootstrap()],
                env=self._environment() | variables,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_LAMBDA_RUNTIME_API": f"{self._server.host}:{self._server.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "nomad-drain",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def init_errors(self) -> list[str]:
        return self._api.init_errors

    @property
    def said(self) -> str:
        """Everything it has posted to the Runtime API."""
        return "\n".join(self._api.said)

    @property
    def output(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in self._output)

    def wait_ready(self, timeout: float = 20.0) -> Function:
        """Until it asks for its first event."""
        end = time.monotonic() + timeout
        while not self._api.polled.wait(0.02):
            self._check_alive("before its first event")
            if time.monotonic() > end:
                raise AssertionError(f"no poll for an event within {timeout:.0f} s\n{self.output}")
        return self

    def wait_idle(self, timeout: float = DEFAULT_DEADLINE) -> None:
        """Until it asks for its next event, having answered the last one."""
        if not self._api.idle.wait(timeout):
            raise AssertionError(f"no poll for the next event within {timeout:.0f} s")

    def hand_out(self, event: Any, deadline: float = DEFAULT_DEADLINE) -> None:
        self._happens(event)
        payload = json.dumps(event).encode()
        self._api.pending.put(_Invocation(str(uuid.uuid4()), payload, deadline))

    def answer(self, timeout: float = DEFAULT_DEADLINE) -> Answer:
        end = time.monotonic() + timeout
        while True:
            try:
                answer = self._api.answers.get(timeout=0.05)
                self.answers.append(answer)
                return answer
            except queue.Empty:
                self._check_alive("during an invocation")
            if time.monotonic() > end:
                raise AssertionError(f"no answer within {timeout:.0f} s, Lambda kills it\n{self.output[-4000:]}")

    def invoke(self, event: Any, deadline: float = DEFAULT_DEADLINE) -> Answer:
        self.wait_ready().hand_out(event, deadline)
        return self.answer(deadline + 0.5)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._journal.closing.set()
        self._server.close()

    def _check_alive(self, when: str) -> None:
        if not self.alive:
            raise Died(f"the function exited with {self._process.returncode} {when}\n{self.output[-4000:]}")
