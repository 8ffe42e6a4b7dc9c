//! Lifecycle actions: what a hook waits for.

use std::time::Duration;

use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::policy::ActionResult;

use super::{Form, call, form, operation, query};
use crate::aws::{Aws, AwsError};

/// The action of one hook on one instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ActionRef<'a> {
    /// The group.
    pub group: &'a GroupName,
    /// The hook.
    pub hook: &'a HookName,
    /// The instance that the hook holds. It names the action on its own.
    pub instance: &'a InstanceId,
    /// `LifecycleActionToken`, a UUID, if the event gave one.
    pub token: Option<&'a str>,
}

/// Starts the hook's heartbeat time-out anew. IAM: `autoscaling:RecordLifecycleActionHeartbeat` on the group.
///
/// The hook has no action on the instance, or not this one any more: [`AwsError::is_no_active_action`].
pub async fn record_heartbeat(aws: &Aws, action: &ActionRef<'_>, timeout: Duration) -> Result<(), AwsError> {
    const OPERATION: &str = operation!("RecordLifecycleActionHeartbeat");
    let form = meant(form("RecordLifecycleActionHeartbeat"), action);
    acknowledged(OPERATION, "RecordLifecycleActionHeartbeat", &call(aws, OPERATION, form, timeout).await?)
}

/// Completes the action. IAM: `autoscaling:CompleteLifecycleAction` on the group.
///
/// Repeating it, also after an answer that was lost, gives [`AwsError::is_no_active_action`].
pub async fn complete(
    aws: &Aws,
    action: &ActionRef<'_>,
    result: ActionResult,
    timeout: Duration,
) -> Result<(), AwsError> {
    const OPERATION: &str = operation!("CompleteLifecycleAction");
    let form = meant(form("CompleteLifecycleAction"), action).with("LifecycleActionResult", result.as_str());
    acknowledged(OPERATION, "CompleteLifecycleAction", &call(aws, OPERATION, form, timeout).await?)
}

fn meant(form: Form, action: &ActionRef<'_>) -> Form {
    form.with("AutoScalingGroupName", action.group)
        .with("LifecycleHookName", action.hook)
        .with("InstanceId", action.instance)
        .with_optional("LifecycleActionToken", action.token)
}

/// Checks that it was Auto Scaling that said yes. There is nothing else to read in its answer.
fn acknowledged(operation: &str, action: &str, answer: &[u8]) -> Result<(), AwsError> {
    if String::from_utf8_lossy(answer).contains(&format!("<{action}Response")) {
        return Ok(());
    }
    Err(query::unreadable(operation, format!("it holds no {action}Response")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_own_answer_says_that_it_was_done() {
        let answer =
            br#"<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <CompleteLifecycleActionResult/>
              <ResponseMetadata><RequestId>c613620e-07e2-4ed2-a9e2-ef825EXAMPLE</RequestId></ResponseMetadata>
            </CompleteLifecycleActionResponse>"#;
        assert!(acknowledged("operation", "CompleteLifecycleAction", answer).is_ok());
        for other in ["", "<html>Welcome</html>", "<RecordLifecycleActionHeartbeatResponse/>"] {
            let error = acknowledged("operation", "CompleteLifecycleAction", other.as_bytes()).unwrap_err();
            assert!(matches!(error, AwsError::Unreadable { .. }), "{other}");
        }
    }

    #[test]
    fn an_action_is_named_by_its_instance_and_by_its_token_if_there_is_one() {
        let group = GroupName::parse("R&D clients").unwrap();
        let hook = HookName::parse("drain/hook").unwrap();
        let instance = InstanceId::parse("i-05cb632e69f1e72c5").unwrap();
        let action = ActionRef { group: &group, hook: &hook, instance: &instance, token: None };
        let named = "Action=A&Version=2011-01-01&AutoScalingGroupName=R%26D%20clients\
                     &LifecycleHookName=drain%2Fhook&InstanceId=i-05cb632e69f1e72c5";
        assert_eq!(meant(form("A"), &action).into_body(), named);
        let token = "f66c3d47-e602-4af0-8edd-d4e4d2fe4620";
        let action = ActionRef { token: Some(token), ..action };
        assert_eq!(meant(form("A"), &action).into_body(), format!("{named}&LifecycleActionToken={token}"));
    }
}
