"""The zip that Lambda takes, and what says that it is the right one."""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from lambda_package import archive

BINARY = b"\x7fELF" + bytes(range(256)) * 40


class Package(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.package = self.folder / "lambda-nomad-drain-x86_64.zip"

    def test_bootstrap_is_at_the_root_and_everybody_may_execute_it(self) -> None:
        archive.write(self.package, {"bootstrap": BINARY})
        with zipfile.ZipFile(self.package) as package:
            self.assertEqual(package.namelist(), ["bootstrap"])
            self.assertEqual(package.read("bootstrap"), BINARY)
            (entry,) = package.infolist()
        mode = entry.external_attr >> 16
        self.assertTrue(stat.S_ISREG(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o755)
        self.assertEqual(entry.create_system, 3, "the mode is one of Unix")
        self.assertLess(entry.compress_size, entry.file_size)

    @unittest.skipUnless(shutil.which("unzip"), "there is no unzip")
    def test_another_program_unpacks_it_as_it_was_packed(self) -> None:
        archive.write(self.package, {"bootstrap": BINARY})
        subprocess.run(["unzip", "-q", self.package, "-d", self.folder / "out"], check=True)
        unpacked = self.folder / "out/bootstrap"
        self.assertEqual(unpacked.read_bytes(), BINARY)
        self.assertTrue(os.access(unpacked, os.X_OK))

    def test_equal_files_give_equal_bytes_whenever_and_in_whatever_order(self) -> None:
        other = self.folder / "other.zip"
        archive.write(self.package, {"bootstrap": BINARY, "nomad-ca.pem": b"authority"})
        archive.write(other, {"nomad-ca.pem": b"authority", "bootstrap": BINARY})
        self.assertEqual(self.package.read_bytes(), other.read_bytes())
        with zipfile.ZipFile(self.package) as package:
            self.assertEqual({entry.date_time for entry in package.infolist()}, {(1980, 1, 1, 0, 0, 0)})

    def test_a_difference_is_found_where_it_begins(self) -> None:
        self.assertIsNone(archive.first_difference(BINARY, BINARY))
        self.assertEqual(archive.first_difference(b"abcd", b"abXd"), 2)
        self.assertEqual(archive.first_difference(b"abcd", b"ab"), 2)

    def test_checksums_are_those_of_what_is_released_and_sha256sum_takes_them(self) -> None:
        for name in ("lambda-nomad-drain-x86_64.zip", "lambda-nomad-drain.cdx.json", "notes.txt", "SHA256SUMS"):
            (self.folder / name).write_bytes(name.encode())
        listed = archive.checksums(self.folder)
        names = ["lambda-nomad-drain-x86_64.zip", "lambda-nomad-drain.cdx.json"]
        self.assertEqual(listed, "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names))
        if shutil.which("sha256sum"):
            subprocess.run(["sha256sum", "--check", "--quiet"], input=listed.encode(), cwd=self.folder, check=True)


if __name__ == "__main__":
    unittest.main()
