"""The command deploy/package."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import archive, build, elf, loadable, sbom, tool, trial
from .architecture import ARCHITECTURES, Architecture

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"


class Failed(Exception):
    """The package is not fit to be deployed."""


@dataclass
class _Packed:
    architecture: Architecture
    binary: bytes
    package_size: int
    glibc: str
    ran: bool


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    wanted = [ARCHITECTURES[name] for name in options.architecture or ARCHITECTURES]
    # Whoever names an architecture wants that one, not the others.
    strict = options.strict or bool(options.architecture)
    try:
        included = _included(options.include)
        packed = _package_all(wanted, included, strict=strict, check_reproducible=options.check_reproducible)
        made = [DIST / sbom.NAME]
        if options.tool and _tool_all(wanted, strict=strict, check_reproducible=options.check_reproducible):
            made.append(DIST / sbom.TOOL_NAME)
        if not options.no_sbom:
            _step("SBOM")
            for listed in made:
                print(f"{listed.name}: {sbom.write(ROOT, listed)} components")
        (DIST / "SHA256SUMS").write_text(archive.checksums(DIST))
    except (Failed, build.Failed, elf.NotReadable, tool.Failed, trial.Failed) as failure:
        print(f"package failed: {failure}", file=sys.stderr)
        return 1
    _step("done")
    for one in packed:
        print(
            f"dist/{one.architecture.package}: {one.package_size:,} bytes; bootstrap {len(one.binary):,} bytes, "
            f"glibc {one.glibc}, {'answered an event' if one.ran else 'not run'}, "
            f"sha256 {hashlib.sha256(one.binary).hexdigest()}"
        )
    for path in sorted(DIST.glob("*.tar.gz")):
        print(f"dist/{path.name}: {path.stat().st_size:,} bytes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/package",
        description="Makes dist/lambda-nomad-drain-{x86_64,arm64}.zip, checks them, and writes checksums and an SBOM.",
    )
    parser.add_argument(
        "--architecture", action="append", choices=list(ARCHITECTURES), help="only this one; without it, both"
    )
    parser.add_argument(
        "--include", action="append", type=Path, default=[], metavar="FILE",
        help="put this into the packages too: the function finds it in /var/task, for NOMAD_CACERT and the like",
    )  # fmt: skip
    parser.add_argument(
        "--tool", action="store_true", help="make the archives of nomad-drain, the operator's tool, too: dist/nomad-drain_linux_*"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a build or a check would be skipped")
    parser.add_argument(
        "--check-reproducible", action="store_true", help="build again from a copy elsewhere, and compare the bytes"
    )
    parser.add_argument("--no-sbom", action="store_true", help="write no list of components")
    return parser


def _included(paths: list[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for path in paths:
        if path.name in files or path.name == "bootstrap":
            raise Failed(f"--include {path}: the package has a {path.name} already")
        try:
            files[path.name] = path.read_bytes()
        except OSError as error:
            raise Failed(f"--include {path}: {error.strerror}") from error
    return files


def _package_all(
    wanted: list[Architecture], included: dict[str, bytes], *, strict: bool, check_reproducible: bool
) -> list[_Packed]:
    programs = build.tools(ROOT)
    DIST.mkdir(exist_ok=True)
    for old in [*archive.released(DIST), DIST / "SHA256SUMS"]:
        old.unlink(missing_ok=True)  # or its checksum would be among the new ones
    packed = []
    for architecture in wanted:
        _step(architecture.lambda_name)
        if missing := build.missing_target(ROOT, architecture.rust_target):
            _skip(f"{architecture.package} is not made: {missing}", strict)
            continue
        packed.append(_package(programs, architecture, included, strict=strict))
        if check_reproducible:
            _build_again(programs, packed[-1], included)
    if not packed:
        raise Failed("no package could be made")
    return packed


def _package(programs: Path, architecture: Architecture, included: dict[str, bytes], *, strict: bool) -> _Packed:
    package = DIST / architecture.package
    binary = build.build(ROOT, programs, architecture, ROOT / "target/package")
    asked = elf.read(binary)
    if problems := loadable.problems(asked, architecture):
        raise Failed(f"provided.al2023 cannot load {architecture.package}: " + "; ".join(problems))
    if why_not := trial.why_not(architecture):
        _skip(f"the {architecture.lambda_name} binary is not run: {why_not}", strict)
    else:
        print(f"ran once, and answered {trial.run(binary, architecture)}")
    archive.write(package, {"bootstrap": binary, **included})
    glibc = loadable.newest_glibc(asked)
    return _Packed(architecture, binary, package.stat().st_size, glibc, why_not is None)


def _build_again(programs: Path, packed: _Packed, included: dict[str, bytes]) -> None:
    """From a copy in another place, with nothing built before."""
    architecture, package = packed.architecture, DIST / packed.architecture.package
    with _elsewhere() as (sources, target):
        again = build.build(sources, programs, architecture, target)
        _same(packed.binary, again, f"bootstrap-{architecture.lambda_name}")
        zipped = sources.with_name("again.zip")
        archive.write(zipped, {"bootstrap": again, **included})
        if archive.first_difference(package.read_bytes(), zipped.read_bytes()) is not None:
            raise Failed(f"the same bootstrap gives another {architecture.package}")
    print(f"reproducible: a second build, from a copy of the sources elsewhere, gives the same {architecture.package}")


def _tool_all(wanted: list[Architecture], *, strict: bool, check_reproducible: bool) -> bool:
    """Makes the archives of the operator's tool, and tells whether there is one."""
    programs, licence = build.tools(ROOT), (ROOT / "LICENSE").read_bytes()
    for architecture in wanted:
        _step(f"nomad-drain for {architecture.nomad_name}")
        made = DIST / architecture.tool_archive
        if why_not := build.missing_target(ROOT, architecture.musl_target) or tool.why_not(architecture):
            _skip(f"{made.name} is not made: {why_not}", strict)
            continue
        binary = build.build_tool(ROOT, programs, architecture, ROOT / "target/package")
        if problems := tool.problems(elf.read(binary), architecture):
            raise Failed(f"{made.name}: " + "; ".join(problems))
        tool.write(made, tool.files(binary, architecture, licence))
        print("ran, and printed its manual")
        if check_reproducible:
            with _elsewhere() as (sources, target):
                again = build.build_tool(sources, programs, architecture, target)
            _same(binary, again, f"nomad-drain-{architecture.nomad_name}")
            print("reproducible: a second build, from a copy of the sources elsewhere, gives the same nomad-drain")
    return any((DIST / architecture.tool_archive).exists() for architecture in wanted)


@contextlib.contextmanager
def _elsewhere() -> Iterator[tuple[Path, Path]]:
    """A copy of the sources in another place, and a folder in which nothing was built before."""
    with tempfile.TemporaryDirectory(prefix="another place ") as folder:
        elsewhere = Path(folder).resolve()
        build.copy_sources(ROOT, elsewhere / "sources")
        yield elsewhere / "sources", elsewhere / "target"


def _same(binary: bytes, again: bytes, name: str) -> None:
    offset = archive.first_difference(binary, again)
    if offset is not None:
        kept = ROOT / "target/package" / f"{name}-again"
        kept.write_bytes(again)
        raise Failed(f"a second build gives another {name}, from byte {offset} on: compare it with {kept}")


def _skip(what: str, strict: bool) -> None:
    if strict:
        raise Failed(what)
    # Where a skipped check must not be overlooked: at the end of a log, and in a terminal.
    print(f"\nskipped: {what}\n", file=sys.stderr)


def _step(name: str) -> None:
    print(f"\n== {name}", flush=True)
