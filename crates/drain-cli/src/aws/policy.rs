//! Resource policies: may this principal do that here?
//!
//! Only what the way of an event needs is understood: services and roles as principals, and conditions on whose behalf a
//! service acts. A statement with any other condition leaves the question open ([`Verdict::Depends`]).
//! (IAM User Guide, "IAM JSON policy elements reference".)

use serde_json::Value;
use wildmatch::WildMatch;

/// A policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document(Vec<Value>);

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) principal: Principal<'a>,
    /// The IAM action: `lambda:InvokeFunction`.
    pub(crate) action: &'a str,
    /// For whom a service asks: the ARN of a topic or a rule.
    pub(crate) source_arn: Option<&'a str>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Principal<'a> {
    /// A service, such as `sns.amazonaws.com`.
    Service(&'a str),
    /// A role, by its ARN.
    Role(&'a str),
}

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement allows it.
    NotAllowed,
    /// A statement may allow or deny it: it has a condition that is not understood here.
    Depends(String),
}

/// Whether something matches.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Matches {
    Yes,
    No,
    Perhaps(String),
}

impl Document {
    /// Reads a policy. `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let document: Value = serde_json::from_str(text).ok()?;
        match document.get("Statement")? {
            Value::Array(statements) => Some(Self(statements.clone())),
            statement @ Value::Object(_) => Some(Self(vec![statement.clone()])),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// Whether the request is granted.
    pub(crate) fn verdict(&self, request: &Request<'_>) -> Verdict {
        let among = |denials: bool| -> Vec<Matches> {
            let some = self.0.iter().filter(|statement| is_deny(statement) == denials);
            some.map(|statement| matches(statement, request)).collect()
        };
        let (denials, allowances) = (among(true), among(false));
        if denials.contains(&Matches::Yes) {
            Verdict::Denied
        } else if let (true, Some(why)) = (allowances.iter().any(|one| *one != Matches::No), open(&denials)) {
            Verdict::Depends(why)
        } else if allowances.contains(&Matches::Yes) {
            Verdict::Allowed
        } else {
            open(&allowances).map_or(Verdict::NotAllowed, Verdict::Depends)
        }
    }
}

/// The first condition that leaves the question open.
fn open(all: &[Matches]) -> Option<String> {
    all.iter().find_map(|one| match one {
        Matches::Perhaps(why) => Some(why.clone()),
        Matches::Yes | Matches::No => None,
    })
}

fn is_deny(statement: &Value) -> bool {
    statement.get("Effect").and_then(Value::as_str) == Some("Deny")
}

fn matches(statement: &Value, request: &Request<'_>) -> Matches {
    if !action_matches(statement, request.action) || !principal_matches(statement, request.principal) {
        return Matches::No;
    }
    let Some(Value::Object(conditions)) = statement.get("Condition") else { return Matches::Yes };
    let mut open = None;
    for (operator, keys) in conditions {
        let Value::Object(keys) = keys else { continue };
        for (key, values) in keys {
            match condition(operator, key, &texts(values), request) {
                Matches::Yes => {}
                Matches::No => return Matches::No,
                Matches::Perhaps(why) => open = Some(why),
            }
        }
    }
    open.map_or(Matches::Yes, Matches::Perhaps)
}

fn action_matches(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let any = |value: &Value| {
        texts(value).iter().any(|pattern| WildMatch::new(&pattern.to_ascii_lowercase()).matches(&action))
    };
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(actions), _) => any(actions),
        (None, Some(others)) => !any(others),
        (None, None) => false,
    }
}

fn principal_matches(statement: &Value, principal: Principal<'_>) -> bool {
    let of =
        |kind: &str| statement.get("Principal").and_then(|all| all.get(kind)).map(texts).unwrap_or_default();
    let everybody =
        statement.get("Principal").and_then(Value::as_str) == Some("*") || of("AWS").contains(&"*");
    everybody
        || match principal {
            Principal::Service(name) => of("Service").contains(&name),
            Principal::Role(arn) => of("AWS").iter().any(|one| *one == arn || is_account_of(one, arn)),
        }
}

/// Whether a principal is the account of this role: `arn:aws:iam::123456789012:root`, or the account's id alone.
fn is_account_of(principal: &str, role: &str) -> bool {
    let account = role.split(':').nth(4).unwrap_or_default();
    !account.is_empty() && (principal == account || principal.ends_with(&format!("::{account}:root")))
}

/// Whether one condition holds. An answer that nobody has is `Perhaps`.
fn condition(operator: &str, key: &str, values: &[&str], request: &Request<'_>) -> Matches {
    let open = || Matches::Perhaps(format!("a condition {operator} on {key}"));
    let actual = match (key.to_ascii_lowercase().as_str(), request.source_arn) {
        ("aws:sourcearn", Some(arn)) => arn,
        ("aws:sourceaccount", Some(arn)) => arn.split(':').nth(4).unwrap_or_default(),
        // AWS's own services always come over TLS.
        ("aws:securetransport", _) => "true",
        _ => return open(),
    };
    let holds = match operator.trim_end_matches("IfExists") {
        "Bool" => values.iter().any(|value| value.eq_ignore_ascii_case(actual)),
        "ArnEquals" | "ArnLike" | "StringLike" => {
            values.iter().any(|pattern| WildMatch::new(pattern).matches(actual))
        }
        "StringEquals" => values.contains(&actual),
        _ => return open(),
    };
    if holds { Matches::Yes } else { Matches::No }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:hooks";

    fn asked(statements: &Value) -> Verdict {
        let document =
            Document::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string());
        document.unwrap().verdict(&Request {
            principal: Principal::Service("sns.amazonaws.com"),
            action: "lambda:InvokeFunction",
            source_arn: Some(TOPIC),
        })
    }

    /// What `aws lambda add-permission` writes.
    fn permission(source: &str) -> Value {
        json!({"Sid": "sns", "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:drain",
            "Condition": {"ArnLike": {"AWS:SourceArn": source}}})
    }

    #[test]
    fn a_service_is_let_in_on_behalf_of_its_source() {
        assert_eq!(asked(&json!([permission(TOPIC)])), Verdict::Allowed);
        assert_eq!(asked(&permission("arn:aws:sns:*:123456789012:*")), Verdict::Allowed);
        assert_eq!(asked(&json!([permission(&format!("{TOPIC}-2"))])), Verdict::NotAllowed);
        assert_eq!(asked(&json!([])), Verdict::NotAllowed);
        let by_account = json!({"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]},
            "Action": ["lambda:GetFunction", "lambda:Invoke*"],
            "Condition": {"StringEquals": {"aws:SourceAccount": ["123456789012"]}}});
        assert_eq!(asked(&by_account), Verdict::Allowed);
        let other = json!({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "lambda:*"});
        assert_eq!(asked(&other), Verdict::NotAllowed);
    }

    #[test]
    fn a_denial_wins_in_whatever_order() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "*"});
        assert_eq!(asked(&json!([permission(TOPIC), deny])), Verdict::Denied);
        assert_eq!(asked(&json!([deny, permission(TOPIC)])), Verdict::Denied);
        let without_tls = json!({"Effect": "Deny", "Principal": "*", "Action": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
        assert_eq!(asked(&json!([without_tls, permission(TOPIC)])), Verdict::Allowed);
    }

    #[test]
    fn what_is_not_understood_leaves_the_question_open() {
        let odd = json!({"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}});
        assert!(matches!(asked(&odd), Verdict::Depends(why) if why.contains("aws:PrincipalOrgID")));
        assert_eq!(asked(&json!([odd, permission(TOPIC)])), Verdict::Allowed);
        assert_eq!(asked(&json!([permission(TOPIC), odd])), Verdict::Allowed);
        let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "*",
            "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}});
        assert!(matches!(asked(&json!([permission(TOPIC), denial])), Verdict::Depends(_)));
        assert_eq!(asked(&json!([denial])), Verdict::NotAllowed);
    }

    #[test]
    fn a_role_is_itself_or_one_of_its_account() {
        let role = "arn:aws:iam::123456789012:role/hook";
        let verdict = |principal: Value| {
            let text =
                json!({"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sns:Publish"}});
            let request =
                Request { principal: Principal::Role(role), action: "SNS:Publish", source_arn: None };
            Document::parse(&text.to_string()).unwrap().verdict(&request)
        };
        for principal in [json!({"AWS": role}), json!({"AWS": "*"}), json!({"AWS": ["123456789012"]})] {
            assert_eq!(verdict(principal.clone()), Verdict::Allowed, "{principal}");
        }
        assert_eq!(verdict(json!({"AWS": "arn:aws:iam::123456789012:root"})), Verdict::Allowed);
        assert_eq!(verdict(json!({"AWS": "arn:aws:iam::210987654321:root"})), Verdict::NotAllowed);
    }

    #[test]
    fn a_text_that_is_no_policy_is_none() {
        for text in ["", "{}", "[]", r#"{"Statement":"all"}"#] {
            assert_eq!(Document::parse(text), None, "{text}");
        }
    }
}
