//! Tokens: what they see, and in which words they are refused.

use super::*;

#[tokio::test]
async fn a_token_reads_its_own_policies_and_roles_as_nomad_2_0_5_shows_them() {
    let lab = Lab::new().await;
    lab.nomad.enable_acl();
    lab.nomad.add_policy("p", Policy::minimal());
    lab.nomad.add_policy("q", Policy::minimal());
    let (role, other) = (lab.nomad.add_role("r", &["p"]), lab.nomad.add_role("other", &["q"]));
    lab.nomad.add_token(Token::client("t", &[]).role(&role));

    let token = lab.get_as("t", "/v1/acl/token/self").await.json();
    assert_eq!((&token["Policies"], &token["Roles"]), (&json!([]), &json!([{"ID": role, "Name": "r"}])));
    let shown = lab.get_as("t", &format!("/v1/acl/role/{role}")).await.json();
    assert_eq!((&shown["Name"], &shown["Policies"]), (&json!("r"), &json!([{"Name": "p"}])));
    let rules = lab.get_as("t", "/v1/acl/policy/p").await.json()["RulesJSON"].clone();
    assert_eq!(
        rules["Namespaces"],
        json!([{"Name": "*", "Policy": "", "Capabilities": ["read-job"], "Variables": null}])
    );
    assert_eq!((&rules["Node"], &rules["Agent"]), (&json!({"Policy": "write"}), &Value::Null));
    for path in [format!("/v1/acl/role/{other}"), "/v1/acl/policy/q".to_owned()] {
        assert_eq!(lab.get_as("t", &path).await.refusal(), (403, "Permission denied"));
    }
}

#[tokio::test]
async fn a_weak_token_sees_no_allocations_and_is_not_told_so() {
    let (lab, id) = Lab::with_node().await;
    lab.nomad.add_job(JobSpec::batch("etl", 1));
    lab.nomad.enable_acl();
    lab.nomad.add_policy("nodes", Policy::default().node(Access::Write));
    lab.nomad.add_policy("minimal", Policy::minimal());
    lab.nomad.add_token(Token::client("weak", &["nodes"]));
    lab.nomad.add_token(Token::client("good", &["minimal"]));
    let path = format!("/v1/node/{id}/allocations");
    assert_eq!(lab.get_as("weak", &path).await.json().as_array().unwrap().len(), 0);
    assert_eq!(lab.get_as("good", &path).await.json().as_array().unwrap().len(), 1);
    let denied = (403, "Permission denied");
    assert_eq!(lab.get_as("weak", "/v1/allocations?namespace=*").await.refusal(), denied);
    assert_eq!(lab.get_as("good", "/v1/allocations?namespace=*").await.json().as_array().unwrap().len(), 1);
    for (token, path) in
        [("nobody", "/v1/nodes"), ("weak", "/v1/agent/self"), ("good", "/v1/acl/policy/nodes")]
    {
        assert_eq!(lab.get_as(token, path).await.refusal(), denied);
    }
    assert_eq!(lab.get("/v1/nodes").await.refusal(), denied);
    assert!(
        lab.get_as("good", "/v1/acl/policy/minimal").await.json()["Rules"]
            .as_str()
            .unwrap()
            .contains("read-job")
    );
    let bearer = lab.send(&lab.face, "GET", "/v1/nodes", "Authorization: Bearer good\r\n", "").await;
    assert_eq!(bearer.status, 200);
    let journal = format!("{:?}", lab.journal.entries());
    assert!(!journal.contains("good") && !journal.contains("weak"), "no token in the journal");
}

#[tokio::test]
async fn expired_tokens_are_denied_in_the_words_of_their_release() {
    let (lab, _) = Lab::with_node().await;
    lab.nomad.enable_acl();
    lab.nomad.add_token(Token::management("t").expires(lab.clock.now()));
    assert_eq!(lab.get_as("t", "/v1/nodes").await.refusal(), (403, "Permission denied"));
    assert_eq!(lab.get_as("t", "/v1/acl/token/self").await.refusal(), (500, "ACL token expired"));
    lab.nomad.set_quirks(Quirks { old_token_errors: true, ..Quirks::default() });
    assert_eq!(lab.get_as("t", "/v1/nodes").await.refusal(), (500, "ACL token expired"));
    assert_eq!(lab.get_as("x", "/v1/nodes").await.refusal(), (403, "ACL token not found"));
    assert_eq!(lab.get_as("x", "/v1/acl/token/self").await.refusal(), (404, "ACL token not found"));
    assert_eq!(lab.get_as("t", "/v1/acl/token/self").await.status, 200);
}

#[tokio::test]
async fn a_jwt_is_exchanged_for_a_token_that_says_what_it_is() {
    let (lab, _) = Lab::with_node().await;
    let login = r#"{"AuthMethodName":"aws","LoginToken":"jwt"}"#;
    assert_eq!(lab.put("/v1/acl/login", login).await.refusal(), (400, "ACL support disabled"));
    lab.nomad.enable_acl();
    assert_eq!(lab.put("/v1/acl/login", login).await.refusal(), (400, "auth-method \"aws\" not found"));
    lab.nomad.add_policy("minimal", Policy::minimal());
    let method = AuthMethod::new(SignedDuration::from_mins(15)).accepts("jwt", &["minimal"]);
    lab.nomad.add_auth_method("aws", method);
    let token = lab.put("/v1/acl/login", login).await.json();
    assert_eq!(token["ExpirationTime"], "2026-01-01T00:15:00Z");
    let secret = token["SecretID"].as_str().unwrap();
    assert_eq!(lab.get_as(secret, "/v1/acl/token/self").await.json()["Policies"][0], "minimal");
    assert_eq!(lab.get_as(secret, "/v1/nodes").await.status, 200);
    assert_eq!(
        lab.put("/v1/acl/login", "{}").await.refusal(),
        (
            400,
            "invalid login request: 2 errors occurred:\n\t* missing auth method name\n\t* missing login token\n\n"
        )
    );
}
