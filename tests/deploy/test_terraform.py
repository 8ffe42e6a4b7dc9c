"""What the Terraform module says, and that it says the same as the SAM template."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import hcl2

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


def terraform():
    return shutil.which("tofu") or shutil.which("terraform")


def run(*arguments, folder, data):
    environment = dict(os.environ, TF_DATA_DIR=str(data), TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
    environment.pop("TF_CLI_CONFIG_FILE", None)
    try:
        return subprocess.run(
            [terraform(), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(arguments, 1, "", f"no answer within {late.timeout} s")


def parsed():
    blocks = {}
    for path in sorted(MODULE.glob("*.tf")):
        for kind, entries in hcl2.loads(path.read_text()).items():
            blocks.setdefault(kind, []).extend(entries)
    return blocks


def bare(name):
    return name.strip('"')


def say(line):
    print(line, file=sys.stderr)


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
        if not terraform():
            self.skipTest("there is neither tofu nor terraform on PATH")
        with tempfile.TemporaryDirectory() as data:
            formatted = run("fmt", "-check", "-recursive", folder=MODULE, data=data)
        self.assertEqual((formatted.returncode, formatted.stdout), (0, ""), formatted.stderr)

    def test_what_it_reckons_is_right(self):
        if not terraform():
            self.skipTest("there is neither tofu nor terraform on PATH")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "deploy", folder, dirs_exist_ok=True)
            plan, data = Path(folder) / "terraform/modules/plan", Path(folder) / "data"
            ready = run("init", "-backend=false", "-input=false", folder=plan, data=data)
            self.assertEqual(ready.returncode, 0, ready.stderr)
            tested = run("test", "-no-color", folder=plan, data=data)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        self.assertIn("0 failed", tested.stdout)

    def test_it_is_valid_with_the_providers_own_schema(self):
        if not terraform():
            self.skipTest("there is neither tofu nor terraform on PATH")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "deploy", folder, dirs_exist_ok=True)
            module, data = Path(folder) / "terraform", Path(folder) / "data"
            ready = run("init", "-backend=false", "-input=false", folder=module, data=data)
            if ready.returncode != 0:
                say("deploy tier: terraform validate and the module's own tests skipped: hashicorp/aws cannot be installed")
                self.skipTest("hashicorp/aws cannot be installed")
            valid = run("validate", "-no-color", folder=module, data=data)
            self.assertEqual(valid.returncode, 0, valid.stdout + valid.stderr)
            tested = run("test", "-no-color", folder=module, data=data)
            self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)


if __name__ == "__main__":
    unittest.main()
