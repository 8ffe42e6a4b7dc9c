//! Is the token there, good, for how long, and may it do what it has to, and no more?

use drain::config::NodeLookup;
use jiff::Timestamp;
use nomad_client::visibility::{Sees, sees_every_namespace};
use nomad_client::{Policy, TokenSelf, may_ask_agents, may_drain};

use super::certificates::when;
use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{ClusterFacts, Facts, Reached, TokenAnswer};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Token;

/// How to make a token that may do what it has to, and no more.
const MAKE_ANOTHER: &str = "nomad acl policy apply nomad-drain deploy/nomad/nomad-drain.policy.hcl && nomad acl token create \
                            -name lambda-nomad-drain -policy nomad-drain";

pub(super) fn judge(facts: &Facts, now: Timestamp) -> Vec<Finding> {
    let Some(clusters) = facts.clusters.known() else {
        let what = "skipped: the token. First see to the configuration";
        return vec![Finding::new(AREA, Code::Skipped, "the token", what)];
    };
    clusters.iter().flat_map(|cluster| of_cluster(cluster, now)).collect()
}

fn of_cluster(cluster: &ClusterFacts, now: Timestamp) -> Vec<Finding> {
    let about = match (&cluster.token.description, &cluster.name) {
        (Some(token), None) => token.clone(),
        (Some(token), Some(name)) => format!("{name}, {token}"),
        (None, _) => "no token (NOMAD_ACL=off)".to_owned(),
    };
    // Where it is stands in the errors' own words.
    let short = cluster.name.as_ref().map_or("the token".to_owned(), |name| format!("{name}, the token"));
    let mut found = Vec::new();
    if cluster.token.in_variable {
        let what = "it stands in a variable: everybody who may look at the function can read it";
        found
            .push(Finding::new(AREA, Code::TokenInVariable, &about, what).todo(
                "Store it in an SSM parameter (SecureString), and name that in NOMAD_TOKEN_PARAMETER.",
            ));
    }
    // A place that holds nothing is known without Nomad.
    let is_known_without_nomad = matches!(cluster.token.token.known(), Some(TokenAnswer::Unreadable { .. }));
    if matches!(cluster.leader, Reached::Failed(_)) && !is_known_without_nomad {
        let what = "skipped: what it may do. First see to Nomad, above";
        found.push(Finding::new(AREA, Code::Skipped, about, what));
        return found;
    }
    let what = "until when it is good, and what it may do";
    match known(&cluster.token.token, AREA, &about, what) {
        Err(unknown) => found.push(unknown),
        Ok(TokenAnswer::Unreadable { said, todo }) => {
            found.push(Finding::new(AREA, Code::TokenUnreadable, short, said).todo(todo));
        }
        Ok(TokenAnswer::Refused { said, todo }) => {
            found.push(Finding::new(AREA, Code::TokenRefused, short, said).todo(todo));
        }
        Ok(TokenAnswer::NoAcls) if cluster.token.description.is_none() => {
            found.push(Finding::new(AREA, Code::Token, about, "none is needed: the cluster has no ACLs"));
        }
        // Without a token one is somebody too: `anonymous`.
        Ok(TokenAnswer::Is { .. }) if cluster.token.description.is_none() => {
            let what = "NOMAD_ACL is off, and the cluster has ACLs: nothing can be drained without a token";
            found.push(
                Finding::new(AREA, Code::TokenRefused, about, what)
                    .todo("Take NOMAD_ACL out, and store a token: docs/deploy-by-hand.md, step 1."),
            );
        }
        Ok(TokenAnswer::NoAcls) => {
            let what = "the cluster has no ACLs: everybody who reaches it may drain its nodes";
            found.push(
                Finding::new(AREA, Code::AclDisabled, about, what)
                    .todo("If that is meant, set NOMAD_ACL=off, so that no token is read; else switch ACLs on in Nomad."),
            );
        }
        Ok(TokenAnswer::Is { token, policies }) => {
            found.extend(of_token(&about, token, now));
            if !token.is_unrestricted() {
                match known(policies, AREA, &about, "what its policies grant") {
                    Ok(policies) => {
                        found.extend(grants(&about, policies));
                        found.extend(of_agents(&about, cluster, policies));
                    }
                    Err(unknown) => found.push(unknown),
                }
            }
            if found.is_empty() {
                found.push(Finding::new(AREA, Code::Token, about, good(token, policies.known())));
            }
        }
    }
    found
}

fn of_token(about: &str, token: &TokenSelf, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    if token.token_type == "management" {
        let what = "it is a management token: whoever gets hold of it owns the cluster";
        found.push(
            Finding::new(AREA, Code::TokenManagement, about, what)
                .todo("Make one with the policy of deploy/nomad/nomad-drain.policy.hcl, and store its secret id in this one's place:")
                .command(MAKE_ANOTHER),
        );
    }
    if let Some(ends) = token.expiration_time {
        let what = format!("it ends {}: from then on nothing is drained", when(ends, now));
        found.push(
            Finding::new(AREA, Code::TokenEnds, about, what)
                .todo("Store one without an end, or let the function log in instead (NOMAD_AUTH_METHOD)."),
        );
    }
    found
}

fn grants(about: &str, policies: &[Policy]) -> Vec<Finding> {
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let named = match names.as_slice() {
        [] => "it has no policy".to_owned(),
        [one] => format!("its policy {one}"),
        several => format!("its policies {}", several.join(", ")),
    };
    let mut found = Vec::new();
    if !may_drain(policies) {
        let what = format!("it may not drain nodes: {named} do not grant node:write");
        let what = if names.len() == 1 { what.replace(" do not ", " does not ") } else { what };
        let what =
            if names.is_empty() { "it may not drain nodes: it has no policy".to_owned() } else { what };
        found.push(
            Finding::new(AREA, Code::TokenCannotDrain, about, what)
                .todo("Add to its policy: node { policy = \"write\" }. Or make a token with our policy, and store that:")
                .command(MAKE_ANOTHER),
        );
    }
    if let Sees::NotEverything { namespaces } = sees_every_namespace(policies) {
        let what = format!(
            "it may not read jobs in {}: drains begin, and none is believed to be over",
            if namespaces == ["*"] { "every namespace".to_owned() } else { namespaces.join(", ") }
        );
        found.push(
            Finding::new(AREA, Code::TokenCannotSee, about, what)
                .todo("Add to its policy: namespace \"*\" { capabilities = [\"read-job\"] }. Or make a token with our policy, and store that:")
                .command(MAKE_ANOTHER),
        );
    }
    found
}

/// Who looks nodes up at their agents needs more than who asks the servers.
fn of_agents(about: &str, cluster: &ClusterFacts, policies: &[Policy]) -> Option<Finding> {
    if cluster.config.node_lookup != NodeLookup::Agent || may_ask_agents(policies) {
        return None;
    }
    let what =
        "NODE_LOOKUP is agent, and its policies do not grant agent:read: no agent says which node it runs";
    Some(
        Finding::new(AREA, Code::TokenCannotAskAgents, about, what)
            .todo("Add to its policy: agent { policy = \"read\" }. Or set NODE_LOOKUP=auto, which asks the servers first."),
    )
}

fn good(token: &TokenSelf, policies: Option<&Vec<Policy>>) -> String {
    if token.is_unrestricted() {
        return "nothing restricts it".to_owned();
    }
    let names: Vec<&str> = policies.into_iter().flatten().map(|policy| policy.name.as_str()).collect();
    format!("without an end, policies {}: it may drain, and sees every namespace", names.join(", "))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use nomad_client::{NamespaceRule, PolicyRules};

    use super::*;
    use crate::doctor::facts::{Fact, TroubleKind, Why};
    use crate::doctor::judge::scene::{
        TOKEN, check, cluster_of, facts, now, policies, token, trouble, variables,
    };

    fn with(answer: TokenAnswer) -> Vec<Finding> {
        let mut facts = facts();
        cluster_of(&mut facts).token.token = Fact::Known(answer);
        judge(&facts, now())
    }

    fn is(token: TokenSelf, policies: Vec<Policy>) -> Vec<Finding> {
        with(TokenAnswer::Is { token: Box::new(token), policies: Fact::Known(policies) })
    }

    fn at(code: &str) -> String {
        format!("{code} {TOKEN}")
    }

    fn sorry() -> (String, String) {
        ("something went wrong".to_owned(), "Do something.".to_owned())
    }

    #[test]
    fn a_token_that_may_do_what_it_has_to_is_fine() {
        check(judge(&facts(), now()), &[&at("token")]);
    }

    #[test]
    fn a_management_token_is_too_much() {
        check(
            is(TokenSelf { token_type: "management".to_owned(), ..token() }, vec![]),
            &[&at("token-management")],
        );
    }

    #[test]
    fn a_token_that_ends_is_told_with_its_end() {
        let ends = now() + SignedDuration::from_hours(49);
        let found = is(TokenSelf { expiration_time: Some(ends), ..token() }, policies());
        assert!(found[0].what.contains("in 2 days"), "{found:?}");
        check(found, &[&at("token-ends")]);
    }

    #[test]
    fn a_token_has_to_drain_and_to_see() {
        let blind = |rules: PolicyRules| vec![Policy { name: "drain".to_owned(), rules }];
        let node = || Some("write".to_owned());
        check(
            is(token(), blind(PolicyRules { node: node(), ..PolicyRules::default() })),
            &[&at("token-cannot-see")],
        );
        let read =
            NamespaceRule { name: "*".to_owned(), policy: "read".to_owned(), ..NamespaceRule::default() };
        let idle = PolicyRules { namespaces: vec![read], ..PolicyRules::default() };
        check(is(token(), blind(idle)), &[&at("token-cannot-drain")]);
        check(is(token(), vec![]), &[&at("token-cannot-drain"), &at("token-cannot-see")]);
    }

    #[test]
    fn whoever_looks_nodes_up_at_their_agents_needs_to_be_answered() {
        let with = |lookup: &str, agent: Option<&str>| {
            let mut facts = variables(&[("NODE_LOOKUP", lookup)]);
            let mut policies = policies();
            policies[0].rules.agent = agent.map(str::to_owned);
            let token = Box::new(token());
            cluster_of(&mut facts).token.token =
                Fact::Known(TokenAnswer::Is { token, policies: Fact::Known(policies) });
            judge(&facts, now())
        };
        check(with("agent", None), &[&at("token-cannot-ask-agents")]);
        check(with("agent", Some("deny")), &[&at("token-cannot-ask-agents")]);
        check(with("agent", Some("read")), &[&at("token")]);
        check(with("auto", None), &[&at("token")]);
    }

    #[test]
    fn a_token_that_cannot_be_had_or_is_refused_fails() {
        let (said, todo) = sorry();
        check(with(TokenAnswer::Unreadable { said, todo }), &["token-unreadable the token"]);
        let (said, todo) = sorry();
        check(with(TokenAnswer::Refused { said, todo }), &["token-refused the token"]);
    }

    #[test]
    fn a_cluster_without_acls_needs_no_token() {
        check(with(TokenAnswer::NoAcls), &[&at("acl-disabled")]);
    }

    #[test]
    fn whoever_sends_no_token_needs_a_cluster_without_acls() {
        let none = "no token (NOMAD_ACL=off)";
        let mut facts = facts();
        cluster_of(&mut facts).token.description = None;
        check(judge(&facts, now()), &[&format!("token-refused {none}")]);
        cluster_of(&mut facts).token.token = Fact::Known(TokenAnswer::NoAcls);
        check(judge(&facts, now()), &[&format!("token {none}")]);
    }

    #[test]
    fn a_token_in_a_variable_can_be_read_by_many() {
        let mut facts = facts();
        cluster_of(&mut facts).token.in_variable = true;
        check(judge(&facts, now()), &[&at("token-in-variable")]);
    }

    #[test]
    fn without_nomad_nothing_is_known_of_a_token_that_is_there() {
        let mut facts = facts();
        cluster_of(&mut facts).leader = trouble(TroubleKind::Unreachable);
        check(judge(&facts, now()), &[&at("skipped")]);
        let (said, todo) = sorry();
        cluster_of(&mut facts).token.token = Fact::Known(TokenAnswer::Unreadable { said, todo });
        check(judge(&facts, now()), &["token-unreadable the token"]);
    }

    #[test]
    fn a_token_that_may_not_be_read_here_is_not_called_fine() {
        let mut facts = facts();
        cluster_of(&mut facts).token.token =
            Fact::Unknown(Why::Denied { permission: "ssm:GetParameter".to_owned() });
        check(judge(&facts, now()), &[&at("not-checked")]);
    }
}
