"""The archives of the operator's tool: what is in them, that they need nothing, and that what fetches them names what is released."""

from __future__ import annotations

import re
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from binaries import ARM64, Wanted, make

from lambda_package import elf, tool
from lambda_package.architecture import ARCHITECTURES, X86_64
from lambda_package.architecture import ARM64 as ARM

ROOT = Path(__file__).resolve().parents[2]
# A program that says of itself what the real one does.
PROGRAM = b"""#!/bin/sh
case "$1" in
    man) echo '.TH nomad-drain 1' ;;
    completions) echo "for $2" ;;
    *) exit 2 ;;
esac
"""


class Archive(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def native(self) -> mock._patch[bool]:
        return mock.patch("lambda_package.architecture.Architecture.is_native", new=True)

    def test_the_program_lies_at_the_top_with_its_manual_and_completions(self) -> None:
        with self.native():
            tool.write(self.folder / "made.tar.gz", tool.files(PROGRAM, X86_64, b"licence"))
        with tarfile.open(self.folder / "made.tar.gz") as archive:
            modes = {entry.name: oct(entry.mode) for entry in archive}
            page = archive.extractfile("nomad-drain.1")
            assert page is not None
            self.assertEqual(page.read(), b".TH nomad-drain 1\n")
        self.assertEqual(modes, {
            "LICENSE": "0o644", "nomad-drain": "0o755", "nomad-drain.1": "0o644", "completions/_nomad-drain": "0o644",
            "completions/nomad-drain.bash": "0o644", "completions/nomad-drain.fish": "0o644",
        })

    def test_equal_programs_give_equal_archives(self) -> None:
        contents = {"nomad-drain": b"program", "LICENSE": b"licence"}
        tool.write(self.folder / "one.tar.gz", contents)
        tool.write(self.folder / "other.tar.gz", dict(reversed(contents.items())))
        self.assertEqual((self.folder / "one.tar.gz").read_bytes(), (self.folder / "other.tar.gz").read_bytes())

    def test_a_program_that_does_not_run_is_not_packed(self) -> None:
        with self.native(), self.assertRaisesRegex(tool.Failed, "nomad-drain man ended with 3: broken"):
            tool.files(b"#!/bin/sh\necho broken >&2; exit 3\n", X86_64, b"")
        with self.native(), self.assertRaisesRegex(tool.Failed, "which is no manual"):
            tool.files(b"#!/bin/sh\necho hello\n", X86_64, b"")

    def test_it_needs_no_library(self) -> None:
        self.assertEqual(tool.problems(elf.read(make(Wanted())), X86_64), [])
        found = tool.problems(elf.read(make(Wanted(ARM64, libraries=["libc.so.6"]))), X86_64)
        self.assertEqual(len(found), 2)
        self.assertIn("libc.so.6", found[1])

    def test_another_architecture_runs_under_qemu(self) -> None:
        foreign = mock.patch("lambda_package.architecture.Architecture.is_native", new=False)
        with foreign, mock.patch.object(tool.shutil, "which", return_value=None):
            self.assertIn("qemu-aarch64-static", str(tool.why_not(ARM)))
        with foreign, mock.patch.object(tool.shutil, "which", return_value="/usr/bin/qemu-aarch64-static"):
            self.assertIsNone(tool.why_not(ARM))


class Names(unittest.TestCase):
    """What a release has, what Nomad's job fetches, and what the documents tell people to fetch."""

    released = {one.tool_archive for one in ARCHITECTURES.values()}

    def test_the_job_fetches_what_is_released(self) -> None:
        job = (ROOT / "deploy/nomad/nomad-drain-sweep.nomad.hcl").read_text()
        source, = re.findall(r'source = "(.*)"', job)
        self.assertTrue(source.startswith("${var.release}/"), source)
        # In Nomad's own words for what it runs on (Nomad documentation, "Node attributes").
        fetched = {
            source.removeprefix("${var.release}/").replace("${attr.kernel.name}", "linux").replace("${attr.cpu.arch}", arch)
            for arch in ("amd64", "arm64")
        }
        self.assertEqual(fetched, self.released)

    def test_documents_and_workflow_name_what_is_released(self) -> None:
        for path in ("docs/operator-tool.md", "docs/package.md", ".github/workflows/release.yml"):
            named = set(re.findall(r"nomad-drain_[a-z0-9_]+\.tar\.gz", (ROOT / path).read_text()))
            self.assertEqual(named, self.released, path)

    def test_nothing_else_is_named_anywhere(self) -> None:
        for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.hcl"), ROOT / "README.md", ROOT / "CHANGELOG.md"]:
            named = set(re.findall(r"nomad-drain_[a-z0-9_]+\.tar\.gz", path.read_text()))
            self.assertLessEqual(named, self.released, path)


if __name__ == "__main__":
    unittest.main()
