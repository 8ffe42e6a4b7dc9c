//! Are the certificates of Nomad's servers, and ours, good, and for how long?

use jiff::{SignedDuration, Timestamp};

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Certificate, ClusterFacts, Fact, Facts, Reached, Trouble, TroubleKind};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Certificates;

/// So long before its end a certificate is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn judge(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let Some(clusters) = facts.clusters.known() else {
        let what = "skipped: Nomad's certificates. First see to the configuration";
        return vec![Finding::new(AREA, Code::Skipped, "Nomad", what)];
    };
    clusters.iter().flat_map(|cluster| of_cluster(cluster, now)).collect()
}

fn of_cluster(cluster: &ClusterFacts, now: Timestamp) -> Vec<Finding> {
    let about = cluster.about();
    let mut found = Vec::new();
    if cluster.config.tls.skip_verify {
        let what = "NOMAD_SKIP_VERIFY is on: whoever is in between can read the token, and answer as Nomad";
        found.push(Finding::new(AREA, Code::SkipVerify, &about, what).todo(
            "Take it out, and set NOMAD_CACERT_PARAMETER, and NOMAD_TLS_SERVER_NAME=server.global.nomad.",
        ));
    }
    let refused = match &cluster.leader {
        Reached::Failed(trouble) => refusal(&about, trouble, cluster),
        Reached::Leader(_) => None,
    };
    let is_refused = refused.is_some();
    found.extend(refused);
    if let Some(shown) = &cluster.shown {
        found.extend(shown_by_servers(&about, shown, now, is_refused));
    }
    if let Some(own) = &cluster.own {
        found.extend(our_own(&about, own, now));
    }
    found
}

/// Why the connection failed, if it was for a certificate.
fn refusal(about: &str, trouble: &Trouble, cluster: &ClusterFacts) -> Option<Finding> {
    use TroubleKind as K;
    let Trouble { kind, said, todo } = trouble;
    let code = match kind {
        K::NoLeader | K::Unreachable | K::Odd => return None,
        K::CertificateExpired => Code::CertificateExpired,
        K::CertificateName => Code::CertificateName,
        K::CertificateAuthority => Code::CertificateAuthority,
        K::CertificateOther => Code::CertificateRejected,
        K::ClientCertificateDemanded => Code::ClientCertificateDemanded,
        K::ClientCertificateRefused => Code::ClientCertificateRefused,
        K::TlsMaterial => Code::TlsMaterialInvalid,
        K::TlsMaterialDenied => Code::NotChecked,
    };
    let finding = Finding::new(AREA, code, about, said).todo(todo);
    let names = cluster.shown.as_ref().and_then(Fact::known).and_then(|shown| shown.first());
    Some(match names {
        Some(shown) if *kind == K::CertificateName => {
            finding.todo(format!("It is for {}: {todo}", names_of(shown)))
        }
        _ => finding,
    })
}

fn shown_by_servers(
    about: &str,
    shown: &Fact<Vec<Certificate>>,
    now: Timestamp,
    is_refused: bool,
) -> Vec<Finding> {
    let chain = match known(shown, AREA, about, "until when its certificate is good") {
        Ok(chain) => chain,
        Err(unknown) => return if is_refused { Vec::new() } else { vec![unknown] },
    };
    let Some(first) = chain.first() else { return Vec::new() };
    // The first of a chain that ends makes all of it worthless.
    let soonest = chain.iter().min_by_key(|one| one.not_after).unwrap_or(first);
    if soonest.not_after <= now {
        // Where it is verified, the connection has failed for it.
        if is_refused {
            return Vec::new();
        }
        let what =
            format!("the certificate of {} ended on {:.10}", soonest.subject, soonest.not_after.to_string());
        return vec![
            Finding::new(AREA, Code::CertificateExpired, about, what)
                .todo("Renew it (nomad tls cert create -server), and reload the servers with SIGHUP."),
        ];
    }
    if soonest.not_after.duration_since(now) < SOON {
        let what = format!("the certificate of {} ends {}", soonest.subject, when(soonest.not_after, now));
        return vec![
            Finding::new(AREA, Code::CertificateExpiresSoon, about, what)
                .todo("Renew it (nomad tls cert create -server), and reload the servers with SIGHUP."),
        ];
    }
    if is_refused {
        return Vec::new();
    }
    let what = format!(
        "for {}, issued by {}, until {:.10}",
        names_of(first),
        first.issuer,
        soonest.not_after.to_string()
    );
    vec![Finding::new(AREA, Code::Certificate, about, what)]
}

fn our_own(about: &str, own: &Fact<Certificate>, now: Timestamp) -> Vec<Finding> {
    let about = format!("our certificate for {about}");
    let own = match known(own, AREA, &about, "until when it is good") {
        Ok(own) => own,
        Err(unknown) => return vec![unknown],
    };
    let renew = "Renew it (nomad tls cert create -client), and store it anew.";
    if own.not_after <= now {
        let what = format!("{} ended on {:.10}", own.subject, own.not_after.to_string());
        return vec![Finding::new(AREA, Code::ClientCertificateExpired, about, what).todo(renew)];
    }
    if own.not_after.duration_since(now) < SOON {
        let what = format!("{} ends {}", own.subject, when(own.not_after, now));
        return vec![Finding::new(AREA, Code::ClientCertificateExpiresSoon, about, what).todo(renew)];
    }
    let what = format!("{}, until {:.10}", own.subject, own.not_after.to_string());
    vec![Finding::new(AREA, Code::Certificate, about, what)]
}

fn names_of(certificate: &Certificate) -> String {
    if certificate.names.is_empty() { "no name at all".to_owned() } else { certificate.names.join(", ") }
}

/// A moment in the future: `in 12 days, on 2026-03-01`.
pub(super) fn when(moment: Timestamp, now: Timestamp) -> String {
    let days = moment.duration_since(now).as_hours() / 24;
    let days = match days {
        ..1 => "in less than a day".to_owned(),
        1 => "in 1 day".to_owned(),
        _ => format!("in {days} days"),
    };
    format!("{days}, on {:.10}", moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::Why;
    use crate::doctor::judge::scene::{
        NOMAD, NOW, certificate, check, cluster_of, facts, now, trouble, variables,
    };

    fn shown(days: i64) -> Vec<Finding> {
        let mut facts = facts();
        cluster_of(&mut facts).shown = Some(Fact::Known(vec![certificate(days)]));
        judge(&facts, now())
    }

    fn own(days: i64) -> Vec<Finding> {
        let mut facts = facts();
        cluster_of(&mut facts).own = Some(Fact::Known(certificate(days)));
        judge(&facts, now())[1..].to_vec()
    }

    fn at(code: &str) -> String {
        format!("{code} {NOMAD}")
    }

    #[test]
    fn a_certificate_is_good_for_a_while() {
        check(shown(31), &[&at("certificate")]);
        let soon = shown(29);
        assert!(soon[0].what.contains("in 29 days, on "), "{soon:?} {NOW}");
        check(soon, &[&at("certificate-expires-soon")]);
        // Where nobody verifies it, nothing has failed yet.
        check(shown(-1), &[&at("certificate-expired")]);
    }

    #[test]
    fn one_certificate_of_the_chain_is_enough_to_end_it() {
        let mut facts = facts();
        cluster_of(&mut facts).shown = Some(Fact::Known(vec![certificate(100), certificate(3)]));
        check(judge(&facts, now()), &[&at("certificate-expires-soon")]);
    }

    #[test]
    fn what_is_refused_is_told_once() {
        use TroubleKind as K;
        for (kind, code) in [
            (K::CertificateExpired, "certificate-expired"),
            (K::CertificateName, "certificate-name"),
            (K::CertificateAuthority, "certificate-authority"),
            (K::CertificateOther, "certificate-rejected"),
            (K::ClientCertificateDemanded, "client-certificate-demanded"),
            (K::ClientCertificateRefused, "client-certificate-refused"),
            (K::TlsMaterial, "tls-material-invalid"),
            (K::TlsMaterialDenied, "not-checked"),
        ] {
            let mut facts = facts();
            cluster_of(&mut facts).leader = trouble(kind);
            if kind == K::CertificateExpired {
                cluster_of(&mut facts).shown = Some(Fact::Known(vec![certificate(-1)]));
            }
            check(judge(&facts, now()), &[&at(code)]);
        }
    }

    #[test]
    fn a_wrong_name_is_told_with_the_right_ones() {
        let mut facts = facts();
        cluster_of(&mut facts).leader = trouble(TroubleKind::CertificateName);
        let found = judge(&facts, now());
        assert!(found[0].todo.as_ref().unwrap().contains("server.global.nomad"), "{found:?}");
    }

    #[test]
    fn our_own_certificate_ends_too() {
        let about = format!("our certificate for {NOMAD}");
        check(own(100), &[&format!("certificate {about}")]);
        check(own(10), &[&format!("client-certificate-expires-soon {about}")]);
        check(own(-10), &[&format!("client-certificate-expired {about}")]);
    }

    #[test]
    fn believing_everybody_is_told() {
        check(
            judge(&variables(&[("NOMAD_SKIP_VERIFY", "on")]), now()),
            &[&at("skip-verify"), &at("certificate")],
        );
    }

    #[test]
    fn without_tls_there_is_nothing_to_say() {
        let mut facts = facts();
        cluster_of(&mut facts).shown = None;
        check(judge(&facts, now()), &[]);
    }

    #[test]
    fn a_chain_that_could_not_be_seen_is_not_called_fine() {
        let mut facts = facts();
        let why = Why::Failed { said: "no connection".to_owned(), todo: String::new() };
        cluster_of(&mut facts).shown = Some(Fact::Unknown(why));
        check(judge(&facts, now()), &[&at("not-checked")]);
    }
}
