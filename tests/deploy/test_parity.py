"""The SAM template and the Terraform module make the same, for each way in which they are used: what CloudFormation would make
of the parameters is compared with what Terraform plans for the inputs, resource by resource and value by value."""

import json
import shutil
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import schema_provider
from evaluated import Stack
from template import ROOT, load

TEMPLATE = load()
ARN = "arn:aws:{}:eu-west-1:123456789012:{}".format

# The same wish, as parameters and as inputs.
NOMAD = (
    {"NomadAddr": "https://nomad.example:4646", "NomadTokenParameter": "/nomad/token", "AutoScalingGroups": "workers,batch"},
    {"environment": {"NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_TOKEN_PARAMETER": "/nomad/token"},
     "auto_scaling_groups": ["workers", "batch"]},
)
WISHES = {
    "nothing but groups": ({}, {}),
    "a topic": ({"Trigger": "sns"}, {"trigger": "sns"}),
    "the older function's topic and hook": (
        {"Trigger": "sns", "ExistingTopicArn": ARN("sns", "old"), "CreateLifecycleHooks": "false", "LifecycleHookName": "old"},
        {"trigger": "sns", "existing_topic_arn": ARN("sns", "old"), "create_lifecycle_hooks": False, "lifecycle_hook_name": "old"},
    ),
    "an existing topic with new hooks": (
        {"Trigger": "sns", "ExistingTopicArn": ARN("sns", "old")}, {"trigger": "sns", "existing_topic_arn": ARN("sns", "old")},
    ),
    "a queue": ({"Trigger": "sqs"}, {"trigger": "sqs"}),
    "the hook itself, and nothing of EC2": ({"Trigger": "direct", "Ec2Events": "false"}, {"trigger": "direct", "ec2_events": False}),
    "no sweep": (
        {"Trigger": "sns", "Sweep": "false", "HeartbeatTimeout": "4200"}, {"trigger": "sns", "sweep": False},
    ),
    "groups by their tag, and no token": (
        {"AutoScalingGroups": "", "NomadTokenParameter": "", "NomadAuthMethod": "lambda", "NomadAuthAudience": "nomad",
         "NodeLookup": "server"},
        {"auto_scaling_groups": [],
         "environment": {"NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_AUTH_METHOD": "lambda", "NOMAD_AUTH_AUDIENCE": "nomad",
                         "NODE_LOOKUP": "server"}},
    ),
    "derived names, and many clusters": (
        {"NomadAddr": "", "NomadTokenParameter": "", "EnvironmentName": "prod", "RegionName": "eu-west-1",
         "ClustersParameter": "clusters"},
        {"environment": {"ENV": "prod", "REGION": "eu-west-1", "CLUSTERS_PARAMETER": "clusters"}},
    ),
    "groups by their tag, which a document of clusters may name without it": (
        {"AutoScalingGroups": "", "ClustersParameter": "clusters"},
        {"auto_scaling_groups": [], "environment": {
            "NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_TOKEN_PARAMETER": "/nomad/token", "CLUSTERS_PARAMETER": "clusters"}},
    ),
    "groups whose hooks are somebody's, and no sweep": (
        {"AutoScalingGroups": "", "Trigger": "sns", "Sweep": "false", "HeartbeatTimeout": "4200"},
        {"auto_scaling_groups": [], "trigger": "sns", "sweep": False},
    ),
    "groups with names of all sorts": (
        {"AutoScalingGroups": "blue workers,batch/eu (old)"}, {"auto_scaling_groups": ["blue workers", "batch/eu (old)"]},
    ),
    "groups by a glob": (
        {"AutoScalingGroups": "workers,batch-*", "CreateLifecycleHooks": "false"},
        {"auto_scaling_groups": ["workers", "batch-*"], "create_lifecycle_hooks": False},
    ),
    "as many groups as the rule names": (
        {"AutoScalingGroups": ",".join(f"workers-{number}" for number in range(6))},
        {"auto_scaling_groups": [f"workers-{number}" for number in range(6)]},
    ),
    "more groups than that": (
        {"AutoScalingGroups": ",".join(f"workers-{number}" for number in range(7))},
        {"auto_scaling_groups": [f"workers-{number}" for number in range(7)]},
    ),
    "every variable that the rest leaves alone": (
        {"NomadRegion": "eu", "NomadCaCert": "/var/task/ca.pem", "NomadCaPath": "/var/task/ca", "NomadClientCert": "/var/task/c.pem",
         "NomadClientKey": "/var/task/k.pem", "NomadTlsServerName": "server.global.nomad", "NomadSkipVerify": "on", "NomadAcl": "off",
         "NomadAgentUrl": "https://{ip}:4646", "DrainIgnoreSystemJobs": "true", "DryRun": "on", "SweepLinger": "40s",
         "EventLinger": "20s", "PollInterval": "3s", "MaxHold": "3h", "KillGrace": "3m", "OnDrainTimeout": "abandon",
         "OnNodeNotFound": "hold", "NodeJoinGrace": "6m", "DisconnectedGrace": "4m", "DownGrace": "90s", "Pause": "on",
         "SettleDelay": "7s", "OnLaunch": "wait", "LaunchHookName": "up", "OnRebalance": "drain", "OnScheduledChange": "drain",
         "RestoreAfter": "45m", "PurgeNodes": "on", "MaxDrainsPerGroup": "3"},
        {"environment": {
            "NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_TOKEN_PARAMETER": "/nomad/token", "NOMAD_REGION": "eu",
            "NOMAD_CACERT": "/var/task/ca.pem", "NOMAD_CAPATH": "/var/task/ca", "NOMAD_CLIENT_CERT": "/var/task/c.pem",
            "NOMAD_CLIENT_KEY": "/var/task/k.pem", "NOMAD_TLS_SERVER_NAME": "server.global.nomad", "NOMAD_SKIP_VERIFY": "on",
            "NOMAD_ACL": "off", "NOMAD_AGENT_URL": "https://{ip}:4646", "DRAIN_IGNORE_SYSTEM_JOBS": "true", "DRY_RUN": "on",
            "SWEEP_LINGER": "40s", "EVENT_LINGER": "20s", "POLL_INTERVAL": "3s", "MAX_HOLD": "3h", "KILL_GRACE": "3m",
            "ON_DRAIN_TIMEOUT": "abandon", "ON_NODE_NOT_FOUND": "hold", "NODE_JOIN_GRACE": "6m", "DISCONNECTED_GRACE": "4m",
            "DOWN_GRACE": "90s", "PAUSE": "on", "SETTLE_DELAY": "7s", "ON_LAUNCH": "wait", "LAUNCH_HOOK_NAME": "up",
            "ON_REBALANCE": "drain", "ON_SCHEDULED_CHANGE": "drain", "RESTORE_AFTER": "45m", "PURGE_NODES": "on",
            "MAX_DRAINS_PER_GROUP": "3"}},
    ),
    "values by their ARNs": (
        {"NomadTokenParameter": ARN("ssm", "parameter/nomad/token"), "NomadCaCertParameter": ARN("secretsmanager", "secret:ca-abcdef"),
         "NotifyWebhookParameter": "slack"},
        {"environment": {
            "NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_TOKEN_PARAMETER": ARN("ssm", "parameter/nomad/token"),
            "NOMAD_CACERT_PARAMETER": ARN("secretsmanager", "secret:ca-abcdef"), "NOTIFY_WEBHOOK_PARAMETER": "slack"}},
    ),
    "everything": (
        {"Trigger": "sqs", "Architecture": "x86_64", "MemorySize": "256", "EventsConcurrency": "5", "LogLevel": "DEBUG",
         "LogRetentionDays": "7", "DrainDeadline": "86400s", "HeartbeatTimeout": "864", "NomadTokenParameter": "",
         "NomadTokenSecret": ARN("secretsmanager", "secret:nomad-abcdef"), "NomadCaCertParameter": "/nomad/ca",
         "NomadClientCertParameter": "/nomad/cert", "NomadClientKeyParameter": "/nomad/key",
         "StoredValueArns": ARN("ssm", "parameter/blue") + "," + ARN("secretsmanager", "secret:green-abcdef"),
         "KmsKeyArn": ARN("kms", "key/k"), "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "VpcEndpoints": "true",
         "VpcId": "vpc-1", "VpcEndpointSecurityGroupIds": "sg-2", "AlarmTopicArn": ARN("sns", "alarms"),
         "NotifyTopicArn": ARN("sns", "ops"), "NotifyWebhookParameter": "/slack", "NomadAuthMethod": "lambda",
         "NomadAuthAudience": "nomad"},
        {"trigger": "sqs", "architecture": "x86_64", "memory_size": 256, "events_concurrency": 5, "log_level": "DEBUG",
         "log_retention_days": 7, "drain_deadline_seconds": 86400,
         "environment": {
             "NOMAD_ADDR": "https://nomad.example:4646", "NOMAD_TOKEN_SECRET": ARN("secretsmanager", "secret:nomad-abcdef"),
             "NOMAD_CACERT_PARAMETER": "/nomad/ca", "NOMAD_CLIENT_CERT_PARAMETER": "/nomad/cert",
             "NOMAD_CLIENT_KEY_PARAMETER": "/nomad/key", "NOTIFY_WEBHOOK_PARAMETER": "/slack", "NOMAD_AUTH_METHOD": "lambda",
             "NOMAD_AUTH_AUDIENCE": "nomad"},
         "stored_value_arns": [ARN("ssm", "parameter/blue"), ARN("secretsmanager", "secret:green-abcdef")],
         "kms_key_arn": ARN("kms", "key/k"), "subnet_ids": ["subnet-1", "subnet-2"], "security_group_ids": ["sg-1"],
         "vpc_endpoints": True, "vpc_id": "vpc-1", "vpc_endpoint_security_group_ids": ["sg-2"],
         "alarm_topic_arn": ARN("sns", "alarms"), "notify_topic_arn": ARN("sns", "ops")},
    ),
}

# CloudFormation makes names up, and refers to what has them; the module gives names.
NAMED = {
    "<EventsFunction.Arn>": "arn:aws_lambda_function:nomad-drain-events", "<EventsFunction>": "nomad-drain-events",
    "<SweepFunction.Arn>": "arn:aws_lambda_function:nomad-drain-sweep", "<SweepFunction>": "nomad-drain-sweep",
    "<EventsLog>": "/aws/lambda/nomad-drain-events", "<SweepLog>": "/aws/lambda/nomad-drain-sweep",
    "<DeadLetters.Arn>": "arn:aws_sqs_queue:nomad-drain-dead-letters", "<DeadLetters.QueueName>": "nomad-drain-dead-letters",
    "<Queue.Arn>": "arn:aws_sqs_queue:nomad-drain-hooks", "<Topic>": "arn:aws_sns_topic:nomad-drain-hooks",
    "<HookRule.Arn>": "arn:aws_cloudwatch_event_rule:nomad-drain-hooks",
    "<Ec2Rule.Arn>": "arn:aws_cloudwatch_event_rule:nomad-drain-ec2",
    "<SweepRule.Arn>": "arn:aws_cloudwatch_event_rule:nomad-drain-sweep",
    "<Role.Arn>": "arn:aws_iam_role:nomad-drain-", "<HookRole.Arn>": "arn:aws_iam_role:nomad-drain-hook-",
    "${EventsFunction}": "nomad-drain-events",
}


def several(value):
    return [] if value is None else value if isinstance(value, list) else [value]


def grants(document):
    """A policy as what it comes to: each action with each resource, and under which condition."""
    return sorted(
        json.dumps([statement["Effect"], action, resource, {
            operator: {key: several(value) for key, value in keys.items()}
            for operator, keys in statement.get("Condition", {}).items()
        }, statement.get("Principal")], sort_keys=True)
        for statement in document["Statement"]
        for action in several(statement["Action"])
        for resource in several(statement.get("Resource"))
        # A parameter is no secret, and nothing is called nothing: CloudFormation cannot tell names from ARNs, nor one kind of ARN
        # from the other, and grants a little that there is not.
        if not resource.endswith(":parameter/")
        if resource == "*" or not resource.startswith("arn:aws:") or not (
            action == "ssm:GetParameter" and ":secretsmanager:" in resource
            or action == "secretsmanager:GetSecretValue" and ":ssm:" in resource)
    )


def of_the_template(parameters):
    """What the stack has, by kind: plain lists that can be compared."""
    text = json.dumps(Stack(TEMPLATE, parameters).resources())
    for reference, name in NAMED.items():
        text = text.replace(json.dumps(reference)[1:-1], name)
    by_kind = {}
    for resource in json.loads(text).values():
        by_kind.setdefault(resource["Type"].rpartition("::")[2], []).append(resource["Properties"])
    shared = Stack(TEMPLATE, parameters).evaluate(TEMPLATE["Globals"]["Function"])

    made = {"functions": [], "invocations": [], "rules": [], "permissions": [], "grants": [], "trusts": []}
    for function in by_kind["Function"]:
        after = function["EventInvokeConfig"]
        logs = function["LoggingConfig"]
        vpc = shared.get("VpcConfig", {})
        made["functions"].append([
            function["Description"], function["Timeout"], int(function.get("ReservedConcurrentExecutions", -1)), function["Role"],
            shared["Runtime"], shared["Handler"], shared["Architectures"], int(shared["MemorySize"]), shared["Tracing"],
            [vpc.get("SubnetIds", []), vpc.get("SecurityGroupIds", [])],
            [logs["LogFormat"], logs["ApplicationLogLevel"], logs["LogGroup"]],
            {name: value for name, value in shared["Environment"]["Variables"].items() if value != ""},
        ])
        made["invocations"].append([
            after["MaximumRetryAttempts"], after["MaximumEventAgeInSeconds"],
            several(after.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")),
        ])
    for rule in by_kind.get("Rule", []):
        target, = rule["Targets"]
        made["rules"].append([
            rule["Description"], rule.get("EventPattern"), rule.get("ScheduleExpression"), target["Arn"], target.get("Input"),
            several(target.get("DeadLetterConfig", {}).get("Arn")),
            [target["RetryPolicy"]["MaximumEventAgeInSeconds"], target["RetryPolicy"]["MaximumRetryAttempts"]],
        ])
    made["permissions"] = [
        [permission["FunctionName"], permission["Action"], permission["Principal"], permission.get("SourceArn")]
        for permission in by_kind.get("Permission", [])
    ]
    for policy in by_kind["Policy"]:
        made["grants"] += grants(policy["PolicyDocument"])
    for role in by_kind["Role"]:
        made["trusts"].append(role["AssumeRolePolicyDocument"]["Statement"])
        for policy in role.get("Policies", []):
            made["grants"] += grants(policy["PolicyDocument"])
    for policy in by_kind["QueuePolicy"]:
        made["grants"] += grants(policy["PolicyDocument"])
    made["logs"] = [[log["LogGroupName"], int(log["RetentionInDays"])] for log in by_kind["LogGroup"]]
    made["queues"] = [
        [queue.get("MessageRetentionPeriod"), queue.get("VisibilityTimeout"), queue["SqsManagedSseEnabled"],
         queue.get("RedrivePolicy")]
        for queue in by_kind["Queue"]
    ]
    made["sources"] = [
        [source["FunctionName"].rpartition(":")[2], source["EventSourceArn"], source["BatchSize"], source["FunctionResponseTypes"]]
        for source in by_kind.get("EventSourceMapping", [])
    ]
    made["topics"] = len(by_kind.get("Topic", []))
    made["subscriptions"] = [
        [subscription["TopicArn"], subscription["Protocol"], subscription["Endpoint"], subscription.get("RedrivePolicy")]
        for subscription in by_kind.get("Subscription", [])
    ]
    made["hooks"] = [
        [hook["AutoScalingGroupName"], hook["LifecycleHookName"], hook["LifecycleTransition"], int(hook["HeartbeatTimeout"]),
         hook["DefaultResult"], hook.get("NotificationTargetARN"), hook.get("RoleARN")]
        for hook in by_kind.get("LifecycleHook", [])
    ]
    made["endpoints"] = [
        [endpoint["ServiceName"], endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"], endpoint["VpcId"],
         endpoint["SubnetIds"], endpoint["SecurityGroupIds"]]
        for endpoint in by_kind.get("VPCEndpoint", [])
    ]
    made["alarms"] = [
        [alarm["AlarmName"], alarm["AlarmDescription"], alarm["Namespace"], alarm["MetricName"], alarm["Statistic"],
         alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"], alarm["ComparisonOperator"], alarm["TreatMissingData"],
         {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])},
         alarm.get("AlarmActions", []), alarm.get("OKActions", [])]
        for alarm in by_kind["Alarm"]
    ]
    made["dashboard"] = [json.loads(dashboard["DashboardBody"]) for dashboard in by_kind["Dashboard"]]
    return made


def first(blocks):
    return blocks[0] if blocks else {}


def of_the_module(plan):
    """The same, of what Terraform plans."""
    by_kind = {}
    for resource in plan["planned_values"]["root_module"]["resources"]:
        by_kind.setdefault(resource["type"].removeprefix("aws_"), []).append(resource["values"])

    functions = {}
    for function in by_kind["lambda_function"]:
        logs, vpc = first(function["logging_config"]), first(function["vpc_config"])
        functions[function["function_name"]] = [
            function["description"], function["timeout"], function["reserved_concurrent_executions"], function["role"],
            function["runtime"], function["handler"], function["architectures"], function["memory_size"],
            first(function["tracing_config"])["mode"],
            [vpc.get("subnet_ids", []), vpc.get("security_group_ids", [])],
            [logs["log_format"], logs["application_log_level"], logs["log_group"]],
            first(function["environment"])["variables"],
        ]
    targets = {target["rule"]: target for target in by_kind["cloudwatch_event_target"]}
    rules = []
    for rule in by_kind["cloudwatch_event_rule"]:
        target = targets.pop(rule["name"])
        retry = first(target["retry_policy"])
        rules.append([
            rule["description"], rule["event_pattern"] and json.loads(rule["event_pattern"]), rule["schedule_expression"],
            target["arn"], target["input"], several(first(target["dead_letter_config"]).get("arn")),
            [retry["maximum_event_age_in_seconds"], retry["maximum_retry_attempts"]],
        ])
    policies = by_kind["iam_role_policy"] + by_kind["sqs_queue_policy"]
    return {
        "functions": list(functions.values()),
        "invocations": [
            [after["maximum_retry_attempts"], after["maximum_event_age_in_seconds"],
             several(first(first(after["destination_config"]).get("on_failure", [])).get("destination"))]
            for after in by_kind["lambda_function_event_invoke_config"]
        ],
        "rules": rules,
        "permissions": [
            [permission["function_name"], permission["action"], permission["principal"], permission["source_arn"]]
            for permission in by_kind.get("lambda_permission", [])
        ],
        "grants": [grant for policy in policies for grant in grants(json.loads(policy["policy"]))],
        "trusts": [json.loads(role["assume_role_policy"])["Statement"] for role in by_kind["iam_role"]],
        "logs": [[log["name"], log["retention_in_days"]] for log in by_kind["cloudwatch_log_group"]],
        "queues": [
            [queue["message_retention_seconds"], queue["visibility_timeout_seconds"], queue["sqs_managed_sse_enabled"],
             queue.get("redrive_policy") and json.loads(queue["redrive_policy"])]
            for queue in by_kind["sqs_queue"]
        ],
        "sources": [
            [source["function_name"].rpartition(":")[2], source["event_source_arn"], source["batch_size"],
             source["function_response_types"]]
            for source in by_kind.get("lambda_event_source_mapping", [])
        ],
        "topics": len(by_kind.get("sns_topic", [])),
        "subscriptions": [
            [subscription["topic_arn"], subscription["protocol"], subscription["endpoint"],
             subscription["redrive_policy"] and json.loads(subscription["redrive_policy"])]
            for subscription in by_kind.get("sns_topic_subscription", [])
        ],
        "hooks": [
            [hook["autoscaling_group_name"], hook["name"], hook["lifecycle_transition"], hook["heartbeat_timeout"],
             hook["default_result"], hook["notification_target_arn"], hook["role_arn"]]
            for hook in by_kind.get("autoscaling_lifecycle_hook", [])
        ],
        "endpoints": [
            [endpoint["service_name"], endpoint["vpc_endpoint_type"], endpoint["private_dns_enabled"], endpoint["vpc_id"],
             endpoint["subnet_ids"], endpoint["security_group_ids"]]
            for endpoint in by_kind.get("vpc_endpoint", [])
        ],
        "alarms": [
            [alarm["alarm_name"], alarm["alarm_description"], alarm["namespace"], alarm["metric_name"], alarm["statistic"],
             alarm["period"], alarm["evaluation_periods"], alarm["threshold"], alarm["comparison_operator"],
             alarm["treat_missing_data"], alarm["dimensions"] or {}, alarm["alarm_actions"] or [], alarm["ok_actions"] or []]
            for alarm in by_kind["cloudwatch_metric_alarm"]
        ],
        "dashboard": [json.loads(dashboard["dashboard_body"]) for dashboard in by_kind["cloudwatch_dashboard"]],
    }


def in_order(things):
    return sorted(things, key=lambda thing: json.dumps(thing, sort_keys=True)) if isinstance(things, list) else things


# What the template says where the function's own default says the same, so that both come to the same.
DEFAULTS = {
    "NODE_LOOKUP": "auto", "DRAIN_IGNORE_SYSTEM_JOBS": "false", "KILL_GRACE": "2m", "ON_DRAIN_TIMEOUT": "continue",
    "ON_NODE_NOT_FOUND": "continue", "ON_LAUNCH": "ignore", "ON_REBALANCE": "ignore", "ON_SCHEDULED_CHANGE": "ignore",
    "PURGE_NODES": "off", "DRY_RUN": "off", "NOMAD_SKIP_VERIFY": "off", "SWEEP_LINGER": "50s", "POLL_INTERVAL": "5s",
    "NODE_JOIN_GRACE": "5m", "DISCONNECTED_GRACE": "2m", "DOWN_GRACE": "60s", "SETTLE_DELAY": "0", "PAUSE": "off",
    "LAUNCH_HOOK_NAME": "nomad-launch-hook", "RESTORE_AFTER": "30m",
}


class Parity(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        try:
            cls.settings = schema_provider.settings(cls.folder)
            schema_provider.program()
        except schema_provider.Missing as missing:
            schema_provider.say(f"deploy tier: what template and module make is not compared, skipped: {missing}")
            raise unittest.SkipTest(str(missing)) from None
        shutil.copytree(ROOT / "deploy", cls.folder / "deploy")
        (cls.folder / "package.zip").touch()
        cls.terraform("init", "-backend=false", "-input=false")
        with ThreadPoolExecutor(2) as workers:
            cls.plans = dict(zip(WISHES, workers.map(cls.plan, range(len(WISHES)), (inputs for _, inputs in WISHES.values()))))

    @classmethod
    def terraform(cls, *arguments):
        done = schema_provider.run(
            *arguments, folder=cls.folder / "deploy/terraform", data=cls.folder / "data", settings=cls.settings
        )
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout

    @classmethod
    def plan(cls, number, inputs):
        chosen, planned = cls.folder / f"{number}.tfvars.json", cls.folder / f"{number}.plan"
        chosen.write_text(json.dumps({"package": str(cls.folder / "package.zip"), **NOMAD[1], **inputs}))
        cls.terraform("plan", "-input=false", "-refresh=false", "-lock=false", f"-var-file={chosen}", f"-out={planned}")
        return json.loads(cls.terraform("show", "-json", str(planned)))

    def test_both_make_the_same(self):
        for wish, (parameters, _) in WISHES.items():
            with self.subTest(wish):
                template = of_the_template({**NOMAD[0], "DrainDeadline": "3600s", **parameters})
                module = of_the_module(self.plans[wish])
                self.assertEqual(set(template), set(module))
                for function in template["functions"]:
                    variables = function[-1]
                    for name, value in DEFAULTS.items():
                        if variables.get(name) == value:
                            del variables[name]
                for kind, things in template.items():
                    self.assertEqual(in_order(module[kind]), in_order(things), kind)

    def test_what_is_equal_to_a_default_is_the_functions_default(self):
        readme = (ROOT / "README.md").read_text()
        for name, value in DEFAULTS.items():
            self.assertIn(f"| `{name}` | `{value}` | ", readme)


if __name__ == "__main__":
    unittest.main()
