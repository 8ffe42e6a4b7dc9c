"""Makes ELF files by hand, with no more in them than the reader looks at."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

X86_64, ARM64 = 62, 183
STRTAB, DYNAMIC, DYNSYM, VERNEED, VERSYM = 3, 6, 11, 0x6FFFFFFE, 0x6FFFFFFF


@dataclass
class Wanted:
    """What the file asks for: libraries, and for each library its versions with the symbols that need them."""

    machine: int = X86_64
    libraries: list[str] = field(default_factory=list)
    versions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    own_symbols: list[str] = field(default_factory=list)
    hidden: int = 0  # 0x8000 sets the bit that says that a version is not the default one


class _Names:
    def __init__(self) -> None:
        self.table = b"\0"

    def add(self, name: str) -> int:
        offset = len(self.table)
        self.table += name.encode() + b"\0"
        return offset


def make(wanted: Wanted) -> bytes:
    """The file's bytes: header, sections, section headers."""
    names = _Names()
    symbols, versym, verneed = struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0), struct.pack("<H", 0), b""
    for name in wanted.own_symbols:
        symbols += struct.pack("<IBBHQQ", names.add(name), 0x12, 0, 1, 0x1000, 8)
        versym += struct.pack("<H", 1)
    index = 2
    for position, (library, versions) in enumerate(wanted.versions.items()):
        entries = b""
        for number, (version, needed_by) in enumerate(versions.items()):
            following = 16 if number + 1 < len(versions) else 0
            entries += struct.pack("<IHHII", 0, 0, index | wanted.hidden, names.add(version), following)
            for symbol in needed_by:
                symbols += struct.pack("<IBBHQQ", names.add(symbol), 0x12, 0, 0, 0, 0)
                versym += struct.pack("<H", index | wanted.hidden)
            index += 1
        following = 16 + len(entries) if position + 1 < len(wanted.versions) else 0
        verneed += struct.pack("<HHIII", 1, len(versions), names.add(library), 16, following) + entries
    dynamic = b"".join(struct.pack("<QQ", 1, names.add(library)) for library in wanted.libraries)
    dynamic += struct.pack("<QQ", 0, 0)
    # Number of each section's kind, content, and the section that it refers to.
    sections = [(0, b"", 0), (STRTAB, names.table, 0), (DYNSYM, symbols, 1), (VERSYM, versym, 2)]
    sections += [(VERNEED, verneed, 1)] if verneed else []
    sections += [(DYNAMIC, dynamic, 1)] if wanted.libraries else []
    contents, headers, at = b"", b"", 64
    for kind, content, link in sections:
        headers += struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at + len(contents), len(content), link, 0, 1, 0)
        contents += content
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 3, wanted.machine, 1, 0, 0, 64 + len(contents), 0, 64, 56, 0, 64, len(sections), 0
    )
    return header + contents + headers
