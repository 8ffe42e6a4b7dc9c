//! Runs the tests of `deploy/package` and of the workflows, in `tests/package`. They build nothing: a build with Zig takes
//! minutes, and `deploy/package` checks what it has built itself.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

#[test]
fn the_suite_of_the_package_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if Command::new("python3").arg("--version").output().is_err() {
        say("package tier skipped: there is no python3 on PATH");
        return;
    }
    let run = Command::new("python3")
        .args(["-m", "unittest", "discover", "--verbose", "--start-directory"])
        .arg(root.join("tests/package"))
        .env("PYTHONPATH", root.join("deploy"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{}{report}", String::from_utf8_lossy(&run.stdout));
    for skipped in report.lines().filter(|line| line.contains(" skipped ")) {
        say(&format!("package tier: {skipped}"));
    }
    let summary: Vec<&str> =
        report.lines().filter(|line| line.starts_with("Ran ") || line.starts_with("OK")).collect();
    say(&format!("package tier: {}", summary.join(", ")));
}

/// Says it even though the test passes: the test harness holds back what the print macros print, and no more.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
