//! What can be wrong with the functions.

use std::time::Duration;

use super::super::{Deployment, HOOK_RULE};
use super::admit_only;
use crate::aws::NotificationTarget;
use crate::lab::Route;

/// The function that gets the events, and both.
impl Deployment {
    /// The function that gets the events has been deleted.
    pub fn delete_function(&self) {
        self.change(|deployed| deployed.functions.remove(&self.function));
    }

    /// Nobody may invoke the function that gets the events.
    pub fn remove_permission(&self) {
        self.change_function(|function| function.policy.clear());
    }

    /// The function's policy admits its service for another source only: the topic or the rule of an earlier deployment.
    pub fn admit_other_source(&self, source_arn: &str) {
        self.change_function(|function| admit_only(&mut function.policy, source_arn));
    }

    /// No more than so many runs of the function that gets the events may go on at once.
    pub fn reserve_concurrency(&self, most: u32) {
        self.change_function(|function| function.reserved_concurrency = Some(most));
    }

    /// Whatever invokes the function invokes this alias of it, and may do so.
    pub fn invoke_alias(&self, alias: &str) {
        let (unqualified, arn) = (self.function_arn(), format!("{}:{alias}", self.function_arn()));
        self.change_function(|function| {
            let mut policy = std::mem::take(&mut function.policy);
            for statement in &mut policy {
                arn.clone_into(&mut statement.resource);
            }
            function.qualified.insert(alias.to_owned(), policy);
            function.event_sources.iter_mut().for_each(|one| one.qualifier = Some(alias.to_owned()));
        });
        let is_it = |target: &str| target == unqualified;
        self.change_topic(|topic| {
            let ours = topic.subscriptions.iter_mut().filter(|one| is_it(&one.endpoint));
            ours.for_each(|one| arn.clone_into(&mut one.endpoint));
        });
        self.change_rule(HOOK_RULE, |rule| {
            let ours = rule.targets.iter_mut().filter(|one| is_it(&one.arn));
            ours.for_each(|one| arn.clone_into(&mut one.arn));
        });
        if self.route == Route::HookToFunction {
            for group in self.aws.groups() {
                self.change_hook(&group.name, |hook| {
                    hook.target = NotificationTarget::Lambda { function_arn: arn.clone() };
                });
            }
        }
    }

    /// The function's alias may be invoked by nobody.
    pub fn remove_permission_of_alias(&self, alias: &str) {
        self.change_function(|function| function.qualified.remove(alias));
    }

    /// The function may run so long.
    pub fn set_timeout(&self, timeout: Duration) {
        self.change_function(|function| function.timeout = timeout);
    }

    /// Sets an environment variable of both functions.
    pub fn set_variable(&self, name: &str, value: &str) {
        self.change_both(|function| {
            function.environment.insert(name.to_owned(), value.to_owned());
        });
    }

    /// Takes an environment variable of both functions away.
    pub fn remove_variable(&self, name: &str) {
        self.change_both(|function| {
            function.environment.remove(name);
        });
    }

    /// The function that gets the events cannot be invoked, for this reason.
    pub fn fail_function(&self, reason: &str) {
        self.change_function(|function| function.failed = Some(reason.to_owned()));
    }

    /// The functions run in a VPC, from which Nomad may be reached where it cannot from here.
    pub fn put_into_vpc(&self) {
        self.change_both(|function| function.subnet_ids = vec!["subnet-0123456789abcdef0".to_owned()]);
    }

    /// The functions' variables are encrypted with a key that the caller may not use.
    pub fn seal_variables(&self) {
        self.change_both(|function| function.is_sealed = true);
    }

    /// Events that fail for the last time are dropped.
    pub fn drop_failed_events(&self) {
        self.change_function(|function| function.event_invoke_config = None);
    }
}
