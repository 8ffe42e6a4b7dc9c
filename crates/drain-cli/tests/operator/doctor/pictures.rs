//! What people see, whole: of a deployment in which everything is right, and of one in which several things are not.

use drain_lab::aws::{OPERATOR, ParameterType};
use drain_lab::lab::TOKEN_PARAMETER;

use super::{Clinic, FUNCTION};
use crate::stage::{GROUP, Ran};

/// What is printed, without what is another in every run.
async fn printed(clinic: &Clinic) -> String {
    let ran = Ran::of(clinic.doctor(&["--function", FUNCTION])).await;
    assert_eq!(ran.err, "");
    let text = ran.out.replace(&clinic.stage.nomad_url(), "http://NOMAD");
    let ids = clinic.stage.aws.instances(GROUP).into_iter().map(|instance| instance.id);
    let text =
        ids.enumerate().fold(text, |text, (number, id)| text.replace(&id, &format!("INSTANCE-{number}")));
    text.replace("ran less than a minute ago", "ran lately").replace("ran 1m ago", "ran lately")
}

#[tokio::test]
async fn everything_right() {
    let clinic = Clinic::open().await;
    insta::assert_snapshot!(printed(&clinic).await, @"");
}

#[tokio::test]
async fn several_things_wrong() {
    let clinic = Clinic::open().await;
    clinic.deployment.remove_permission();
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 120);
    clinic.deployment.disable_schedule();
    clinic.deployment.forget_sweeps();
    clinic.stage.aws.deny("autoscaling:CompleteLifecycleAction");
    clinic.stage.aws.deny_to(OPERATOR, "lambda:GetFunctionEventInvokeConfig");
    clinic.stage.aws.put_parameter(
        TOKEN_PARAMETER,
        ParameterType::SecureString,
        "11112222-3333-4444-5555-666677778888",
    );
    insta::assert_snapshot!(printed(&clinic).await, @"");
}
