# Everything that can be said without asking AWS: what the variables hold, how long hooks wait, who may do what, who is woken. It
# needs no provider, so that `terraform test` tries it anywhere. What CloudFormation's template has in common with it is in
# deploy/*.json and deploy/iam/*.json.

variable "inputs" {
  description = "The module's inputs."
  type        = any
}

variable "arns" {
  description = "Where things are: partition, region, account, dead_letters, queue."
  type        = map(string)
}

locals {
  in      = var.inputs
  given   = { for name, value in local.in.environment : name => value if value != "" }
  actions = jsondecode(file("${path.module}/../../../iam/actions.json"))
  lambda  = [for entry in jsondecode(file("${path.module}/../../../iam/platform.json")) : entry.action]

  # With the sweep a hook outlives four sweeps that fail, and can hold an instance a hundred times as long as that; without it it has
  # to outlast the drain.
  needed            = local.in.sweep ? max(300, ceil(local.in.drain_deadline_seconds / 100)) : local.in.drain_deadline_seconds + 600
  heartbeat_timeout = local.in.heartbeat_timeout == null ? min(7200, local.needed) : local.in.heartbeat_timeout

  namespace = "NomadDrain/${local.in.name}"
  variables = merge(
    { DRAIN_DEADLINE = "${local.in.drain_deadline_seconds}s" },
    local.given,
    {
      AUTO_SCALING_GROUPS = join(",", local.in.auto_scaling_groups)
      LIFECYCLE_HOOK_NAME = local.in.lifecycle_hook_name
      METRICS_NAMESPACE   = local.namespace
      NOTIFY_TOPIC_ARN    = local.in.notify_topic_arn == null ? "" : local.in.notify_topic_arn
      SWEEP               = tostring(local.in.sweep)
    },
  )

  # A name that is spelt wrong would be a setting that nobody sees missing.
  known   = jsondecode(file("${path.module}/../../../variables.json"))
  unknown = [for name in keys(local.given) : name if !contains(local.known, name) && !startswith(name, "AWS_")]

  # What the variables name, as ARNs. A name of a parameter may begin with a slash or not.
  prefix = "arn:${var.arns.partition}"
  where  = "${var.arns.region}:${var.arns.account}"
  names_token = anytrue([for name in ["NOMAD_TOKEN_PARAMETER", "NOMAD_TOKEN_SECRET", "NOMAD_AUTH_METHOD"] :
  contains(keys(local.given), name)])
  derived_token = local.names_token || !contains(keys(local.given), "ENV") ? [] : [
    "/${local.given["ENV"]}-aws-${lookup(local.given, "REGION", "")}/broker/secrets/NOMAD_TOKEN",
  ]
  places = concat(local.derived_token, [for name in [
    "NOMAD_TOKEN_PARAMETER", "NOMAD_CACERT_PARAMETER", "NOMAD_CLIENT_CERT_PARAMETER", "NOMAD_CLIENT_KEY_PARAMETER",
    "CLUSTERS_PARAMETER", "NOTIFY_WEBHOOK_PARAMETER",
  ] : local.given[name] if contains(keys(local.given), name)])
  parameters = concat(
    [for place in local.places : "${local.prefix}:ssm:${local.where}:parameter/${trimprefix(place, "/")}" if !startswith(place, "arn:")],
    [for place in concat(local.places, local.in.stored_value_arns) : place if startswith(place, "${local.prefix}:ssm:")],
  )
  token_secret = [for secret in [lookup(local.given, "NOMAD_TOKEN_SECRET", "")] : split("#", secret)[0] if secret != ""]
  secrets = concat(
    [for secret in local.token_secret : startswith(secret, "arn:") ? secret : "${local.prefix}:secretsmanager:${local.where}:secret:${secret}-??????"],
    [for place in concat(local.places, local.in.stored_value_arns) : place if startswith(place, "${local.prefix}:secretsmanager:")],
  )
  asks_secrets = (
    contains(keys(local.given), "NOMAD_TOKEN_SECRET") || length(local.in.stored_value_arns) > 0
    || anytrue([for place in local.places : can(regex("^arn:[^:]+:secretsmanager:", place))])
  )
  in_vpc   = length(local.in.subnet_ids) > 0
  asks_ec2 = lookup(local.given, "NODE_LOOKUP", "auto") != "server"
  logs_in  = contains(keys(local.given), "NOMAD_AUTH_METHOD")
  every    = length(local.in.auto_scaling_groups) == 0 ? ["*"] : local.in.auto_scaling_groups

  # Then the function acts on groups with the tag and on no others. Without the sweep it acts on every hook that reaches it, and a
  # document of clusters may name groups that have no tag.
  only_tagged = length(local.in.auto_scaling_groups) == 0 && local.in.sweep && !contains(keys(local.given), "CLUSTERS_PARAMETER")
  # As the function reads the tag: any value but these. A key that is not there is not equal to anything, hence Null.
  tagged = {
    Null                      = { "autoscaling:ResourceTag/nomad-drain" = "false" }
    StringNotEqualsIgnoreCase = { "autoscaling:ResourceTag/nomad-drain" = ["off", "false"] }
  }
  is_written = { for entry in local.actions : entry.action => entry.resource != "*" }

  statements = [for statement in [
    {
      actions   = [for action, scoped in local.is_written : action if startswith(action, "autoscaling:") && scoped]
      resources = [for group in local.every : "${local.prefix}:autoscaling:${local.where}:autoScalingGroup:*:autoScalingGroupName/${group}"]
    },
    { actions = [for action, scoped in local.is_written : action if startswith(action, "autoscaling:") && !scoped], resources = ["*"] },
    { actions = ["ec2:DescribeInstances"], resources = local.asks_ec2 ? ["*"] : [] },
    { actions = ["ssm:GetParameter"], resources = local.parameters },
    { actions = ["secretsmanager:GetSecretValue"], resources = local.secrets },
    { actions = ["kms:Decrypt"], resources = local.in.kms_key_arn == null ? [] : [local.in.kms_key_arn] },
    { actions = ["sts:GetWebIdentityToken"], resources = local.logs_in ? ["*"] : [] },
    { actions = ["sns:Publish"], resources = local.in.notify_topic_arn == null ? [] : [local.in.notify_topic_arn] },
    # What Lambda does in the function's name.
    {
      actions   = [for action in local.lambda : action if startswith(action, "logs:")]
      resources = ["${local.prefix}:logs:${local.where}:log-group:/aws/lambda/${local.in.name}-*"]
    },
    { actions = [for action in local.lambda : action if startswith(action, "xray:")], resources = ["*"] },
    { actions = ["sqs:SendMessage"], resources = [var.arns.dead_letters] },
    {
      actions   = [for action in local.lambda : action if startswith(action, "sqs:") && action != "sqs:SendMessage"]
      resources = local.in.trigger == "sqs" ? [var.arns.queue] : []
    },
    { actions = [for action in local.lambda : action if startswith(action, "ec2:")], resources = local.in_vpc ? ["*"] : [] },
  ] : statement if length(statement.resources) > 0]

  policy = {
    Version = "2012-10-17"
    Statement = [for statement in local.statements : merge(
      { Effect = "Allow", Action = statement.actions, Resource = statement.resources },
      contains(statement.actions, "sts:GetWebIdentityToken") ? {
        Condition = { "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = [lookup(local.given, "NOMAD_AUTH_AUDIENCE", "")] } }
      } : {},
      local.only_tagged && contains(statement.actions, "autoscaling:CompleteLifecycleAction") ? { Condition = local.tagged } : {},
    )]
  }

  alarms = { for alarm in jsondecode(file("${path.module}/../../../alarms.json")) : alarm.name => merge(alarm, {
    namespace = alarm.namespace == "" ? local.namespace : alarm.namespace
  }) if local.in.sweep || !alarm.only_with_sweep }

  # Not what CloudWatch calls for by itself: the log and the traces are Lambda's.
  endpoints = !(local.in_vpc && local.in.vpc_endpoints) ? [] : concat(
    ["autoscaling", "ssm"],
    local.asks_ec2 ? ["ec2"] : [],
    local.asks_secrets ? ["secretsmanager"] : [],
    local.logs_in ? ["sts"] : [],
    local.in.notify_topic_arn == null ? [] : ["sns"],
  )
}

output "variables" {
  description = "The functions' environment."
  value       = { for name, value in local.variables : name => value if value != "" }
}

output "heartbeat_timeout" {
  description = "HeartbeatTimeout of the hooks, in seconds."
  value       = local.heartbeat_timeout
}

output "needed_heartbeat_timeout" {
  description = "What it has to be, even where a hook cannot be that patient."
  value       = local.needed
}

output "rule_groups" {
  description = "The groups that EventBridge's rule names; none if one of them is a glob, or if they are more than six: a pattern has 2,048 characters, and room for six names of the longest kind."
  value       = length(local.in.auto_scaling_groups) > 6 || anytrue([for group in local.in.auto_scaling_groups : can(regex("[*?]", group))]) ? [] : local.in.auto_scaling_groups
}

output "unknown_variables" {
  description = "Variables that the function does not know."
  value       = local.unknown
}

output "policy" {
  description = "What the functions' role may do."
  value       = local.policy
}

output "alarms" {
  description = "Alarms by name."
  value       = local.alarms
}

output "namespace" {
  description = "Where the metrics are."
  value       = local.namespace
}

output "endpoints" {
  description = "Services for which the VPC needs endpoints."
  value       = local.endpoints
}

output "wants_sweep" {
  description = "Whether the trigger needs the sweep that is not there."
  value       = !local.in.sweep && contains(["eventbridge", "sqs"], local.in.trigger)
}

output "dashboard" {
  description = "The dashboard's body, for the events function and the dead-letter queue of these names."
  value       = file("${path.module}/../../../dashboard.json")
}
