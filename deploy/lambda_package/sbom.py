"""The list of what the binaries are made of (CycloneDX), which is the same for the same sources."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from . import build
from .architecture import ARCHITECTURES

VERSION = "0.5.9"
NAME = "lambda-nomad-drain.cdx.json"
TOOL_NAME = "nomad-drain.cdx.json"
# What each lists, and for which targets.
_LISTED = {
    NAME: (Path("crates/drain-lambda"), [one.rust_target for one in ARCHITECTURES.values()]),
    TOOL_NAME: (Path("crates/drain-cli"), [one.musl_target for one in ARCHITECTURES.values()]),
}


def write(root: Path, output: Path) -> int:
    """Writes the list of that name, and returns how many components it has."""
    package, targets = _LISTED[output.name]
    tools = root / "target/tools"
    program = _install(root, tools)
    with tempfile.TemporaryDirectory() as folder:
        # It writes beside each Cargo.toml: not into the sources themselves.
        copy = Path(folder).resolve() / "sources"
        build.copy_sources(root, copy)
        manifest = copy / package / "Cargo.toml"
        options = ["--format", "json", "--no-build-deps", "--spec-version", "1.5", "--override-filename", "sbom"]
        lists = []
        for target in targets:
            _run([program, "cyclonedx", "--manifest-path", manifest, "--target", target, *options], copy)
            lists.append(normalized(json.loads((copy / package / "sbom.json").read_text()), copy))
        listed = together(lists)
    output.write_text(json.dumps(listed, indent=2, sort_keys=True) + "\n")
    return len(listed["components"])


def normalized(listed: dict[str, Any], sources: Path) -> dict[str, Any]:
    """The list without what differs from run to run and between targets: its number, its time, and where the sources lay."""
    listed = json.loads(json.dumps(listed).replace(str(sources), "/lambda-nomad-drain"))
    listed.pop("serialNumber", None)
    for varying in ("timestamp", "properties"):
        listed.get("metadata", {}).pop(varying, None)
    return listed


def together(lists: list[dict[str, Any]]) -> dict[str, Any]:
    """One list for all packages: what is in any of them."""
    components: dict[str, dict[str, Any]] = {}
    dependencies: dict[str, set[str]] = {}
    for listed in lists:
        components |= {component["bom-ref"]: component for component in listed["components"]}
        for dependency in listed.get("dependencies", []):
            dependencies.setdefault(dependency["ref"], set()).update(dependency.get("dependsOn", []))
    return lists[0] | {
        "components": [components[reference] for reference in sorted(components)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(needed)} for ref, needed in sorted(dependencies.items())],
    }


def _install(root: Path, tools: Path) -> Path:
    program = tools / "bin/cargo-cyclonedx"
    known = subprocess.run([program, "cyclonedx", "--version"], capture_output=True, text=True) if program.exists() else None
    if known is None or VERSION not in known.stdout:
        folders: list[str | Path] = ["--root", tools, "--target-dir", tools / "build"]
        _run(["cargo", "install", "cargo-cyclonedx", "--version", VERSION, "--locked", "--force", *folders], root)
    return program


def _run(command: list[str | Path], folder: Path) -> None:
    code = subprocess.run(command, cwd=folder, env=os.environ.copy(), stdin=subprocess.DEVNULL).returncode
    if code != 0:
        raise build.Failed(f"{' '.join(map(str, command))} ended with {code}")
