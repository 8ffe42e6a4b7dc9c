# The sweep as a Nomad service job, instead of the function's schedule or beside it. See docs/operator-tool.md.
#
#   nomad var put nomad/jobs/nomad-drain-sweep NOMAD_TOKEN=<secret id of a token with nomad-drain.policy.hcl>
#   nomad job run -var release=https://… -var nomad_addr=https://… -var aws_region=eu-west-1 -var groups=workers \
#     deploy/nomad/nomad-drain-sweep.nomad.hcl

variable "release" {
  description = "Where a release's files are: https://github.com/OWNER/REPOSITORY/releases/download/v0.1.0, or a copy of yours."
  type        = string
  default     = "https://artifacts.example.com/nomad-drain"
}

variable "nomad_addr" {
  description = "Nomad's servers, as the function's NOMAD_ADDR. Not the agent on this node: it goes when its node goes."
  type        = string
  default     = "https://nomad.example.com:4646"
}

variable "aws_region" {
  description = "The region of the groups."
  type        = string
  default     = "eu-west-1"
}

variable "groups" {
  description = "The groups that it watches, as AUTO_SCALING_GROUPS: names and globs, with commas between them."
  type        = string
  default     = "workers"
}

job "nomad-drain-sweep" {
  type        = "service"
  datacenters = ["*"]

  # Better not on the nodes that it drains: give it others, by a pool (node_pool = "system") or a constraint like this one.
  # It works there all the same, if the cluster has a node that stays: a drain moves it as any other service. Nothing is lost
  # between its end here and its start there, because it remembers nothing and hooks hold for longer than that.
  #
  # constraint {
  #   attribute = "${node.class}"
  #   value     = "control"
  # }

  group "sweep" {
    # Two are safe, and would do everything twice.
    count = 1

    network {
      port "health" {}
    }

    service {
      name     = "nomad-drain-sweep"
      provider = "nomad"
      port     = "health"

      # 503 until a sweep has succeeded, when three have failed in a row, and when none has ended for minutes.
      check {
        type     = "http"
        path     = "/healthz"
        interval = "15s"
        timeout  = "3s"

        # Nothing is kept in memory that a new start would put right, so this is for what nobody has thought of.
        check_restart {
          limit = 20
          grace = "5m"
        }
      }
    }

    update {
      min_healthy_time  = "10s"
      healthy_deadline  = "3m"
      progress_deadline = "5m"
    }

    restart {
      attempts = 5
      interval = "5m"
      delay    = "15s"
      mode     = "delay"
    }

    task "sweep" {
      # With Docker: driver = "docker", an image that holds the program and nothing else that it would need (the certificate
      # authorities that vouch for AWS are built in), the same args, ports = ["health"], and no artifact.
      driver = "exec"

      # nomad-drain_linux_amd64.tar.gz or nomad-drain_linux_arm64.tar.gz, as the node needs it. To pin one of them, name it, add a
      # constraint on ${attr.cpu.arch}, and: options { checksum = "sha256:…" }, from the release's SHA256SUMS.
      artifact {
        source = "${var.release}/nomad-drain_${attr.kernel.name}_${attr.cpu.arch}.tar.gz"
      }

      config {
        command = "local/nomad-drain"
        args    = ["sweep", "--every", "30s", "--listen", "0.0.0.0:${NOMAD_PORT_health}", "--json"]
      }

      # Every variable of the function works here (README.md). The role of the instance has to allow what the function's does
      # (deploy/iam): credentials come from EC2's metadata service, as for every AWS tool.
      env {
        NOMAD_ADDR          = var.nomad_addr
        AWS_REGION          = var.aws_region
        AUTO_SCALING_GROUPS = var.groups
      }

      # The token is in a Nomad variable that this job alone may read. Without this block and with NOMAD_TOKEN_PARAMETER in env
      # it comes from Parameter Store, as the function's does. With Vault: a vault block, and {{ with secret "…" }} here.
      template {
        destination = "${NOMAD_SECRETS_DIR}/token.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/nomad-drain-sweep" }}NOMAD_TOKEN={{ .NOMAD_TOKEN }}{{ end }}
        EOT
      }

      # It gives a sweep that runs three seconds, and ends.
      kill_timeout = "10s"

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
