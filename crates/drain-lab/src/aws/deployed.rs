//! What is deployed in the account beside its groups: functions, topics, queues and rules, as their own services
//! describe them.
//!
//! It is a description, and nothing is delivered by it: what reaches a function in a lab is the lab's own wiring
//! ([`crate::lab::Route`]). So a test can describe what is broken, and ask whoever reads it what they make of it. Only what
//! a lab hosts is there from the beginning, and is called when somebody invokes it or sends to it.
//! [`crate::lab::Lab::deployed`] describes what is right.

mod function;
mod metrics;
mod policy;
mod queue;
mod rule;
mod topic;

use std::collections::BTreeMap;

pub use self::function::{DeployedFunction, EventInvokeConfig, EventSource, Run};
pub use self::metrics::Sample;
pub(crate) use self::metrics::{Counted, Metric};
pub use self::policy::{Effect, Statement, document};
pub use self::queue::{DeployedQueue, Redrive};
pub use self::rule::{Rule, RuleTarget, Trigger};
pub use self::topic::{Subscription, Topic};
use super::{Account, Aws};

/// Everything that is deployed.
#[derive(Clone, Debug, Default)]
pub struct Deployed {
    /// Lambda's functions, by name.
    pub functions: BTreeMap<String, DeployedFunction>,
    /// The topics of SNS, by ARN.
    pub topics: BTreeMap<String, Topic>,
    /// The queues of SQS, by name.
    pub queues: BTreeMap<String, DeployedQueue>,
    /// `EventBridge`'s rules on the default bus, by name.
    pub rules: BTreeMap<String, Rule>,
    /// What was counted in metrics without dimensions, beside what hosted functions print.
    pub samples: Vec<Sample>,
}

impl Aws {
    /// What is deployed now.
    pub fn deployed(&self) -> Deployed {
        self.look(|state| state.deployed.clone())
    }

    /// Changes what is deployed. Nobody is asked for permission.
    pub fn change_deployed<T>(&self, change: impl FnOnce(&mut Deployed) -> T) -> T {
        self.change(|state, _| change(&mut state.deployed))
    }
}

impl Account {
    /// The ARN of something in this account and region: `arn("sqs", "nomad-drain")`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.id)
    }
}
