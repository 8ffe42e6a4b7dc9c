output "events_function_arn" {
  description = "The function that events reach; a hook of yours may name it as its target."
  value       = aws_lambda_function.this["events"].arn
}

output "sweep_function_arn" {
  description = "The function that sweeps."
  value       = var.sweep ? aws_lambda_function.this["sweep"].arn : null
}

output "role_arn" {
  description = "The role of both, for Nomad's auth method and for keys."
  value       = aws_iam_role.function.arn
}

output "topic_arn" {
  description = "The topic for hooks."
  value       = local.topic_arn
}

output "queue_arn" {
  description = "The queue for hooks."
  value       = one(aws_sqs_queue.hooks[*].arn)
}

output "heartbeat_timeout" {
  description = "HeartbeatTimeout of the hooks in seconds, for hooks that you make yourself."
  value       = module.plan.heartbeat_timeout
}

output "dead_letters_url" {
  description = "The queue of events that were given up."
  value       = aws_sqs_queue.dead_letters.url
}

output "alarm_arns" {
  description = "The alarms by name, for composite alarms and dashboards of yours."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}

output "metrics_namespace" {
  description = "Where the metrics are."
  value       = module.plan.namespace
}
