//! Where a contestant plays: an AWS account and a Nomad cluster that are reached over TLS, and instances that end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use drain_lab::Face;
use drain_lab::authority::{Authority, ServerTls};
use drain_lab::clock::Clock;
use drain_lab::journal::{Entry, Kind};
use drain_lab::lab::{HOOK, Lab, TOKEN_PARAMETER, Worker};
use drain_lab::nomad::JobSpec;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The group of every instance.
pub(crate) const GROUP: &str = "workers";

/// What is waited for.
pub(crate) const DRAIN: &str = "POST /v1/node/:id/drain";

/// A certificate for every server of a run, and the authority that vouches for it.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    server: ServerTls,
    authority: PathBuf,
}

impl Certificates {
    /// Makes them, and writes the authority's into a folder.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let authority = Authority::new("drain-bench")?;
        let server = authority.server(&authority.issue(&["127.0.0.1"])?, false)?;
        let file = folder.join("authority.pem");
        std::fs::write(&file, authority.pem()).with_context(|| format!("{}", file.display()))?;
        Ok(Self { server, authority: file })
    }
}

/// An account and a cluster.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    aws: Face,
    nomad: Face,
    authority: PathBuf,
}

impl Stage {
    /// One without instances. Nothing tells anybody that one ends.
    pub(crate) async fn start(certificates: &Certificates) -> anyhow::Result<Self> {
        let lab = Lab::start(Clock::running()).await?;
        lab.lose_events(true);
        lab.add_group(GROUP, 3600)?;
        lab.nomad.set_batch_interval(SignedDuration::from_millis(50));
        let (aws, nomad) = (
            lab.aws.serve_tls(&certificates.server).await?,
            lab.nomad.serve_tls(&certificates.server).await?,
        );
        Ok(Self { lab, aws, nomad, authority: certificates.authority.clone() })
    }

    /// Instances with their nodes. What runs on each takes so long to stop, once it is told to.
    pub(crate) fn add_workers(&self, count: u32, stops_in: Duration) -> anyhow::Result<Vec<Worker>> {
        let workers = self.lab.add_workers(GROUP, count)?;
        self.lab.nomad.add_job(JobSpec::system("logs").stop_takes(stops_in));
        Ok(workers)
    }

    /// Ends an instance: the hook holds it. Returns the hook's message as SNS delivers it.
    pub(crate) fn terminate(&self, worker: &Worker) -> anyhow::Result<Value> {
        self.lab.aws.terminate_instance(&worker.instance_id)?;
        let action =
            self.lab.aws.lifecycle_action(&worker.instance_id).context("no hook holds the instance")?;
        let time = format!("{:.3}", action.started_at);
        let message = json!({
            "Origin": "AutoScalingGroup", "LifecycleHookName": HOOK, "Destination": "EC2",
            "AccountId": self.lab.aws.account().id, "RequestId": "f02639a5-62b9-0772-d50e-09647ae07b49",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroupName": GROUP,
            "Service": "AWS Auto Scaling", "Time": time, "EC2InstanceId": worker.instance_id,
            "LifecycleActionToken": action.token,
        });
        Ok(json!({"Records": [{
            "EventSource": "aws:sns", "EventVersion": "1.0",
            "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:nomad-drain:21be56ed-a058-49f5-8c98-aedd2564c486",
            "Sns": {
                "Type": "Notification", "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                "TopicArn": "arn:aws:sns:us-east-1:123456789012:nomad-drain",
                "Subject": "Auto Scaling: Lifecycle action 'TERMINATING'", "Message": message.to_string(), "Timestamp": time,
                "SignatureVersion": "1", "Signature": "tcc6faL2yUC6dgZdmrwh1Y4cGa/ebXEkAi6RibDsvpi+tE/1+82j",
                "SigningCertUrl": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ac565b8b1a6c5d002d285f9598aa1d9b.pem",
                "UnsubscribeUrl": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe", "MessageAttributes": {},
            },
        }]}))
    }

    /// Serves the agent on a worker's instance over TLS. Returns it with its address as a template for everybody's.
    pub(crate) async fn serve_agent(
        &self,
        worker: &Worker,
        certificates: &Certificates,
    ) -> anyhow::Result<(Face, String)> {
        let address = SocketAddr::from((worker.private_ip, 0));
        let face = self.lab.nomad.serve_agent_tls(&worker.node_id, address, &certificates.server).await?;
        let template = format!("https://{{ip}}:{}", face.address().port());
        Ok((face, template))
    }

    /// The variables that Lambda sets, and those that lead a function to this stage, over TLS everywhere.
    pub(crate) fn variables(&self, runtime_api: SocketAddr, memory_mb: u32) -> BTreeMap<OsString, OsString> {
        let account = self.lab.aws.account();
        let authority = self.authority.display().to_string();
        let variables = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "nomad-drain".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_mb.to_string()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/nomad-drain".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/29/[$LATEST]0123456789abcdef0123456789abcdef".to_owned()),
            ("AWS_REGION", account.region.clone()),
            ("AWS_DEFAULT_REGION", account.region.clone()),
            ("AWS_ACCESS_KEY_ID", account.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", account.secret_access_key.clone()),
            ("AWS_SESSION_TOKEN", account.session_token.clone()),
            ("AWS_ENDPOINT_URL", self.aws.url()),
            ("AWS_CA_BUNDLE", authority.clone()),
            ("NOMAD_ADDR", self.nomad.url()),
            ("NOMAD_CACERT", authority),
            ("NOMAD_TOKEN_PARAMETER", TOKEN_PARAMETER.to_owned()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ];
        variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// Sets a function up as the templates do: another one sweeps. Without it the hook's topic calls the function and nobody
    /// else does, as with the old way.
    pub(crate) fn swept(variables: &mut BTreeMap<OsString, OsString>) {
        variables.insert("SWEEP".into(), "on".into());
        variables.insert("AUTO_SCALING_GROUPS".into(), GROUP.into());
    }

    /// Every call that has reached the stage, in order.
    pub(crate) fn calls(&self) -> Vec<Entry> {
        self.lab.journal.entries().into_iter().filter(|entry| entry.kind == Kind::Call).collect()
    }

    /// When a drain was posted for the first time after `since`.
    pub(crate) fn drained_at(&self, since: Timestamp) -> Option<Timestamp> {
        self.calls().into_iter().find(|call| call.what == DRAIN && call.at >= since).map(|call| call.at)
    }
}
