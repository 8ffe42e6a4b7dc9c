//! Suites of tests in Python, each of which is one test of Cargo's.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs the suite in a folder: `discover` is Python with what `unittest` is told besides. Fails with all that the suite
/// has said if one of its tests has failed, and else gives it back.
#[track_caller]
pub(crate) fn pass(discover: &mut Command, folder: &Path) -> String {
    discover.arg("--start-directory").arg(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let run = discover.output().unwrap_or_else(|error| panic!("{discover:?} cannot be run: {error}"));
    let report = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{}{report}", String::from_utf8_lossy(&run.stdout));
    report
}

/// How many tests have run and how many were skipped, from what a suite has said.
pub(crate) fn summary(report: &str) -> String {
    let lines = report.lines().filter(|line| line.starts_with("Ran ") || line.starts_with("OK"));
    lines.collect::<Vec<_>>().join(", ")
}

/// Says it even though the test passes: the test harness holds back what the print macros print, and no more.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
