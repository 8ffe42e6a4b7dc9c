//! One thing broken in a deployment, and nothing else said than that.

use drain_lab::lab::Route;
use serde_json::Value;

use super::{Clinic, Examination};

/// The hook that findings about the way to the function are about.
pub(super) const HOOK: &str = "workers, nomad-drain-hook";

/// Breaks something in a deployment whose hook tells of itself by this route, and compares what is complained of: for each
/// finding its code and what it is about.
pub(super) async fn provoke(route: Route, breaks: impl FnOnce(&Clinic), complaints: &[&str]) {
    let clinic = Clinic::by(route).await;
    breaks(&clinic);
    let examined = clinic.examine().await;
    assert_eq!(complaints_of(&examined), complaints, "{route:?}: {examined:#?}");
}

/// Whatever is not as it should be. The exit status is 1 exactly if some of it is an error, and each comes with what to
/// do.
#[track_caller]
pub(super) fn complaints_of(examined: &Examination) -> Vec<String> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let wrong: Vec<&Value> = examined.findings.iter().filter(|finding| finding["severity"] != "ok").collect();
    let has_error = wrong.iter().any(|finding| finding["severity"] == "error");
    assert_eq!(examined.status, i32::from(has_error), "{examined:#?}");
    for finding in &wrong {
        assert!(!text(finding, "todo").is_empty(), "nothing to do about it: {finding}");
    }
    wrong.iter().map(|finding| format!("{} {}", text(finding, "code"), text(finding, "about"))).collect()
}
