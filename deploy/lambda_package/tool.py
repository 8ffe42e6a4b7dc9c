"""The archives of `nomad-drain`, the operator's tool: one program that needs nothing of the system, its manual and its completions.

Nomad fetches such an archive for a job, and unpacks it: so the program lies at its top, and the name has Nomad's own words for
the platform (`attr.kernel.name`, `attr.cpu.arch`).
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from . import elf
from .architecture import Architecture

SHELLS = {"bash": "nomad-drain.bash", "zsh": "_nomad-drain", "fish": "nomad-drain.fish"}
# Any date would do, as long as it is always the same: that of the packages.
_DATE = 315532800
_PATIENCE_SECONDS = 60


class Failed(Exception):
    """The program is not what it should be."""


def why_not(architecture: Architecture) -> str | None:
    """Why this machine cannot run its binaries, which say their own manual; or nothing if it can."""
    if architecture.is_native or shutil.which(architecture.qemu):
        return None
    return f"there is no {architecture.qemu} (Debian: qemu-user-static)"


def problems(asked: elf.Binary, architecture: Architecture) -> list[str]:
    """What keeps a system without glibc from running it."""
    found = []
    if asked.machine != architecture.elf_machine:
        found.append(f"it is built for ELF machine {asked.machine}, and {architecture.lambda_name} is {architecture.elf_machine}")
    if asked.libraries:
        found.append(f"it needs {', '.join(asked.libraries)}, and should need no library at all")
    return found


def files(binary: bytes, architecture: Architecture, licence: bytes) -> dict[str, bytes]:
    """What goes into the archive: the program, and what it says of itself, which shows that it runs."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "nomad-drain")
        program.write_bytes(binary)
        program.chmod(0o755)
        manual = _say(program, architecture, "man")
        if not manual.lstrip().startswith((b".ie", b".TH")):
            raise Failed(f"nomad-drain man begins with {manual[:40]!r}, which is no manual")
        completions = {
            f"completions/{name}": _say(program, architecture, "completions", shell) for shell, name in SHELLS.items()
        }
    return {"nomad-drain": binary, "nomad-drain.1": manual, "LICENSE": licence, **completions}


def write(archive: Path, contents: dict[str, bytes]) -> None:
    """Writes an archive with these files, in the order of their names. Everybody may execute the program."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(contents):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(contents[name]), _DATE
            entry.mode = 0o755 if name == "nomad-drain" else 0o644
            tar.addfile(entry, io.BytesIO(contents[name]))
    with archive.open("wb") as output, gzip.GzipFile("", "wb", 9, output, mtime=0) as zipped:
        zipped.write(packed.getvalue())


def _say(program: Path, architecture: Architecture, *arguments: str) -> bytes:
    emulator = [] if architecture.is_native else [architecture.qemu]
    called = f"nomad-drain {' '.join(arguments)}"
    try:
        ran = subprocess.run([*emulator, program, *arguments], capture_output=True, env={}, timeout=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{called}: {error}") from error
    if ran.returncode != 0 or not ran.stdout:
        raise Failed(f"{called} ended with {ran.returncode}: {ran.stderr.decode(errors='replace').strip()}")
    return ran.stdout
