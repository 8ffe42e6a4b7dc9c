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
    NOMAD_CAPATH {
        default: "",
        format: "path of a folder of PEM files",
        meaning: "The same, as a folder. `NOMAD_CACERT` comes before it."
    }
    NOMAD_CACERT_PARAMETER {
        default: "",
        format: "SSM parameter, or a secret's ARN",
        meaning: "The same, as text in Parameter Store or Secrets Manager. Files come before it."
    }
    NOMAD_CLIENT_CERT {
        default: "",
        format: "path of a PEM file",
        meaning: "Certificate that is shown to servers and agents that demand one (`verify_https_client`), followed by those that lead to its authority."
    }
    NOMAD_CLIENT_KEY {
        default: "",
        format: "path of a PEM file",
        meaning: "Its private key, not encrypted."
    }
    NOMAD_CLIENT_CERT_PARAMETER {
        default: "",
        format: "SSM parameter, or a secret's ARN",
        meaning: "The certificate as text in Parameter Store or Secrets Manager. The file comes before it."
    }
    NOMAD_CLIENT_KEY_PARAMETER {
        default: "",
        format: "SSM parameter, or a secret's ARN",
        meaning: "The key as text in Parameter Store (SecureString) or Secrets Manager. The file comes before it."
    }
    NOMAD_TLS_SERVER_NAME {
        default: "",
        format: "host name",
        meaning: "Name that is expected in the servers' certificate where it is not the host in `NOMAD_ADDR`, such as `server.global.nomad`. Agents are then expected to be `client.global.nomad`."
    }
    NOMAD_SKIP_VERIFY {
        default: "off",
        format: "boolean",
        meaning: "`on` believes every certificate: whoever is in between reads the token. A warning in every invocation's log."
    }
    NOMAD_ACL {
        default: "on",
        format: "boolean",
        meaning: "`off` for a cluster without ACLs: no token is read or sent."
    }
    NOMAD_TOKEN {
        default: "",
        format: "token",
        meaning: "The Nomad ACL token itself, for trials: everybody who may look at the function can read it. Comes before the following ones."
    }
    NOMAD_TOKEN_SECRET {
        default: "",
        format: "name or ARN, with `#key` if need be",
        meaning: "Secret of Secrets Manager that holds the token, as its whole text or, as JSON, under the key. Comes before the following ones."
    }
    NOMAD_AUTH_METHOD {
        default: "",
        format: "name",
        meaning: "JWT auth method of Nomad's: the function logs in as its role and no token is stored anywhere. Comes before the parameter. See docs/SECURITY.md."
    }
    NOMAD_AUTH_AUDIENCE {
        default: "",
        format: "text",
        meaning: "Audience of the identity for that login, as in the method's `BoundAudiences`."
    }
    NOMAD_TOKEN_PARAMETER {
        default: "/{ENV}-aws-{REGION}/broker/secrets/NOMAD_TOKEN",
        format: "name or ARN",
        meaning: "SSM parameter (SecureString) that holds the token. Read only if none of the others is set."
    }
    CLUSTERS_PARAMETER {
        default: "",
        format: "SSM parameter, or a secret's ARN",
        meaning: "Document of several clusters, each with its groups and with any of the variables above and of those below that can differ. What it leaves out, the environment says. See docs/operations.md, \"Many clusters\"."
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
        meaning: "Act only on these lifecycle hooks; others are ignored as `other_hook`. Without it, on every hook whose messages reach the function; the sweep, which cannot know the hook, acts on `nomad-drain-hook`."
    }
    DRY_RUN {
        default: "off",
        format: "boolean",
        meaning: "`on` finds the node and says what would be posted, and posts nothing."
    }
    SWEEP {
        default: "off",
        format: "boolean",
        meaning: "`on` says that a schedule invokes the function with `{\"action\":\"sweep\"}`, once a minute: long drains are left to it. Setting it deploys nothing."
    }
    SWEEP_LINGER {
        default: "50s",
        format: "duration",
        meaning: "How long one sweep goes on looking at what it has found. Cut to end 5 s before the function's time-out."
    }
    EVENT_LINGER {
        default: "15s",
        format: "duration",
        meaning: "How long the invocation of an event goes on looking at its instances, before it leaves them to the sweep. Cut to end 5 s before the function's time-out. With `SWEEP` off the default is as long as the function's time-out allows."
    }
    POLL_INTERVAL {
        default: "5s",
        format: "duration",
        meaning: "Time between two looks at the same instance within one invocation."
    }
    AUTO_SCALING_GROUPS {
        default: "",
        format: "names or globs (`*`, `?`), separated by commas",
        meaning: "Auto Scaling groups that the sweep looks after. Without it, those with the tag `nomad-drain` of any value but `off` and `false`."
    }
    MAX_HOLD {
        default: "",
        format: "duration",
        meaning: "How long an instance is kept with heartbeats, from the hook's start, and never beyond the hook's global limit; then the hook's default result decides. Without it, 2 × `DRAIN_DEADLINE`."
    }
    KILL_GRACE {
        default: "2m",
        format: "duration",
        meaning: "How long tasks may still be stopping after the drain's deadline, before `ON_DRAIN_TIMEOUT` decides."
    }
    ON_DRAIN_TIMEOUT {
        default: "continue",
        format: "`continue` or `abandon`",
        meaning: "How the lifecycle action is completed when allocations still run after deadline and grace."
    }
    ON_NODE_NOT_FOUND {
        default: "continue",
        format: "`continue`, `abandon` or `hold`",
        meaning: "How the lifecycle action of an instance without a node is completed, after `NODE_JOIN_GRACE`; `hold` keeps the instance as long as `MAX_HOLD` allows."
    }
    NODE_JOIN_GRACE {
        default: "5m",
        format: "duration",
        meaning: "How long a node may take to join the cluster, from the hook's start."
    }
    DISCONNECTED_GRACE {
        default: "2m",
        format: "duration",
        meaning: "How long a node may be `disconnected` before its work counts as lost."
    }
    DOWN_GRACE {
        default: "60s",
        format: "duration",
        meaning: "How long a node may be `down` before its work counts as lost."
    }
    PAUSE {
        default: "off",
        format: "boolean",
        meaning: "`on` sends heartbeats and does nothing else: no drain, no completion. For one group, the tag `nomad-drain-hold`."
    }
    SETTLE_DELAY {
        default: "0",
        format: "duration, or `0`",
        meaning: "How long to wait between \"everything has stopped\" and the completion of the lifecycle action."
    }
    ON_LAUNCH {
        default: "ignore",
        format: "`ignore` or `wait`",
        meaning: "`wait` completes the action of the launch hook `LAUNCH_HOOK_NAME` when the node of the instance is ready and takes work."
    }
    LAUNCH_HOOK_NAME {
        default: "nomad-launch-hook",
        format: "name",
        meaning: "The launch hook that `ON_LAUNCH=wait` acts on."
    }
    ON_REBALANCE {
        default: "ignore",
        format: "`ignore` or `drain`",
        meaning: "What an EC2 rebalance recommendation means. If the instance survives, its node is given back after `RESTORE_AFTER`."
    }
    ON_SCHEDULED_CHANGE {
        default: "ignore",
        format: "`ignore` or `drain`",
        meaning: "The same for a scheduled change of the instance that AWS Health announces."
    }
    RESTORE_AFTER {
        default: "30m",
        format: "duration",
        meaning: "How long after its drain began the sweep gives a node back whose instance has survived a recommendation or a scheduled change. Never less than two minutes."
    }
    PURGE_NODES {
        default: "off",
        format: "boolean",
        meaning: "`on` removes the nodes of ended instances from Nomad once they are down."
    }
    MAX_DRAINS_PER_GROUP {
        default: "",
        format: "number from 1 on",
        meaning: "How many nodes of a group drain at once, more or less. The sweep starts the next ones, in the order in which their hooks began; those that wait take no work and are kept alive, and nobody waits for longer than leaves time for its drain. What EC2 and AWS Health announce does not wait. Needs `SWEEP`. Without it, any number."
    }
    NOTIFY_TOPIC_ARN {
        default: "",
        format: "ARN of an SNS topic",
        meaning: "Where it is said that drains have started, finished, timed out or failed. Never a FIFO topic."
    }
    NOTIFY_WEBHOOK_PARAMETER {
        default: "",
        format: "SSM parameter, or a secret's ARN",
        meaning: "Holds the address of a webhook that is told the same, as Slack wants it: `{\"text\": \"…\"}`."
    }
    METRICS_NAMESPACE {
        default: "NomadDrain",
        format: "text",
        meaning: "CloudWatch namespace of the metrics. Give each deployment of an account its own, so that their alarms do not mix."
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
