#!/usr/bin/env python3
"""Writes aws.json, the schema of what the Terraform module uses of hashicorp/aws, in the form of `terraform providers schema -json`.

    npm pack @cdktn/provider-aws@25.7.0
    tests/deploy/provider/extract.py cdktn-provider-aws-25.7.0.tgz

The npm package holds bindings that are generated from the provider's own schema: names, types, and what is required. What a
resource only tells (computed) and is no plain value is left out. For a new kind of resource add its name below and run it again.
"""

import json
import re
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESOURCES = [
    "aws_autoscaling_lifecycle_hook", "aws_cloudwatch_dashboard", "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_group", "aws_cloudwatch_metric_alarm", "aws_iam_role", "aws_iam_role_policy",
    "aws_lambda_event_source_mapping", "aws_lambda_function", "aws_lambda_function_event_invoke_config", "aws_lambda_permission",
    "aws_sns_topic", "aws_sns_topic_subscription", "aws_sqs_queue", "aws_sqs_queue_policy", "aws_vpc_endpoint",
]
DATA = ["aws_caller_identity", "aws_partition", "aws_region"]
# What the bindings do not tell.
DEPRECATED = [("data_source_schemas", "aws_region", "name")]

SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
GETTERS = {
    "String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"], "StringMap": ["map", "string"],
    "NumberList": ["list", "number"],
}
FLAGS = re.compile(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n(.*?)(?=\n    // \w+ - computed|\n}|\Z)", re.S)
ENTRY = re.compile(r'(\w+): \{\s*value: .*?isBlock: (\w+),\s*type: "(\w+)",\s*storageClassType: "(\w+)",', re.S)
GETTER = re.compile(r"get(String|Number|Boolean|List|StringMap|NumberList)Attribute\(")


def attribute_type(kind, storage):
    if kind == "simple":
        return SIMPLE[storage]
    inner = re.sub(r"(List|Map)$", "", storage)
    return [kind, SIMPLE.get(inner, "string")]


def block(source, entries, flags):
    """A block, from the table of what can be set in it and the comments on what its class has."""
    attributes, blocks = {}, {}
    known = {name: (computed, optional, required, body) for name, computed, optional, required, body in FLAGS.findall(flags)}
    settable = set()
    for name, is_block, kind, storage in ENTRY.findall(entries):
        settable.add(name)
        computed, optional, required, _ = known[name]
        if is_block == "true":
            inner = storage.removesuffix("List")
            nested = {
                "nesting_mode": "single" if kind == "struct" else kind,
                "block": block(source, table(source, inner), class_of(source, inner + "OutputReference")),
            }
            if required == "true":
                nested["min_items"] = 1
            blocks[name] = nested
        else:
            attributes[name] = {"type": attribute_type(kind, storage)}
            attributes[name].update({flag: True for flag, on in
                                     (("computed", computed), ("optional", optional), ("required", required)) if on == "true"})
    for name, (computed, _, _, body) in known.items():
        getter = GETTER.search(body)
        if name not in settable and computed == "true" and getter:
            attributes[name] = {"type": GETTERS[getter[1]], "computed": True}
    return {key: value for key, value in (("attributes", attributes), ("block_types", blocks)) if value}


def table(source, name):
    function = name[0].lower() + name[1:] + "ToHclTerraform"
    return re.search(rf"function {function}\(struct\) \{{.*?const attrs = \{{(.*?)\n    \}};", source, re.S)[1]


def class_of(source, name):
    return re.search(rf"class {name} extends .*?\n}}\n", source, re.S)[0]


def resource(source):
    whole = re.search(r"class \w+ extends cdktn\.Terraform(Resource|DataSource) \{.*", source, re.S)[0]
    entries = re.search(r"synthesizeHclAttributes\(\) \{.*?const attrs = \{(.*?)\n        \};", whole, re.S)
    version = re.search(r"providerVersion: '([\d.]+)'", whole)[1]
    return version, {"version": 0, "block": block(source, entries[1] if entries else "", whole)}


def main():
    versions, schemas = set(), {"resource_schemas": {}, "data_source_schemas": {}}
    with tarfile.open(sys.argv[1]) as package:
        for names, prefix, kind in ((RESOURCES, "", "resource_schemas"), (DATA, "data-aws-", "data_source_schemas")):
            for name in names:
                folder = prefix + name.removeprefix("aws_").replace("_", "-")
                source = package.extractfile(f"package/lib/{folder}/index.js").read().decode()
                version, schemas[kind][name] = resource(source)
                versions.add(version)
    version, = versions
    for kind, name, attribute in DEPRECATED:
        schemas[kind][name]["block"]["attributes"][attribute]["deprecated"] = True
    # One resource a line, so that a new version of the provider is a change that can be read.
    parts = [f'"provider": "hashicorp/aws",\n"version": "{version}"']
    for kind, found in schemas.items():
        lines = [f"{json.dumps(name)}: {json.dumps(schema, sort_keys=True)}" for name, schema in sorted(found.items())]
        parts.append(f'"{kind}": {{\n' + ",\n".join(lines) + "\n}")
    (HERE / "aws.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
