"""What the Terraform module says, and that it says the same as the SAM template."""

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import hcl2

import schema_provider
from schema_provider import run, say
from template import ROOT, load, resources

MODULE = ROOT / "deploy/terraform"
TEMPLATE = load()

# What a resource of the template is in the module.
SAME = {
    "AWS::Serverless::Function": "aws_lambda_function",
    "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
    "AWS::IAM::Role": "aws_iam_role",
    "AWS::IAM::Policy": "aws_iam_role_policy",
    "AWS::SQS::Queue": "aws_sqs_queue",
    "AWS::SQS::QueuePolicy": "aws_sqs_queue_policy",
    "AWS::Events::Rule": "aws_cloudwatch_event_rule",
    "AWS::Lambda::Permission": "aws_lambda_permission",
    "AWS::Lambda::EventSourceMapping": "aws_lambda_event_source_mapping",
    "AWS::SNS::Topic": "aws_sns_topic",
    "AWS::SNS::Subscription": "aws_sns_topic_subscription",
    "AWS::AutoScaling::LifecycleHook": "aws_autoscaling_lifecycle_hook",
    "AWS::EC2::VPCEndpoint": "aws_vpc_endpoint",
    "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    "AWS::CloudWatch::Dashboard": "aws_cloudwatch_dashboard",
}
# What the template says inside another resource.
INSIDE = {"aws_cloudwatch_event_target", "aws_lambda_function_event_invoke_config"}

# Inputs that are called the same but for their spelling.
SPELT = {
    "architecture": "Architecture", "auto_scaling_groups": "AutoScalingGroups", "alarm_topic_arn": "AlarmTopicArn",
    "create_lifecycle_hooks": "CreateLifecycleHooks", "ec2_events": "Ec2Events", "events_concurrency": "EventsConcurrency",
    "existing_topic_arn": "ExistingTopicArn", "heartbeat_timeout": "HeartbeatTimeout", "kms_key_arn": "KmsKeyArn",
    "lifecycle_hook_name": "LifecycleHookName", "log_level": "LogLevel", "log_retention_days": "LogRetentionDays",
    "memory_size": "MemorySize", "notify_topic_arn": "NotifyTopicArn", "security_group_ids": "SecurityGroupIds",
    "stored_value_arns": "StoredValueArns", "subnet_ids": "SubnetIds", "sweep": "Sweep", "trigger": "Trigger",
    "vpc_endpoint_security_group_ids": "VpcEndpointSecurityGroupIds", "vpc_endpoints": "VpcEndpoints", "vpc_id": "VpcId",
}


def parsed():
    blocks = {}
    for path in sorted(MODULE.glob("*.tf")):
        for kind, entries in hcl2.loads(path.read_text()).items():
            blocks.setdefault(kind, []).extend(entries)
    return blocks


def bare(name):
    return name.strip('"')


def terraform():
    try:
        return schema_provider.program()
    except schema_provider.Missing as missing:
        raise unittest.SkipTest(str(missing)) from None


def text(literal):
    return bare(literal).replace('\\"', '"')


def spelt(value):
    return bare(value) if isinstance(value, str) else json.dumps(value)


class Module(unittest.TestCase):
    def test_it_makes_what_the_template_makes(self):
        kinds = {bare(kind) for entry in parsed()["resource"] for kind in entry}
        wanted = set()
        for name, body in TEMPLATE["Resources"].items():
            if name.startswith("Fn::ForEach::"):
                body, = body[2].values()
            wanted.add(SAME[body["Type"]])
        self.assertEqual(kinds - INSIDE, wanted)

    def test_it_takes_what_the_template_takes(self):
        variables = {bare(name): body for entry in parsed()["variable"] for name, body in entry.items()}
        for name, parameter in SPELT.items():
            self.assertIn(name, variables)
            self.assertIn(parameter, TEMPLATE["Parameters"])
        for name in ("architecture", "trigger", "lifecycle_hook_name", "log_level"):
            self.assertEqual(bare(variables[name]["default"]), TEMPLATE["Parameters"][SPELT[name]]["Default"])
        for name in ("memory_size", "events_concurrency", "log_retention_days"):
            self.assertEqual(variables[name]["default"], TEMPLATE["Parameters"][SPELT[name]]["Default"])
        for name in ("sweep", "ec2_events", "create_lifecycle_hooks", "vpc_endpoints"):
            self.assertEqual(str(variables[name]["default"]).lower(), TEMPLATE["Parameters"][SPELT[name]]["Default"])

    def test_both_wake_people_for_the_same(self):
        listed = {alarm["name"]: alarm for alarm in json.loads((ROOT / "deploy/alarms.json").read_text())}
        in_template = {}
        for name, alarm in resources(TEMPLATE, "AWS::CloudWatch::Alarm").items():
            properties = alarm["Properties"]
            namespace = properties["Namespace"]
            dimensions = properties.get("Dimensions", [])
            name = name.removesuffix("Alarm")
            in_template[name] = {
                "name": name,
                "description": properties["AlarmDescription"],
                "namespace": namespace if isinstance(namespace, str) else "",
                "metric": properties["MetricName"],
                "statistic": properties["Statistic"],
                "period": properties["Period"],
                "evaluation_periods": properties["EvaluationPeriods"],
                "threshold": properties["Threshold"],
                "comparison": properties["ComparisonOperator"],
                "missing": properties["TreatMissingData"],
                "only_with_sweep": alarm.get("Condition") == "Sweeps",
                "dimension": dimensions[0]["Name"] if dimensions else "",
            }
        self.assertEqual(in_template, listed)

    def test_it_is_formatted(self):
        terraform()
        with tempfile.TemporaryDirectory() as data:
            formatted = run("fmt", "-check", "-recursive", folder=MODULE, data=data)
        self.assertEqual((formatted.returncode, formatted.stdout), (0, ""), formatted.stderr)

    def test_what_it_reckons_is_right(self):
        terraform()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "deploy", folder, dirs_exist_ok=True)
            plan, data = Path(folder) / "terraform/modules/plan", Path(folder) / "data"
            ready = run("init", "-backend=false", "-input=false", folder=plan, data=data)
            self.assertEqual(ready.returncode, 0, ready.stderr)
            tested = run("test", "-no-color", folder=plan, data=data)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        self.assertIn("0 failed", tested.stdout)

    def test_it_is_valid_and_passes_its_own_tests(self):
        terraform()
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            shutil.copytree(ROOT / "deploy", folder / "deploy")
            module, data, settings = folder / "deploy/terraform", folder / "data", None
            ready = run("init", "-backend=false", "-input=false", folder=module, data=data)
            if ready.returncode != 0:
                try:
                    settings = schema_provider.settings(folder)
                except schema_provider.Missing as missing:
                    say("deploy tier: terraform validate and the module's own tests skipped: hashicorp/aws cannot be "
                        f"installed, and {missing}")
                    self.skipTest("no provider")
                say(f"deploy tier: hashicorp/aws cannot be installed; its schema, {schema_provider.VERSION}, takes its place")
                ready = run("init", "-backend=false", "-input=false", folder=module, data=data, settings=settings)
                self.assertEqual(ready.returncode, 0, ready.stderr)
            self.is_valid(run("validate", "-json", folder=module, data=data, settings=settings))
            tested = run("test", "-no-color", folder=module, data=data, settings=settings)
            self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
            self.assertIn(" passed, 0 failed", tested.stdout)
            for example in sorted((module / "examples").iterdir()):
                data = folder / example.name
                ready = run("init", "-backend=false", "-input=false", folder=example, data=data, settings=settings)
                self.assertEqual(ready.returncode, 0, ready.stderr)
                self.is_valid(run("validate", "-json", folder=example, data=data, settings=settings))

    def is_valid(self, validated):
        said = json.loads(validated.stdout)
        # A later version of hashicorp/aws may deprecate what this module uses: that is a warning, and no failure of it.
        self.assertTrue(said["valid"], said["diagnostics"])
        for diagnostic in said["diagnostics"]:
            say(f"deploy tier: terraform warns: {diagnostic['summary']}: {diagnostic['detail']}")

    def test_it_knows_the_variables_that_the_function_knows(self):
        readme = (ROOT / "README.md").read_text()
        rows = re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", readme, re.MULTILINE)
        self.assertEqual(json.loads((ROOT / "deploy/variables.json").read_text()), rows)

    def test_every_variable_of_the_function_can_be_set(self):
        variables = {bare(name): body for entry in parsed()["variable"] for name, body in entry.items()}
        condition = variables["environment"]["validation"][0]["condition"]
        refused = set(re.findall(r'"([A-Z_]+)"', condition))
        # These have inputs of their own; everything else that the function knows goes into `environment`.
        inputs = {
            "SWEEP": "sweep", "AUTO_SCALING_GROUPS": "auto_scaling_groups", "LIFECYCLE_HOOK_NAME": "lifecycle_hook_name",
            "METRICS_NAMESPACE": "name", "NOTIFY_TOPIC_ARN": "notify_topic_arn", "DRAIN_DEADLINE": "drain_deadline_seconds",
        }
        self.assertEqual(refused, {*inputs, "NOMAD_TOKEN"}, "a token has no place in the environment")
        for name, asked in inputs.items():
            self.assertIn(asked, variables, name)
        settable = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
        self.assertEqual(settable, set(json.loads((ROOT / "deploy/variables.json").read_text())) - {"NOMAD_TOKEN"})

    def test_its_readme_has_every_input_and_output(self):
        readme = (MODULE / "README.md").read_text()
        inputs = ["| Input | Type | Default | Meaning |", "|---|---|---|---|"]
        for entry in parsed()["variable"]:
            for name, body in entry.items():
                kind = body["type"].removeprefix("${").removesuffix("}")
                default = f"`{spelt(body['default'])}`" if "default" in body else "needed"
                inputs.append(f"| `{bare(name)}` | {kind} | {default} | {text(body['description'])} |")
        outputs = ["| Output | Meaning |", "|---|---|"]
        for entry in parsed()["output"]:
            for name, body in entry.items():
                outputs.append(f"| `{bare(name)}` | {text(body['description'])} |")
        for table in ("\n".join(inputs), "\n".join(outputs)):
            self.assertIn(table, readme, f"put this into deploy/terraform/README.md:\n\n{table}\n")


if __name__ == "__main__":
    unittest.main()
