variable "name" {
  description = "Name of everything that is made, and of the metrics' namespace NomadDrain/NAME."
  type        = string
  default     = "nomad-drain"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,32}$", var.name))
    error_message = "name is 1 to 32 letters, digits, - and _: roles are called by it and by what AWS adds."
  }
}

# The package.
variable "package" {
  description = "Path of the package: lambda-nomad-drain-arm64.zip."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64, as the package."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

# The Nomad cluster, and how instances are drained.
variable "environment" {
  description = "Variables of the README's table: NOMAD_ADDR, NOMAD_TOKEN_PARAMETER and so on. What is left out is unset. The module sets SWEEP, AUTO_SCALING_GROUPS, LIFECYCLE_HOOK_NAME, METRICS_NAMESPACE, NOTIFY_TOPIC_ARN and DRAIN_DEADLINE itself."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setintersection(keys(var.environment), [
      "SWEEP", "AUTO_SCALING_GROUPS", "LIFECYCLE_HOOK_NAME", "METRICS_NAMESPACE", "NOTIFY_TOPIC_ARN", "DRAIN_DEADLINE", "NOMAD_TOKEN",
    ])) == 0
    error_message = "The module sets SWEEP, AUTO_SCALING_GROUPS, LIFECYCLE_HOOK_NAME, METRICS_NAMESPACE, NOTIFY_TOPIC_ARN and DRAIN_DEADLINE from its own inputs, and a token has no place in the environment of a function: NOMAD_TOKEN_PARAMETER names the parameter that holds it."
  }
}

variable "stored_value_arns" {
  description = "Further SSM parameters and secrets that the function may read, by ARN: those that CLUSTERS_PARAMETER's document names."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.stored_value_arns : can(regex("^arn:[^:]+:(ssm|secretsmanager):", arn))])
    error_message = "stored_value_arns are ARNs of SSM parameters and of secrets."
  }
}

variable "kms_key_arn" {
  description = "Key of your own that encrypts parameters or secrets."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn is the ARN of a KMS key; the role cannot be given an alias."
  }
}

variable "drain_deadline_seconds" {
  description = "DRAIN_DEADLINE, in seconds. The hooks' HeartbeatTimeout follows from it."
  type        = number
  default     = 3600

  validation {
    condition     = var.drain_deadline_seconds >= 1 && var.drain_deadline_seconds <= 172800
    error_message = "A hook holds an instance for 48 hours (172800 s) at most."
  }
}

# The Auto Scaling groups, and how their hooks reach the function.
variable "auto_scaling_groups" {
  description = "Names of the groups: each gets a lifecycle hook, and the sweep looks after them. Empty: groups with the tag nomad-drain, whose hooks are yours to make."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for group in var.auto_scaling_groups : trimspace(group) != "" && !strcontains(group, ",")])
    error_message = "auto_scaling_groups are names, one each."
  }

  validation {
    condition     = !(var.create_lifecycle_hooks && anytrue([for group in var.auto_scaling_groups : can(regex("[*?]", group))]))
    error_message = "A hook belongs to one group: name the groups, or make their hooks yourself and set create_lifecycle_hooks = false."
  }
}

variable "lifecycle_hook_name" {
  description = "Name of the hooks."
  type        = string
  default     = "nomad-drain-hook"

  validation {
    condition     = can(regex("^[A-Za-z0-9_/-]{1,255}$", var.lifecycle_hook_name))
    error_message = "lifecycle_hook_name is 1 to 255 letters, digits, -, _ and /."
  }
}

variable "create_lifecycle_hooks" {
  description = "Whether the hooks are made here. false keeps those that exist."
  type        = bool
  default     = true
}

variable "heartbeat_timeout" {
  description = "HeartbeatTimeout of the hooks in seconds. By default max(300, a hundredth of the deadline), and without the sweep the deadline and ten minutes."
  type        = number
  default     = null

  validation {
    condition     = var.heartbeat_timeout == null || try(var.heartbeat_timeout >= 300 && var.heartbeat_timeout <= 7200, false)
    error_message = "heartbeat_timeout is 300 to 7200 seconds: a sweep once a minute needs five minutes, and a hook takes two hours at most."
  }

  validation {
    condition     = var.heartbeat_timeout == null || !var.sweep || try(var.heartbeat_timeout * 100 >= var.drain_deadline_seconds, false)
    error_message = "A hook holds an instance for a hundred heartbeat_timeouts, which is shorter than drain_deadline_seconds."
  }
}

variable "trigger" {
  description = "How hooks reach the function: eventbridge, sns, sqs or direct."
  type        = string
  default     = "eventbridge"

  validation {
    condition     = contains(["eventbridge", "sns", "sqs", "direct"], var.trigger)
    error_message = "trigger is eventbridge, sns, sqs or direct."
  }
}

variable "existing_topic_arn" {
  description = "Topic to subscribe to instead of a new one, with trigger sns: one that hooks publish to already."
  type        = string
  default     = null

  validation {
    condition     = var.existing_topic_arn == null || var.trigger == "sns"
    error_message = "existing_topic_arn is for trigger = \"sns\"."
  }
}

variable "ec2_events" {
  description = "Whether EC2's interruptions, recommendations and state changes, and AWS Health's scheduled changes, reach the function too."
  type        = bool
  default     = true
}

variable "sweep" {
  description = "Whether the sweep is deployed. EventBridge and SQS need it."
  type        = bool
  default     = true
}

# The functions.
variable "memory_size" {
  description = "Memory in MB."
  type        = number
  default     = 128

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240
    error_message = "memory_size is 128 to 10240 MB."
  }
}

variable "events_concurrency" {
  description = "Reserved concurrency of the events function; -1 for none, since small accounts cannot reserve any."
  type        = number
  default     = -1

  validation {
    condition     = var.events_concurrency >= -1 && var.events_concurrency != 0
    error_message = "events_concurrency is a number from 1 on, or -1 for none: with 0 nothing would be drained at all."
  }
}

variable "log_level" {
  description = "Log level: TRACE, DEBUG, INFO, WARN or ERROR."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.log_level)
    error_message = "log_level is TRACE, DEBUG, INFO, WARN or ERROR."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "subnet_ids" {
  description = "Private subnets, if Nomad is in a VPC. They need a NAT gateway or vpc_endpoints."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the function, which let it out to Nomad (4646) and to AWS (443)."
  type        = list(string)
  default     = []

  validation {
    condition     = (length(var.subnet_ids) == 0) == (length(var.security_group_ids) == 0)
    error_message = "A function in a VPC needs both subnet_ids and security_group_ids."
  }
}

variable "vpc_endpoints" {
  description = "Whether interface endpoints are made for the AWS services that are called. A function in a VPC without a way to them hangs."
  type        = bool
  default     = false

  validation {
    condition     = !var.vpc_endpoints || (length(var.subnet_ids) > 0 && var.vpc_id != null && length(var.vpc_endpoint_security_group_ids) > 0)
    error_message = "vpc_endpoints needs subnet_ids, vpc_id and vpc_endpoint_security_group_ids."
  }
}

variable "vpc_endpoint_services" {
  description = "Which services get an endpoint. By default those that the function calls with these inputs; name them if Terraform cannot tell before it applies (\"Invalid for_each argument\"), because the same configuration makes the topic of notify_topic_arn or a secret."
  type        = list(string)
  default     = null

  validation {
    condition     = var.vpc_endpoint_services == null || length(setsubtract(coalesce(var.vpc_endpoint_services, []), ["autoscaling", "ec2", "secretsmanager", "sns", "ssm", "sts"])) == 0
    error_message = "vpc_endpoint_services are autoscaling, ec2, secretsmanager, sns, ssm and sts: the function calls no others."
  }
}

variable "vpc_id" {
  description = "Their VPC."
  type        = string
  default     = null
}

variable "vpc_endpoint_security_group_ids" {
  description = "Their security groups, which let the function in (443)."
  type        = list(string)
  default     = []
}

# Who is told.
variable "alarm_topic_arn" {
  description = "SNS topic that alarms notify."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:[^:]+:sns:", var.alarm_topic_arn))
    error_message = "alarm_topic_arn is the ARN of an SNS topic."
  }
}

variable "notify_topic_arn" {
  description = "NOTIFY_TOPIC_ARN: SNS topic that is told of drains."
  type        = string
  default     = null

  validation {
    condition     = var.notify_topic_arn == null || can(regex("^arn:[^:]+:sns:", var.notify_topic_arn))
    error_message = "notify_topic_arn is the ARN of an SNS topic."
  }
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
