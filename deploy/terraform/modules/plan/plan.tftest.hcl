# terraform test, in this folder: needs neither a provider nor an account.

variables {
  inputs = {
    name                   = "drain"
    environment            = { NOMAD_ADDR = "https://nomad.example:4646", NOMAD_TOKEN_PARAMETER = "/nomad/token" }
    stored_value_arns      = []
    kms_key_arn            = null
    drain_deadline_seconds = 3600
    auto_scaling_groups    = ["workers"]
    lifecycle_hook_name    = "nomad-drain-hook"
    heartbeat_timeout      = null
    trigger                = "eventbridge"
    sweep                  = true
    subnet_ids             = []
    vpc_endpoints          = false
    notify_topic_arn       = null
  }
  arns = {
    partition    = "aws"
    region       = "eu-west-1"
    account      = "123456789012"
    dead_letters = "arn:aws:sqs:eu-west-1:123456789012:dead"
    queue        = "arn:aws:sqs:eu-west-1:123456789012:hooks"
  }
}

run "an_hour_is_held_by_a_hook_of_five_minutes" {
  assert {
    condition     = output.heartbeat_timeout == 300
    error_message = "max(300, 3600 / 100)"
  }
  assert {
    condition     = output.variables["DRAIN_DEADLINE"] == "3600s" && output.variables["SWEEP"] == "true" && output.variables["AUTO_SCALING_GROUPS"] == "workers"
    error_message = "the module's own variables"
  }
  assert {
    condition     = !contains(keys(output.variables), "NOTIFY_TOPIC_ARN")
    error_message = "what is empty is unset"
  }
}

run "a_longer_drain_needs_a_longer_hook" {
  variables {
    inputs = merge(var.inputs, { drain_deadline_seconds = 86400 })
  }
  assert {
    condition     = output.heartbeat_timeout == 864
    error_message = "a hundredth of the deadline: a hook holds an instance for a hundred heartbeats"
  }
}

run "without_a_sweep_the_hook_outlasts_the_drain" {
  variables {
    inputs = merge(var.inputs, { sweep = false, trigger = "sns" })
  }
  assert {
    condition     = output.heartbeat_timeout == 4200 && !output.wants_sweep
    error_message = "the deadline and ten minutes"
  }
  assert {
    condition     = !contains(keys(output.alarms), "SweepMissing") && contains(keys(output.alarms), "DrainsTimedOut")
    error_message = "nobody is woken for a sweep that there is not"
  }
}

run "a_queue_without_a_sweep_is_worth_a_warning" {
  variables {
    inputs = merge(var.inputs, { sweep = false, trigger = "sqs" })
  }
  assert {
    condition     = output.wants_sweep
    error_message = "a message that has begun its drain is done with"
  }
}

run "the_role_may_do_what_is_asked_for_and_nothing_else" {
  assert {
    condition = toset(flatten([for statement in output.policy.Statement : statement.Action])) == toset([
      "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks", "autoscaling:DescribeScalingActivities",
      "autoscaling:DescribeWarmPool", "ec2:DescribeInstances", "ssm:GetParameter", "logs:CreateLogStream", "logs:PutLogEvents",
      "xray:PutTelemetryRecords", "xray:PutTraceSegments", "sqs:SendMessage",
    ])
    error_message = jsonencode(output.policy)
  }
  assert {
    condition = contains(flatten([for statement in output.policy.Statement : statement.Resource]),
    "arn:aws:ssm:eu-west-1:123456789012:parameter/nomad/token")
    error_message = "the token's parameter, by its ARN"
  }
  assert {
    condition = contains(flatten([for statement in output.policy.Statement : statement.Resource]),
    "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/workers")
    error_message = "hooks of these groups only"
  }
}

run "everything_at_once_is_every_action_that_there_is" {
  variables {
    inputs = merge(var.inputs, {
      environment = {
        NOMAD_TOKEN_SECRET     = "nomad#token", NOMAD_AUTH_METHOD = "lambda", NOMAD_AUTH_AUDIENCE = "nomad",
        NOMAD_CACERT_PARAMETER = "/nomad/ca"
      }
      kms_key_arn       = "arn:aws:kms:eu-west-1:123456789012:key/k"
      notify_topic_arn  = "arn:aws:sns:eu-west-1:123456789012:ops"
      stored_value_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:blue-abcdef"]
      trigger           = "sqs"
      subnet_ids        = ["subnet-1"]
      vpc_endpoints     = true
    })
  }
  assert {
    condition = toset(flatten([for statement in output.policy.Statement : statement.Action])) == toset(concat(
      [for entry in jsondecode(file("../../../iam/actions.json")) : entry.action],
      [for entry in jsondecode(file("../../../iam/platform.json")) : entry.action],
    ))
    error_message = jsonencode(output.policy)
  }
  assert {
    condition     = toset(output.endpoints) == toset(["autoscaling", "ssm", "ec2", "secretsmanager", "sts", "sns"])
    error_message = "every service that is called"
  }
  assert {
    condition = contains(flatten([for statement in output.policy.Statement : statement.Resource]),
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nomad-??????")
    error_message = "a secret's ARN ends with six characters that nobody knows before"
  }
}

run "the_derived_token_parameter_may_be_read" {
  variables {
    inputs = merge(var.inputs, { environment = { ENV = "prod", REGION = "eu-west-1", NODE_LOOKUP = "server" } })
  }
  assert {
    condition = contains(flatten([for statement in output.policy.Statement : statement.Resource]),
    "arn:aws:ssm:eu-west-1:123456789012:parameter/prod-aws-eu-west-1/broker/secrets/NOMAD_TOKEN")
    error_message = jsonencode(output.policy)
  }
  assert {
    condition     = !contains(flatten([for statement in output.policy.Statement : statement.Action]), "ec2:DescribeInstances")
    error_message = "NODE_LOOKUP=server asks EC2 nothing"
  }
}

run "without_names_only_hooks_of_groups_with_the_tag_may_be_completed" {
  variables {
    inputs = merge(var.inputs, { auto_scaling_groups = [] })
  }
  assert {
    condition = [for statement in output.policy.Statement : lookup(statement, "Condition", null) if contains(statement.Action, "autoscaling:CompleteLifecycleAction")] == [{
      Null                      = { "autoscaling:ResourceTag/nomad-drain" = "false" }
      StringNotEqualsIgnoreCase = { "autoscaling:ResourceTag/nomad-drain" = ["off", "false"] }
    }]
    error_message = jsonencode(output.policy)
  }
}

run "groups_that_are_named_need_no_tag" {
  assert {
    condition     = alltrue([for statement in output.policy.Statement : lookup(statement, "Condition", null) == null])
    error_message = jsonencode(output.policy)
  }
}

run "without_a_sweep_nobody_asks_for_the_tag" {
  variables {
    inputs = merge(var.inputs, { auto_scaling_groups = [], sweep = false, trigger = "sns" })
  }
  assert {
    condition     = alltrue([for statement in output.policy.Statement : lookup(statement, "Condition", null) == null])
    error_message = jsonencode(output.policy)
  }
}

run "the_rule_names_groups_and_no_globs" {
  variables {
    inputs = merge(var.inputs, { auto_scaling_groups = ["workers", "batch-*"] })
  }
  assert {
    condition     = length(output.rule_groups) == 0
    error_message = "a pattern of EventBridge compares whole names"
  }
}

run "the_rule_names_no_more_groups_than_it_has_room_for" {
  variables {
    inputs = merge(var.inputs, { auto_scaling_groups = [for number in range(7) : "workers-${number}"] })
  }
  assert {
    condition     = length(output.rule_groups) == 0
    error_message = "a pattern has 2,048 characters, and room for six names of the longest kind"
  }
}
