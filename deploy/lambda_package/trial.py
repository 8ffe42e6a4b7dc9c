"""Runs a package's binary once: it starts, asks the Lambda Runtime API for its first event, and answers it.

The event is Auto Scaling's test notification, which the function ignores without a call to anybody.
"""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .architecture import Architecture

EVENT = {"Event": "autoscaling:TEST_NOTIFICATION", "Service": "AWS Auto Scaling"}
EXPECTED = "test_notification"
# Long enough for an emulator on a busy machine; the answer itself takes milliseconds.
_PATIENCE_SECONDS = 120


class Failed(Exception):
    """The binary did not answer as it should."""


def why_not(architecture: Architecture) -> str | None:
    """Why this machine cannot run its binaries, or nothing if it can."""
    if architecture.is_native:
        return None
    if not shutil.which(architecture.qemu):
        return f"there is no {architecture.qemu} (Debian: qemu-user-static)"
    if not Path(architecture.sysroot, "lib").is_dir():
        return f"there is no glibc in {architecture.sysroot} (Debian: libc6-{architecture.lambda_name}-cross)"
    return None


def run(binary: bytes, architecture: Architecture) -> str:
    """Runs the binary, under QEMU where the machine is another, and returns its answer to the event."""
    with tempfile.TemporaryDirectory() as folder:
        bootstrap = Path(folder, "bootstrap")
        bootstrap.write_bytes(binary)
        bootstrap.chmod(0o755)
        emulator = [] if architecture.is_native else [architecture.qemu, "-L", architecture.sysroot]
        api = _RuntimeApi()
        log = Path(folder, "log")
        try:
            with log.open("wb") as output:
                process = subprocess.Popen([*emulator, bootstrap], env=_environment(api.port), stdout=output, stderr=output)
                try:
                    kind, body = _answer(process, api)
                finally:
                    process.kill()
                    process.wait()
        except Failed as failure:
            raise Failed(f"{failure}; its log: {log.read_text(errors='replace').strip() or 'empty'}") from failure
        finally:
            api.close()
    if kind != "response" or EXPECTED not in body:
        raise Failed(f"it answered the test notification with the {kind} {body}")
    return body


def _answer(process: subprocess.Popen[bytes], api: _RuntimeApi) -> tuple[str, str]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            return api.answers.get(timeout=0.1)
        except queue.Empty:
            if process.poll() is not None:
                raise Failed(f"it ended with {process.returncode} before it answered") from None
    raise Failed(f"it did not answer within {_PATIENCE_SECONDS} s")


def _environment(port: int) -> dict[str, str]:
    # Nothing of ours: what makes it work here has to be what Lambda gives it.
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "nomad-drain",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_REGION": "eu-west-1",
        "ENV": "package",
        "REGION": "eu-west-1",
        "PATH": os.defpath,
    }


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        # The binary is ended while it waits for a second event: that it hangs up then is no failure to be printed.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _RuntimeApi:
    """As much of the Lambda Runtime API as one event needs."""

    def __init__(self) -> None:
        self.answers: queue.Queue[tuple[str, str]] = queue.Queue()
        self._ended = threading.Event()
        answers, ended, handed_out = self.answers, self._ended, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if handed_out.is_set():
                    ended.wait(_PATIENCE_SECONDS)  # there is no second event
                    return
                handed_out.set()
                body = json.dumps(EVENT).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 60) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:f")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self._body().decode(errors="replace")
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                answers.put((self.path.rsplit("/", 1)[-1], body))

            def _body(self) -> bytes:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
