"""What a binary asks of the system that loads it, and whether provided.al2023 has it."""

import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from binaries import ARM64, Wanted, make

import lambda_package.architecture as architecture
from lambda_package import elf, loadable


def problems(wanted: Wanted, of: architecture.Architecture = architecture.X86_64) -> list[str]:
    return loadable.problems(elf.read(make(wanted)), of)


class Versions(unittest.TestCase):
    def test_a_binary_for_glibc_2_34_and_older_can_be_loaded(self) -> None:
        versions = {"libc.so.6": {"GLIBC_2.2.5": ["read"], "GLIBC_2.34": ["dlsym"]}, "libm.so.6": {"GLIBC_2.29": ["exp"]}}
        wanted = Wanted(libraries=["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"], versions=versions)
        self.assertEqual(problems(wanted), [])
        self.assertEqual(loadable.newest_glibc(elf.read(make(wanted))), "2.34")

    def test_a_symbol_that_is_too_new_is_named(self) -> None:
        versions = {"libc.so.6": {"GLIBC_2.17": ["getauxval"], "GLIBC_2.38": ["__isoc23_strtol", "strlcpy"]}}
        (problem,) = problems(Wanted(libraries=["libc.so.6"], versions=versions))
        self.assertIn("GLIBC_2.38", problem)
        self.assertIn("2.34", problem)
        self.assertTrue(problem.endswith(": __isoc23_strtol, strlcpy"), problem)
        self.assertNotIn("getauxval", problem)

    def test_each_version_that_is_too_new_is_a_problem_of_its_own(self) -> None:
        versions = {"libc.so.6": {"GLIBC_2.35": ["a"]}, "libm.so.6": {"GLIBC_2.2.5": ["b"], "GLIBC_2.100": ["c"]}}
        found = problems(Wanted(libraries=["libc.so.6", "libm.so.6"], versions=versions))
        self.assertEqual([problem.rsplit(": ", 1)[1] for problem in found], ["a", "c"])

    def test_versions_are_compared_as_numbers(self) -> None:
        self.assertEqual(problems(Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_2.4": ["x"]}})), [])

    def test_a_version_that_no_symbol_needs_counts_too(self) -> None:
        # Relative relocations in their packed form: the loader has to be 2.36 or newer, and no symbol shows it.
        versions = {"libc.so.6": {"GLIBC_2.17": ["read"], "GLIBC_ABI_DT_RELR": []}}
        (problem,) = problems(Wanted(libraries=["libc.so.6"], versions=versions))
        self.assertIn("GLIBC_ABI_DT_RELR", problem)
        self.assertIn("no symbol, but the way in which it is linked", problem)

    def test_private_symbols_of_glibc_are_refused(self) -> None:
        found = problems(Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_PRIVATE": ["__libc_early_init"]}}))
        self.assertEqual(len(found), 1)

    def test_versions_of_other_libraries_are_not_glibcs(self) -> None:
        wanted = Wanted(libraries=["libgcc_s.so.1"], versions={"libgcc_s.so.1": {"GCC_4.2.0": ["_Unwind_Resume"]}})
        self.assertEqual(problems(wanted), [])
        self.assertEqual(loadable.newest_glibc(elf.read(make(wanted))), "none")

    def test_symbols_of_its_own_need_nothing(self) -> None:
        wanted = Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_2.17": ["read"]}}, own_symbols=["main"])
        (version,) = elf.read(make(wanted)).versions
        self.assertEqual(version, elf.Version("libc.so.6", "GLIBC_2.17", ("read",)))

    def test_symbols_of_versions_that_are_not_the_default_are_found(self) -> None:
        wanted = Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_2.17": ["read"]}}, hidden=0x8000)
        self.assertEqual(elf.read(make(wanted)).versions, (elf.Version("libc.so.6", "GLIBC_2.17", ("read",)),))


class Loading(unittest.TestCase):
    def test_the_other_architecture_is_refused(self) -> None:
        self.assertEqual(problems(Wanted(ARM64), architecture.ARM64), [])
        (problem,) = problems(Wanted(ARM64), architecture.X86_64)
        self.assertIn("x86_64", problem)

    def test_a_library_that_the_runtime_does_not_have_is_named(self) -> None:
        (problem,) = problems(Wanted(libraries=["libc.so.6", "libssl.so.3"]))
        self.assertIn("libssl.so.3", problem)

    def test_a_static_binary_asks_for_nothing(self) -> None:
        self.assertEqual(elf.read(make(Wanted())), elf.Binary(architecture.X86_64.elf_machine))

    def test_what_is_no_binary_is_said_to_be_none(self) -> None:
        whole = make(Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_2.17": ["read"]}}))
        no_sections = whole[:40] + bytes(8) + whole[48:]
        for content in (b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60), whole[:-100], no_sections):
            with self.subTest(content[:8]), self.assertRaises(elf.NotReadable):
                elf.read(content)

    @unittest.skipUnless(sys.platform == "linux" and shutil.which("readelf"), "there is no readelf to compare with")
    def test_a_real_binary_is_read_as_readelf_reads_it(self) -> None:
        # Itself: a binary that is certainly there, and made by others.
        binary = Path(str(shutil.which("readelf"))).resolve()
        read = elf.read(binary.read_bytes())
        report = subprocess.run(["readelf", "-V", "-d", binary], capture_output=True, text=True, check=True).stdout
        self.assertEqual(list(read.libraries), re.findall(r"\(NEEDED\).*\[(.+)\]", report))
        named = re.findall(r"Name: (\S+)\s+Flags: \S+\s+Version: \d+", report)
        self.assertEqual(sorted(version.name for version in read.versions), sorted(named))
        table = ["readelf", "--wide", "--dyn-syms", binary]
        listed = subprocess.run(table, capture_output=True, text=True, check=True).stdout
        symbols = re.findall(r" (\S+?)@+(\S+) \(\d+\)", listed)
        self.assertGreater(len(symbols), 10)
        ours = {(symbol, version.name) for version in read.versions for symbol in version.symbols}
        self.assertEqual(ours, set(symbols))


if __name__ == "__main__":
    unittest.main()
