//! Every variable, once: its name, default, format and meaning. The parser reads its defaults from here, and the
//! README's table is made of it.

use std::fmt::Write as _;

/// An environment variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What an unset variable means; empty if it means nothing.
    pub default: &'static str,
    /// What it may hold.
    pub format: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($name:ident { default: $default:literal, format: $format:literal, meaning: $meaning:literal })*) => {
        $(pub(super) const $name: Variable =
            Variable { name: stringify!($name), default: $default, format: $format, meaning: $meaning };)*

        /// Every variable, in the order of the README's table.
        pub const VARIABLES: &[&Variable] = &[$(&$name),*];
    };
}

variables! {
    ENV {
        default: "",
        format: "text",
        meaning: "Name of the environment. Needed only while `NOMAD_ADDR` or the token parameter is derived from it."
    }
    REGION {
        default: "",
        format: "text",
        meaning: "AWS region in the derived names. Needed only while they are derived. `AWS_REGION`, which Lambda sets, says where AWS is called; without it `REGION` does."
    }
    NOMAD_ADDR {
        default: "https://nomad.{ENV}-aws-{REGION}.tis.loc",
        format: "`http://` or `https://` address, with a path prefix if need be",
        meaning: "Nomad's servers, or the load balancer before them. Certificates are verified."
    }
    NOMAD_REGION {
        default: "",
        format: "text",
        meaning: "Nomad's region (not AWS's) for every request; without it, the region of the servers that answer."
    }
    NOMAD_CACERT {
        default: "",
        format: "path of a PEM file",
        meaning: "The certificate authorities that may vouch for Nomad, and no others; put the file into the function's package (`/var/task/…`). Without it, the public ones."
    }
    NOMAD_TOKEN_PARAMETER {
        default: "/{ENV}-aws-{REGION}/broker/secrets/NOMAD_TOKEN",
        format: "name or ARN",
        meaning: "SSM parameter (SecureString) that holds the Nomad ACL token."
    }
    NOMAD_ACL {
        default: "on",
        format: "boolean",
        meaning: "`off` for a cluster without ACLs: no token is read or sent."
    }
    NODE_LOOKUP {
        default: "auto",
        format: "`auto`, `server` or `agent`",
        meaning: "How the node of an instance is found: `server` by its attribute `unique.platform.aws.instance-id`; `agent` by asking the agent on the instance; `auto` by the attribute, and if no node has it, by the private IP and then the agent."
    }
    NOMAD_AGENT_URL {
        default: "http://{ip}:4646",
        format: "`http://` or `https://` address; `{ip}` is the private IP",
        meaning: "The agent on an instance, for `NODE_LOOKUP=agent` and the last step of `auto`."
    }
    DRAIN_DEADLINE {
        default: "1h",
        format: "duration",
        meaning: "How long allocations may take to leave before Nomad stops them."
    }
    DRAIN_IGNORE_SYSTEM_JOBS {
        default: "false",
        format: "boolean",
        meaning: "`true` leaves system jobs on the node."
    }
    LIFECYCLE_HOOK_NAME {
        default: "",
        format: "names, separated by commas",
        meaning: "Act only on these lifecycle hooks; others are ignored as `other_hook`. Without it, on every hook whose messages reach the function."
    }
    DRY_RUN {
        default: "off",
        format: "boolean",
        meaning: "`on` finds the node and says what would be posted, and posts nothing."
    }
}

/// The table for the README.
pub fn markdown_table() -> String {
    let mut table = String::from("| Variable | Default | Value | Meaning |\n|---|---|---|---|\n");
    for Variable { name, default, format, meaning } in VARIABLES {
        let default = if default.is_empty() { "unset".to_owned() } else { format!("`{default}`") };
        let _ = writeln!(table, "| `{name}` | {default} | {format} | {meaning} |");
    }
    table
}
