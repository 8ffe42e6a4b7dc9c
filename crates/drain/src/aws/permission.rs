//! What to grant after a call was denied.

use drain_core::ids::GroupName;
use serde_json::json;

use super::AwsError;

/// A permission that whoever called lacks: the function's role, or somebody at a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MissingPermission {
    /// The IAM action: `autoscaling:CompleteLifecycleAction`.
    pub action: String,
    /// The resource to grant it on: an ARN, perhaps with wildcards, or `*`.
    pub resource: String,
}

impl MissingPermission {
    /// The statement for a policy of theirs: JSON in one line.
    pub fn statement(&self) -> String {
        json!({ "Effect": "Allow", "Action": self.action, "Resource": self.resource }).to_string()
    }
}

impl AwsError {
    /// What to add to the caller's policies, if that would have let the call through. `group` is the one that the call
    /// was about, if it was about one.
    ///
    /// `None` if nothing was denied, and if AWS says that a policy other than the caller's own denies it: an explicit
    /// deny, a permissions boundary, a service control policy, a session policy or that of a VPC endpoint.
    /// (IAM User Guide, "Troubleshoot access denied error messages".)
    pub fn missing_permission(&self, group: Option<&GroupName>) -> Option<MissingPermission> {
        let Self::Refused { operation, message, .. } = self else { return None };
        if !self.is_access_denied() || is_denied_elsewhere(message) {
            return None;
        }
        // Our operations are named as IAM names their actions.
        let (service, name) = operation.split_once(':')?;
        // Auto Scaling and EC2 know no resources for Describe calls, and STS none for an identity (Service Authorization
        // Reference).
        let resource = if name.starts_with("Describe") || service == "sts" {
            "*".to_owned()
        } else if service == "autoscaling" {
            // The ARN holds a UUID that is neither in events nor in the group's name.
            let partition = partition(message);
            let name = group.map_or("*", GroupName::as_str);
            format!("arn:{partition}:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/{name}")
        } else {
            denied_resource(message)?.to_owned()
        };
        Some(MissingPermission { action: operation.clone(), resource })
    }
}

impl AwsError {
    /// Who called, as AWS names them in its refusal: `role nomad-drain`, `user alice`. The function has its role's
    /// credentials, and somebody at a terminal their own.
    pub fn caller(&self) -> String {
        let unnamed = || "whoever called".to_owned();
        let Self::Refused { message, .. } = self else { return unnamed() };
        let Some((_, named)) = message.split_once("User: arn:") else { return unnamed() };
        let arn = named.split_whitespace().next().unwrap_or_default();
        let resource = arn.splitn(5, ':').nth(4).unwrap_or_default();
        let mut parts = resource.split('/');
        match (parts.next(), parts.next(), resource.rsplit('/').next()) {
            // A role's session: its name follows the role's.
            (Some("assumed-role"), Some(role), _) => format!("role {role}"),
            // A user's or role's name follows its path.
            (Some(kind @ ("user" | "role")), Some(_), Some(name)) => format!("{kind} {name}"),
            _ => unnamed(),
        }
    }
}

fn is_denied_elsewhere(message: &str) -> bool {
    message.contains("with an explicit deny")
        || (message.contains("because no ") && !message.contains("because no identity-based policy"))
}

/// The partition of the caller, whose ARN the message begins with: `aws`, `aws-cn`, `aws-us-gov`.
fn partition(message: &str) -> &str {
    message.split_once("arn:").and_then(|(_, arn)| arn.split(':').next()).unwrap_or("aws")
}

/// What comes after "on resource: ".
fn denied_resource(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("on resource: ")?;
    rest.split_whitespace().next().filter(|resource| resource.starts_with("arn:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: &str = "autoscaling:CompleteLifecycleAction";

    fn denied(operation: &str, message: &str) -> AwsError {
        AwsError::refused(operation, 403, "AccessDenied", message)
    }

    fn not_authorized(partition: &str, operation: &str, reason: &str) -> AwsError {
        denied(
            operation,
            &format!(
                "User: arn:{partition}:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to \
                 perform: {operation} on resource: arn:{partition}:autoscaling:eu-west-1:123456789012:\
                 autoScalingGroup:4ecd4bd5-6b1b-4b2b-9a5a-6a4b1f6a9d2e:autoScalingGroupName/nomad-clients {reason}"
            ),
        )
    }

    fn statement(error: &AwsError) -> Option<String> {
        let group = GroupName::parse("nomad-clients").unwrap();
        Some(error.missing_permission(Some(&group))?.statement())
    }

    #[test]
    fn a_write_is_granted_on_the_group() {
        let error = not_authorized("aws", COMPLETE, "because no identity-based policy allows it");
        insta::assert_snapshot!(statement(&error).unwrap(), @r#"{"Action":"autoscaling:CompleteLifecycleAction","Effect":"Allow","Resource":"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/nomad-clients"}"#);
    }

    #[test]
    fn a_write_on_an_unknown_group_is_granted_on_all() {
        let error = denied(COMPLETE, "");
        insta::assert_snapshot!(error.missing_permission(None).unwrap().statement(), @r#"{"Action":"autoscaling:CompleteLifecycleAction","Effect":"Allow","Resource":"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*"}"#);
    }

    #[test]
    fn who_called_is_known_by_the_refusal() {
        let who = |arn: &str| {
            denied(COMPLETE, &format!("User: {arn} is not authorized to perform: {COMPLETE}")).caller()
        };
        assert_eq!(who("arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain"), "role nomad-drain");
        let sso = "arn:aws-us-gov:sts::123456789012:assumed-role/AWSReservedSSO_Ops_0f1e2d3c4b5a6978/alice@example.com";
        assert_eq!(who(sso), "role AWSReservedSSO_Ops_0f1e2d3c4b5a6978");
        assert_eq!(who("arn:aws:iam::123456789012:user/staff/alice"), "user alice");
        assert_eq!(who("arn:aws:iam::123456789012:root"), "whoever called");
        assert_eq!(denied(COMPLETE, "Access denied").caller(), "whoever called");
        // As EC2 says it.
        let ec2 = "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/bob is not authorized";
        assert_eq!(denied("ec2:DescribeInstances", ec2).caller(), "user bob");
    }

    #[test]
    fn a_description_is_granted_on_everything() {
        let error = not_authorized("aws", "autoscaling:DescribeLifecycleHooks", "");
        insta::assert_snapshot!(statement(&error).unwrap(), @r#"{"Action":"autoscaling:DescribeLifecycleHooks","Effect":"Allow","Resource":"*"}"#);
    }

    #[test]
    fn other_partitions_have_their_own_arns() {
        for partition in ["aws-cn", "aws-us-gov"] {
            let resource = not_authorized(partition, COMPLETE, "").missing_permission(None).unwrap().resource;
            assert!(resource.starts_with(&format!("arn:{partition}:autoscaling:")), "{resource}");
        }
    }

    #[test]
    fn a_parameter_is_granted_as_aws_names_it() {
        let resource = "arn:aws:ssm:eu-west-1:123456789012:parameter/nomad/token";
        let error = AwsError::refused(
            "ssm:GetParameter",
            400,
            "AccessDeniedException",
            &format!(
                "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: ssm:GetParameter on \
                 resource: {resource} because no identity-based policy allows the ssm:GetParameter action"
            ),
        );
        assert_eq!(error.missing_permission(None).unwrap().resource, resource);
    }

    #[test]
    fn nothing_is_suggested_where_the_roles_policy_is_not_what_denies() {
        for reason in [
            "with an explicit deny in a service control policy",
            "because no permissions boundary allows the autoscaling:CompleteLifecycleAction action",
            "because no VPC endpoint policy allows the autoscaling:CompleteLifecycleAction action",
        ] {
            assert_eq!(statement(&not_authorized("aws", COMPLETE, reason)), None, "{reason}");
        }
    }

    #[test]
    fn expired_credentials_and_bad_signatures_are_no_missing_permission() {
        for code in
            ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "AuthFailure", "ValidationError"]
        {
            let error = AwsError::refused(COMPLETE, 403, code, "…");
            assert_eq!(error.missing_permission(None), None, "{code}");
        }
    }
}
