variable "name" {
  description = "Name of everything that is made, and of the metrics' namespace NomadDrain/<name>."
  type        = string
  default     = "nomad-drain"
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
  description = "Variables of the README's table: NOMAD_ADDR, NOMAD_TOKEN_PARAMETER, DRAIN_DEADLINE and so on. What is left out is unset. The module sets SWEEP, AUTO_SCALING_GROUPS, LIFECYCLE_HOOK_NAME, METRICS_NAMESPACE and NOTIFY_TOPIC_ARN itself."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setintersection(keys(var.environment), [
      "SWEEP", "AUTO_SCALING_GROUPS", "LIFECYCLE_HOOK_NAME", "METRICS_NAMESPACE", "NOTIFY_TOPIC_ARN", "NOMAD_TOKEN",
    ])) == 0
    error_message = "The module sets SWEEP, AUTO_SCALING_GROUPS, LIFECYCLE_HOOK_NAME, METRICS_NAMESPACE and NOTIFY_TOPIC_ARN from its own inputs, and a token has no place in the environment of a function: NOMAD_TOKEN_PARAMETER names the parameter that holds it."
  }
}

variable "stored_value_arns" {
  description = "Further SSM parameters and secrets that the function may read, by ARN: those that CLUSTERS_PARAMETER's document names."
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "Key of your own that encrypts parameters or secrets."
  type        = string
  default     = null
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
}

variable "lifecycle_hook_name" {
  description = "Name of the hooks."
  type        = string
  default     = "nomad-drain-hook"
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
}

variable "events_concurrency" {
  description = "Reserved concurrency of the events function; -1 for none, since small accounts cannot reserve any."
  type        = number
  default     = -1
}

variable "log_level" {
  description = "Log level: TRACE, DEBUG, INFO, WARN or ERROR."
  type        = string
  default     = "INFO"
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
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
}

variable "vpc_endpoints" {
  description = "Whether interface endpoints are made for the AWS services that are called. A function in a VPC without a way to them hangs."
  type        = bool
  default     = false
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
}

variable "notify_topic_arn" {
  description = "NOTIFY_TOPIC_ARN: SNS topic that is told of drains."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
