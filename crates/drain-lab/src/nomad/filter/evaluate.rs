//! From expression and object to yes, no, or an error.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::super::spec::Filtering;
use super::{Filter, Match, Operator};

/// The fields that are structs in Nomad; every other object below the top is a map.
const STRUCTS: [&str; 5] = ["DrainStrategy", "LastDrain", "DesiredTransition", "DeploymentStatus", "Job"];

pub(super) fn evaluate(filter: &Filter, object: &Value, filtering: Filtering) -> Result<bool, String> {
    match filter {
        // Left to right, and no further than needed: that is what a guard against missing keys relies on.
        Filter::Or(left, right) => {
            Ok(evaluate(left, object, filtering)? || evaluate(right, object, filtering)?)
        }
        Filter::And(left, right) => {
            Ok(evaluate(left, object, filtering)? && evaluate(right, object, filtering)?)
        }
        Filter::Not(inner) => Ok(!evaluate(inner, object, filtering)?),
        Filter::Match(comparison) => match find(&comparison.selector, object, filtering)? {
            Some(found) => compare(comparison, found),
            None => Ok(matches!(
                comparison.operator,
                Operator::NotEqual | Operator::NotIn | Operator::IsEmpty | Operator::NotMatches
            )),
        },
    }
}

/// What a selector points at; nothing if that is a key that a map has not.
fn find<'a>(path: &[String], object: &'a Value, filtering: Filtering) -> Result<Option<&'a Value>, String> {
    // Only for errors: a long expression on many nodes comes here a hundred thousand times.
    let whole = || path.join("/");
    let mut here = object;
    let mut is_struct = true;
    for (part, key) in path.iter().enumerate() {
        let Value::Object(fields) = here else {
            let kind = go_kind(here);
            return Err(format!(
                "error finding value in datum: /{}: at part {part}, invalid value kind: {kind}",
                whole()
            ));
        };
        here = match fields.get(key) {
            Some(value) => value,
            None if is_struct => {
                return Err(format!(
                    "error finding value in datum: /{} at part {part}: couldn't find key: struct field with \
                     name \"{key}\"",
                    whole()
                ));
            }
            None if is_last(path, part) && filtering == Filtering::Current => return Ok(None),
            None => {
                return Err(format!(
                    "error finding value in datum: /{} at part {part}: couldn't find key \"{key}\"",
                    whole()
                ));
            }
        };
        is_struct = STRUCTS.contains(&key.as_str());
    }
    Ok(Some(here))
}

fn is_last(path: &[String], part: usize) -> bool {
    part + 1 == path.len()
}

fn compare(comparison: &Match, found: &Value) -> Result<bool, String> {
    let wanted = &comparison.value;
    match comparison.operator {
        Operator::Equal => equals(found, wanted),
        Operator::NotEqual => equals(found, wanted).map(|equal| !equal),
        Operator::In => contains(found, wanted),
        Operator::NotIn => contains(found, wanted).map(|contained| !contained),
        Operator::Matches => fits(found, wanted),
        Operator::NotMatches => fits(found, wanted).map(|fits| !fits),
        Operator::IsEmpty => is_empty(found, comparison),
        Operator::IsNotEmpty => is_empty(found, comparison).map(|empty| !empty),
    }
}

fn equals(found: &Value, wanted: &str) -> Result<bool, String> {
    let unreadable = |function: &str| {
        format!(
            "error getting match value in expression: strconv.{function}: parsing \"{wanted}\": invalid syntax"
        )
    };
    match found {
        Value::String(text) => Ok(text == wanted),
        Value::Bool(truth) => {
            let wanted = parse_bool(wanted).ok_or_else(|| unreadable("ParseBool"))?;
            Ok(*truth == wanted)
        }
        Value::Number(number) if number.is_u64() => {
            let wanted = wanted.parse().map_err(|_| unreadable("ParseUint"))?;
            Ok(number.as_u64() == Some(wanted))
        }
        Value::Number(number) => {
            let wanted = wanted.parse().map_err(|_| unreadable("ParseInt"))?;
            Ok(number.as_i64() == Some(wanted))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("unable to find suitable primitive comparison function for matching".to_owned())
        }
    }
}

fn contains(found: &Value, wanted: &str) -> Result<bool, String> {
    match found {
        Value::String(text) => Ok(text.contains(wanted)),
        Value::Object(map) => Ok(map.contains_key(wanted)),
        Value::Array(list) => Ok(list.iter().any(|element| element == wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(format!("cannot perform in/contains operations on type {}", go_kind(found)))
        }
    }
}

fn fits(found: &Value, pattern: &str) -> Result<bool, String> {
    let Value::String(text) = found else {
        return Err(format!("value of type {} is not convertible to []byte", go_kind(found)));
    };
    let pattern = Regex::new(pattern).map_err(|error| {
        format!("failed to compile regular expression {pattern:?}: error parsing regexp: {error}")
    })?;
    Ok(pattern.is_match(text))
}

fn is_empty(found: &Value, comparison: &Match) -> Result<bool, String> {
    match found {
        Value::String(text) => Ok(text.is_empty()),
        Value::Array(list) => Ok(list.is_empty()),
        Value::Object(map) => Ok(Map::is_empty(map)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Err(format!(
            "cannot perform is-empty operations on type {} for selector: {:?}",
            go_kind(found),
            comparison.selector.join(".")
        )),
    }
}

/// What Go's `strconv.ParseBool` takes.
pub(in super::super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(expression: &str, filtering: Filtering) -> Result<bool, String> {
        let node = json!({
            "ID": "b9f16d47-ab59-9d7d-a548-b2982c157008", "Name": "web", "Status": "ready", "HTTPAddr": "10.0.0.5:4646",
            "Attributes": {"unique.platform.aws.instance-id": "i-0abc", "kernel.name": "linux"},
            "Meta": {}, "DrainStrategy": null, "TLSEnabled": false, "CreateIndex": 8,
        });
        Filter::parse(expression)?.matches(&node, filtering)
    }

    fn check(expression: &str) -> bool {
        answer(expression, Filtering::Current).unwrap()
    }

    fn refusal(expression: &str) -> String {
        answer(expression, Filtering::Current).unwrap_err()
    }

    #[test]
    fn a_map_is_asked_with_its_key_in_brackets() {
        assert!(check(r#"Attributes["unique.platform.aws.instance-id"] == "i-0abc""#));
        assert!(!check(r#"Attributes["unique.platform.aws.instance-id"] == "i-0abd""#));
        assert!(check("Attributes[`kernel.name`] == `linux`"));
        assert!(check(r#"Attributes contains "kernel.name" and "kernel.name" in Attributes"#));
        assert!(check(r#"Attributes not contains "x" and "x" not in Attributes"#));
    }

    #[test]
    fn strings_match_patterns_and_contain_parts() {
        assert!(check(r#"HTTPAddr matches "^10\\.0\\.0\\.5:" and HTTPAddr not matches "^192""#));
        assert!(check(r#"Status contains "read" and Status != down"#));
        assert!(check("Meta is empty and Attributes is not empty"));
        assert!(check("CreateIndex == 8 and TLSEnabled == false"));
    }

    #[test]
    fn not_binds_tighter_than_and_and_and_tighter_than_or() {
        assert!(check(r#"Name == "web" or Name == "x" and Name == "y""#));
        assert!(!check(r#"(Name == "web" or Name == "x") and Name == "y""#));
        assert!(check(r#"not Name == "x" and not (Name == "y")"#));
    }

    #[test]
    fn a_key_that_a_map_has_not_is_unequal_to_everything() {
        assert!(!check(r#"Meta["a"] == "b""#));
        assert!(check(r#"Meta["a"] != "b" and Meta["a"] is empty"#));
    }

    #[test]
    fn with_the_old_library_a_missing_key_is_an_error_unless_guarded() {
        let old = |expression| answer(expression, Filtering::V0_1_11);
        assert_eq!(
            old(r#"Meta["a.b"] == "c""#).unwrap_err(),
            "failed to read result page: error finding value in datum: /Meta/a.b at part 1: couldn't find key \"a.b\""
        );
        assert_eq!(old(r#"Meta contains "a.b" and Meta["a.b"] == "c""#), Ok(false));
    }

    #[test]
    fn fields_that_only_the_stub_has_are_errors() {
        for field in ["Address", "Drain", "Version"] {
            assert_eq!(
                refusal(&format!("{field} == x")),
                format!(
                    "failed to read result page: error finding value in datum: /{field} at part 0: couldn't find \
                     key: struct field with name \"{field}\""
                )
            );
        }
        assert!(
            refusal(r#"Attributes.unique.platform == "x""#)
                .ends_with("at part 1: couldn't find key \"unique\"")
        );
        assert!(refusal("DrainStrategy.Deadline == 0").contains("invalid value kind: invalid"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        assert_eq!(
            refusal("ID =="),
            "failed to create result paginator: failed to read filter expression: 1:6 (5): no match found, \
             expected: \"-\", \"0\", \"\\\"\", \"`\", [ \\t\\r\\n], [1-9] or [a-zA-Z]"
        );
        for broken in
            ["", "foo bar", "ID == i-0", r#"Status == "ready" and"#, "Status in \"ready\"", "(ID == x"]
        {
            assert!(refusal(broken).starts_with("failed to create result paginator: "), "{broken}");
        }
        assert!(
            refusal(r#"Status matches "[""#).starts_with("failed to read result page: failed to compile")
        );
        assert!(refusal("CreateIndex == x").contains("strconv.ParseUint"));
        assert!(refusal("Attributes == x").contains("suitable primitive comparison"));
    }

    #[test]
    fn an_expression_that_asks_for_instances_and_nothing_else_says_which() {
        let term = |id| {
            format!(
                r#"Attributes contains "unique.platform.aws.instance-id" and Attributes["unique.platform.aws.instance-id"] == "{id}""#
            )
        };
        let instances = |text: &str| {
            let filter = Filter::parse(text).unwrap();
            filter.instances().map(|found| found.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(instances(&term("i-1")), Some(vec!["i-1".to_owned()]));
        let several = format!("({}) or ({}) or ({})", term("i-2"), term("i-1"), term("i-2"));
        assert_eq!(instances(&several), Some(vec!["i-1".to_owned(), "i-2".to_owned()]));
        for other in [
            format!("{} or Status == ready", term("i-1")),
            format!("not ({})", term("i-1")),
            format!("{} and Status == ready", term("i-1")),
            r#"Attributes["unique.platform.aws.instance-id"] == "i-1""#.to_owned(),
            term("i-1").replace("==", "!="),
            term("i-1").replace("contains", "not contains"),
        ] {
            assert_eq!(instances(&other), None, "{other}");
        }
    }
}
