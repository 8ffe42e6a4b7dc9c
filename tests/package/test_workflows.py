"""The workflows of GitHub: they run our two commands, trust nothing that can move, and may do no more than they need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any, Iterator

from lambda_package import sbom
from lambda_package.architecture import ARCHITECTURES

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github/workflows"


def _yaml() -> Any:
    """PyYAML: that of the system, or else one under target/."""
    try:
        import yaml
    except ImportError:
        folder = ROOT / "target/tools/yaml"
        if not (folder / "yaml").is_dir():
            arguments = ["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", folder, "PyYAML==6.0.2"]
            installed = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
            if installed.returncode != 0:
                raise unittest.SkipTest("there is no PyYAML, and pip cannot install it")
        sys.path.append(str(folder))
        import yaml
    return yaml


class Workflows(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        yaml = _yaml()
        cls.workflows = {path.name: yaml.safe_load(path.read_text()) for path in sorted(WORKFLOWS.iterdir())}

    def jobs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, workflow in self.workflows.items():
            for job, content in workflow["jobs"].items():
                yield f"{name}: {job}", content

    def steps(self, file: str, job: str) -> list[dict[str, Any]]:
        return self.workflows[file]["jobs"][job]["steps"]

    def commands(self, file: str, job: str) -> str:
        return "\n".join(step.get("run", "") for step in self.steps(file, job))

    def test_there_are_two(self) -> None:
        self.assertEqual(list(self.workflows), ["ci.yml", "release.yml"])

    def test_actions_are_named_by_their_whole_commit_with_the_version_beside_it(self) -> None:
        for path in WORKFLOWS.iterdir():
            used = re.findall(r"uses: *(.*)", path.read_text())
            self.assertTrue(used)
            for action in used:
                self.assertRegex(action, r"^actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")

    def test_the_same_action_is_the_same_commit_everywhere(self) -> None:
        text = "".join(path.read_text() for path in WORKFLOWS.iterdir())
        used = set(re.findall(r"uses: *(\S+)@(\S+)", text))
        self.assertEqual(len(used), len({action for action, _ in used}))

    def test_nothing_is_permitted_but_by_a_job_for_itself(self) -> None:
        for name, workflow in self.workflows.items():
            self.assertEqual(workflow["permissions"], {}, name)
        for name, job in self.jobs():
            if name != "release.yml: publish":
                self.assertEqual(job["permissions"], {"contents": "read"}, name)
        publish = self.workflows["release.yml"]["jobs"]["publish"]
        self.assertEqual(publish["permissions"], {"contents": "write", "id-token": "write", "attestations": "write"})

    def test_who_may_publish_runs_no_code_of_the_repository(self) -> None:
        steps = self.steps("release.yml", "publish")
        self.assertFalse([step for step in steps if step.get("uses", "").startswith("actions/checkout@")])
        self.assertNotIn("cargo", self.commands("release.yml", "publish"))

    def test_a_checkout_leaves_no_credentials_behind(self) -> None:
        for name, job in self.jobs():
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    self.assertIs(step["with"]["persist-credentials"], False, name)

    def test_no_command_is_made_of_what_others_can_name(self) -> None:
        # A branch or a tag can be called like a command: such values come as variables.
        for name, job in self.jobs():
            for step in job["steps"]:
                self.assertNotIn("${{", step.get("run", ""), name)

    def test_every_job_has_an_end(self) -> None:
        for name, job in self.jobs():
            self.assertLessEqual(job["timeout-minutes"], 60, name)

    def test_ci_runs_what_a_laptop_runs(self) -> None:
        self.assertIn(".ci/run", self.commands("ci.yml", "check").splitlines())
        # YAML 1.1 reads the key `on` as a boolean.
        triggers = self.workflows["ci.yml"].get("on", self.workflows["ci.yml"].get(True))
        self.assertEqual(set(triggers), {"push", "pull_request"})

    def test_what_is_released_has_passed_every_check(self) -> None:
        for file, job in (("ci.yml", "package"), ("release.yml", "build")):
            self.assertIn("deploy/package --tool --strict --check-reproducible", self.commands(file, job))
            self.assertIn("qemu-user-static libc6-arm64-cross", self.commands(file, job))
        self.assertIn(".ci/run", self.commands("release.yml", "check"))
        self.assertEqual(set(self.workflows["release.yml"]["jobs"]["publish"]["needs"]), {"check", "build"})
        triggers = self.workflows["release.yml"].get("on", self.workflows["release.yml"].get(True))
        self.assertEqual(set(triggers), {"push"})
        self.assertEqual(list(triggers["push"]), ["tags"])

    def test_a_release_carries_packages_tool_checksums_and_sboms_all_of_them_signed(self) -> None:
        steps = self.steps("release.yml", "publish")
        actions = [step.get("uses", "").split("@")[0] for step in steps]
        self.assertLess(actions.index("actions/download-artifact"), actions.index("actions/attest"))
        signed = [step["with"] for step in steps if step.get("uses", "").startswith("actions/attest@")]
        self.assertEqual([inputs["subject-path"] for inputs in signed], ["dist/*", "dist/*.zip", "dist/*.tar.gz"])
        sboms = [sbom.NAME, sbom.TOOL_NAME]
        self.assertEqual([inputs["sbom-path"] for inputs in signed[1:]], [f"dist/{name}" for name in sboms])
        commands = self.commands("release.yml", "publish")
        made = [name for one in ARCHITECTURES.values() for name in (one.package, one.tool_archive)]
        for name in [*made, *sboms]:
            self.assertIn(name, commands)
        self.assertIn("sha256sum --check --strict SHA256SUMS", commands)
        self.assertIn('gh release create "$TAG" dist/*', steps[-1]["run"])

    def test_the_commands_are_there_and_can_be_run(self) -> None:
        for command in (".ci/run", "deploy/package"):
            self.assertTrue(os.access(ROOT / command, os.X_OK), command)

    def test_every_command_is_one_that_a_shell_can_read(self) -> None:
        for name, job in self.jobs():
            for step in job["steps"]:
                if "run" in step:
                    read = subprocess.run(["bash", "-n"], input=step["run"], capture_output=True, text=True)
                    self.assertEqual(read.returncode, 0, f"{name}: {read.stderr}")


if __name__ == "__main__":
    unittest.main()
