//! The doctor: a deployment in which everything is right, one thing broken at a time, and what is said of it.

mod advice;
mod certificates;
mod configuration;
mod function;
mod groups;
mod nodes;
mod nomad;
mod path;
mod permissions;
mod pictures;
mod provoke;
mod queues;
mod sweep;
mod token;

use std::path::Path;

use drain_lab::lab::{Deployment, Route};
use serde_json::Value;
use tokio::process::Command;

use crate::stage::{GROUP, Ran, Stage, bare};

/// The name of the function.
const FUNCTION: &str = "nomad-drain";

/// A lab in which everything is right, and somebody who may look at it.
pub(crate) struct Clinic {
    pub(crate) stage: Stage,
    pub(crate) deployment: Deployment,
}

impl Clinic {
    /// Everything right: a topic calls the function, a sweep runs, two instances have their nodes.
    pub(crate) async fn open() -> Self {
        Self::by(Route::TopicToFunction).await
    }

    /// The same, with another way from the hook to the function.
    pub(crate) async fn by(route: Route) -> Self {
        let stage = Stage::set_up().await;
        for number in [1, 2] {
            stage.add_worker(GROUP, number).unwrap();
        }
        let deployment = stage.deployed_by(route);
        deployment.set_variable("AUTO_SCALING_GROUPS", GROUP);
        Self { stage, deployment }
    }

    /// The doctor, with nothing in its environment but where AWS is and an operator's credentials.
    pub(crate) fn doctor(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["doctor"];
        all.extend(arguments);
        let mut command = bare(&all);
        let operator = self.stage.aws.account().operator();
        command
            .env("AWS_ENDPOINT_URL", self.stage.aws_url())
            .env("AWS_REGION", &operator.region)
            .env("AWS_ACCESS_KEY_ID", &operator.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &operator.secret_access_key)
            .env("AWS_SESSION_TOKEN", &operator.session_token);
        command
    }

    /// Has the deployed function looked at.
    pub(crate) async fn examine(&self) -> Examination {
        self.examine_with(&[]).await
    }

    /// The same, with these variables in the environment, which come before the function's.
    pub(crate) async fn examine_with(&self, variables: &[(&str, &str)]) -> Examination {
        let mut command = self.doctor(&["--function", FUNCTION, "--json"]);
        command.envs(variables.iter().copied());
        Examination::of(&Ran::of(command).await)
    }
}

/// What the doctor has said.
#[derive(Debug)]
pub(crate) struct Examination {
    pub(crate) status: i32,
    pub(crate) findings: Vec<Value>,
}

impl Examination {
    #[track_caller]
    pub(crate) fn of(ran: &Ran) -> Self {
        let document = ran.json();
        assert_eq!(ran.err, "", "the result is on standard output alone");
        let findings = document["findings"].as_array().unwrap().clone();
        Self { status: ran.status, findings }
    }

    /// The codes of everything that is not as it should be, in order.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let wrong = self.findings.iter().filter(|finding| finding["severity"] != "ok");
        wrong.map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    /// The first finding with this code.
    #[track_caller]
    pub(crate) fn finding(&self, code: &str) -> &Value {
        let found = self.findings.iter().find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code}: {:?}", self.complaints()))
    }

    /// What a finding says is wrong, and what to do.
    #[track_caller]
    pub(crate) fn said(&self, code: &str) -> String {
        let finding = self.finding(code);
        let part = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        [part("about"), part("what"), part("todo"), part("command")].join("\n")
    }

    /// Fails unless exactly this is wrong, and the status says so.
    #[track_caller]
    pub(crate) fn complains_of(&self, codes: &[&str], status: i32) {
        assert_eq!(self.complaints(), codes, "{:#?}", self.findings);
        assert_eq!(self.status, status);
    }
}

#[tokio::test]
async fn a_deployment_in_which_everything_is_right_is_fine() {
    let clinic = Clinic::open().await;
    let examined = clinic.examine().await;
    // The lab's Nomad is reached without TLS, and on loopback nobody minds.
    examined.complains_of(&[], 0);
    for code in [
        "configuration-valid",
        "credentials",
        "function",
        "group",
        "timing",
        "path",
        "permissions",
        "nomad",
        "token",
        "nodes",
        "sweep",
    ] {
        examined.finding(code);
    }
    assert!(examined.said("path").contains("topic nomad-drain → nomad-drain"), "{}", examined.said("path"));
}

/// The codes in the tables of docs/doctor.md.
fn documented() -> Vec<&'static str> {
    let document = include_str!("../../../../docs/doctor.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`')).map(|(code, _)| code).collect()
}

/// A finding that nobody has seen is one of which nobody knows whether it comes when it should, and whether it can be read. A
/// test names it as a text that begins with it.
#[test]
fn every_code_is_seen_by_a_test_of_the_real_binary() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operator");
    let folder = std::fs::read_dir(tests.join("doctor")).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<String> =
        folder.chain([tests.join("doctor.rs")]).map(|path| std::fs::read_to_string(&path).unwrap()).collect();
    let is_seen = |code: &&str| {
        ["\"", " "].iter().any(|end| texts.iter().any(|text| text.contains(&format!("\"{code}{end}"))))
    };
    let unseen: Vec<&str> = documented().into_iter().filter(|code| !is_seen(code)).collect();
    assert!(documented().len() > 100, "the tables are read");
    assert_eq!(unseen, [""; 0], "provoke them");
}
