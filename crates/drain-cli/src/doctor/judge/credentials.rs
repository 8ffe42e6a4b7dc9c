//! Who runs the doctor, and is the function there?

use super::known;
use crate::doctor::code::{Area, Code};
use crate::doctor::facts::{Caller, Facts, Function};
use crate::doctor::finding::Finding;

const AREA: Area = Area::Credentials;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![caller(facts), function(facts)];
    found.extend(facts.function.known().and_then(Option::as_ref).and_then(throttled));
    found
}

fn caller(facts: &Facts) -> Finding {
    use crate::doctor::facts::{Fact, Why};
    match &facts.caller {
        Fact::Known(Caller { account, arn, region }) => {
            Finding::new(AREA, Code::Credentials, arn, format!("account {account}, region {region}"))
        }
        Fact::Unknown(Why::CannotBeKnown { said, todo }) => {
            Finding::new(AREA, Code::CredentialsMissing, "your AWS credentials", said).todo(todo)
        }
        Fact::Unknown(Why::Denied { permission }) => {
            let what = format!("AWS does not accept them for {permission}");
            Finding::new(AREA, Code::CredentialsRefused, "your AWS credentials", what)
                .todo("Log in again, or choose another profile with --profile.")
        }
        Fact::Unknown(Why::Failed { said, todo }) => {
            Finding::new(AREA, Code::CredentialsRefused, "your AWS credentials", said).todo(todo)
        }
        Fact::Unknown(why @ Why::Skipped { .. }) => {
            super::not_checked(why, AREA, "your AWS credentials", "who you are")
        }
    }
}

fn function(facts: &Facts) -> Finding {
    let name = facts.function_name.as_deref().unwrap_or("the function");
    let function = match known(&facts.function, AREA, name, "the function's time-out, role and state") {
        Ok(function) => function,
        Err(unknown) => return unknown,
    };
    let Some(Function { arn, state, state_reason, timeout, .. }) = function else {
        return Finding::new(
            AREA,
            Code::FunctionMissing,
            name,
            "there is no function of this name in this region",
        )
        .todo("Pass the right one with --function NAME, or deploy it: docs/deploy.md.");
    };
    if state != "Active" {
        let why = if state_reason.is_empty() { String::new() } else { format!(": {state_reason}") };
        let what = format!("its state is {state}, not Active{why}");
        let finding = Finding::new(AREA, Code::FunctionNotActive, name, what);
        return match state.as_str() {
            "Pending" => finding
                .todo("Wait until it is active:")
                .command(format!("aws lambda wait function-active-v2 --function-name {name}")),
            // Lambda takes away what a function needs that nobody has called for weeks, and the next call fails.
            "Inactive" => finding
                .todo("Nobody has called it for long, and the next call fails. Call it once, to wake it:")
                .command(format!("aws lambda invoke --function-name {name} --payload '{{}}' /dev/stdout")),
            _ => finding
                .todo("See to the reason, and deploy it again: docs/deploy.md. It is shown whole by:")
                .command(format!("aws lambda get-function-configuration --function-name {name}")),
        };
    }
    let what = format!("{arn}, time-out {}", super::span(*timeout));
    Finding::new(AREA, Code::Function, name, what)
}

/// A function may be kept from running at all: that is how one is switched off in a hurry.
fn throttled(function: &Function) -> Option<Finding> {
    let name = function.name.as_str();
    match known(&function.reserved_concurrency, AREA, name, "whether its concurrency is limited to 0") {
        Ok(Some(0)) => {
            let what = "its reserved concurrency is 0: Lambda does not run it at all";
            Some(
                Finding::new(AREA, Code::FunctionThrottled, name, what)
                    .todo("Somebody has switched it off. To switch it on again:")
                    .command(format!("aws lambda delete-function-concurrency --function-name {name}")),
            )
        }
        Ok(_) => None,
        Err(unknown) => Some(unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::{Fact, Why};
    use crate::doctor::judge::scene::{check, facts, function as one};

    #[test]
    fn one_is_somebody_and_the_function_is_there() {
        check(
            judge(&facts()),
            &["credentials arn:aws:iam::123456789012:user/operator", "function nomad-drain"],
        );
    }

    #[test]
    fn without_credentials_the_doctor_says_how_to_get_some() {
        let mut facts = facts();
        let said = "there are none".to_owned();
        facts.caller = Fact::Unknown(Why::CannotBeKnown { said, todo: "aws sso login".to_owned() });
        facts.function = Fact::skipped("your credentials");
        check(judge(&facts), &["credentials-missing your AWS credentials", "skipped nomad-drain"]);
        facts.caller = Fact::Unknown(Why::Denied { permission: "sts:GetCallerIdentity".to_owned() });
        check(judge(&facts), &["credentials-refused your AWS credentials", "skipped nomad-drain"]);
    }

    #[test]
    fn a_function_that_is_not_there_or_not_ready_fails() {
        let mut facts = facts();
        facts.function = Fact::Known(None);
        check(judge(&facts)[1..].to_vec(), &["function-missing nomad-drain"]);
        facts.function = Fact::Known(Some(Function { state: "Pending".to_owned(), ..one() }));
        check(judge(&facts)[1..].to_vec(), &["function-not-active nomad-drain"]);
        for (state, does) in [
            ("Pending", "lambda wait"),
            ("Inactive", "lambda invoke"),
            ("Failed", "get-function-configuration"),
        ] {
            facts.function = Fact::Known(Some(Function { state: state.to_owned(), ..one() }));
            let found = judge(&facts);
            assert!(found[1].command.as_ref().unwrap().contains(does), "{state}: {found:?}");
        }
    }

    #[test]
    fn a_function_that_has_been_switched_off_fails() {
        let mut facts = facts();
        let reserved = |most| Fact::Known(Some(Function { reserved_concurrency: most, ..one() }));
        facts.function = reserved(Fact::Known(Some(0)));
        check(judge(&facts)[2..].to_vec(), &["function-throttled nomad-drain"]);
        facts.function = reserved(Fact::Known(Some(1)));
        check(judge(&facts)[2..].to_vec(), &[]);
        let denied = Why::Denied { permission: "lambda:GetFunctionConcurrency".to_owned() };
        facts.function = reserved(Fact::Unknown(denied));
        check(judge(&facts)[2..].to_vec(), &["not-checked nomad-drain"]);
    }

    #[test]
    fn what_the_operator_may_not_read_is_not_called_fine() {
        let mut facts = facts();
        facts.function =
            Fact::Unknown(Why::Denied { permission: "lambda:GetFunctionConfiguration".to_owned() });
        check(judge(&facts)[1..].to_vec(), &["not-checked nomad-drain"]);
    }
}
