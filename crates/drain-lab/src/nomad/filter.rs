//! `?filter=`: as much of go-bexpr's language as somebody would use on nodes and allocations.
//!
//! An expression is evaluated on the JSON of the *full* object, not on the stub that the list answers. What is a
//! struct and what is a map matters: a field that no struct has is an error, a key that a map has not is unequal to
//! everything, or, with go-bexpr 0.1.11, an error too.

mod evaluate;
mod parse;

use std::collections::BTreeSet;

use serde_json::Value;

pub(super) use self::evaluate::parse_bool;
use super::spec::{Filtering, INSTANCE_ID_ATTRIBUTE};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Or(Box<Filter>, Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Match(Match),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    selector: Vec<String>,
    operator: Operator,
    /// The other side; empty where there is none.
    value: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

impl Filter {
    /// Reads an expression; the error is Nomad's answer.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text).map_err(|error| {
            format!("failed to create result paginator: failed to read filter expression: {error}")
        })
    }

    /// The EC2 instances that the expression asks for, if it does nothing else: `Attributes contains "…" and
    /// Attributes["…"] == "i-…"`, and several of these with `or`. Such a question is false for every other node, and never an
    /// error.
    pub(super) fn instances(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Or(left, right) => {
                let mut all = left.instances()?;
                all.extend(right.instances()?);
                Some(all)
            }
            Self::And(left, right) => match (&**left, &**right) {
                (Self::Match(guard), Self::Match(question)) => {
                    question.instance_behind(guard).map(|instance| BTreeSet::from([instance]))
                }
                _ => None,
            },
            Self::Not(_) | Self::Match(_) => None,
        }
    }

    /// Whether an object satisfies the expression; the error is Nomad's answer.
    pub(super) fn matches(&self, object: &Value, filtering: Filtering) -> Result<bool, String> {
        evaluate::evaluate(self, object, filtering)
            .map_err(|error| format!("failed to read result page: {error}"))
    }
}

impl Match {
    /// The EC2 instance for which this asks, behind a guard that there is such an attribute.
    fn instance_behind(&self, guard: &Self) -> Option<&str> {
        let is_guard = guard.operator == Operator::In
            && guard.selector == ["Attributes"]
            && guard.value == INSTANCE_ID_ATTRIBUTE;
        let asks = self.operator == Operator::Equal && self.selector == ["Attributes", INSTANCE_ID_ATTRIBUTE];
        (is_guard && asks).then_some(self.value.as_str())
    }
}
