//! Tokens, policies and their limits.

use jiff::SignedDuration;

use super::*;

fn acl(policies: &[(&str, Policy)]) -> Acl {
    let mut acl = Acl { enabled: true, ..Acl::default() };
    acl.policies = policies.iter().map(|(name, policy)| ((*name).to_owned(), policy.clone())).collect();
    acl.add(
        now(),
        "a".to_owned(),
        Token::client("s", &policies.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
    );
    acl
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[test]
fn writing_nodes_implies_reading_them_and_says_nothing_about_jobs() {
    let acl = acl(&[("p", Policy::default().node(Access::Write))]);
    let rights = acl.rights(Some("s"), now()).unwrap();
    assert!(rights.node(Access::Read) && rights.node(Access::Write));
    assert!(!rights.agent(Access::Read) && !rights.namespace("default", "read-job"));
}

#[test]
fn the_rule_that_fits_a_namespace_best_decides() {
    let acl = acl(&[
        ("all", Policy::minimal()),
        ("but", Policy::default().namespace("secret-*", &["deny"]).namespace("secret-one", &["read-job"])),
    ]);
    let rights = acl.rights(Some("s"), now()).unwrap();
    assert!(rights.namespace("default", "read-job"));
    assert!(!rights.namespace("secret-two", "read-job"));
    assert!(rights.namespace("secret-one", "read-job"));
}

#[test]
fn a_token_is_worth_nothing_from_its_expiry_on() {
    let mut acl = acl(&[]);
    acl.add(now(), "b".to_owned(), Token::management("t").expires(now() + SignedDuration::from_secs(60)));
    assert!(acl.rights(Some("t"), now() + SignedDuration::from_secs(59)).is_ok());
    let refused = acl.rights(Some("t"), now() + SignedDuration::from_secs(60)).map(|_| ());
    assert_eq!(refused, Err(TokenError::Expired));
    assert_eq!(acl.rights(Some("nobody"), now()).map(|_| ()), Err(TokenError::NotFound));
}

#[test]
fn without_a_token_the_anonymous_policy_counts() {
    let acl = acl(&[("anonymous", Policy::default().node(Access::Read))]);
    let rights = acl.rights(None, now()).unwrap();
    assert!(rights.node(Access::Read) && !rights.node(Access::Write));
}

#[test]
fn a_login_gives_a_token_with_the_methods_time_to_live() {
    let mut acl = acl(&[("p", Policy::minimal())]);
    let method =
        AuthMethod::new(SignedDuration::from_mins(15)).accepts("jwt", &["p"]).accepts("unbound", &[]);
    acl.methods.insert("m".to_owned(), method);
    let ids = || ("accessor".to_owned(), "secret".to_owned());
    let token = acl.log_in(now(), "m", "jwt", ids()).unwrap().json();
    assert_eq!(token["ExpirationTime"], "2026-01-01T00:15:00Z");
    assert!(acl.rights(Some("secret"), now()).unwrap().node(Access::Write));

    let mut refused = |method, jwt| acl.log_in(now(), method, jwt, ids()).map(|_| ()).unwrap_err();
    assert_eq!(refused("x", "jwt"), LoginError::NoMethod("x".to_owned()));
    assert_eq!(refused("m", "forged"), LoginError::BadJwt);
    assert_eq!(refused("m", "unbound"), LoginError::Unbound);
    assert_eq!(refused("", "jwt"), LoginError::Incomplete(vec!["missing auth method name"]));
}

#[test]
fn no_secret_is_ever_printed() {
    let method = AuthMethod::new(SignedDuration::ZERO).accepts("hush-jwt", &[]);
    let printed = format!("{:?} {method:?}", Token::management("hush"));
    assert!(!printed.contains("hush"), "{printed}");
}
