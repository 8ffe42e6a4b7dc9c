"""Runs tests on many threads: nearly all of their time is waiting.

A test module asks for it with `from parallel import load_tests`. The tests of all such modules share
the threads, from the moment on when the first of them is run; they are reported module by module.
"""

from __future__ import annotations

import unittest
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Iterator

THREADS = 24
_waiting: list[_ParallelSuite] = []
_pool = ThreadPoolExecutor(THREADS)


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    suite = _ParallelSuite(_flatten(tests))
    _waiting.append(suite)
    return suite


def _flatten(suite: Any) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flatten(item)
        else:
            yield item


class _Recording(unittest.TestResult):
    """Keeps one test's outcome, to be told to the real result later."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, tuple[Any, ...]]] = []


def _recorder(name: str) -> Any:
    return lambda self, *arguments: self.told.append((name, arguments))


for _name in (
    "startTest", "stopTest", "addSuccess", "addError", "addFailure", "addSkip", "addSubTest",
    "addExpectedFailure", "addUnexpectedSuccess",
):  # fmt: skip
    setattr(_Recording, _name, _recorder(_name))


class _ParallelSuite(unittest.TestSuite):
    started: list[Future[_Recording]] | None = None

    def start(self) -> None:
        self.started = [_pool.submit(self._run_one, test) for test in self]

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        while _waiting:
            _waiting.pop(0).start()
        for future in self.started or []:
            for name, arguments in future.result().told:
                getattr(result, name)(*arguments)
        return result

    @staticmethod
    def _run_one(test: unittest.TestCase) -> _Recording:
        recording = _Recording()
        test.run(recording)
        return recording
