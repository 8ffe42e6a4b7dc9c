# terraform test, in this folder: needs hashicorp/aws, and no account.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
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
