//! The configuration, and who looks at it.

use drain_lab::aws::OPERATOR;

use super::{Clinic, Examination, FUNCTION};
use crate::stage::{Ran, bare};

#[tokio::test]
async fn every_wrong_variable_of_the_function_is_an_error() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("DRAIN_DEADLINE", "soon");
    clinic.deployment.set_variable("NOMAD_ADDR", "nomad:4646");
    let examined = clinic.examine().await;
    let invalid: Vec<&str> = examined
        .findings
        .iter()
        .filter(|finding| finding["code"] == "configuration-invalid")
        .map(|finding| finding["about"].as_str().unwrap())
        .collect();
    assert_eq!(invalid.len(), 2, "{invalid:?}");
    assert!(invalid.contains(&"DRAIN_DEADLINE") && invalid.contains(&"NOMAD_ADDR"), "{invalid:?}");
    // What depends on it is not called fine.
    assert!(examined.complaints().contains(&"skipped"));
    assert_eq!(examined.status, 1);
}

#[tokio::test]
async fn without_a_configuration_and_a_function_nothing_can_be_found_out() {
    let clinic = Clinic::open().await;
    let examined = Examination::of(&Ran::of(clinic.doctor(&["--json"])).await);
    assert!(examined.said("configuration-invalid").contains("--function"), "{examined:?}");
    assert_eq!(examined.status, 3);
}

#[tokio::test]
async fn without_credentials_the_doctor_says_so_and_how_to_get_some() {
    let mut command = bare(&["doctor", "--function", FUNCTION, "--json", "--region", "us-east-1"]);
    command.env("HOME", "/nonexistent");
    let examined = Examination::of(&Ran::of(command).await);
    assert!(examined.said("credentials-missing").contains("aws sso login"), "{examined:?}");
    assert_eq!(examined.status, 3);
}

#[tokio::test]
async fn credentials_that_aws_does_not_accept_are_told() {
    let clinic = Clinic::open().await;
    let mut command = clinic.doctor(&["--function", FUNCTION, "--json"]);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong");
    let examined = Examination::of(&Ran::of(command).await);
    let said = examined.said("credentials-refused");
    assert!(said.contains("SignatureDoesNotMatch") && !said.contains("Canonical String"), "{said}");
    assert_eq!(examined.status, 3);
}

#[tokio::test]
async fn a_function_that_is_not_there_is_told() {
    let clinic = Clinic::open().await;
    let examined = Examination::of(&Ran::of(clinic.doctor(&["--function", "nobody", "--json"])).await);
    assert!(examined.said("function-missing").contains("--function NAME"), "{examined:?}");
    assert_eq!(examined.status, 1);
}

#[tokio::test]
async fn a_function_that_may_not_be_looked_at_is_not_checked() {
    let clinic = Clinic::open().await;
    clinic.stage.aws.deny_to(OPERATOR, "lambda:GetFunctionConfiguration");
    let examined = clinic.examine().await;
    assert!(!examined.complaints().contains(&"function-missing"), "{examined:?}");
    assert!(examined.said("not-checked").contains("lambda:GetFunctionConfiguration"), "{examined:?}");
}

#[tokio::test]
async fn the_function_is_known_by_the_hooks_target_too() {
    let clinic = Clinic::open().await;
    let mut command = clinic.doctor(&["--json"]);
    command.env("NOMAD_ADDR", clinic.stage.nomad_url()).envs([
        ("NOMAD_TOKEN_PARAMETER", drain_lab::lab::TOKEN_PARAMETER),
        ("AUTO_SCALING_GROUPS", crate::stage::GROUP),
        ("SWEEP", "on"),
    ]);
    let examined = Examination::of(&Ran::of(command).await);
    examined.complains_of(&[], 0);
    assert_eq!(examined.finding("function")["about"], FUNCTION);
}

#[tokio::test]
async fn an_environment_that_comes_before_the_functions_is_told() {
    let clinic = Clinic::open().await;
    let examined =
        clinic.examine_with(&[("SWEEP_LINGER", "10s"), ("NOMAD_ADDR", &clinic.stage.nomad_url())]).await;
    // Only what is different is.
    examined.complains_of(&[], 0);
    clinic.deployment.set_variable("SWEEP_LINGER", "20s");
    let examined = clinic.examine_with(&[("SWEEP_LINGER", "10s")]).await;
    examined.complains_of(&["configuration-overridden"], 0);
    assert_eq!(examined.finding("configuration-overridden")["about"], "SWEEP_LINGER");
}

#[tokio::test]
async fn what_is_switched_off_on_purpose_is_a_warning() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("DRY_RUN", "on");
    clinic.examine().await.complains_of(&["dry-run"], 0);
    clinic.deployment.remove_variable("DRY_RUN");
    clinic.deployment.set_variable("PAUSE", "on");
    clinic.examine().await.complains_of(&["paused"], 0);
}

#[tokio::test]
async fn a_document_of_clusters_that_cannot_be_used_is_told() {
    let clinic = Clinic::open().await;
    clinic.deployment.set_variable("CLUSTERS_PARAMETER", "/nomad/clusters");
    let examined = clinic.examine().await;
    let said = examined.said("clusters-invalid");
    assert!(said.contains("does not exist") && said.contains("aws ssm put-parameter"), "{said}");
    assert_eq!(examined.status, 1, "every invocation fails");
    assert!(!examined.complaints().contains(&"group-of-no-cluster"), "nobody knows: {examined:?}");
    let document = r#"{"clusters":{"blue":{"groups":["workers"],"NOMAD_ADRR":"https://nomad"}}}"#;
    clinic.stage.aws.put_parameter("/nomad/clusters", drain_lab::aws::ParameterType::String, document);
    let examined = clinic.examine().await;
    assert!(examined.said("clusters-invalid").contains("NOMAD_ADRR"), "{examined:?}");
    assert_eq!(examined.status, 1);
    let document = r#"{"clusters":{"blue":{"groups":["other-*"]}}}"#;
    clinic.stage.aws.put_parameter("/nomad/clusters", drain_lab::aws::ParameterType::String, document);
    let examined = clinic.examine().await;
    assert!(examined.complaints().contains(&"group-of-no-cluster"), "{examined:?}");
}
