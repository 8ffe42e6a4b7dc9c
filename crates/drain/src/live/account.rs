//! The AWS account: Auto Scaling, and what AWS keeps for us. One for all clusters, since its limits are per account.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use drain_core::decide::Urgency;
use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::Target;
use drain_core::policy::ActionResult;
use drain_http::HttpClient;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::gate::{Calls, Gate};
use super::{Budget, Patience, auto_scaling, budget, retry};
use crate::aws::{Aws, secrets_manager, ssm};
use crate::config::{AwsSettings, GroupSelection, Place, Purpose};
use crate::error::Error;
use crate::world::{Account, Clock, Group, GroupInstance, Hook, Waiting};

/// Calls to AWS at once: its limits are per account and region, and others call it too.
pub(super) const AT_ONCE: usize = 8;

/// The account during one invocation.
#[derive(Debug)]
pub struct LiveAccount {
    pub(super) aws: Aws,
    /// For what is done beside the work, and after it.
    budget: Budget,
    /// For the work.
    work: Cell<Budget>,
    /// When the ends of a group's instances began, as Auto Scaling said in this invocation.
    pub(super) ends_begun: Mutex<BTreeMap<GroupName, BTreeMap<InstanceId, Timestamp>>>,
    calls: Gate,
}

impl LiveAccount {
    /// The account as it is reached from here.
    pub fn new(settings: &AwsSettings, web: &HttpClient, budget: Budget, trace_id: Option<&str>) -> Self {
        Self {
            aws: Aws::new(web.clone(), settings.clone()).traced(trace_id),
            budget,
            work: Cell::new(budget),
            ends_begun: Mutex::default(),
            calls: Gate::new(AT_ONCE),
        }
    }

    /// One question to AWS, tried again while it fails in a way that may pass.
    pub(super) async fn ask<T>(
        &self,
        patience: Patience,
        call: impl AsyncFn(Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.ask_when(Urgency::Soon, patience, call).await
    }

    /// The same, before or after others.
    pub(super) async fn ask_when<T>(
        &self,
        urgency: Urgency,
        patience: Patience,
        call: impl AsyncFn(Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        retry::retrying_when(urgency, self.budget(), &self.calls, patience, call).await
    }

    /// The time for the work.
    pub(super) fn budget(&self) -> Budget {
        self.work.get()
    }

    /// AWS, for calls that are none of the work: they wait for nobody's turn and are not counted.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// What such a call may take.
    pub(crate) fn time_for_one_call(&self) -> Duration {
        self.budget.for_one_call()
    }

    /// Reads a value that AWS keeps for us, once and within this time, beside the work.
    pub(crate) async fn stored_once(
        &self,
        purpose: Purpose,
        place: &Place,
        timeout: Duration,
    ) -> Result<Zeroizing<String>, Error> {
        self.read(purpose, place, timeout.min(self.time_for_one_call())).await
    }

    /// The calls to AWS so far.
    pub(crate) fn calls(&self) -> Calls {
        self.calls.calls()
    }

    /// Reads a value that AWS keeps for us.
    pub async fn stored(&self, purpose: Purpose, place: &Place) -> Result<Zeroizing<String>, Error> {
        self.ask(Patience::Briefly, async |timeout| self.read(purpose, place, timeout).await).await
    }

    async fn read(
        &self,
        purpose: Purpose,
        place: &Place,
        timeout: Duration,
    ) -> Result<Zeroizing<String>, Error> {
        let read = match place {
            Place::File(path) => {
                let read = std::fs::read_to_string(path).map(Zeroizing::new);
                return read.map_err(|source| Error::StoredFileUnreadable {
                    purpose,
                    path: path.clone(),
                    source,
                });
            }
            Place::Parameter(name) => ssm::get_parameter(&self.aws, name, timeout).await,
            Place::Secret(id) => secrets_manager::get_secret_value(&self.aws, id, timeout).await,
        };
        read.map_err(|error| Error::stored(purpose, place, self.aws.region(), error))
    }
}

impl Clock for LiveAccount {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        budget::sleep_until(moment).await;
    }

    fn backoff(&self, attempts: u32) -> SignedDuration {
        retry::backoff(attempts)
    }
}

impl Account for LiveAccount {
    fn call_until(&self, moment: Timestamp) {
        self.work.set(self.work.get().until(moment));
    }

    async fn heartbeat(&self, target: &Target, urgency: Urgency) -> Result<(), Error> {
        auto_scaling::heartbeat(self, target, urgency).await
    }

    async fn complete(&self, target: &Target, result: ActionResult) -> Result<(), Error> {
        auto_scaling::complete(self, target, result).await
    }

    async fn hooks(&self, group: &GroupName) -> Result<Vec<Hook>, Error> {
        auto_scaling::hooks(self, group).await
    }

    async fn group(&self, name: &GroupName) -> Result<Option<Group>, Error> {
        auto_scaling::group(self, name).await
    }

    async fn groups(&self, selection: &GroupSelection) -> Result<Vec<Group>, Error> {
        auto_scaling::groups(self, selection).await
    }

    async fn members(&self, instances: &[InstanceId]) -> Result<BTreeMap<InstanceId, GroupInstance>, Error> {
        auto_scaling::members(self, instances).await
    }

    async fn warm_pool(&self, group: &GroupName) -> Result<Vec<Waiting>, Error> {
        auto_scaling::warm_pool(self, group).await
    }

    async fn ends_begun(&self, group: &GroupName) -> Result<BTreeMap<InstanceId, Timestamp>, Error> {
        auto_scaling::ends_begun(self, group).await
    }
}
