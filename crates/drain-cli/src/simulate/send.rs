//! Where an event is sent, and how.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use drain::Causes;
use drain::aws::query::{self, Form};
use drain::aws::sns::TopicArn;
use drain::aws::{Aws, AwsError, Service, json, rest};
use drain::config::AwsSettings;
use drain_http::Limits;
use http::{Method, Request, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::Envelope;
use super::kind::{Announced, Kind};
use super::payloads;
use crate::exit::Exit;
use crate::frame::{Frame, Variables};
use crate::out;

/// Where an event is sent.
#[derive(Debug)]
pub(super) enum Destination {
    /// A Lambda function.
    Function { name: String, is_async: bool },
    /// The URL of a queue.
    Queue(String),
    /// The ARN of a topic.
    Topic(String),
    /// The address of a function on this machine.
    Local(String),
}

/// For one call that does not wait for a function.
const CALL: Duration = Duration::from_secs(30);

/// A function runs 15 minutes at most (AWS Lambda Developer Guide, "Lambda quotas").
const RUN: Duration = Duration::from_mins(16);

/// Messages that SQS takes at once (Amazon SQS API Reference, "`SendMessageBatch`").
const AT_ONCE: usize = 10;

/// The largest answer of a function, 6 MiB, and what belongs to it.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

impl Destination {
    /// In what an event usually arrives there.
    pub(super) fn usual(&self, kind: Kind) -> Envelope {
        match self {
            Self::Function { .. } | Self::Local(_) => Envelope::Bare,
            Self::Queue(_) if kind.is_from_bus() => Envelope::EventbridgeSqs,
            Self::Queue(_) => Envelope::Sqs,
            Self::Topic(_) => Envelope::Sns,
        }
    }

    /// Fails if what is sent there cannot arrive in this envelope.
    pub(super) fn takes(&self, envelope: Envelope) -> anyhow::Result<()> {
        match self {
            Self::Function { .. } | Self::Local(_) => Ok(()),
            Self::Queue(_) => {
                ensure!(
                    envelope.is_queue(),
                    "a queue holds what --envelope sqs, sns-sqs or eventbridge-sqs makes"
                );
                Ok(())
            }
            // A rule of EventBridge may have a topic as its target, but nobody can publish as AWS does.
            Self::Topic(_) => {
                ensure!(
                    envelope == Envelope::Sns,
                    "the topic itself makes the envelope of what is published: --envelope sns"
                );
                Ok(())
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Function { name, .. } | Self::Queue(name) | Self::Topic(name) | Self::Local(name) => name,
        }
    }

    /// The region that its name tells, which counts more than the environment's.
    fn region(&self) -> Option<&str> {
        match self {
            Self::Function { name, .. } | Self::Topic(name) => {
                name.starts_with("arn:").then(|| name.split(':').nth(3)).flatten()
            }
            // https://sqs.eu-west-1.amazonaws.com/123456789012/nomad-drain
            Self::Queue(url) => {
                let host = url.split("://").nth(1)?.split('/').next()?;
                host.strip_prefix("sqs.")?.split('.').next().filter(|_| host.contains(".amazonaws."))
            }
            Self::Local(_) => None,
        }
    }
}

/// What came of sending.
#[derive(Debug, Default, Serialize)]
struct Sent<'a> {
    to: &'a str,
    /// How many events.
    events: usize,
    /// What the function answered, by invocation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Value>,
    /// Whether the function failed.
    failed: bool,
}

/// Sends the events, and prints what came of it.
pub(super) async fn send(
    destination: &Destination,
    announced: &[Announced],
    envelope: Envelope,
    batch: usize,
    variables: Variables,
    frame: &Frame,
) -> anyhow::Result<Exit> {
    let mut sent = Sent { to: destination.name(), events: announced.len(), ..Sent::default() };
    let aws = async || {
        let Variables { chain, layers } = &variables;
        let region = destination.region().map(str::to_owned);
        let lookup =
            |name: &str| region.clone().filter(|_| name == "AWS_REGION").or_else(|| layers.get(name));
        let mut settings = AwsSettings::parse(lookup)?;
        settings.credentials = chain.credentials().await?;
        anyhow::Ok(Aws::new(drain::web()?, settings))
    };
    match destination {
        Destination::Function { name, is_async } => {
            let aws = aws().await?;
            for payload in payloads(announced, envelope, batch) {
                let answer = invoke(&aws, name, &payload, *is_async).await.map_err(|error| said(&error))?;
                sent.take(&answer, *is_async);
            }
        }
        Destination::Local(address) => {
            for payload in payloads(announced, envelope, batch) {
                sent.take(&invoke_here(address, &payload).await?, false);
            }
        }
        Destination::Queue(url) => {
            let aws = aws().await?;
            for some in announced.chunks(AT_ONCE) {
                let bodies: Vec<String> = some.iter().map(|one| envelope.body(one)).collect();
                fill(&aws, url, &bodies).await?;
            }
        }
        Destination::Topic(arn) => {
            TopicArn::parse(arn).map_err(|error| anyhow!("{arn} {error}"))?;
            let aws = aws().await?;
            for one in announced {
                publish(&aws, arn, one).await.map_err(|error| said(&error))?;
            }
        }
    }
    sent.show(frame)?;
    Ok(Exit::done_if(!sent.failed))
}

/// Lambda's `Invoke`.
async fn invoke(aws: &Aws, name: &str, payload: &Value, is_async: bool) -> Result<Response<Bytes>, AwsError> {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let path = format!("/2015-03-31/functions/{name}/invocations");
    let kind = if is_async { "Event" } else { "RequestResponse" };
    let headers = [("content-type", "application/json"), ("x-amz-invocation-type", kind)];
    let (operation, timeout) = ("lambda:InvokeFunction", if is_async { CALL } else { RUN });
    rest::send(aws, Service::Lambda, operation, Method::POST, &path, &headers, payload.to_string(), timeout)
        .await
}

/// The same, on this machine: unsigned, and every function is called `function`.
async fn invoke_here(address: &str, payload: &Value) -> anyhow::Result<Response<Bytes>> {
    let base = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let has_path = base.splitn(4, '/').nth(3).is_some_and(|path| !path.is_empty());
    let url = if has_path {
        base
    } else {
        format!("{}/2015-03-31/functions/function/invocations", base.trim_end_matches('/'))
    };
    let request = Request::post(&url)
        .header("content-type", "application/json")
        .body(Bytes::from(payload.to_string()))
        .with_context(|| format!("{address} is no address"))?;
    let limits = Limits { timeout: RUN, body: LARGEST_ANSWER };
    let answer = drain::web()?.send(request, limits).await;
    let answer = answer.map_err(|error| anyhow!("{}", Causes(&error))).with_context(|| {
        format!("no function answers at {url}: start it with the Runtime Interface Emulator or `cargo lambda watch`")
    })?;
    ensure!(
        answer.status().is_success(),
        "{url} answers {}: {}",
        answer.status(),
        String::from_utf8_lossy(answer.body())
    );
    Ok(answer)
}

/// SQS's `SendMessageBatch`.
async fn fill(aws: &Aws, url: &str, bodies: &[String]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        failed: Vec<Failure>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Failure {
        code: String,
        #[serde(default)]
        message: String,
    }
    let entries =
        bodies.iter().enumerate().map(|(index, body)| json!({"Id": index.to_string(), "MessageBody": body}));
    let asked = json!({"QueueUrl": url, "Entries": entries.collect::<Vec<_>>()});
    let target = "AmazonSQS.SendMessageBatch";
    let Answer { failed } = json::call(aws, Service::Sqs, "sqs:SendMessage", target, &asked, CALL)
        .await
        .map_err(|error| said(&error))?;
    if let Some(Failure { code, message }) = failed.first() {
        bail!("the queue did not take {} of {} messages: {code}: {message}", failed.len(), bodies.len());
    }
    Ok(())
}

/// SNS's `Publish`. An event of `EventBridge` has no subject, and SNS takes no empty one.
async fn publish(aws: &Aws, arn: &str, announced: &Announced) -> Result<(), AwsError> {
    let letter = announced.letter();
    let form = Form::new("Publish", "2010-03-31")
        .with("TopicArn", arn)
        .with("Message", &letter.message)
        .with_optional("Subject", Some(&letter.subject).filter(|subject| !subject.is_empty()));
    let limits = Limits { timeout: CALL, body: LARGEST_ANSWER };
    query::send(aws, Service::Sns, "sns:Publish", form, limits).await.map(|_| ())
}

fn said(error: &AwsError) -> anyhow::Error {
    anyhow!("{}", Causes(error))
}

impl Sent<'_> {
    fn take(&mut self, answer: &Response<Bytes>, is_async: bool) {
        self.failed |= answer.headers().contains_key("x-amz-function-error");
        if is_async {
            return;
        }
        let text = || Value::from(String::from_utf8_lossy(answer.body()).into_owned());
        let said = serde_json::from_slice(answer.body()).unwrap_or_else(|_| text());
        // The emulator on a developer's machine tells a failure by its fields alone.
        self.failed |= said.get("errorType").is_some();
        self.answers.push(said);
    }

    fn show(&self, frame: &Frame) -> anyhow::Result<()> {
        if frame.json {
            return Ok(out::line(&serde_json::to_string_pretty(self)?)?);
        }
        let Self { to, events, answers, failed } = self;
        for answer in answers {
            out::line(&format!("{answer:#}"))?;
        }
        let what = if *events == 1 { "1 event".to_owned() } else { format!("{events} events") };
        match (answers.is_empty(), failed) {
            (true, _) => out::line(&format!("{what} sent to {to}"))?,
            (false, false) => eprintln!("{what} sent to {to}, and answered"),
            (false, true) => eprintln!("{what} sent to {to}: the function failed"),
        }
        Ok(())
    }
}
