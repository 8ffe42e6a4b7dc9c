"""The binary runs once: it has to ask for its event, and to answer it."""

import contextlib
import io
import sys
import unittest
from dataclasses import replace
from unittest import mock

from lambda_package import trial
from lambda_package.architecture import ARM64, X86_64

HERE = X86_64 if X86_64.is_native else ARM64
# A function that asks for an event as every runtime does, and answers as it is told to.
FUNCTION = f"""#!{sys.executable}
import os, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
with urllib.request.urlopen(api + "next") as event:
    request_id, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
assert b"TEST_NOTIFICATION" in body
urllib.request.urlopen(urllib.request.Request(api + request_id + "/KIND", data=ANSWER, method="POST"))
urllib.request.urlopen(api + "next")
"""


def function(kind: str, answer: bytes) -> bytes:
    return FUNCTION.replace("KIND", kind).replace("ANSWER", repr(answer)).encode()


@unittest.skipUnless(HERE.is_native, "neither of Lambda's architectures is this machine's")
class Trial(unittest.TestCase):
    def test_a_function_that_ignores_the_test_notification_has_passed(self) -> None:
        answer = trial.run(function("response", b'{"reason":"test_notification"}'), HERE)
        self.assertEqual(answer, '{"reason":"test_notification"}')

    def test_another_answer_is_a_failure_that_quotes_it(self) -> None:
        for kind, answer in (("response", b'{"reason":"other_hook"}'), ("error", b'{"errorMessage":"test_notification"}')):
            with self.subTest(kind), self.assertRaises(trial.Failed) as failure:
                trial.run(function(kind, answer), HERE)
            self.assertIn(answer.decode(), str(failure.exception))

    def test_a_function_that_ends_before_it_answers_is_a_failure_that_quotes_its_log(self) -> None:
        with self.assertRaises(trial.Failed) as failure:
            trial.run(b"#!/bin/sh\necho cannot load libssl >&2\nexit 127\n", HERE)
        self.assertIn("ended with 127", str(failure.exception))
        self.assertIn("cannot load libssl", str(failure.exception))

    def test_that_a_function_hangs_up_when_it_is_ended_is_not_printed(self) -> None:
        def printed(error: Exception) -> str:
            server, output = trial._Server(("127.0.0.1", 0), mock.Mock), io.StringIO()
            with contextlib.closing(server.socket), contextlib.redirect_stderr(output):
                try:
                    raise error
                except Exception:
                    server.handle_error(None, ("127.0.0.1", 1))
            return output.getvalue()

        self.assertEqual(printed(ConnectionResetError()), "")
        self.assertIn("ValueError: something else", printed(ValueError("something else")))

    def test_it_gets_nothing_from_our_environment(self) -> None:
        with mock.patch.dict(trial.os.environ, {"NOMAD_TOKEN": "of the person who builds"}):
            self.assertNotIn("NOMAD_TOKEN", trial._environment(1))


class Emulation(unittest.TestCase):
    def test_a_foreign_binary_needs_the_emulator_and_a_glibc_and_each_is_named(self) -> None:
        foreign = replace(ARM64, lambda_name="arm64", rust_target="mips-unknown", qemu="qemu-nowhere", sysroot="/nowhere")
        with mock.patch("platform.machine", return_value="x86_64"):
            self.assertIn("qemu-nowhere", str(trial.why_not(foreign)))
            self.assertIn("/nowhere", str(trial.why_not(replace(foreign, qemu="sh"))))
            self.assertIsNone(trial.why_not(replace(foreign, qemu="sh", sysroot="/usr")))
        self.assertIsNone(trial.why_not(HERE) if HERE.is_native else None)


if __name__ == "__main__":
    unittest.main()
