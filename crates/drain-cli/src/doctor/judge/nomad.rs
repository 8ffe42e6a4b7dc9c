//! Is Nomad there, has it a leader, and is it new enough?

use std::collections::BTreeMap;

use drain::support::Support;

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{ClusterFacts, Facts, Reached, Server, Trouble, TroubleKind};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Nomad;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let clusters =
        match known(&facts.clusters, AREA, "Nomad", "whether Nomad can be reached, and its version") {
            Ok(clusters) => clusters,
            Err(unknown) => return vec![unknown],
        };
    let function_in_vpc = facts.function.known().and_then(Option::as_ref).map(|function| function.in_vpc);
    clusters.iter().flat_map(|cluster| of_cluster(cluster, function_in_vpc)).collect()
}

fn of_cluster(cluster: &ClusterFacts, function_in_vpc: Option<bool>) -> Vec<Finding> {
    let about = cluster.about();
    let mut found = Vec::new();
    if !cluster.config.nomad_addr.is_https() && !is_loopback(cluster.config.nomad_addr.as_str()) {
        let what = "it is asked over plain http: whoever is in between can read the token";
        found.push(
            Finding::new(AREA, Code::NomadPlainHttp, &about, what)
                .todo("Switch TLS on in Nomad (tls.http = true), and begin NOMAD_ADDR with https://."),
        );
    }
    let leader = match &cluster.leader {
        Reached::Leader(leader) => leader,
        Reached::Failed(trouble) => {
            found.push(trouble_with(&about, trouble, function_in_vpc));
            return found;
        }
    };
    match known(&cluster.servers, AREA, &about, "the version of its servers") {
        Err(unknown) => found.push(unknown),
        Ok(servers) => {
            found.extend(versions(&about, servers));
            if found.is_empty() {
                let mut all: Vec<&str> = servers.iter().map(|server| server.version.as_str()).collect();
                all.sort_unstable();
                all.dedup();
                let servers = match servers.len() {
                    1 => "1 server".to_owned(),
                    several => format!("{several} servers"),
                };
                let what = format!("{servers} of version {}, led by {leader}", all.join(", "));
                found.push(Finding::new(AREA, Code::Nomad, &about, what));
            }
        }
    }
    found
}

/// Certificates have findings of their own.
fn trouble_with(about: &str, trouble: &Trouble, function_in_vpc: Option<bool>) -> Finding {
    use TroubleKind as K;
    let Trouble { kind, said, todo } = trouble;
    let code = match kind {
        K::NoLeader => Code::NomadNoLeader,
        // The function may have a way to it that we have not.
        K::Unreachable if function_in_vpc == Some(true) => {
            let what = format!("not checked: Nomad cannot be reached from here. {said}");
            let todo = "The function is in a VPC and may reach it: run the doctor there, or through a tunnel with NOMAD_ADDR \
                        set, or read the function's log.";
            return Finding::new(AREA, Code::NomadUnreachableFromHere, about, what).todo(todo);
        }
        K::Unreachable | K::Odd => Code::NomadUnreachable,
        K::CertificateExpired
        | K::CertificateName
        | K::CertificateAuthority
        | K::CertificateOther
        | K::ClientCertificateDemanded
        | K::ClientCertificateRefused
        | K::TlsMaterial
        | K::TlsMaterialDenied => {
            let what = "skipped: its leader and version. First see to the certificates, below";
            return Finding::new(AREA, Code::Skipped, about, what);
        }
    };
    Finding::new(AREA, code, about, said).todo(todo)
}

fn versions(about: &str, servers: &[Server]) -> Vec<Finding> {
    let mut by_support: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in servers {
        by_support.entry(&server.version).or_default().push(&server.name);
    }
    let said = |version: &str, names: &[&str]| format!("{} runs Nomad {version}", names.join(", "));
    by_support
        .into_iter()
        .filter_map(|(version, names)| match Support::of(version) {
            Support::Full => None,
            Support::Partly => {
                let what = format!(
                    "{}: supported from 1.6 on in full, before that as far as it goes",
                    said(version, &names)
                );
                Some(
                    Finding::new(AREA, Code::NomadVersionPartly, about, what)
                        .todo("Upgrade the servers to 1.6 or later."),
                )
            }
            Support::No => {
                let what = format!(
                    "{}, which does not filter nodes: no node is found by its instance",
                    said(version, &names)
                );
                let todo =
                    "Upgrade the servers to 1.6 or later, 1.3 at least; until then set NODE_LOOKUP=agent.";
                Some(Finding::new(AREA, Code::NomadTooOld, about, what).todo(todo))
            }
            Support::Unknown => {
                let what = format!("not checked: {} says that its version is {version:?}", names.join(", "));
                Some(
                    Finding::new(AREA, Code::NotChecked, about, what)
                        .todo("See what it says of itself:")
                        .command("nomad server members"),
                )
            }
        })
        .collect()
}

fn is_loopback(address: &str) -> bool {
    let host = address.trim_start_matches("http://");
    ["127.", "localhost", "[::1]"].iter().any(|loopback| host.starts_with(loopback))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::{Fact, Why};
    use crate::doctor::judge::scene::{NOMAD, check, cluster_of, facts, function_of, trouble, variables};

    fn at(code: &str) -> String {
        format!("{code} {NOMAD}")
    }

    #[test]
    fn a_cluster_with_a_leader_is_told_with_its_version() {
        let found = judge(&facts());
        assert!(found[0].what.contains("3 servers of version 1.10.5"), "{found:?}");
        check(found, &[&at("nomad")]);
    }

    #[test]
    fn versions_are_compared_with_what_is_supported() {
        let with = |versions: &[&str]| {
            let mut facts = facts();
            let server =
                |version: &&str| Server { name: "s1.global".to_owned(), version: (*version).to_owned() };
            cluster_of(&mut facts).servers = Fact::Known(versions.iter().map(server).collect());
            judge(&facts)
        };
        check(with(&["1.6.0"]), &[&at("nomad")]);
        check(with(&["1.5.17"]), &[&at("nomad-version-partly")]);
        check(with(&["1.2.6", "1.10.5"]), &[&at("nomad-too-old")]);
        check(with(&["new"]), &[&at("not-checked")]);
    }

    #[test]
    fn a_cluster_that_cannot_be_reached_or_has_no_leader_fails() {
        let mut facts = facts();
        cluster_of(&mut facts).leader = trouble(TroubleKind::NoLeader);
        check(judge(&facts), &[&at("nomad-no-leader")]);
        cluster_of(&mut facts).leader = trouble(TroubleKind::Unreachable);
        check(judge(&facts), &[&at("nomad-unreachable")]);
        cluster_of(&mut facts).leader = trouble(TroubleKind::Odd);
        check(judge(&facts), &[&at("nomad-unreachable")]);
    }

    #[test]
    fn what_cannot_be_reached_from_here_may_be_reached_from_the_functions_vpc() {
        let mut facts = facts();
        cluster_of(&mut facts).leader = trouble(TroubleKind::Unreachable);
        function_of(&mut facts).in_vpc = true;
        check(judge(&facts), &[&at("nomad-unreachable-from-here")]);
    }

    #[test]
    fn certificates_come_first() {
        let mut facts = facts();
        cluster_of(&mut facts).leader = trouble(TroubleKind::CertificateExpired);
        check(judge(&facts), &[&at("skipped")]);
    }

    #[test]
    fn a_version_that_may_not_be_asked_for_is_not_called_fine() {
        let mut facts = facts();
        let why = Why::Failed { said: "Permission denied".to_owned(), todo: "node:read".to_owned() };
        cluster_of(&mut facts).servers = Fact::Unknown(why);
        check(judge(&facts), &[&at("not-checked")]);
    }

    #[test]
    fn plain_http_shows_the_token_to_everybody_but_on_loopback() {
        let with = |address: &str| judge(&variables(&[("NOMAD_ADDR", address)]));
        check(with("http://nomad.example:4646"), &["nomad-plain-http http://nomad.example:4646"]);
        check(with("http://127.0.0.1:4646"), &["nomad http://127.0.0.1:4646"]);
    }
}
