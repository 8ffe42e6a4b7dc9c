"""What the SAM template says, without deploying it."""

import json
import re
import subprocess
import sys
import unittest
from pathlib import Path

from evaluated import Stack
from template import ROOT, actions, load, resources, statements

TEMPLATE = load()


def listed(name):
    return json.loads((ROOT / "deploy/iam" / name).read_text())


def metrics():
    source = (ROOT / "crates/drain/src/metrics.rs").read_text()
    table = source.split("pub const NAMES", 1)[1].split("];", 1)[0]
    return dict(re.findall(r'\("(\w+)", "(\w+)"\)', table))


class Template(unittest.TestCase):
    def test_cfn_lint_has_nothing_to_say(self):
        lint = Path(sys.executable).parent / "cfn-lint"
        run = subprocess.run([lint, ROOT / "deploy/sam/template.yaml"], capture_output=True, text=True)
        self.assertEqual((run.stdout, run.returncode), ("", 0), run.stderr)

    def test_the_role_may_do_what_the_code_and_lambda_need_and_nothing_else(self):
        granted = {action for statement in statements(TEMPLATE) for action in actions(statement)}
        needed = {entry["action"] for name in ("actions.json", "platform.json") for entry in listed(name)}
        self.assertEqual(granted, needed)

    def test_each_action_is_as_narrow_as_it_can_be(self):
        open_ones = {entry["action"] for entry in listed("actions.json") if entry["resource"] == "*"}
        # Lambda's own: network interfaces and traces know no resources.
        open_ones |= {entry["action"] for entry in listed("platform.json") if entry["action"].startswith(("ec2:", "xray:"))}
        for statement in statements(TEMPLATE):
            for action in actions(statement):
                self.assertEqual(statement["Resource"] == "*", action in open_ones, action)

    def test_there_are_two_functions_and_a_sweep_never_holds_up_a_warning(self):
        functions = resources(TEMPLATE, "AWS::Serverless::Function")
        events, sweep = functions["EventsFunction"]["Properties"], functions["SweepFunction"]["Properties"]
        shared = TEMPLATE["Globals"]["Function"]
        self.assertEqual((events["Timeout"], sweep["Timeout"]), ({"Fn::If": ["Sweeps", 60, 900]}, 90))
        self.assertEqual(sweep["EventInvokeConfig"], {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60})
        self.assertEqual(events["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Type"], "SQS")
        self.assertEqual((shared["Runtime"], shared["Handler"], shared["Tracing"]), ("provided.al2023", "bootstrap", "Active"))
        parameters = TEMPLATE["Parameters"]
        self.assertEqual((parameters["Architecture"]["Default"], parameters["MemorySize"]["Default"]), ("arm64", 128))
        self.assertEqual(parameters["EventsConcurrency"]["Default"], -1, "small accounts cannot reserve any")
        logs = resources(TEMPLATE, "AWS::Logs::LogGroup")
        self.assertEqual(len(logs), 2)
        self.assertTrue(all("RetentionInDays" in log["Properties"] for log in logs.values()))

    def test_functions_are_made_when_their_role_may_what_lambda_checks(self):
        # With a VPC, and with a queue for what failed, Lambda refuses a function whose role has no policy yet.
        for function in resources(TEMPLATE, "AWS::Serverless::Function").values():
            self.assertEqual(function["DependsOn"], "Policy")

    def test_a_loop_over_nothing_takes_no_other_resources_name(self):
        # An empty list is one empty item, whose resources are conditional and named all the same.
        for name, body in TEMPLATE["Resources"].items():
            if name.startswith("Fn::ForEach::"):
                (pattern, made), = body[2].items()
                self.assertNotIn(pattern.replace("&{%s}" % body[0], ""), TEMPLATE["Resources"])
                self.assertIn("Condition", made)

    def test_without_the_sweep_a_hook_of_five_minutes_is_refused(self):
        rule = TEMPLATE["Rules"]["HooksOutlastDrains"]
        self.assertIn({"Fn::Equals": [{"Ref": "Sweep"}, "false"]}, rule["RuleCondition"]["Fn::And"])
        default = str(TEMPLATE["Parameters"]["HeartbeatTimeout"]["Default"])
        self.assertEqual(rule["Assertions"][0]["Assert"], {"Fn::Not": [{"Fn::Equals": [{"Ref": "HeartbeatTimeout"}, default]}]})

    def test_the_queue_waits_six_times_as_long_as_the_function(self):
        queue = TEMPLATE["Resources"]["Queue"]["Properties"]
        events = TEMPLATE["Resources"]["EventsFunction"]["Properties"]
        for waits, works in zip(queue["VisibilityTimeout"]["Fn::If"][1:], events["Timeout"]["Fn::If"][1:], strict=True):
            self.assertGreaterEqual(waits, 6 * works)
        self.assertGreaterEqual(queue["RedrivePolicy"]["maxReceiveCount"], 5)
        source = TEMPLATE["Resources"]["QueueSource"]["Properties"]
        self.assertEqual(source["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    def test_hooks_hold_long_enough_for_a_sweep_and_let_go_when_nobody_cares(self):
        hook, = resources(TEMPLATE, "AWS::AutoScaling::LifecycleHook").values()
        self.assertEqual(hook["Properties"]["DefaultResult"], "CONTINUE")
        timeout = TEMPLATE["Parameters"]["HeartbeatTimeout"]
        # max(300, ceil(DRAIN_DEADLINE / 100)) of the default deadline of an hour; a hook takes 7200 at most.
        self.assertEqual(TEMPLATE["Parameters"]["DrainDeadline"]["Default"], "1h")
        self.assertEqual((timeout["Default"], timeout["MinValue"], timeout["MaxValue"]), (max(300, -(-3600 // 100)), 300, 7200))

    def policies(self, **parameters):
        made = Stack(TEMPLATE, {"NomadTokenParameter": "/nomad/token", **parameters}).resources()
        return [body["Properties"] for body in made.values() if body["Type"] == "AWS::IAM::Policy"]

    def test_policies_have_names_that_iam_takes_whatever_groups_are_called(self):
        names = [policy["PolicyName"] for policy in self.policies(AutoScalingGroups="blue workers,batch/eu (old),Grüße???,a~~~b")]
        self.assertEqual(len(set(names)), 5, names)
        for name in names:
            # (IAM API Reference, "PutRolePolicy".)
            self.assertRegex(name, r"^[A-Za-z0-9_+=,.@-]{1,128}$")

    def test_without_names_only_hooks_of_groups_with_the_tag_may_be_completed(self):
        def conditions(**parameters):
            return [statement.get("Condition") for policy in self.policies(**parameters)
                    for statement in policy["PolicyDocument"]["Statement"]
                    if "autoscaling:CompleteLifecycleAction" in actions(statement)]

        key = "autoscaling:ResourceTag/nomad-drain"
        # (Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2 Auto Scaling".)
        tagged = {"Null": {key: "false"}, "StringNotEqualsIgnoreCase": {key: ["off", "false"]}}
        self.assertEqual(conditions(AutoScalingGroups=""), [tagged])
        self.assertEqual(conditions(AutoScalingGroups="workers"), [None])
        # The function does not ask for the tag then.
        self.assertEqual(conditions(AutoScalingGroups="", Sweep="false"), [None])
        self.assertEqual(conditions(AutoScalingGroups="", ClustersParameter="/clusters"), [None])

    def test_eventbridge_tells_of_the_named_groups_only(self):
        def groups(names, **parameters):
            stack = Stack(TEMPLATE, {"AutoScalingGroups": names, **parameters}).resources()
            pattern = stack["HookRule"]["Properties"]["EventPattern"]
            self.assertLess(len(json.dumps(pattern)), 2048, "no rule's pattern is longer (Amazon EventBridge quotas)")
            return pattern["detail"].get("AutoScalingGroupName")

        self.assertEqual(groups("workers,blue workers"), ["workers", "blue workers"])
        self.assertIsNone(groups(""), "groups with a tag are called anything")
        # A pattern of EventBridge compares whole names, and where hooks are kept names may be globs.
        self.assertIsNone(groups("workers,batch-*", CreateLifecycleHooks="false"))
        longest = [f"{number}{'x' * 254}" for number in range(6)]
        self.assertEqual(groups(",".join(longest)), longest)
        self.assertIsNone(groups(",".join([*longest, "one-more"])), "there may be no room for it")

    def test_what_a_topic_cannot_deliver_is_kept(self):
        stack = Stack(TEMPLATE, {"Trigger": "sns", "ExistingTopicArn": "arn:aws:sns:eu-west-1:123456789012:old"}).resources()
        redrive = stack["Subscription"]["Properties"]["RedrivePolicy"]
        self.assertEqual(redrive, {"deadLetterTargetArn": "<DeadLetters.Arn>"})
        allowed = stack["DeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        topic, = [statement for statement in allowed if statement["Principal"] == {"Service": "sns.amazonaws.com"}]
        self.assertEqual((topic["Action"], topic["Resource"]), ("sqs:SendMessage", "<DeadLetters.Arn>"))
        self.assertEqual(topic["Condition"], {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-west-1:123456789012:old"}})
        without = Stack(TEMPLATE, {"Trigger": "sqs"}).resources()["DeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual([statement["Principal"]["Service"] for statement in without], ["events.amazonaws.com"])

    def test_eventbridge_tells_of_our_hooks_only(self):
        pattern = TEMPLATE["Resources"]["HookRule"]["Properties"]["EventPattern"]
        self.assertEqual(pattern["detail"]["LifecycleHookName"][0], {"Ref": "LifecycleHookName"})
        for rule in resources(TEMPLATE, "AWS::Events::Rule").values():
            target, = rule["Properties"]["Targets"]
            swept = "ScheduleExpression" in rule["Properties"]
            self.assertEqual("DeadLetterConfig" in target, not swept, "an event that is given up is kept, a sweep is not")

    def test_a_trigger_without_its_sweep_is_a_warning(self):
        self.assertEqual(TEMPLATE["Outputs"]["Warning"]["Condition"], "WantsSweep")

    def test_every_variable_of_the_function_can_be_set(self):
        known = json.loads((ROOT / "deploy/variables.json").read_text())
        variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
        # A token has no place where everybody who may look at the function can read it.
        self.assertEqual(set(variables), set(known) - {"NOMAD_TOKEN"})
        set_by = {name: value.get("Ref") for name, value in variables.items()}
        # One is made of the groups' names, and the other of the stack's, so that no two stacks have the same.
        others = {name for name, parameter in set_by.items() if parameter is None}
        self.assertEqual(others, {"AUTO_SCALING_GROUPS", "METRICS_NAMESPACE"})
        for name in set(variables) - others:
            said = TEMPLATE["Parameters"][set_by[name]].get("Description", "")
            self.assertTrue(name == "SWEEP" or name in said.replace(",", " ").replace(":", " ").replace(".", " ").split(), name)
        self.assertEqual(len({set_by[name] for name in set(variables) - others}), len(variables) - 2, "a parameter each")

    def test_alarms_look_at_metrics_that_there_are_and_have_a_paragraph(self):
        names, operations = metrics(), (ROOT / "docs/operations.md").read_text()
        alarms = resources(TEMPLATE, "AWS::CloudWatch::Alarm")
        self.assertEqual(len(alarms), 9)
        for name, alarm in alarms.items():
            properties = alarm["Properties"]
            if not str(properties["Namespace"]).startswith("AWS/"):
                self.assertEqual(properties["Namespace"], {"Fn::Sub": "NomadDrain/${AWS::StackName}"})
                self.assertIn(properties["MetricName"], names)
            self.assertIn(f"\n### {name.removesuffix('Alarm')}\n", operations)
            self.assertIn("AlarmActions", properties)
        missing = alarms["SweepMissingAlarm"]["Properties"]
        self.assertEqual((missing["Period"] * missing["EvaluationPeriods"], missing["TreatMissingData"]), (180, "breaching"))

    def test_the_dashboard_is_the_one_for_everybody_and_shows_metrics_that_there_are(self):
        body = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        shared = (ROOT / "deploy/dashboard.json").read_text()
        self.assertEqual(json.loads(body), json.loads(shared.replace("${Namespace}", "NomadDrain/${AWS::StackName}")))
        shown = [metric for widget in json.loads(shared)["widgets"] for metric in widget["properties"]["metrics"]]
        self.assertTrue({metric[1] for metric in shown if metric[0] == "${Namespace}"} <= set(metrics()))

    def test_every_service_that_is_called_has_an_endpoint(self):
        services = {entry["action"].split(":")[0] for entry in listed("actions.json")} - {"kms"}
        endpoints = resources(TEMPLATE, "AWS::EC2::VPCEndpoint").values()
        offered = {endpoint["Properties"]["ServiceName"]["Fn::Sub"].rsplit(".", 1)[1] for endpoint in endpoints}
        self.assertEqual(offered, services)


if __name__ == "__main__":
    unittest.main()
