"""Reads what a binary asks of the system that loads it: its architecture, its libraries, and the versions of their symbols.

The dynamic linker refuses a binary as a whole if one version is missing, before its first line runs. So this is read from
the same tables that the dynamic linker reads: `.gnu.version_r`, and `.gnu.version` for the symbols behind each version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_SHT_DYNAMIC, _SHT_DYNSYM = 6, 11
_SHT_GNU_VERNEED, _SHT_GNU_VERSYM = 0x6FFFFFFE, 0x6FFFFFFF
_DT_NEEDED = 1
_VERSYM_HIDDEN = 0x8000


class NotReadable(Exception):
    """This is no binary that Lambda could load."""


@dataclass(frozen=True)
class Version:
    """A version that the binary needs of a library, and the symbols because of which it does."""

    library: str
    name: str  # such as GLIBC_2.17
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Binary:
    """What a binary asks of the system that loads it."""

    machine: int
    libraries: tuple[str, ...] = ()
    versions: tuple[Version, ...] = field(default=())


@dataclass(frozen=True)
class _Section:
    kind: int
    data: bytes
    link: int


def read(content: bytes) -> Binary:
    """Reads a 64-bit little-endian ELF file, which is what both of Lambda's architectures use."""
    if content[:4] != b"\x7fELF":
        raise NotReadable("it is no ELF file")
    if content[4:6] != b"\x02\x01":
        raise NotReadable("it is not 64-bit little-endian")
    try:
        return _read(content)
    except (struct.error, IndexError, ValueError) as error:
        raise NotReadable(f"its tables are damaged: {error}") from error


def _read(content: bytes) -> Binary:
    (machine,) = struct.unpack_from("<H", content, 18)
    sections = _sections(content)
    if not any(section.kind == _SHT_DYNAMIC for section in sections):
        return Binary(machine)  # linked statically: it asks for nothing
    return Binary(machine, _libraries(sections), _versions(sections))


def _sections(content: bytes) -> list[_Section]:
    (offset,) = struct.unpack_from("<Q", content, 40)
    size, count = struct.unpack_from("<HH", content, 58)
    if offset == 0 or count == 0:
        raise NotReadable("it has no section headers: strip symbols, not sections")
    sections = []
    for index in range(count):
        _, kind, _, _, start, length, link, _, _, _ = struct.unpack_from("<IIQQQQIIQQ", content, offset + index * size)
        sections.append(_Section(kind, content[start : start + length], link))
    return sections


def _libraries(sections: list[_Section]) -> tuple[str, ...]:
    libraries = []
    for dynamic in (section for section in sections if section.kind == _SHT_DYNAMIC):
        for tag, value in struct.iter_unpack("<QQ", dynamic.data):
            if tag == _DT_NEEDED:
                libraries.append(_text(sections[dynamic.link].data, value))
    return tuple(libraries)


def _versions(sections: list[_Section]) -> tuple[Version, ...]:
    symbols = _symbols_by_version(sections)
    versions = []
    for needed in (section for section in sections if section.kind == _SHT_GNU_VERNEED):
        names, at = sections[needed.link].data, 0
        while True:
            _, _, library, first, following = struct.unpack_from("<HHIII", needed.data, at)
            entry = at + first
            while True:
                _, _, index, name, after = struct.unpack_from("<IHHII", needed.data, entry)
                found = tuple(sorted(symbols.get(index & ~_VERSYM_HIDDEN, ())))
                versions.append(Version(_text(names, library), _text(names, name), found))
                if after == 0:
                    break
                entry += after
            if following == 0:
                break
            at += following
    return tuple(versions)


def _symbols_by_version(sections: list[_Section]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for versym in (section for section in sections if section.kind == _SHT_GNU_VERSYM):
        dynsym = sections[versym.link]
        if dynsym.kind != _SHT_DYNSYM:
            raise NotReadable("its symbols' versions belong to no table of symbols")
        names = sections[dynsym.link].data
        indices = struct.iter_unpack("<H", versym.data)
        for (index,), symbol in zip(indices, struct.iter_unpack("<IBBHQQ", dynsym.data), strict=True):
            # Defined here or not: a program may hold a library's variable in a copy of its own.
            found.setdefault(index & ~_VERSYM_HIDDEN, []).append(_text(names, symbol[0]))
    return found


def _text(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()
