"""Terraform as it is run by the tests: with hashicorp/aws if it can be installed, else with a provider that has its schema only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from template import ROOT

HERE = Path(__file__).resolve().parent / "provider"
VERSION = "6.66.0"


class Missing(Exception):
    """What is needed is not there; the tests say so and go on."""


def program():
    found = shutil.which("tofu") or shutil.which("terraform")
    if not found:
        raise Missing("there is neither tofu nor terraform on PATH")
    return found


def run(*arguments, folder, data, settings=None):
    environment = dict(os.environ, TF_DATA_DIR=str(data), TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
    environment.pop("TF_CLI_CONFIG_FILE", None)
    if settings:
        environment["TF_CLI_CONFIG_FILE"] = str(settings)
    try:
        return subprocess.run(
            [program(), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(arguments, 1, "", f"no answer within {late.timeout} s")


def settings(folder):
    """Builds the provider, and the settings by which Terraform takes it for hashicorp/aws."""
    if not shutil.which("go"):
        raise Missing("there is no go on PATH to build tests/deploy/provider")
    built = ROOT / "target/deploy-provider/terraform-provider-aws"
    build = subprocess.run(
        ["go", "build", "-trimpath", "-o", built, "."], cwd=HERE, capture_output=True, text=True, timeout=600
    )
    if build.returncode != 0:
        if "proxy" in build.stderr or "dial tcp" in build.stderr:
            raise Missing("tests/deploy/provider needs Go modules that cannot be fetched")
        raise AssertionError(build.stderr)
    platform = "_".join(
        subprocess.run(["go", "env", name], cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()
        for name in ("GOOS", "GOARCH")
    )
    for registry in ("registry.terraform.io", "registry.opentofu.org"):
        place = folder / "mirror" / registry / "hashicorp/aws" / VERSION / platform
        place.mkdir(parents=True)
        (place / f"terraform-provider-aws_v{VERSION}").symlink_to(built)
    written = folder / "terraform.rc"
    written.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n')
    return written


def say(line):
    """The Rust test passes on what begins like this."""
    # Its own line, after the dots of unittest.
    print(f"\n{line}", file=sys.stderr)
