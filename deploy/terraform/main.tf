# lambda-nomad-drain: drains Nomad client nodes when Auto Scaling ends the EC2 instances under them. Equal to deploy/sam/template.yaml
# in what it makes; what both say is in deploy/*.json and deploy/iam/*.json, beside this folder.

data "aws_partition" "here" {}
data "aws_region" "here" {} # Its id is the name in every version; name is deprecated since 6.0, and region is new there.
data "aws_caller_identity" "me" {}

module "plan" {
  source = "./modules/plan"

  inputs = {
    name                   = var.name
    environment            = var.environment
    stored_value_arns      = var.stored_value_arns
    kms_key_arn            = var.kms_key_arn
    drain_deadline_seconds = var.drain_deadline_seconds
    auto_scaling_groups    = var.auto_scaling_groups
    lifecycle_hook_name    = var.lifecycle_hook_name
    heartbeat_timeout      = var.heartbeat_timeout
    trigger                = var.trigger
    sweep                  = var.sweep
    subnet_ids             = var.subnet_ids
    vpc_endpoints          = var.vpc_endpoints
    notify_topic_arn       = var.notify_topic_arn
  }
  arns = {
    partition    = data.aws_partition.here.partition
    region       = data.aws_region.here.id
    account      = data.aws_caller_identity.me.account_id
    dead_letters = aws_sqs_queue.dead_letters.arn
    queue        = one(aws_sqs_queue.hooks[*].arn) == null ? "" : one(aws_sqs_queue.hooks[*].arn)
  }
}

locals {
  functions = merge(
    # Without the sweep one invocation sees a drain through, as far as Lambda lets it.
    { events = { timeout = var.sweep ? 60 : 900, concurrency = var.events_concurrency, description = "Drains the nodes of instances that events name." } },
    var.sweep ? { sweep = { timeout = 90, concurrency = -1, description = "Carries on, once a minute, what hooks hold." } } : {},
  )
  topic_arn = var.trigger != "sns" ? null : coalesce(var.existing_topic_arn, one(aws_sns_topic.hooks[*].arn))
}

check "sweep" {
  assert {
    condition     = !module.plan.wants_sweep
    error_message = "EventBridge and SQS need the sweep. A message that has begun its drain is done with, and nobody completes a longer one: set sweep = true."
  }
}

check "heartbeat" {
  assert {
    condition     = !local.makes_hooks || module.plan.heartbeat_timeout >= module.plan.needed_heartbeat_timeout
    error_message = "Without the sweep nobody sends heartbeats, and a hook ends after ${module.plan.heartbeat_timeout} s whatever still runs, before drain_deadline_seconds and ten minutes have passed: set sweep = true, a longer heartbeat_timeout (7200 at most), or a shorter deadline."
  }
}

check "environment" {
  assert {
    condition     = length(module.plan.unknown_variables) == 0
    error_message = "The function knows no variable ${join(", ", module.plan.unknown_variables)}: README.md has the table of those that it knows."
  }
}

# Two functions from one package, so that a sweep never holds up a spot warning.
resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name                  = "${var.name}-${each.key}"
  description                    = each.value.description
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  memory_size                    = var.memory_size
  timeout                        = each.value.timeout
  reserved_concurrent_executions = each.value.concurrency
  role                           = aws_iam_role.function.arn
  tags                           = var.tags

  environment {
    variables = module.plan.variables
  }
  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    log_group             = aws_cloudwatch_log_group.this[each.key].name
  }
  tracing_config {
    mode = "Active"
  }
  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [1] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_function_event_invoke_config" "events" {
  function_name                = aws_lambda_function.this["events"].function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

# The next minute brings the next sweep.
resource "aws_lambda_function_event_invoke_config" "sweep" {
  count = var.sweep ? 1 : 0

  function_name                = aws_lambda_function.this["sweep"].function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# What the functions may do: modules/plan, from deploy/iam/.
resource "aws_iam_role" "function" {
  name_prefix = "${var.name}-"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "function" {
  name   = "nomad-drain"
  role   = aws_iam_role.function.id
  policy = jsonencode(module.plan.policy)
}

# Events that were given up: by EventBridge, by SNS, by Lambda, or by the queue.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for service, condition in merge(
      { events = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.me.account_id } } },
      var.trigger == "sns" ? { sns = { ArnEquals = { "aws:SourceArn" = local.topic_arn } } } : {},
      ) : {
      Effect    = "Allow"
      Principal = { Service = "${service}.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.dead_letters.arn
      Condition = condition
    }]
  })
}

# A function in a VPC reaches AWS by these or by a NAT gateway. Its log and its traces need none: Lambda carries them itself.
resource "aws_vpc_endpoint" "this" {
  for_each = !var.vpc_endpoints ? toset([]) : toset(var.vpc_endpoint_services == null ? module.plan.endpoints : var.vpc_endpoint_services)

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.here.id}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = var.vpc_endpoint_security_group_ids
  tags                = var.tags
}
