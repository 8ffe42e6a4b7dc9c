"""The two architectures of AWS Lambda, by all their names."""

from __future__ import annotations

import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One of Lambda's architectures."""

    lambda_name: str  # as in the function's `Architectures`
    cargo_lambda: str  # cargo-lambda's option
    rust_target: str
    musl_target: str  # of programs that need no library of the system
    nomad_name: str  # as in Nomad's `attr.cpu.arch`
    elf_machine: int  # e_machine of its binaries
    qemu: str
    sysroot: str  # where Debian's cross packages put its glibc

    @property
    def package(self) -> str:
        """The name of its package."""
        return f"lambda-nomad-drain-{self.lambda_name}.zip"

    @property
    def tool_archive(self) -> str:
        """The name of the archive with the operator's tool."""
        return f"nomad-drain_linux_{self.nomad_name}.tar.gz"

    @property
    def is_native(self) -> bool:
        """Whether this machine runs its binaries itself."""
        return platform.system() == "Linux" and platform.machine() in (self.lambda_name, self.rust_target.split("-")[0])


X86_64 = Architecture(
    "x86_64", "--x86-64", "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "amd64", 62, "qemu-x86_64-static",
    "/usr/x86_64-linux-gnu",
)  # fmt: skip
ARM64 = Architecture(
    "arm64", "--arm64", "aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "arm64", 183, "qemu-aarch64-static",
    "/usr/aarch64-linux-gnu",
)  # fmt: skip
ARCHITECTURES = {architecture.lambda_name: architecture for architecture in (X86_64, ARM64)}
