//! Which IAM actions the function's role needs. What each is for, and what happens without it, is said once, in
//! `deploy/iam/actions.json`.

use std::collections::BTreeMap;

use drain::config::{ClusterConfig, Config, NodeLookup, Place, TokenSource};
use serde::Deserialize;

/// An action that the configuration needs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Needed {
    /// The IAM action: `autoscaling:CompleteLifecycleAction`.
    pub(crate) action: String,
    /// On what.
    pub(crate) resource: String,
    /// Whether drains fail, or end with work running, without it.
    pub(crate) vital: bool,
}

impl Needed {
    /// What happens without it.
    pub(crate) fn without(&self) -> String {
        if self.action.starts_with("sqs:") {
            return "Lambda cannot read the queue for the function, and nothing arrives".to_owned();
        }
        texts().remove(self.action.as_str()).map(|said| said.without.replace('`', "")).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Said {
    action: String,
    without: String,
}

fn texts() -> BTreeMap<String, Said> {
    let all: Vec<Said> =
        serde_json::from_str(include_str!("../../../../deploy/iam/actions.json")).unwrap_or_default();
    all.into_iter().map(|said| (said.action.clone(), said)).collect()
}

/// Where things are: what ARNs are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whereabouts<'a> {
    pub(crate) partition: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
}

/// What Lambda does with a queue that it reads for a function, as the function's role. (AWS Lambda Developer Guide, "Using
/// Lambda with Amazon SQS".)
const READING: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// What the role has to do with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Surroundings<'a> {
    /// The ARNs of the groups that are looked at.
    pub(crate) groups: &'a [String],
    /// Whether one of them has a warm pool.
    pub(crate) has_warm_pool: bool,
    /// The ARNs of the queues that the function reads.
    pub(crate) queues: &'a [String],
}

/// Everything that this configuration needs.
pub(crate) fn needed(
    config: &Config,
    clusters: &[&ClusterConfig],
    around: Surroundings<'_>,
    at: Whereabouts<'_>,
) -> Vec<Needed> {
    let Surroundings { groups, has_warm_pool, queues } = around;
    let mut all = Vec::new();
    let mut need = |action: &str, resource: &str, vital: bool| {
        let one = Needed { action: action.to_owned(), resource: resource.to_owned(), vital };
        if !all.contains(&one) {
            all.push(one);
        }
    };
    let mut read = |place: &Place, vital: bool| match place {
        Place::Parameter(name) => need("ssm:GetParameter", &parameter_arn(name, at), vital),
        Place::Secret(name) => need("secretsmanager:GetSecretValue", &secret_arn(name, at), vital),
        // In the package itself.
        Place::File(_) => {}
    };
    if let drain::config::NomadClusters::Document(document) = &config.clusters {
        read(&document.place, true);
    }
    for cluster in clusters {
        if let TokenSource::Stored { place, .. } = &cluster.token {
            read(place, true);
        }
        for (_, place) in cluster.tls.places() {
            read(place, true);
        }
    }
    if let Some(place) = &config.notifications.webhook {
        read(place, false);
    }
    if clusters.iter().any(|cluster| matches!(cluster.token, TokenSource::Login { .. })) {
        need("sts:GetWebIdentityToken", "*", true);
    }
    if clusters.iter().any(|cluster| cluster.node_lookup != NodeLookup::Server) {
        need("ec2:DescribeInstances", "*", clusters.iter().any(|one| one.node_lookup == NodeLookup::Agent));
    }
    for group in groups {
        need("autoscaling:CompleteLifecycleAction", group, true);
        need("autoscaling:RecordLifecycleActionHeartbeat", group, config.sweep);
    }
    need("autoscaling:DescribeLifecycleHooks", "*", false);
    if config.sweep {
        need("autoscaling:DescribeAutoScalingGroups", "*", true);
        need("autoscaling:DescribeAutoScalingInstances", "*", false);
        need("autoscaling:DescribeScalingActivities", "*", false);
        if has_warm_pool {
            need("autoscaling:DescribeWarmPool", "*", true);
        }
    }
    for (queue, action) in queues.iter().flat_map(|queue| READING.map(|action| (queue, action))) {
        need(action, queue, true);
    }
    if let Some(topic) = &config.notifications.topic {
        need("sns:Publish", &topic.to_string(), false);
    }
    all
}

fn parameter_arn(name: &str, at: Whereabouts<'_>) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let Whereabouts { partition, region, account } = at;
    format!("arn:{partition}:ssm:{region}:{account}:parameter/{}", name.trim_start_matches('/'))
}

/// A secret's ARN ends in six characters that its name does not tell. Policies write `?` for each; what is simulated has to
/// be one that they match.
fn secret_arn(name: &str, at: Whereabouts<'_>) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let Whereabouts { partition, region, account } = at;
    format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-AbCdEf")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Whereabouts<'_> =
        Whereabouts { partition: "aws", region: "eu-west-1", account: "123456789012" };
    const GROUP: &str =
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/workers";

    fn of(variables: &[(&str, &str)], has_warm_pool: bool) -> Vec<Needed> {
        let lookup = |name: &str| {
            let usual = [("NOMAD_ADDR", "https://nomad.example:4646"), ("AWS_REGION", "eu-west-1")];
            let found = variables.iter().chain(&usual).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::parse(lookup).unwrap();
        let clusters: Vec<&ClusterConfig> = config.cluster().into_iter().collect();
        let groups = [GROUP.to_owned()];
        needed(&config, &clusters, Surroundings { groups: &groups, has_warm_pool, queues: &[] }, AT)
    }

    fn said(needed: &[Needed]) -> Vec<String> {
        let line = |one: &Needed| {
            format!(
                "{}{} on {}",
                if one.vital { "!" } else { "" },
                one.action,
                one.resource.replace(GROUP, "GROUP")
            )
        };
        needed.iter().map(line).collect()
    }

    #[test]
    fn the_plain_set_up_needs_little() {
        let needed = of(&[("NOMAD_TOKEN_PARAMETER", "/nomad/token"), ("NODE_LOOKUP", "server")], false);
        assert_eq!(
            said(&needed),
            [
                "!ssm:GetParameter on arn:aws:ssm:eu-west-1:123456789012:parameter/nomad/token",
                "!autoscaling:CompleteLifecycleAction on GROUP",
                "autoscaling:RecordLifecycleActionHeartbeat on GROUP",
                "autoscaling:DescribeLifecycleHooks on *",
            ]
        );
    }

    #[test]
    fn a_queue_is_read_with_the_functions_role() {
        let config = Config::parse(|name| match name {
            "NOMAD_ADDR" => Some("https://nomad.example:4646".to_owned()),
            "NOMAD_TOKEN_PARAMETER" => Some("/nomad/token".to_owned()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            _ => None,
        });
        let queues = ["arn:aws:sqs:eu-west-1:123456789012:hooks".to_owned()];
        let around = Surroundings { queues: &queues, ..Surroundings::default() };
        let needed = needed(&config.unwrap(), &[], around, AT);
        let of_queue: Vec<&Needed> = needed.iter().filter(|one| one.resource == queues[0]).collect();
        assert_eq!(of_queue.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(), READING);
        assert!(of_queue.iter().all(|one| one.vital && !one.without().is_empty()));
    }

    #[test]
    fn a_full_one_needs_everything_that_the_documents_name() {
        let needed = of(
            &[
                ("NOMAD_TOKEN_SECRET", "nomad-drain#token"),
                ("NOMAD_CACERT_PARAMETER", "nomad-ca"),
                ("SWEEP", "on"),
                ("NOTIFY_TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:ops"),
            ],
            true,
        );
        let login = of(&[("NOMAD_AUTH_METHOD", "lambda"), ("NOMAD_AUTH_AUDIENCE", "nomad")], false);
        let mut named: Vec<&str> = needed.iter().chain(&login).map(|one| one.action.as_str()).collect();
        // Whether a key of one's own encrypts what is stored is not known here.
        named.push("kms:Decrypt");
        named.sort_unstable();
        named.dedup();
        let documented = texts();
        assert_eq!(named, documented.keys().map(String::as_str).collect::<Vec<_>>());
        assert!(said(&needed).contains(
            &"!secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:123456789012:secret:nomad-drain-AbCdEf"
                .to_owned()
        ));
        assert!(needed.iter().all(|one| !one.without().is_empty()));
    }
}
