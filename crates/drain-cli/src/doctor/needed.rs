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

/// Everything that this configuration needs. `groups` are the ARNs of the groups that are looked at; `has_warm_pool` says
/// whether one of them has a warm pool.
pub(crate) fn needed(
    config: &Config,
    clusters: &[&ClusterConfig],
    groups: &[String],
    has_warm_pool: bool,
    at: Whereabouts<'_>,
) -> Vec<Needed> {
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
        needed(&config, &clusters, &[GROUP.to_owned()], has_warm_pool, AT)
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
