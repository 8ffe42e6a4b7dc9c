# Who is woken. docs/operations.md has a paragraph for each.

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = module.plan.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  alarm_actions       = compact([var.alarm_topic_arn])
  ok_actions          = compact([var.alarm_topic_arn])
  tags                = var.tags

  dimensions = each.value.dimension == "" ? {} : {
    (each.value.dimension) = {
      QueueName    = aws_sqs_queue.dead_letters.name
      FunctionName = aws_lambda_function.this["events"].function_name
    }[each.value.dimension]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = replace(replace(replace(replace(module.plan.dashboard,
    "$${Namespace}", module.plan.namespace),
    "$${AWS::Region}", data.aws_region.here.id),
    "$${EventsFunction}", aws_lambda_function.this["events"].function_name),
  "$${DeadLetters.QueueName}", aws_sqs_queue.dead_letters.name)
}
