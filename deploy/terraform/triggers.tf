# How hooks reach the function, the hooks themselves, and the sweep.

locals {
  rules = merge(
    var.trigger == "eventbridge" ? { hooks = {
      description = "Lifecycle actions of our hooks."
      function    = "events"
      age         = 3600
      retries     = 185
      schedule    = null
      pattern = jsonencode({
        source        = ["aws.autoscaling"]
        "detail-type" = ["EC2 Instance-terminate Lifecycle Action", "EC2 Instance-launch Lifecycle Action"]
        detail = merge(
          { LifecycleHookName = [var.lifecycle_hook_name, lookup(var.environment, "LAUNCH_HOOK_NAME", "nomad-launch-hook")] },
          local.makes_hooks && length(module.plan.rule_groups) > 0 ? { AutoScalingGroupName = module.plan.rule_groups } : {},
        )
      })
    } } : {},
    var.ec2_events ? { ec2 = {
      description = "Interruptions, recommendations, changes of state, scheduled changes."
      function    = "events"
      # An interruption is over after two minutes.
      age      = 120
      retries  = 10
      schedule = null
      pattern = jsonencode({
        source = ["aws.ec2", "aws.health"]
        "detail-type" = [
          "EC2 Spot Instance Interruption Warning",
          "EC2 Capacity Reservation Instance Interruption Warning",
          "EC2 Instance Rebalance Recommendation",
          "EC2 Instance State-change Notification",
          "AWS Health Event",
        ]
      })
    } } : {},
    var.sweep ? { sweep = {
      description = "The sweep, once a minute."
      function    = "sweep"
      age         = 60
      retries     = 0
      schedule    = "rate(1 minute)"
      pattern     = null
    } } : {},
  )
  hook_target = {
    eventbridge = null
    sns         = local.topic_arn
    sqs         = one(aws_sqs_queue.hooks[*].arn)
    direct      = aws_lambda_function.this["events"].arn
  }[var.trigger]
  makes_hooks    = var.create_lifecycle_hooks && length(var.auto_scaling_groups) > 0
  hook_role_does = local.makes_hooks ? lookup({ sns = ["sns:Publish"], sqs = ["sqs:GetQueueUrl", "sqs:SendMessage"] }, var.trigger, []) : []
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  event_pattern       = each.value.pattern
  schedule_expression = each.value.schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "function"
  arn       = aws_lambda_function.this[each.value.function].arn
  input     = each.value.schedule == null ? null : jsonencode({ action = "sweep" })

  retry_policy {
    maximum_event_age_in_seconds = each.value.age
    maximum_retry_attempts       = each.value.retries
  }
  dynamic "dead_letter_config" {
    for_each = each.value.schedule == null ? [1] : []
    content {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_lambda_permission" "rules" {
  for_each = local.rules

  statement_id  = "rule-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}

# SNS.
resource "aws_sns_topic" "hooks" {
  count = var.trigger == "sns" && var.existing_topic_arn == null ? 1 : 0

  name = "${var.name}-hooks"
  tags = var.tags
}

resource "aws_sns_topic_subscription" "hooks" {
  count = var.trigger == "sns" ? 1 : 0

  topic_arn = local.topic_arn
  protocol  = "lambda"
  endpoint  = aws_lambda_function.this["events"].arn
  # What never reached the function: Lambda's own queue of failures has only what did.
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters.arn })

  depends_on = [aws_sqs_queue_policy.dead_letters]
}

resource "aws_lambda_permission" "topic" {
  count = var.trigger == "sns" ? 1 : 0

  statement_id  = "topic"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["events"].function_name
  principal     = "sns.amazonaws.com"
  source_arn    = local.topic_arn
}

# SQS.
resource "aws_sqs_queue" "hooks" {
  count = var.trigger == "sqs" ? 1 : 0

  name = "${var.name}-hooks"
  # Six times the function's time-out (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
  visibility_timeout_seconds = var.sweep ? 360 : 5400
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters.arn, maxReceiveCount = 5 })
}

resource "aws_lambda_event_source_mapping" "hooks" {
  count = var.trigger == "sqs" ? 1 : 0

  function_name           = aws_lambda_function.this["events"].arn
  event_source_arn        = aws_sqs_queue.hooks[0].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
}

# The hook itself.
resource "aws_lambda_permission" "hook" {
  count = var.trigger == "direct" ? 1 : 0

  statement_id  = "hook"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["events"].function_name
  principal     = "arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.me.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
}

resource "aws_iam_role" "hook" {
  count = length(local.hook_role_does) > 0 ? 1 : 0

  name_prefix = "${var.name}-hook-"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "autoscaling.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "hook" {
  count = length(local.hook_role_does) > 0 ? 1 : 0

  name = "notify"
  role = aws_iam_role.hook[0].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = local.hook_role_does, Resource = local.hook_target }]
  })
}

resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each = local.makes_hooks ? toset(var.auto_scaling_groups) : toset([])

  name                    = var.lifecycle_hook_name
  autoscaling_group_name  = each.key
  lifecycle_transition    = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout       = module.plan.heartbeat_timeout
  default_result          = "CONTINUE"
  notification_target_arn = local.hook_target
  role_arn                = one(aws_iam_role.hook[*].arn)

  depends_on = [aws_iam_role_policy.hook, aws_lambda_permission.hook]
}
