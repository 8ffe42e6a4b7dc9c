# A group of Nomad clients, protected. Set the region by AWS_REGION, and package by -var.

variable "package" {
  description = "dist/lambda-nomad-drain-arm64.zip, as deploy/package makes it."
  type        = string
}

module "nomad_drain" {
  source = "../.."

  package             = var.package
  auto_scaling_groups = ["nomad-clients"]
  environment = {
    NOMAD_ADDR             = "https://nomad.example:4646"
    NOMAD_TOKEN_PARAMETER  = "/nomad-drain/token"
    NOMAD_CACERT_PARAMETER = "/nomad-drain/ca"
    NOMAD_TLS_SERVER_NAME  = "server.global.nomad"
  }
}
