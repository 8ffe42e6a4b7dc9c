"""Runs last: every reason that a result gave in this run is explained to operators."""

import unittest

from function import ROOT, SEEN_REASONS


class Reasons(unittest.TestCase):
    def test_each_is_explained(self) -> None:
        explained = (ROOT / "docs" / "operations.md").read_text("utf-8")
        self.assertEqual([reason for reason in sorted(SEEN_REASONS) if f"`{reason}`" not in explained], [])
