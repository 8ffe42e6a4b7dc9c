//! Where the token comes from, how long it is kept, and what is said when there is none.

use std::time::Duration;

use drain_lab::aws::ParameterType;
use drain_lab::clock::Clock;
use drain_lab::faults::{Fault, Faults};
use drain_lab::journal::{Journal, System};
use drain_lab::lab::{Lab, TOKEN, TOKEN_PARAMETER, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::nomad::{AuthMethod, NodeSpec, Nomad, Quirks, Token};
use jiff::SignedDuration;

use crate::harness::*;

const METHOD: &str = "lambda";
const AUDIENCE: &str = "nomad.example";
const LOGIN: [(&str, &str); 2] = [("NOMAD_AUTH_METHOD", METHOD), ("NOMAD_AUTH_AUDIENCE", AUDIENCE)];

/// A token that takes the place of [`TOKEN`].
const NEW_TOKEN: &str = "0d6a4bb0-9b1f-4c56-8a51-2f6f0a3c9e11";

/// A lab whose cluster lets the function's role in, for so long, and that keeps no token for it anywhere.
async fn lab_with_login(lasts: SignedDuration) -> Lab {
    let lab = lab().await;
    lab.aws.delete_parameter(TOKEN_PARAMETER);
    lab.nomad.delete_token(TOKEN);
    let (provider, role) = (lab.aws.identity_provider(), lab.aws.account().role_arn());
    let method = AuthMethod::new(lasts).trusts(provider, AUDIENCE, &role, &["nomad-drain"]);
    lab.nomad.add_auth_method(METHOD, method);
    lab
}

/// Drains one more worker, and looks for every token, and for the beginning of every JWT, in what the function says.
async fn drained(lab: &Lab, lambda: &Lambda, number: u8) -> InvocationRecord {
    let run = invoke(lab, lambda, &ending(lab, number)).await;
    assert_eq!(became(&run), ("completed", "drained"), "{:?}", run.log);
    assert_discreet(lab, &run);
    run
}

#[track_caller]
fn assert_discreet(lab: &Lab, run: &InvocationRecord) {
    let said = format!("{:?}", (&run.outcome, &run.log));
    let journal = format!("{:?}", lab.journal.entries());
    for secret in lab.nomad.token_secrets().iter().map(String::as_str).chain([NEW_TOKEN, "eyJ"]) {
        assert!(!said.contains(secret), "the function printed {secret}: {said}");
        assert!(!journal.contains(secret), "the lab recorded {secret}");
    }
}

/// How often AWS was asked for anything that a token is made of.
fn reads(lab: &Lab) -> [usize; 3] {
    ["GetParameter", "GetSecretValue", "GetWebIdentityToken"].map(|operation| count(lab, operation))
}

fn logins(lab: &Lab) -> usize {
    count(lab, "POST /v1/acl/login")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_stand_in_the_environment() {
    let lab = lab().await;
    let lambda = deploy(&lab, &[("NOMAD_TOKEN", TOKEN)]);
    drained(&lab, lambda, 1).await;
    assert_eq!(reads(&lab), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_holds_it_alone_or_under_a_key() {
    let of_two = format!(r#"{{"nomad":"{TOKEN}","consul":"x"}}"#);
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:nomad/drain-AbCdEf";
    for (text, named) in [
        (TOKEN, "nomad/drain"),
        (TOKEN, arn),
        (&of_two, "nomad/drain#nomad"),
        (&of_two, &format!("{arn}#nomad")),
        (&format!(r#"{{"token":"{TOKEN}"}}"#), "nomad/drain"),
    ] {
        let lab = lab().await;
        lab.aws.put_secret("nomad/drain", text);
        let lambda = deploy(&lab, &[("NOMAD_TOKEN_SECRET", named)]);
        drained(&lab, lambda, 1).await;
        drained(&lab, lambda, 2).await;
        assert_eq!(reads(&lab), [0, 1, 0], "{named}: it is kept for some minutes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_logs_in_where_no_token_is_stored() {
    let lab = lab_with_login(SignedDuration::from_hours(1)).await;
    let lambda = deploy(&lab, &LOGIN);
    drained(&lab, lambda, 1).await;
    drained(&lab, lambda, 2).await;
    assert_eq!((reads(&lab), logins(&lab)), ([0, 0, 1], 1), "one login serves both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_replaced_before_it_does() {
    let lab = lab_with_login(SignedDuration::from_secs(2)).await;
    let lambda = deploy(&lab, &LOGIN);
    for number in 1..=240 {
        // None of them meets a token that has ended.
        let run = drained(&lab, lambda, number).await;
        assert!(!format!("{:?}", run.log).contains("refuses the token"), "{:?}", run.log);
        if logins(&lab) == 2 {
            return;
        }
    }
    panic!("{} logins, and each lasts for two seconds", logins(&lab));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_drain_outlives_the_token_with_which_it_began() {
    let lab = lab_with_login(SignedDuration::from_secs(2)).await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    lab.nomad.add_job(slow_service(Duration::from_secs(4)));
    terminate(&lab, &worker);
    let run = invoke(&lab, deploy(&lab, &LOGIN), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"));
    assert_released_when_empty(&lab, &worker);
    assert!(logins(&lab) >= 2, "{} logins", logins(&lab));
    assert_discreet(&lab, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_costs_exactly_one_more_read() {
    // A secret that was rotated.
    let lab = lab().await;
    lab.aws.put_secret("nomad", TOKEN);
    let lambda = deploy(&lab, &[("NOMAD_TOKEN_SECRET", "nomad")]);
    drained(&lab, lambda, 1).await;
    lab.nomad.delete_token(TOKEN);
    lab.nomad.add_token(Token::client(NEW_TOKEN, &["nomad-drain"]));
    lab.aws.put_secret("nomad", NEW_TOKEN);
    drained(&lab, lambda, 2).await;
    assert_eq!(reads(&lab), [0, 2, 0]);

    // A token of a login that somebody deleted.
    let lab = lab_with_login(SignedDuration::from_hours(1)).await;
    let lambda = deploy(&lab, &LOGIN);
    drained(&lab, lambda, 1).await;
    lab.nomad.token_secrets().iter().for_each(|secret| lab.nomad.delete_token(secret));
    drained(&lab, lambda, 2).await;
    assert_eq!((reads(&lab), logins(&lab)), ([0, 0, 2], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_stays_refused_is_read_once_more_and_not_again() {
    let lab = lab().await;
    lab.aws.put_secret("nomad", TOKEN);
    let lambda = deploy(&lab, &[("NOMAD_TOKEN_SECRET", "nomad")]);
    drained(&lab, lambda, 1).await;
    lab.nomad.delete_token(TOKEN);
    let run = invoke(&lab, lambda, &ending(&lab, 2)).await;
    assert_eq!(failure(&run).0, "NomadTokenRefused");
    assert_eq!(reads(&lab), [0, 2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_does_not_know_a_new_token_yet_is_asked_again() {
    let lab = lab_with_login(SignedDuration::from_hours(1)).await;
    lab.faults.inject("GET /v1/agent/members", &Fault::Status(403, "Permission denied".to_owned()), 2);
    drained(&lab, deploy(&lab, &LOGIN), 1).await;
    assert_eq!(logins(&lab), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_a_short_lived_token_can_stop_get_none() {
    for (version, is_safe) in [("1.5.16", false), ("1.7.6", false), ("1.7.7", true), ("1.11.3", true)] {
        let lab = lab_with_login(SignedDuration::from_hours(1)).await;
        lab.nomad.set_quirks(Quirks { version, ..Quirks::default() });
        let worker = ending(&lab, 1);
        let run = invoke(&lab, deploy(&lab, &LOGIN), &worker).await;
        if is_safe {
            assert_eq!(became(&run), ("completed", "drained"), "{version}");
            continue;
        }
        assert_eq!(failure(&run).0, "ShortLivedTokenUnsafe");
        assert_eq!(posts(&lab), 0, "{version}: the drain would be in the log with the token's accessor");
        if version == "1.7.6" {
            insta::assert_snapshot!(told(&lab, &run, &worker), @"ShortLivedTokenUnsafe: a token that ends is not safe with server server.global, which runs Nomad 1.7.6. After a drain with a token that has ended since, such a server may fail to start again. Upgrade the servers to 1.7.7, 1.6.10 or 1.5.17 or later, or store a token without an end.");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_acls_is_sent_no_token() {
    let lab = lab().await;
    let open = Nomad::new(Clock::running(), Journal::new(Clock::running()), Faults::default());
    let face = open.serve().await.unwrap();
    let worker = ending(&lab, 1);
    let spec = NodeSpec::new("open").instance_id(&worker.instance_id).address(worker.private_ip.to_string());
    let node = open.add_node(spec);
    let lambda = deploy(&lab, &[("NOMAD_ADDR", &face.url()), ("NOMAD_ACL", "off")]);
    let run = invoke(&lab, lambda, &worker).await;
    assert_eq!((became(&run), &result(&run)["node_id"]), (("completed", "drained"), &node.into()));
    assert_eq!(reads(&lab), [0, 0, 0]);
    assert_eq!(lab.journal.calls(System::Nomad).len(), 0);
}

/// What an operator reads, with the names of what differs from run to run.
fn told(lab: &Lab, run: &InvocationRecord, worker: &Worker) -> String {
    let (error_type, message) = failure(run);
    assert_discreet(lab, run);
    format!("{error_type}: {message}")
        .replace(&lab.nomad_url(), "http://NOMAD")
        .replace(&lab.aws_url(), "http://AWS")
        .replace(&worker.instance_id, "i-WORKER")
}

/// Deploys a function with these variables to a lab that somebody has prepared, and gives what the operator reads.
async fn refused(lab: &Lab, variables: &[(&str, &str)]) -> String {
    let worker = ending(lab, 1);
    let run = invoke(lab, deploy(lab, variables), &worker).await;
    assert_eq!(posts(lab), 0);
    told(lab, &run, &worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_used_is_told() {
    let nomad = [("NOMAD_TOKEN_SECRET", "nomad")];
    let absent = lab().await;
    insta::assert_snapshot!(refused(&absent, &nomad).await, @"TokenSecretNotFound: secret nomad, which should hold the Nomad token, does not exist in us-east-1. Create it (aws secretsmanager create-secret --name nomad --secret-string …), or name another in NOMAD_TOKEN_SECRET.");

    let closed = lab().await;
    closed.aws.put_secret("nomad", TOKEN);
    closed.aws.deny("secretsmanager:GetSecretValue");
    insta::assert_snapshot!(refused(&closed, &nomad).await, @"TokenSecretAccessDenied: access to secret nomad, which holds the Nomad token, is denied: secretsmanager:GetSecretValue was refused: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:us-east-1:123456789012:secret:nomad-AbCdEf because no identity-based policy allows the secretsmanager:GetSecretValue action (HTTP 400). Allow role nomad-drain secretsmanager:GetSecretValue on nomad, and kms:Decrypt if a key of your own encrypts it.");

    let of_many = lab().await;
    of_many.aws.put_secret("nomad", &format!(r#"{{"nomad":"{TOKEN}","consul":"{NEW_TOKEN}"}}"#));
    insta::assert_snapshot!(refused(&of_many, &nomad).await, @"TokenSecretInvalid: secret nomad holds no Nomad token: it is JSON with the keys consul, nomad: name the one that holds the token, as in name#key. NOMAD_TOKEN_SECRET takes the secret's name or ARN, followed by # and the key.");

    let other_key = lab().await;
    other_key.aws.put_secret("nomad", &format!(r#"{{"nomad":"{TOKEN}"}}"#));
    insta::assert_snapshot!(refused(&other_key, &[("NOMAD_TOKEN_SECRET", "nomad#token")]).await, @"TokenSecretInvalid: secret nomad holds no Nomad token: it is not JSON with a text under the key token. NOMAD_TOKEN_SECRET takes the secret's name or ARN, followed by # and the key.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_is_told() {
    let hour = SignedDuration::from_hours(1);
    let anonymous = lab_with_login(hour).await;
    anonymous.aws.deny("sts:GetWebIdentityToken");
    insta::assert_snapshot!(refused(&anonymous, &LOGIN).await, @r#"IdentityUnavailable: AWS gave no signed identity for the login to Nomad: sts:GetWebIdentityToken was refused: AccessDenied: User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: sts:GetWebIdentityToken because no identity-based policy allows the sts:GetWebIdentityToken action (HTTP 403). Add to the policies of role nomad-drain: {"Action":"sts:GetWebIdentityToken","Effect":"Allow","Resource":"*"}"#);

    let elsewhere = lab_with_login(hour).await;
    insta::assert_snapshot!(refused(&elsewhere, &[("NOMAD_AUTH_METHOD", "aws"), LOGIN[1]]).await, @r#"LoginRefused: Nomad refused the login with auth method aws: POST /v1/acl/login on http://NOMAD was refused: auth-method "aws" not found (HTTP 400). See nomad acl auth-method list, and NOMAD_AUTH_METHOD."#);

    let another = lab_with_login(hour).await;
    insta::assert_snapshot!(refused(&another, &[LOGIN[0], ("NOMAD_AUTH_AUDIENCE", "vault")]).await, @"LoginRefused: Nomad refused the login with auth method lambda: POST /v1/acl/login on http://NOMAD was refused: unable to validate provided token: token signature is invalid (HTTP 401). See the method's BoundAudiences (NOMAD_AUTH_AUDIENCE has to be one), BoundIssuer and SigningAlgs (RS256), and whether the servers reach the issuer's keys.");

    let unbound = lab_with_login(hour).await;
    let provider = unbound.aws.identity_provider();
    unbound.nomad.add_auth_method(
        METHOD,
        AuthMethod::new(hour).trusts(provider, AUDIENCE, "arn:other", &["nomad-drain"]),
    );
    insta::assert_snapshot!(refused(&unbound, &LOGIN).await, @"LoginRefused: Nomad refused the login with auth method lambda: POST /v1/acl/login on http://NOMAD was refused: no role or policy bindings matched (HTTP 400). The method accepts us, and no binding rule matches our role: see nomad acl binding-rule list, and the method's ClaimMappings.");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acls_the_function_says_so_to_a_cluster_that_has_them() {
    insta::assert_snapshot!(refused(&lab().await, &[("NOMAD_ACL", "off")]).await, @"NomadTokenRefused: Nomad refused a request without a token: GET /v1/nodes on http://NOMAD was refused: Permission denied (HTTP 403). NOMAD_ACL is off, and the cluster has ACLs: set it on, and store a token.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_may_be_encrypted_with_a_key_of_ones_own() {
    let lab = lab().await;
    lab.aws.put_parameter("/own/key", ParameterType::SecureString, TOKEN);
    lab.aws.deny("kms:Decrypt");
    insta::assert_snapshot!(refused(&lab, &[("NOMAD_TOKEN_PARAMETER", "/own/key")]).await, @"TokenParameterAccessDenied: access to SSM parameter /own/key, which holds the Nomad token, is denied: ssm:GetParameter was refused: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:123456789012:key/5c9a6f0e-1ab0-4d0f-8f39-3f0b7a7f0001 because no identity-based policy allows the kms:Decrypt action (HTTP 400). Allow role nomad-drain ssm:GetParameter on /own/key, and kms:Decrypt if a key of your own encrypts it.");
}
