"""Nomad's ACLs as a token sees them: policies with their RulesJSON, roles, namespaces with globs."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

# What `policy = "…"` of a namespace stands for; servers write it out in RulesJSON.
READ = ["list-jobs", "parse-job", "read-job", "csi-list-volume", "csi-read-volume", "read-job-scaling",
        "list-scaling-policies", "read-scaling-policy", "host-volume-read"]  # fmt: skip
WRITE = [*READ, "scale-job", "submit-job", "dispatch-job", "read-logs", "read-fs", "alloc-exec", "alloc-lifecycle",
         "csi-mount-volume", "csi-write-volume", "submit-recommendation", "host-volume-create"]  # fmt: skip
SHORT = {
    "read": READ,
    "write": WRITE,
    "scale": ["list-scaling-policies", "read-scaling-policy", "read-job-scaling", "scale-job", "read-job",
              "submit-recommendation"],
    "deny": ["deny"],
}
WHAT_IT_TAKES = r'namespace\s*\\?"\*\\?"\s*\{\s*capabilities\s*=\s*\[\\?"read-job\\?"\]\s*\}'


@dataclass
class Policy:
    """`namespaces`: from a name or glob to `policy = "…"` (a string) or to capabilities (a list)."""

    namespaces: dict[str, str | list[str]] = field(default_factory=dict)
    node: str | None = "write"

    @property
    def rules(self) -> str:
        lines = [f'node {{ policy = "{self.node}" }}'] if self.node else []
        for name, granted in self.namespaces.items():
            inner = f'policy = "{granted}"' if isinstance(granted, str) else f"capabilities = {json.dumps(granted)}"
            lines.append(f'namespace "{name}" {{ {inner} }}')
        return "\n".join(lines)

    def capabilities(self) -> dict[str, list[str]]:
        return {n: SHORT[granted] if isinstance(granted, str) else granted for n, granted in self.namespaces.items()}

    def document(self, name: str) -> dict[str, Any]:
        namespaces = [
            {
                "Capabilities": capabilities,
                "Name": namespace,
                "Policy": self.namespaces[namespace] if isinstance(self.namespaces[namespace], str) else "",
                "Variables": None,
            }
            for namespace, capabilities in self.capabilities().items()
        ]
        nothing = ("Agent", "ExtraKeysHCL", "HostVolumes", "NodePools", "Operator", "Plugin", "Quota", "Sentinel")
        rules_json = dict.fromkeys(nothing) | {
            "Namespaces": namespaces or None,
            "Node": {"Policy": self.node} if self.node else None,
            "Raw": self.rules,
        }
        return self.stub(name) | {"JobACL": None, "Rules": self.rules, "RulesJSON": rules_json}

    @staticmethod
    def stub(name: str) -> dict[str, Any]:
        return {"CreateIndex": 9, "Description": "", "Hash": "fuxQl+QJ=", "ModifyIndex": 9, "Name": name}


# What the README asks for: drain nodes, and see every allocation.
DOCUMENTED = Policy({"*": ["read-job"]})


@dataclass
class Grants:
    """What the one token of a world may do."""

    policies: dict[str, Policy] = field(default_factory=lambda: {"nomad-drain": DOCUMENTED})
    roles: dict[str, list[str]] = field(default_factory=dict)  # role name -> names of policies
    direct: list[str] | None = None  # policies of the token itself; None: all that no role has
    management: bool = False
    unreadable: set[str] = field(default_factory=set)  # policies that may not be looked at
    ids: dict[str, str] = field(default_factory=dict)

    def own(self) -> list[str]:
        through_roles = {name for names in self.roles.values() for name in names}
        if self.direct is not None:
            return self.direct
        return [name for name in self.policies if name not in through_roles]

    def all(self) -> set[str]:
        return set(self.own()) | {name for names in self.roles.values() for name in names}

    def role_id(self, name: str) -> str:
        return self.ids.setdefault(name, str(uuid.uuid4()))

    def sees(self, namespace: str) -> bool:
        if self.management:
            return True
        granted: dict[str, set[str]] = {}
        for name in self.all() & set(self.policies):
            for pattern, capabilities in self.policies[name].capabilities().items():
                granted.setdefault(pattern, set()).update(capabilities)
        if namespace not in granted:
            globs = [pattern for pattern in granted if "*" in pattern and _glob(pattern, namespace)]
            if not globs:
                return False
            namespace = max(globs, key=lambda pattern: len(pattern) - pattern.count("*"))
        return "read-job" in granted[namespace] and "deny" not in granted[namespace]

    def token(self, secret: str) -> dict[str, Any]:
        roles = [{"ID": self.role_id(name), "Name": name} for name in self.roles]
        return {
            "ExpirationTTL": "",
            "AccessorID": "fb520ffd-faa8-208a-ae56-ecaa61e56740",
            "SecretID": secret,
            "Name": "drain",
            "Type": "management" if self.management else "client",
            "Policies": None if self.management else (self.own() or None),
            "Roles": None if self.management else (roles or None),
            "Global": self.management,
            "Hash": "y4gQtEXvqsKewkuDzOwxTL2w4DbfZP4YPrIO//T2UQY=",
            "CreateTime": "2026-01-02T03:04:36.66068923Z",
            "ExpirationTime": None,
            "CreateIndex": 14,
            "ModifyIndex": 14,
        }

    def role(self, name: str) -> dict[str, Any]:
        policies = [{"Name": policy} for policy in self.roles[name]]
        return {
            "CreateIndex": 13, "Description": "", "Hash": "r3MT88ZYTTW=", "ID": self.role_id(name), "ModifyIndex": 13,
            "Name": name, "Policies": policies,
        }  # fmt: skip


def _glob(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
