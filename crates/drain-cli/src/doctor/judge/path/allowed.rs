//! Who may call the function, and send to what is on the way.

use super::{AREA, Walked, Way, account, known, name, not_checked, partition};
use crate::aws::policy::{Document, Principal, Request, Verdict};
use crate::doctor::code::Code;
use crate::doctor::facts::{Decision, Fact};
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
            "aws lambda add-permission --function-name {} --statement-id auto-scaling --action lambda:InvokeFunction \
             --principal {role}",
            self.function.name
        );
        found.extend(self.invocation(&request, "Auto Scaling", &add));
        Walked { found, stations: Vec::new() }
    }

    /// The role with which Auto Scaling acts for the group.
    fn service_linked_role(&self) -> Option<String> {
        let groups = self.facts.groups.known()?;
        let group = groups.iter().find(|one| one.name.as_str() == self.group)?.group.known()?.as_ref()?;
        group.service_linked_role.clone()
    }

    /// Whether a service may call the function for a topic or a rule.
    pub(super) fn may_invoke(&self, service: &str, source: &str) -> Option<Finding> {
        let request = Request {
            principal: Principal::Service(service),
            action: "lambda:InvokeFunction",
            source_arn: Some(source),
        };
        let add = format!(
            "aws lambda add-permission --function-name {} --statement-id {} --action lambda:InvokeFunction --principal {service} \
             --source-arn {source}",
            self.function.name,
            service.split('.').next().unwrap_or_default(),
        );
        let kind = if service == "sns.amazonaws.com" { "topic" } else { "rule" };
        self.invocation(&request, &format!("{kind} {}", name(source)), &add)
    }

    fn invocation(&self, request: &Request<'_>, who: &str, add: &str) -> Option<Finding> {
        let policy = match known(&self.function.policy, AREA, &self.about, "who may call the function") {
            Ok(policy) => policy,
            Err(unknown) => return Some(unknown),
        };
        let function = &self.function.name;
        match policy.as_ref().map_or(Verdict::NotAllowed, |policy| policy.verdict(request)) {
            Verdict::Allowed => None,
            Verdict::Denied | Verdict::NotAllowed => Some(
                self.finding(
                    Code::FunctionPermissionMissing,
                    format!("function {function} does not let {who} call it"),
                )
                .todo("Allow it:")
                .command(add),
            ),
            Verdict::Depends(on) => {
                let what = format!(
                    "not checked: whether function {function} lets {who} call it. It depends on {on}"
                );
                Some(self.finding(Code::NotChecked, what))
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
        if verdict == Some(Verdict::Denied) || (is_foreign && verdict == Some(Verdict::NotAllowed)) {
            let what =
                format!("the policy of {} does not let the hook's role {} send to it", name(arn), name(role));
            found.push(
                self.finding(Code::TargetDenies, what).todo(format!("Allow {role} {action} in that policy.")),
            );
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
