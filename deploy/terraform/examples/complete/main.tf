# A group of Nomad clients, protected, with people who are told. Set the region by AWS_REGION, and package by -var.

variable "package" {
  description = "dist/lambda-nomad-drain-arm64.zip, as deploy/package makes it."
  type        = string
}

variable "network" {
  description = "Where the function runs, if Nomad's servers are private: subnets with a NAT gateway or endpoints, security groups that let it out."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = { subnet_ids = [], security_group_ids = [] }
}

resource "aws_sns_topic" "on_call" {
  name = "nomad-drain-on-call"
}

resource "aws_sns_topic" "team" {
  name = "nomad-drain-team"
}

module "nomad_drain" {
  source = "../.."

  package                = var.package
  auto_scaling_groups    = ["nomad-clients"]
  drain_deadline_seconds = 2 * 60 * 60
  environment = {
    NOMAD_ADDR             = "https://nomad.example:4646"
    NOMAD_TOKEN_PARAMETER  = "/nomad-drain/token"
    NOMAD_CACERT_PARAMETER = "/nomad-drain/ca"
    NOMAD_TLS_SERVER_NAME  = "server.global.nomad"
    ON_REBALANCE           = "drain"
  }

  subnet_ids         = var.network.subnet_ids
  security_group_ids = var.network.security_group_ids

  alarm_topic_arn  = aws_sns_topic.on_call.arn
  notify_topic_arn = aws_sns_topic.team.arn

  tags = { service = "nomad" }
}

output "role_arn" {
  description = "May read the parameters; Nomad's auth method may be bound to it."
  value       = module.nomad_drain.role_arn
}
