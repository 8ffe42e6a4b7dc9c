"""Whether `provided.al2023` can load a binary. If it cannot, the function fails before its first line, on its first event."""

from __future__ import annotations

import re

from . import elf
from .architecture import Architecture

# Amazon Linux 2023's, which the runtime provided.al2023 is made of.
NEWEST_GLIBC = (2, 34)
# Its shared libraries, as far as Rust's standard library may ask for them. The loader's name ends in the architecture's.
_LIBRARIES = {"libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1", "libutil.so.1"}


def problems(binary: elf.Binary, architecture: Architecture) -> list[str]:
    """Everything that keeps the runtime from loading it, each with the symbol or library that is to blame."""
    found = []
    if binary.machine != architecture.elf_machine:
        found.append(
            f"it is built for ELF machine {binary.machine}, and {architecture.lambda_name} is {architecture.elf_machine}"
        )
    for library in binary.libraries:
        if library not in _LIBRARIES and not library.startswith("ld-linux-"):
            found.append(f"it needs the library {library}, which provided.al2023 does not have")
    for version in binary.versions:
        if version.name.startswith("GLIBC_") and not _is_old_enough(version.name):
            newest = ".".join(map(str, NEWEST_GLIBC))
            blamed = ", ".join(version.symbols) or "no symbol, but the way in which it is linked"
            found.append(f"it needs {version.name}, which is newer than provided.al2023's {newest}: {blamed}")
    return found


def newest_glibc(binary: elf.Binary) -> str:
    """The newest glibc that it asks for, for people to read."""
    numbers = [number for version in binary.versions if (number := _number(version.name))]
    return ".".join(map(str, max(numbers))) if numbers else "none"


def _is_old_enough(version: str) -> bool:
    # Without a number it is private, or a feature of the loader that came after 2.34, such as GLIBC_ABI_DT_RELR.
    number = _number(version)
    return number is not None and number[:2] <= NEWEST_GLIBC


def _number(version: str) -> tuple[int, ...] | None:
    match = re.fullmatch(r"GLIBC_(\d+(?:\.\d+)+)", version)
    return tuple(map(int, match[1].split("."))) if match else None
