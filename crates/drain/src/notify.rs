//! Notifications: what has happened, told to people. None of it can delay a drain or fail an invocation: it is sent beside
//! the work, with time-outs of its own, and what does not get through is a warning and a metric.
//!
//! They are sent when a step of ours has succeeded or finally failed, so that nobody has to remember what was told.
//! What happens while one is being sent is told together in the next one: a thousand drains are a few messages.

mod text;

use std::time::Duration;

use bytes::Bytes;
use drain_http::{HttpClient, Limits};
use futures_util::future::join;
use http::Request;
use tokio::sync::mpsc::UnboundedReceiver;
use zeroize::Zeroizing;

use crate::aws::sns::{self, Publication};
use crate::chronicle::Happened;
use crate::config::{Notifications, Place, Purpose};
use crate::error::Causes;
use crate::live::LiveAccount;
use text::Told;

/// How long one attempt may take. There are two.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// What has less time is not begun.
const SHORTEST: Duration = Duration::from_millis(250);

/// The largest answer of a webhook that is read, in bytes. Nobody looks at it.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Tells what happens until nothing more will. Gives how many notifications did not get through.
pub(crate) async fn tell(
    wanted: &Notifications,
    account: &LiveAccount,
    web: &HttpClient,
    mut news: UnboundedReceiver<Happened>,
) -> usize {
    let mut failed = 0;
    let mut some = Vec::new();
    while news.recv_many(&mut some, usize::MAX).await > 0 {
        for told in Told::of(&some) {
            let (topic, webhook) =
                join(publish(wanted, account, &told), post(wanted, account, web, &told)).await;
            failed += [topic, webhook].into_iter().filter(|sent| !sent).count();
        }
        some.clear();
    }
    failed
}

/// Publishes to the topic, if there is one. Whether nothing went wrong.
async fn publish(wanted: &Notifications, account: &LiveAccount, told: &Told) -> bool {
    let Some(topic) = &wanted.topic else { return true };
    let subject = format!("nomad-drain: {}", told.title);
    let publication = Publication { subject: &subject, message: &told.text, event: told.event };
    let mut problem = String::new();
    for _ in 0..ATTEMPTS {
        let Some(timeout) = time_left(account) else { break };
        match sns::publish(account.aws(), topic, publication, timeout).await {
            Ok(()) => return true,
            Err(error) => {
                problem = format!(": {}", Causes(&error));
                if !error.is_transient() {
                    break;
                }
            }
        }
    }
    tracing::warn!("a notification could not be published to {topic}{problem}");
    false
}

/// Sends it to the webhook, if there is one. Whether nothing went wrong. The address is a secret, and so nothing but its host
/// is ever told.
async fn post(wanted: &Notifications, account: &LiveAccount, web: &HttpClient, told: &Told) -> bool {
    let Some(place) = &wanted.webhook else { return true };
    match try_to_post(place, account, web, told).await {
        Ok(()) => true,
        Err(problem) => {
            tracing::warn!("a notification could not be sent to the webhook of {place}: {problem}");
            false
        }
    }
}

async fn try_to_post(
    place: &Place,
    account: &LiveAccount,
    web: &HttpClient,
    told: &Told,
) -> Result<(), String> {
    let address =
        account.stored_once(Purpose::Webhook, place, TIMEOUT).await.map_err(|error| error.explanation())?;
    let body = told.for_slack();
    let mut problem = "no time is left for it".to_owned();
    for _ in 0..ATTEMPTS {
        let Some(timeout) = time_left(account) else { break };
        let request = request(&address, body.clone())?;
        match web.send(request, Limits { timeout, body: LARGEST_ANSWER }).await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                problem = format!("it answered {}", answer.status());
                if !(answer.status().is_server_error() || answer.status().as_u16() == 429) {
                    break;
                }
            }
            Err(error) => problem = Causes(&error).to_string(),
        }
    }
    Err(problem)
}

fn request(address: &Zeroizing<String>, body: String) -> Result<Request<Bytes>, String> {
    let address = address.trim();
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return Err("what is kept there is no address: it has to begin with https://".to_owned());
    }
    Request::post(address)
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .map_err(|_| "what is kept there is no address".to_owned())
}

fn time_left(account: &LiveAccount) -> Option<Duration> {
    let timeout = account.time_for_one_call().min(TIMEOUT);
    (timeout >= SHORTEST).then_some(timeout)
}
