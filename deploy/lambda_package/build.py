"""Builds `bootstrap` with cargo-lambda and Zig, so that the same sources give the same bytes wherever they lie."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from .architecture import Architecture

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# Where the sources are said to lie, in the paths of panic messages.
_NOMINAL_ROOT, _NOMINAL_CARGO = "/lambda-nomad-drain", "/cargo"
# What else could change the binary: every build of the package is made without it.
_FOREIGN_VARIABLES = (
    "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_RELEASE_", "CARGO_TARGET_",
    "CFLAGS", "CC", "RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_LAMBDA_",
)  # fmt: skip


class Failed(Exception):
    """A tool or a build did not do what it should."""


def tools(root: Path) -> Path:
    """Installs cargo-lambda and Zig into a virtual environment under target/, and returns its folder of programs."""
    home = root / "target/tools/lambda"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = home / "requirements.sha256"
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        arguments = ["install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        _run([home / "bin/python", "-m", "pip", *arguments, "--requirement", _REQUIREMENTS], root, os.environ.copy())
        stamp.write_text(wanted)
    return home / "bin"


def missing_target(root: Path, target: str) -> str | None:
    """Has rustup install Rust's standard library for the target. Why it could not, or nothing if it is there."""
    if (_sysroot(root) / "lib/rustlib" / target / "lib").is_dir():
        return None
    if not shutil.which("rustup"):
        return f"the Rust target {target} is not installed, and there is no rustup to install it"
    added = subprocess.run(["rustup", "target", "add", target], cwd=root, capture_output=True, text=True)
    if added.returncode == 0:
        return None
    reason = next((line for line in added.stderr.splitlines() if line.startswith("error")), "it says not why")
    return f"the Rust target {target} could not be installed: {reason}"


def build(root: Path, programs: Path, architecture: Architecture, target_folder: Path) -> bytes:
    """Builds the function of the sources in `root` and returns the binary."""
    output = target_folder / "lambda" / architecture.lambda_name
    arguments = [architecture.cargo_lambda, "--package", "drain-lambda", "--bin", "bootstrap", "--lambda-dir", output]
    _build(root, programs, arguments, target_folder)
    return (output / "bootstrap/bootstrap").read_bytes()


def build_tool(root: Path, programs: Path, architecture: Architecture, target_folder: Path) -> bytes:
    """Builds the operator's tool, which needs no library of the system, and returns the binary."""
    output = target_folder / "tool" / architecture.lambda_name
    target = ["--target", architecture.musl_target]
    arguments = [*target, "--package", "drain-cli", "--bin", "nomad-drain", "--lambda-dir", output]
    # Or the path of these sources would be in it, for `nomad-drain demo` to build the function from.
    _build(root, programs, arguments, target_folder, {"NOMAD_DRAIN_RELEASE": "1"})
    # cargo-lambda calls every program so.
    return (output / "nomad-drain/bootstrap").read_bytes()


def _build(
    root: Path, programs: Path, arguments: list[str | Path], target_folder: Path, more: dict[str, str] | None = None
) -> None:
    variables = environment(root, programs, target_folder, os.environ) | (more or {})
    _run(["cargo", "lambda", "build", "--release", "--locked", *arguments], root, variables)


def environment(root: Path, programs: Path, target_folder: Path, inherited: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """The environment of a build: no path of this machine ends up in the binary, and no setting of it changes it."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(_FOREIGN_VARIABLES)}
    cargo_home = Path(inherited.get("CARGO_HOME") or Path.home() / ".cargo")
    # With the component rust-src, rustc names the standard library's sources by where they lie here.
    standard_library = _sysroot(root) / "lib/rustlib/src/rust"
    remapped = {root: _NOMINAL_ROOT, cargo_home: _NOMINAL_CARGO, standard_library: f"/rustc/{_commit(root)}"}
    flags = [f"--remap-path-prefix={path}={nominal}" for path, nominal in remapped.items()]
    return kept | {
        "PATH": f"{programs}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(programs.parent),
        "CARGO_TARGET_DIR": str(target_folder),
        # The encoded form, because paths may have spaces. It also takes the place of cargo-lambda's own choice of a CPU.
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        "CARGO_ZIGBUILD_CACHE_DIR": str(target_folder / "zigbuild"),
        "ZIG_GLOBAL_CACHE_DIR": str(target_folder / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(target_folder / "zig"),
    }


def copy_sources(root: Path, copy: Path) -> None:
    """Copies the sources, without what is built from them."""
    built = {root / "target", root / "dist", root / "fuzz/target", root / ".git"}

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if Path(folder, name) in built}

    shutil.copytree(root, copy, ignore=ignored, symlinks=True)


def _sysroot(root: Path) -> Path:
    return Path(_output(["rustc", "--print", "sysroot"], root))


def _commit(root: Path) -> str:
    lines = _output(["rustc", "--version", "--verbose"], root).splitlines()
    return next(line.removeprefix("commit-hash: ") for line in lines if line.startswith("commit-hash: "))


def _output(command: list[str], folder: Path) -> str:
    # In the sources' folder: rust-toolchain.toml says which Rust it is.
    try:
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{' '.join(command)}: {error}; Rust is needed (https://rustup.rs)") from error


def _run(command: list[str | Path], folder: Path, variables: dict[str, str]) -> None:
    code = subprocess.run(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL).returncode
    if code != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {code}")
