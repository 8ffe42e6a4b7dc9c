//! Is the configuration one that the function can work with?

use drain::config::NomadClusters;
use drain_core::policy::Policy;

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Configuration, Facts};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Configuration;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let read =
        match known(&facts.configuration, AREA, "the function's variables", "the function's configuration") {
            Ok(read) => read,
            Err(unknown) => return vec![unknown],
        };
    match read {
        Ok(configuration) => of_valid(configuration, facts),
        Err(error) => error
            .problems
            .iter()
            .map(|problem| {
                let (about, what) = by_variable(problem);
                Finding::new(AREA, Code::ConfigurationInvalid, about, what).todo(
                    if facts.function_name.is_some() {
                        "Correct it: until then every invocation fails with ConfigurationError."
                    } else {
                        "Set it here, or take the deployed function's variables with --function NAME."
                    },
                )
            })
            .collect(),
    }
}

fn of_valid(configuration: &Configuration, facts: &Facts) -> Vec<Finding> {
    let Configuration { config, origin, overridden, document_problems, document_missing } = configuration;
    let mut found = Vec::new();
    if document_problems.is_empty() && document_missing.is_none() {
        let clusters = match &config.clusters {
            NomadClusters::One(cluster) => format!("the cluster at {}", cluster.nomad_addr),
            NomadClusters::Document(document) => format!("the clusters in {}", document.place),
        };
        let what = format!("valid, for {clusters}");
        found.push(Finding::new(AREA, Code::ConfigurationValid, origin, what));
    }
    if let Some((said, todo)) = document_missing {
        found.push(Finding::new(AREA, Code::ClustersInvalid, "CLUSTERS_PARAMETER", said).todo(todo));
    }
    if let NomadClusters::Document(document) = &config.clusters {
        found.extend(document_problems.iter().map(|problem| {
            Finding::new(AREA, Code::ClustersInvalid, document.place.to_string(), problem)
                .todo("Correct the document: it is read again within five minutes.")
        }));
    }
    found.extend(config.warnings.iter().map(|warning| {
        let (about, what) = by_variable(warning);
        Finding::new(AREA, Code::ConfigurationAdvice, about, what).todo("Correct the variables.")
    }));
    if !overridden.is_empty() {
        let what = "your environment says something else than the function's, and comes first";
        found.push(
            Finding::new(AREA, Code::ConfigurationOverridden, overridden.join(", "), what)
                .todo("What follows holds for these values. Unset them here to look at the function's own."),
        );
    }
    let policies: Vec<&Policy> =
        facts.clusters.known().into_iter().flatten().map(|cluster| &cluster.config.policy).collect();
    if policies.iter().any(|policy| policy.dry_run) {
        found.push(
            Finding::new(
                AREA,
                Code::DryRun,
                "DRY_RUN",
                "is on: nothing is drained, and no hook is completed",
            )
            .todo("Take DRY_RUN out when you have seen enough."),
        );
    }
    if policies.iter().any(|policy| policy.pause) {
        found.push(
            Finding::new(AREA, Code::Paused, "PAUSE", "is on: instances are held, and nothing is drained")
                .todo("Take PAUSE out when the work may go on."),
        );
    }
    if !config.sweep {
        let what = "is off: a drain is seen through for as long as one invocation lasts, and then left to the hook's time-out";
        found.push(
            Finding::new(AREA, Code::SweepOff, "SWEEP", what)
                .todo("Nothing, if drains are short. For longer ones see docs/deploy-by-hand.md, step 7."),
        );
    }
    found
}

/// Our sentences begin with the variable that they are about.
fn by_variable(sentence: &str) -> (&str, &str) {
    let is_name = |word: &str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    match sentence.split_once(' ') {
        Some((name, rest)) if is_name(name) => (name, rest),
        _ => ("the function's variables", sentence),
    }
}

#[cfg(test)]
mod tests {
    use drain::config::Config;

    use super::*;
    use crate::doctor::facts::Fact;
    use crate::doctor::judge::scene::{check, facts, variables};

    #[test]
    fn a_valid_configuration_says_where_it_comes_from() {
        check(judge(&facts()), &["configuration-valid the environment"]);
    }

    #[test]
    fn every_problem_is_a_finding_of_its_own() {
        let mut facts = facts();
        let lookup = |name: &str| match name {
            "NOMAD_ADDR" => Some("nomad:4646".to_owned()),
            "DRAIN_DEADLINE" => Some("soon".to_owned()),
            _ => None,
        };
        facts.configuration = Fact::Known(Err(Config::parse(lookup).unwrap_err()));
        let found = judge(&facts);
        let about: Vec<&str> = found.iter().map(|finding| finding.about.as_str()).collect();
        for variable in ["NOMAD_ADDR", "DRAIN_DEADLINE"] {
            assert!(about.contains(&variable), "{about:?}");
        }
        assert!(found.iter().all(|finding| finding.code == Code::ConfigurationInvalid));
    }

    #[test]
    fn what_keeps_it_from_working_on_purpose_is_said() {
        check(
            judge(&variables(&[("DRY_RUN", "on")])),
            &["configuration-valid the environment", "dry-run DRY_RUN"],
        );
        check(
            judge(&variables(&[("PAUSE", "on")])),
            &["configuration-valid the environment", "paused PAUSE"],
        );
        check(
            judge(&variables(&[("SWEEP", "off")])),
            &["configuration-valid the environment", "sweep-off SWEEP"],
        );
    }

    #[test]
    fn warnings_of_the_configuration_are_advice() {
        let facts = variables(&[("NOMAD_ACL", "off"), ("NOMAD_TOKEN_PARAMETER", "/nomad/token")]);
        check(
            judge(&facts),
            &["configuration-valid the environment", "configuration-advice NOMAD_TOKEN_PARAMETER"],
        );
    }

    #[test]
    fn a_document_with_problems_is_not_called_valid() {
        let mut facts = variables(&[("CLUSTERS_PARAMETER", "/nomad/clusters")]);
        let Fact::Known(Ok(configuration)) = &mut facts.configuration else { panic!("{facts:?}") };
        configuration.document_problems = vec!["cluster blue: NOMAD_ADDR is missing".to_owned()];
        check(judge(&facts), &["clusters-invalid SSM parameter /nomad/clusters"]);
        let Fact::Known(Ok(configuration)) = &mut facts.configuration else { panic!("{facts:?}") };
        configuration.document_problems.clear();
        configuration.document_missing = Some(("it does not exist".to_owned(), "Create it.".to_owned()));
        check(judge(&facts), &["clusters-invalid CLUSTERS_PARAMETER"]);
    }

    #[test]
    fn an_environment_that_comes_first_is_told() {
        let mut facts = facts();
        let Fact::Known(Ok(configuration)) = &mut facts.configuration else { panic!("{facts:?}") };
        configuration.overridden = vec!["NOMAD_ADDR".to_owned(), "NOMAD_TOKEN".to_owned()];
        check(
            judge(&facts),
            &["configuration-valid the environment", "configuration-overridden NOMAD_ADDR, NOMAD_TOKEN"],
        );
    }
}
