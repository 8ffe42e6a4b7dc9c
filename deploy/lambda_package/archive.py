"""Zips the binary so that equal binaries give equal packages, byte for byte."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

# Everything that belongs to a release: of the function, and of the operator's tool.
NAMES = ("lambda-nomad-drain*", "nomad-drain*")
# The zip format knows no earlier one. Any date would do, as long as it is always the same.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_PROGRAM, _FILE = 0o100755, 0o100644


def write(package: Path, files: dict[str, bytes]) -> None:
    """Writes a package with these files at its root, in the order of their names. Everybody may execute `bootstrap`."""
    with zipfile.ZipFile(package, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = (_PROGRAM if name == "bootstrap" else _FILE) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name], compresslevel=9)


def checksums(folder: Path) -> str:
    """Packages, archives and SBOMs in the folder, each as a line for `sha256sum --check`."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in released(folder))


def released(folder: Path) -> list[Path]:
    """What is there of a release."""
    return sorted(path for pattern in NAMES for path in folder.glob(pattern))


def first_difference(one: bytes, other: bytes) -> int | None:
    """Where two contents part, or nothing if they are the same."""
    if one == other:
        return None
    for offset, (left, right) in enumerate(zip(one, other)):
        if left != right:
            return offset
    return min(len(one), len(other))
