//! Runs the black-box suite in `tests/blackbox`: a world in Python that shares nothing with the lab.

mod suite;

use std::path::Path;
use std::process::Command;

use suite::say;

#[test]
fn the_black_box_suite_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/blackbox");
    if Command::new("python3").arg("--version").output().is_err() {
        say("black-box tier skipped: there is no python3 on PATH");
        return;
    }
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover"]).env("BOOTSTRAP", env!("CARGO_BIN_EXE_bootstrap"));
    let report = suite::pass(&mut python, &folder);
    say(&format!("black-box tier: {}", suite::summary(&report)));
}
