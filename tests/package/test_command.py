"""deploy/package itself: what it makes, what it refuses, and what it says when it has to leave something out.

Nothing is built here: a build is a function that returns bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

from binaries import ARM64, Wanted, make

from lambda_package import build, command, sbom
from lambda_package.architecture import ARCHITECTURES

GOOD = {"x86_64": make(Wanted(libraries=["libc.so.6"])), "arm64": make(Wanted(ARM64, libraries=["libc.so.6"]))}
TOO_NEW = make(Wanted(libraries=["libc.so.6"], versions={"libc.so.6": {"GLIBC_2.39": ["pidfd_getpid"]}}))


class Command(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "LICENSE").write_text("licence")
        self.tools = [{"x86_64": make(Wanted()), "arm64": make(Wanted(ARM64))}]
        self.dist = self.root / "dist"
        self.builds: list[Path] = []
        self.binaries = [dict(GOOD)]
        self.missing: dict[str, str] = {}
        self.emulator: str | None = None
        self.patch(command, ROOT=self.root, DIST=self.dist)
        self.patch(command.build, tools=lambda _: Path("bin"), build=self.build, copy_sources=lambda *_: None)
        names = {target: one.lambda_name for one in ARCHITECTURES.values() for target in (one.rust_target, one.musl_target)}
        self.patch(command.build, missing_target=lambda _, target: self.missing.get(names[target]), build_tool=self.build_tool)
        self.patch(command.tool, why_not=lambda _: self.emulator, files=lambda binary, *_: {"nomad-drain": binary})
        self.patch(command.trial, why_not=lambda _: self.emulator, run=lambda *_: "test_notification")
        self.patch(command.sbom, write=self.sbom)

    def patch(self, module: Any, **replaced: Any) -> None:
        patches = mock.patch.multiple(module, **replaced)
        patches.start()
        self.addCleanup(patches.stop)

    def build(self, root: Path, _programs: Path, architecture: Any, target: Path) -> bytes:
        self.builds.append(root)
        self.assertTrue(target.is_relative_to(root) or target.parent == root.parent, "each build has a folder of its own")
        again = sum(root != self.root for root in self.builds)
        return self.binaries[min(again, len(self.binaries) - 1)][architecture.lambda_name]

    def build_tool(self, root: Path, _programs: Path, architecture: Any, _target: Path) -> bytes:
        return self.tools[0 if root == self.root else -1][architecture.lambda_name]

    def sbom(self, _root: Path, output: Path) -> int:
        output.write_text("{}")
        return 0

    def package(self, *arguments: str) -> tuple[int, str]:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = command.main(list(arguments))
        return code, output.getvalue()

    def made(self) -> list[str]:
        return sorted(path.name for path in self.dist.glob("*"))

    def test_it_makes_both_packages_with_checksums_and_sbom_and_prints_their_sizes(self) -> None:
        code, output = self.package()
        self.assertEqual(code, 0, output)
        packages = ["lambda-nomad-drain-arm64.zip", "lambda-nomad-drain-x86_64.zip"]
        self.assertEqual(self.made(), ["SHA256SUMS", *packages, "lambda-nomad-drain.cdx.json"])
        for name in packages:
            self.assertIn(f"dist/{name}: {(self.dist / name).stat().st_size:,} bytes", output)
            with zipfile.ZipFile(self.dist / name) as package:
                self.assertEqual(package.namelist(), ["bootstrap"])
        self.assertEqual((self.dist / "SHA256SUMS").read_text().count("\n"), 3)

    def test_files_for_the_function_go_beside_it(self) -> None:
        authority = self.root / "nomad-ca.pem"
        code, output = self.package("--include", str(authority))
        self.assertEqual(code, 1)
        self.assertIn(f"{authority}: No such file", output)
        authority.write_text("authority")
        self.assertEqual(self.package("--include", str(authority))[0], 0)
        with zipfile.ZipFile(self.dist / "lambda-nomad-drain-arm64.zip") as package:
            self.assertEqual(package.read("nomad-ca.pem"), b"authority")
            modes = {entry.filename: oct(entry.external_attr >> 16) for entry in package.infolist()}
        self.assertEqual(modes, {"bootstrap": "0o100755", "nomad-ca.pem": "0o100644"})

    def test_nothing_takes_the_place_of_the_function(self) -> None:
        (self.root / "bootstrap").write_text("another")
        code, output = self.package("--include", str(self.root / "bootstrap"))
        self.assertEqual((code, self.builds), (1, []))
        self.assertIn("has a bootstrap already", output)

    def test_a_package_that_the_runtime_cannot_load_is_not_made(self) -> None:
        self.binaries = [GOOD | {"x86_64": TOO_NEW}]
        code, output = self.package()
        self.assertEqual(code, 1)
        self.assertIn("GLIBC_2.39", output)
        self.assertIn("pidfd_getpid", output)
        self.assertEqual(self.made(), [])

    def test_a_binary_that_does_not_run_is_not_packed(self) -> None:
        self.patch(command.trial, run=mock.Mock(side_effect=command.trial.Failed("it ended with 127")))
        code, output = self.package()
        self.assertEqual((code, self.made()), (1, []))
        self.assertIn("it ended with 127", output)

    def test_an_architecture_that_cannot_be_built_is_left_out_and_that_is_said(self) -> None:
        self.missing = {"arm64": "the Rust target could not be installed"}
        code, output = self.package()
        self.assertEqual(code, 0)
        self.assertIn("skipped: lambda-nomad-drain-arm64.zip is not made: the Rust target could not be installed", output)
        self.assertNotIn("lambda-nomad-drain-arm64.zip", self.made())
        self.assertIn("lambda-nomad-drain-x86_64.zip", self.made())

    def test_a_binary_that_cannot_be_run_here_is_packed_and_that_is_said(self) -> None:
        self.emulator = "there is no qemu-aarch64-static"
        code, output = self.package()
        self.assertEqual(code, 0)
        self.assertIn("skipped: the arm64 binary is not run: there is no qemu-aarch64-static", output)
        self.assertIn("not run", output.split("== done")[1])

    def test_strict_skips_nothing(self) -> None:
        self.missing = {"arm64": "no target"}
        self.assertEqual(self.package("--strict")[0], 1)
        self.missing, self.emulator = {}, "no emulator"
        self.assertEqual(self.package("--strict")[0], 1)

    def test_an_architecture_that_was_asked_for_is_not_left_out(self) -> None:
        self.missing = {"arm64": "no target"}
        code, output = self.package("--architecture", "x86_64", "--architecture", "arm64")
        self.assertEqual(code, 1)
        self.assertIn("no target", output)

    def test_what_an_earlier_run_left_is_gone_and_what_others_left_stays(self) -> None:
        self.package()
        (self.dist / "notes.txt").write_text("somebody's")
        self.package("--architecture", "x86_64", "--no-sbom")
        self.assertEqual(self.made(), ["SHA256SUMS", "lambda-nomad-drain-x86_64.zip", "notes.txt"])
        self.assertEqual((self.dist / "SHA256SUMS").read_text().count("\n"), 1)

    def test_a_second_build_elsewhere_has_to_give_the_same_bytes(self) -> None:
        code, output = self.package("--check-reproducible")
        self.assertEqual(code, 0, output)
        self.assertEqual(output.count("reproducible: "), 2)
        self.assertEqual(len({root for root in self.builds}), 3, "the checkout, and a copy for each architecture")

    def test_a_second_build_with_other_bytes_is_a_failure_that_says_where_they_part(self) -> None:
        (self.root / "target/package").mkdir(parents=True)
        self.binaries.append({name: binary[:-1] + b"\1" for name, binary in GOOD.items()})
        code, output = self.package("--architecture", "x86_64", "--check-reproducible")
        self.assertEqual(code, 1)
        self.assertIn(f"from byte {len(GOOD['x86_64']) - 1} on", output)
        self.assertTrue((self.root / "target/package/bootstrap-x86_64-again").is_file())


    def test_the_operators_tool_is_made_when_it_is_asked_for(self) -> None:
        code, output = self.package("--tool", "--check-reproducible")
        self.assertEqual(code, 0, output)
        of_the_tool = ["nomad-drain.cdx.json", "nomad-drain_linux_amd64.tar.gz", "nomad-drain_linux_arm64.tar.gz"]
        self.assertEqual([name for name in self.made() if name.startswith("nomad-drain")], of_the_tool)
        summed = [line.split()[1] for line in (self.dist / "SHA256SUMS").read_text().splitlines()]
        self.assertEqual(set(summed), set(self.made()) - {"SHA256SUMS"})
        self.assertEqual(output.count("gives the same nomad-drain"), 2)
        self.package()
        self.assertEqual([name for name in self.made() if name.startswith("nomad-drain")], [], "an earlier run's")

    def test_a_tool_that_needs_a_library_is_not_packed(self) -> None:
        self.tools = [GOOD]
        code, output = self.package("--tool")
        self.assertEqual(code, 1)
        self.assertIn("nomad-drain_linux_amd64.tar.gz: it needs libc.so.6", output)

    def test_a_tool_that_cannot_be_run_here_is_left_out_and_that_is_said(self) -> None:
        self.emulator = "there is no qemu-aarch64-static"
        code, output = self.package("--tool")
        self.assertEqual(code, 0)
        self.assertIn("skipped: nomad-drain_linux_arm64.tar.gz is not made: there is no qemu-aarch64-static", output)

    def test_a_second_build_of_the_tool_has_to_give_the_same_bytes(self) -> None:
        (self.root / "target/package").mkdir(parents=True)
        self.tools.append({name: binary + b"\1" for name, binary in self.tools[0].items()})
        code, output = self.package("--tool", "--check-reproducible")
        self.assertEqual(code, 1)
        self.assertIn("a second build gives another nomad-drain-amd64", output)


class Environment(unittest.TestCase):
    def environment(self, root: Path, **inherited: str) -> dict[str, str]:
        with mock.patch.multiple(build, _sysroot=lambda _: Path("/rust"), _commit=lambda _: "0" * 40):
            return build.environment(root, Path("/tools/bin"), Path("/built"), inherited)

    def test_no_path_of_the_machine_gets_into_the_binary(self) -> None:
        made = self.environment(Path("/home/me/my sources"), CARGO_HOME="/home/me/cargo", PATH="/usr/bin")
        flags = made["CARGO_ENCODED_RUSTFLAGS"].split("\x1f")
        self.assertIn("--remap-path-prefix=/home/me/my sources=/lambda-nomad-drain", flags)
        self.assertIn("--remap-path-prefix=/home/me/cargo=/cargo", flags)
        self.assertIn(f"--remap-path-prefix=/rust/lib/rustlib/src/rust=/rustc/{'0' * 40}", flags)
        self.assertEqual(made["PATH"], "/tools/bin:/usr/bin")

    def test_no_setting_of_the_machine_gets_into_the_build(self) -> None:
        foreign = {"RUSTFLAGS": "-C target-cpu=native", "CFLAGS": "-g", "CC": "gcc", "CARGO_PROFILE_RELEASE_LTO": "off",
                   "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER": "ld", "RUSTC_WRAPPER": "cache"}  # fmt: skip
        made = self.environment(Path("/sources"), HOME="/home/me", **foreign)
        self.assertEqual(foreign.keys() & made.keys(), set())
        self.assertEqual(made["HOME"], "/home/me")

    def test_a_released_tool_does_not_know_where_its_sources_lay(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(build, "environment", return_value={"PATH": "/usr/bin"}):
            built = Path(folder, "tool/arm64/nomad-drain/bootstrap")
            built.parent.mkdir(parents=True)
            built.write_bytes(b"program")
            with mock.patch.object(build, "_run") as run:
                self.assertEqual(build.build_tool(Path("/sources"), Path("/bin"), ARCHITECTURES["arm64"], Path(folder)), b"program")
        command_line, _, variables = run.call_args.args
        self.assertIn("aarch64-unknown-linux-musl", command_line)
        self.assertEqual(variables, {"PATH": "/usr/bin", "NOMAD_DRAIN_RELEASE": "1"})

    def test_tools_are_pinned_by_their_hashes(self) -> None:
        lines = Path(build._REQUIREMENTS).read_text().splitlines()
        names = [line.split("==")[0] for line in lines if "==" in line]
        self.assertEqual(names, ["cargo-lambda", "ziglang"])
        self.assertEqual(sum("--hash=sha256:" in line for line in lines), 8)

    def test_a_copy_of_the_sources_has_nothing_that_was_built(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "sources")
            for path in ("target/debug/x", "dist/old.zip", ".git/HEAD", "crates/a/src/lib.rs", ".cargo/config.toml"):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("")
            build.copy_sources(root, Path(folder, "copy"))
            copied = sorted(str(p.relative_to(folder)) for p in Path(folder, "copy").rglob("*") if p.is_file())
        self.assertEqual(copied, ["copy/.cargo/config.toml", "copy/crates/a/src/lib.rs"])


class Components(unittest.TestCase):
    def test_the_list_is_the_same_whenever_and_wherever_it_is_made(self) -> None:
        def listed(number: str, time: str, folder: str) -> dict[str, Any]:
            reference = f"path+file://{folder}/crates/drain#0.1.0"
            return {"serialNumber": number, "metadata": {"timestamp": time}, "components": [{"bom-ref": reference}]}

        one = sbom.normalized(listed("urn:uuid:1", "2026-01-01", "/tmp/a"), Path("/tmp/a"))
        other = sbom.normalized(listed("urn:uuid:2", "2026-01-02", "/tmp/b"), Path("/tmp/b"))
        self.assertEqual(one, other)
        self.assertNotIn("/tmp", json.dumps(one))

    def test_one_list_has_what_is_in_either_package(self) -> None:
        def listed(*names: str) -> dict[str, Any]:
            dependencies = [{"ref": "drain", "dependsOn": list(names)}]
            return {"components": [{"bom-ref": name} for name in names], "dependencies": dependencies}

        both = sbom.together([listed("ring", "x86"), listed("arm", "ring")])
        self.assertEqual([component["bom-ref"] for component in both["components"]], ["arm", "ring", "x86"])
        self.assertEqual(both["dependencies"], [{"ref": "drain", "dependsOn": ["arm", "ring", "x86"]}])


if __name__ == "__main__":
    unittest.main()
