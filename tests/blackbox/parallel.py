"""Runs the tests of a module on a few threads: nearly all of their time is waiting.

A test module asks for it with `from parallel import load_tests`.
"""

from __future__ import annotations

import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator

THREADS = 8


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    return _ParallelSuite(_flatten(tests))


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
    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        with ThreadPoolExecutor(THREADS) as pool:
            for recording in pool.map(self._run_one, list(self)):
                for name, arguments in recording.told:
                    getattr(result, name)(*arguments)
        return result

    @staticmethod
    def _run_one(test: unittest.TestCase) -> _Recording:
        recording = _Recording()
        test.run(recording)
        return recording
