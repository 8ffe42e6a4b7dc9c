# terraform test, in this folder: needs hashicorp/aws, and no account.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  package             = "module.tftest.hcl"
  auto_scaling_groups = ["workers"]
  environment         = { NOMAD_ADDR = "https://nomad.example:4646", NOMAD_TOKEN_PARAMETER = "/nomad/token" }
}

run "by_default_eventbridge_and_the_sweep" {
  command = plan
  assert {
    condition     = toset(keys(aws_lambda_function.this)) == toset(["events", "sweep"]) && aws_lambda_function.this["sweep"].timeout == 90
    error_message = "two functions"
  }
  assert {
    condition     = toset(keys(aws_cloudwatch_event_rule.this)) == toset(["hooks", "ec2", "sweep"])
    error_message = "three rules"
  }
  assert {
    condition     = aws_autoscaling_lifecycle_hook.this["workers"].heartbeat_timeout == 300
    error_message = "a hook for each group"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 9
    error_message = "nine alarms"
  }
}

run "a_topic_that_is_there_is_kept" {
  command = plan
  variables {
    trigger            = "sns"
    existing_topic_arn = "arn:aws:sns:eu-west-1:123456789012:old"
  }
  assert {
    condition     = length(aws_sns_topic.hooks) == 0 && aws_sns_topic_subscription.hooks[0].topic_arn == var.existing_topic_arn
    error_message = "nothing but the function is new"
  }
}

run "a_queue_needs_a_sweep" {
  command = plan
  variables {
    trigger = "sqs"
    sweep   = false
  }
  expect_failures = [check.sweep]
}

run "a_token_has_no_place_in_the_environment" {
  command = plan
  variables {
    environment = { NOMAD_TOKEN = "not-a-real-one" }
  }
  expect_failures = [var.environment]
}

run "existing_hooks_stay_as_they_are" {
  command = plan
  variables {
    trigger                = "sns"
    existing_topic_arn     = "arn:aws:sns:eu-west-1:123456789012:old"
    create_lifecycle_hooks = false
    sweep                  = false
    drain_deadline_seconds = 7200
  }
  # Nor is anything said about how long they wait: they are not the module's.
  assert {
    condition     = length(aws_autoscaling_lifecycle_hook.this) == 0 && length(aws_iam_role.hook) == 0
    error_message = "moving from the older function changes nothing but the function"
  }
}

run "the_rule_names_the_hooks" {
  command = plan
  variables {
    lifecycle_hook_name = "ours"
    environment         = { NOMAD_ADDR = "https://nomad.example:4646", LAUNCH_HOOK_NAME = "up" }
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["hooks"].event_pattern).detail.LifecycleHookName == ["ours", "up"]
    error_message = "EventBridge tells of every hook of a group, and most are somebody else's"
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this["hooks"].event_pattern).detail.AutoScalingGroupName == ["workers"]
    error_message = "and of every group"
  }
}

run "groups_with_a_tag_are_called_anything" {
  command = plan
  variables {
    auto_scaling_groups = []
  }
  assert {
    condition     = !contains(keys(jsondecode(aws_cloudwatch_event_rule.this["hooks"].event_pattern).detail), "AutoScalingGroupName")
    error_message = "the rule cannot name them"
  }
}

run "where_hooks_are_kept_names_may_be_globs" {
  command = plan
  variables {
    create_lifecycle_hooks = false
  }
  assert {
    condition     = !contains(keys(jsondecode(aws_cloudwatch_event_rule.this["hooks"].event_pattern).detail), "AutoScalingGroupName")
    error_message = "the template cannot tell one from the other, and both are the same"
  }
}

run "endpoints_are_made_for_what_is_called" {
  command = plan
  variables {
    subnet_ids                      = ["subnet-1"]
    security_group_ids              = ["sg-1"]
    vpc_endpoints                   = true
    vpc_id                          = "vpc-1"
    vpc_endpoint_security_group_ids = ["sg-2"]
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.this)) == toset(["autoscaling", "ec2", "ssm"])
    error_message = "a function in a VPC hangs without them"
  }
}

run "or_for_what_is_named" {
  command = plan
  variables {
    subnet_ids                      = ["subnet-1"]
    security_group_ids              = ["sg-1"]
    vpc_endpoints                   = true
    vpc_endpoint_services           = ["autoscaling"]
    vpc_id                          = "vpc-1"
    vpc_endpoint_security_group_ids = ["sg-2"]
  }
  assert {
    condition     = toset(keys(aws_vpc_endpoint.this)) == toset(["autoscaling"])
    error_message = "where the others are somebody else's"
  }
}

run "the_deadline_is_said_once" {
  command = plan
  variables {
    environment = { DRAIN_DEADLINE = "2h" }
  }
  expect_failures = [var.environment]
}

run "a_misspelt_variable_is_named" {
  command = plan
  variables {
    environment = { NOMAD_ADR = "https://nomad.example:4646" }
  }
  expect_failures = [check.environment]
}

run "a_hook_belongs_to_one_group" {
  command = plan
  variables {
    auto_scaling_groups = ["workers-*"]
  }
  expect_failures = [var.auto_scaling_groups]
}

run "a_heartbeat_is_long_enough_for_a_sweep" {
  command = plan
  variables {
    heartbeat_timeout = 299
  }
  expect_failures = [var.heartbeat_timeout]
}

run "a_hundred_heartbeats_outlast_the_deadline" {
  command = plan
  variables {
    drain_deadline_seconds = 86400
    heartbeat_timeout      = 863
  }
  expect_failures = [var.heartbeat_timeout]
}

run "no_hook_waits_for_longer_than_48_hours" {
  command = plan
  variables {
    drain_deadline_seconds = 172801
  }
  expect_failures = [var.drain_deadline_seconds]
}

run "without_a_sweep_a_hook_has_to_outlast_the_drain" {
  command = plan
  variables {
    trigger                = "direct"
    sweep                  = false
    drain_deadline_seconds = 7200
  }
  expect_failures = [check.heartbeat]
}

run "a_topic_is_for_the_topics_trigger" {
  command = plan
  variables {
    existing_topic_arn = "arn:aws:sns:eu-west-1:123456789012:old"
  }
  expect_failures = [var.existing_topic_arn]
}

run "a_function_without_concurrency_drains_nothing" {
  command = plan
  variables {
    events_concurrency = 0
  }
  expect_failures = [var.events_concurrency]
}

run "a_vpc_needs_security_groups" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.security_group_ids]
}

run "endpoints_need_a_vpc" {
  command = plan
  variables {
    vpc_endpoints = true
  }
  expect_failures = [var.vpc_endpoints]
}

run "an_alias_is_no_key" {
  command = plan
  variables {
    kms_key_arn = "alias/nomad"
  }
  expect_failures = [var.kms_key_arn]
}

run "a_role_has_a_short_name" {
  command = plan
  variables {
    name = "a-name-of-more-than-thirty-two-letters"
  }
  expect_failures = [var.name]
}
