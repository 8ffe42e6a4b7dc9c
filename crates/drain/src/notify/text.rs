//! The words of notifications. They are fixed: nothing that Nomad, AWS or an event says stands in them but names that were
//! checked.

use drain_core::ids::NodeId;
use drain_core::policy::ActionResult;
use drain_core::reason::Reason;
use serde_json::json;

use crate::chronicle::{Happened, What, Whom};

/// Instances that are named before the rest is only counted.
const NAMED: usize = 10;

/// One notification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    /// What it is about, as one word by which subscriptions may choose.
    pub(super) event: &'static str,
    /// The same for people.
    pub(super) title: &'static str,
    /// All of it.
    pub(super) text: String,
}

impl Told {
    /// What is to be told of what has happened: one notification for each kind of it.
    pub(super) fn of(happened: &[Happened]) -> Vec<Self> {
        let mut kinds: Vec<(&'static str, &'static str, &'static str)> = Vec::new();
        let mut all = Vec::new();
        for kind in happened.iter().filter_map(|one| kind(&one.what)) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        for it in kinds {
            let (event, title, why) = it;
            let whom: Vec<&Happened> = happened.iter().filter(|one| kind(&one.what) == Some(it)).collect();
            let mut text = format!("{}: {}", capitalised(title), named(&whom));
            if !why.is_empty() {
                text = format!("{text} ({why})");
            }
            all.push(Self { event, title, text });
        }
        all
    }

    /// As Slack's incoming webhooks and their many imitations want it.
    pub(super) fn for_slack(&self) -> String {
        // Slack's own escapes: a name must not become a mention (Slack, "Formatting text for app surfaces").
        let text = self.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": format!("nomad-drain: {text}") }).to_string()
    }
}

/// What is told of it: a word, a title, and a reason.
fn kind(what: &What) -> Option<(&'static str, &'static str, &'static str)> {
    match what {
        What::Released { reason: Reason::NodeReady, .. }
        | What::Held { .. }
        | What::HeartbeatSent
        | What::HeartbeatFailed => None,
        What::DrainStarted { .. } => Some(("started", "drain started", "")),
        What::Released { result: ActionResult::Abandon, reason, .. } => {
            Some(("abandoned", "abandoned", reason.as_str()))
        }
        What::Released { reason: Reason::Drained, .. } => Some(("finished", "drained and released", "")),
        What::Released { reason: Reason::DrainTimeout, .. } => {
            Some(("timed_out", "drain timed out, released with work still running", ""))
        }
        What::Released { reason, .. } => Some(("finished", "released", reason.as_str())),
        What::LeftToHook { reason } => {
            Some(("failed", "no longer looked after, the hook's time-out decides", reason.as_str()))
        }
        What::Failed { error } => Some(("failed", "drain could not be started", error)),
    }
}

fn named(happened: &[&Happened]) -> String {
    let names = happened.iter().take(NAMED).map(|Happened { cluster, whom, .. }| {
        let Whom { instance, group, nodes } = whom;
        let group = group.as_ref().map(|group| format!("group {group}"));
        let cluster = cluster.as_ref().map(|cluster| format!("cluster {cluster}"));
        let nodes: Vec<&str> = nodes.iter().map(NodeId::as_str).collect();
        let nodes = (!nodes.is_empty()).then(|| format!("node {}", nodes.join(", ")));
        let about: Vec<String> = group.into_iter().chain(cluster).chain(nodes).collect();
        if about.is_empty() { instance.to_string() } else { format!("{instance} [{}]", about.join(", ")) }
    });
    let names: Vec<String> = names.collect();
    match happened.len().saturating_sub(NAMED) {
        0 => names.join("; "),
        more => format!("{}; and {more} more", names.join("; ")),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use drain_core::ids::{GroupName, InstanceId};

    use super::*;
    use crate::chronicle::Drain;

    fn happened(number: u32, what: What) -> Happened {
        let whom = Whom {
            instance: InstanceId::parse(&format!("i-{number:017x}")).unwrap(),
            group: Some(GroupName::parse("R&D <!channel>").unwrap()),
            nodes: vec![NodeId::parse("f7476465-4d6e-c0de-26d0-e383c49be941").unwrap()],
        };
        Happened { cluster: None, whom, what }
    }

    fn released(result: ActionResult, reason: Reason) -> What {
        What::Released { result, reason, drain: Drain::default() }
    }

    #[test]
    fn each_kind_of_news_is_one_notification() {
        let news = [
            happened(1, What::DrainStarted { after: None }),
            happened(2, What::DrainStarted { after: None }),
            happened(3, released(ActionResult::Continue, Reason::Drained)),
            happened(4, released(ActionResult::Continue, Reason::DrainTimeout)),
            happened(5, released(ActionResult::Abandon, Reason::DrainTimeout)),
            happened(6, What::Failed { error: "NomadUnavailable" }),
            happened(7, What::LeftToHook { reason: Reason::MaxHoldReached }),
            happened(8, What::HeartbeatSent),
        ];
        let told = Told::of(&news);
        let events: Vec<&str> = told.iter().map(|one| one.event).collect();
        assert_eq!(events, ["started", "finished", "timed_out", "abandoned", "failed", "failed"]);
        assert_eq!(
            told[0].text,
            "Drain started: i-00000000000000001 [group R&D <!channel>, node f7476465-4d6e-c0de-26d0-e383c49be941]; \
             i-00000000000000002 [group R&D <!channel>, node f7476465-4d6e-c0de-26d0-e383c49be941]"
        );
        assert!(told[4].text.ends_with("(NomadUnavailable)"), "{}", told[4].text);
    }

    #[test]
    fn a_thousand_are_named_in_part_and_counted() {
        let news: Vec<Happened> =
            (0..1000).map(|number| happened(number, What::DrainStarted { after: None })).collect();
        let [only] = &Told::of(&news)[..] else { panic!("one notification") };
        assert!(only.text.ends_with("; and 990 more") && only.text.len() < 2_000, "{}", only.text);
    }

    #[test]
    fn a_name_is_no_mention() {
        let [only] = &Told::of(&[happened(1, What::DrainStarted { after: None })])[..] else { panic!("one") };
        assert!(only.for_slack().contains("R&amp;D &lt;!channel&gt;"), "{}", only.for_slack());
    }
}
