//! Who may call the function, and send to what is on the way.

use serde_json::json;

use super::queues::sender_of;
use super::{AREA, Walked, Way, account, known, name, not_checked, partition};
use crate::aws::policy::{Document, Principal, Request, Verdict};
use crate::doctor::code::Code;
use crate::doctor::facts::{Decision, Fact, qualifier};
use crate::doctor::finding::Finding;

impl Way<'_> {
    /// A hook that calls a function itself.
    pub(super) fn directly(&self, arn: &str) -> Walked {
        if !self.is_function(arn) {
            let what = format!("it calls {}, not {}", name(arn), self.function.name);
            return Walked::ends(
                self.finding(Code::TargetElsewhere, what)
                    .todo("Look at that function with --function NAME, or change the hook's target."),
            );
        }
        let mut found = Vec::new();
        let (partition, account) = (partition(arn), account(arn));
        let usual = format!(
            "arn:{partition}:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        );
        let role = self.service_linked_role().unwrap_or(usual);
        let request =
            Request { principal: Principal::Role(&role), action: "lambda:InvokeFunction", source_arn: None };
        let add = format!(
            "aws lambda add-permission --function-name {}{} --statement-id auto-scaling --action lambda:InvokeFunction \
             --principal {role}",
            self.function.name,
            of_qualifier(arn)
        );
        found.extend(self.invocation(&request, "Auto Scaling", arn, &add));
        Walked { found, stations: Vec::new() }
    }

    /// The role with which Auto Scaling acts for the group.
    fn service_linked_role(&self) -> Option<String> {
        let groups = self.facts.groups.known()?;
        let group = groups.iter().find(|one| one.name.as_str() == self.group)?.group.known()?.as_ref()?;
        group.service_linked_role.clone()
    }

    /// Whether a service may call the function for a topic or a rule.
    pub(super) fn may_invoke(&self, service: &str, source: &str, target: &str) -> Option<Finding> {
        let request = Request {
            principal: Principal::Service(service),
            action: "lambda:InvokeFunction",
            source_arn: Some(source),
        };
        let add = format!(
            "aws lambda add-permission --function-name {}{} --statement-id {} --action lambda:InvokeFunction --principal \
             {service} --source-arn {source}",
            self.function.name,
            of_qualifier(target),
            service.split('.').next().unwrap_or_default(),
        );
        self.invocation(&request, &sender_of(service, source), target, &add)
    }

    fn invocation(&self, request: &Request<'_>, who: &str, target: &str, add: &str) -> Option<Finding> {
        let policy = self.function.policy_of(target);
        let policy = match known(policy, AREA, &self.about, "who may call the function") {
            Ok(policy) => policy,
            Err(unknown) => return Some(unknown),
        };
        // A version or alias has a policy of its own.
        let function = match qualifier(target) {
            None => format!("function {}", self.function.name),
            Some(qualifier) => format!("alias or version {qualifier} of function {}", self.function.name),
        };
        match policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(request)) {
            Verdict::Allowed => None,
            Verdict::Denied | Verdict::NotAllowed => Some(
                self.finding(
                    Code::FunctionPermissionMissing,
                    format!("{function} does not let {who} call it"),
                )
                .todo("Allow it:")
                .command(add),
            ),
            Verdict::Depends(on) => {
                let what = format!("not checked: whether {function} lets {who} call it. It depends on {on}");
                let todo = "See in the function's policy whether the condition holds:";
                let show = format!(
                    "aws lambda get-policy --function-name {}{}",
                    self.function.name,
                    of_qualifier(target)
                );
                Some(self.finding(Code::NotChecked, what).todo(todo).command(show))
            }
        }
    }

    /// Whether whoever sends may use the key that encrypts a topic or a queue: a service, or the hook's role.
    ///
    /// The policy of SQS's own key admits nobody but the account's users and roles, and cannot be changed. (Amazon SQS
    /// Developer Guide, "Key management".) Who may use a key of somebody's own is not known here.
    pub(super) fn may_use_key(
        &self,
        key: Option<&str>,
        what: &str,
        service: Option<&str>,
    ) -> Option<Finding> {
        let key = key?;
        let is_of_aws = key.contains("alias/aws/");
        match service {
            // It admits the account's own roles.
            None if is_of_aws => None,
            Some(service) if is_of_aws => {
                let said =
                    format!("{what} is encrypted with {key}, which {service} may not use: nothing arrives");
                Some(self.finding(Code::QueueKeyDenies, said).todo(format!(
                    "Let SQS's own encryption do (SqsManagedSseEnabled=true), or take a key whose policy lets {service} \
                     kms:GenerateDataKey and kms:Decrypt."
                )))
            }
            _ => {
                let who = match (service, &self.hook.role) {
                    (Some(service), _) => service.to_owned(),
                    (None, Some(role)) => format!("the hook's role {}", name(role)),
                    (None, None) => "whoever sends".to_owned(),
                };
                let said = format!("not checked: whether {who} may use the key {key} of {what}");
                Some(self.finding(Code::NotChecked, said).todo(format!(
                    "See whether the key's policy lets {who} kms:GenerateDataKey and kms:Decrypt, and the function's role \
                     kms:Decrypt if it reads a queue."
                )))
            }
        }
    }

    /// Whether the hook's role may send to its target.
    pub(super) fn may_send(&self, action: &str, arn: &str, policy: Option<&Document>) -> Vec<Finding> {
        let Some(role) = self.hook.role.as_deref() else { return Vec::new() };
        let mut found = Vec::new();
        let request = Request { principal: Principal::Role(role), action, source_arn: None };
        let verdict = policy.map(|policy| policy.verdict(&request));
        let is_foreign = account(role) != account(arn);
        match verdict {
            Some(Verdict::Denied) => {
                let what = format!(
                    "the policy of {} forbids the hook's role {} to send to it",
                    name(arn),
                    name(role)
                );
                found.push(self.finding(Code::TargetDenies, what).todo(format!(
                    "Take {role} out of what the statement with \"Effect\": \"Deny\" there matches: no other statement outweighs it."
                )));
            }
            Some(Verdict::NotAllowed) if is_foreign => {
                let what = format!(
                    "the policy of {}, which is another account's, does not let the hook's role {} send to it",
                    name(arn),
                    name(role)
                );
                let statement = json!({
                    "Effect": "Allow", "Principal": {"AWS": role}, "Action": action, "Resource": arn,
                });
                let finding = self.finding(Code::TargetDenies, what).todo("Have added to that policy:");
                found.push(finding.command(statement.to_string()));
            }
            Some(Verdict::Allowed | Verdict::NotAllowed | Verdict::Depends(_)) | None => {}
        }
        match self.facts.hook_roles.get(&(role.to_owned(), arn.to_owned())) {
            None | Some(Fact::Known(Decision::Allowed)) => {}
            Some(Fact::Known(Decision::NotAllowed)) => {
                let what = format!("its role {} may not send to {}", name(role), name(arn));
                found.push(self.finding(Code::HookRoleCannotSend, what).todo("Allow it:").command(format!(
                    "aws iam attach-role-policy --role-name {} --policy-arn \
                     arn:{}:iam::aws:policy/service-role/AutoScalingNotificationAccessRole",
                    name(role),
                    partition(role)
                )));
            }
            Some(Fact::Known(
                Decision::Forbidden | Decision::NotByBoundary | Decision::NotByOrganization,
            )) => {
                let what = format!("a policy forbids its role {} to send to {}", name(role), name(arn));
                found.push(self.finding(Code::HookRoleCannotSend, what).todo(format!(
                    "Look for what denies {action}: in the role's policies, its permissions boundary, or the organisation's."
                )));
            }
            Some(Fact::Known(Decision::Depends(keys))) => {
                let what = format!(
                    "not checked: whether the hook's role {} may send to {}. Its policies have a condition on {}",
                    name(role),
                    name(arn),
                    keys.join(" and ")
                );
                let todo = "See in the role's policy whether the condition holds when Auto Scaling sends.";
                found.push(self.finding(Code::NotChecked, what).todo(todo));
            }
            Some(Fact::Unknown(why)) => {
                let what = format!("whether the hook's role may send to {}", name(arn));
                found.push(not_checked(why, AREA, &self.about, &what));
            }
        }
        found
    }
}

/// The option that names the version or alias of an ARN, if it has one.
fn of_qualifier(arn: &str) -> String {
    qualifier(arn).map(|one| format!(" --qualifier {one}")).unwrap_or_default()
}
