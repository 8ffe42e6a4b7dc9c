"""Reads the CloudFormation template, with its short forms written out."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


def _tagged(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value}


Loader.add_multi_constructor("!", _tagged)


def load(path="deploy/sam/template.yaml"):
    return yaml.load((ROOT / path).read_text(), Loader)


def resources(template, kind):
    """Every resource of a type, those that a loop makes among them."""
    found = {}
    for name, body in template["Resources"].items():
        if name.startswith("Fn::ForEach::"):
            (name, body), = body[2].items()
        if body["Type"] == kind:
            found[name] = body
    return found


def statements(template, *roles):
    """The statements of the function's role: of its policies, and of what a condition adds."""
    all_of_them = []
    for policy in resources(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                statement = statement["Fn::If"][1]
            all_of_them.append(statement)
    return all_of_them


def actions(statement):
    action = statement["Action"]
    return [action] if isinstance(action, str) else action
