//! What the function is made of. And runs the tests of `deploy/package` and of the workflows, in `tests/package`. They build nothing: a build with Zig takes
//! minutes, and `deploy/package` checks what it has built itself.

mod suite;

use std::path::Path;
use std::process::Command;

use suite::say;

#[test]
fn the_suite_of_the_package_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if Command::new("python3").arg("--version").output().is_err() {
        say("package tier skipped: there is no python3 on PATH");
        return;
    }
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover", "--verbose"]).env("PYTHONPATH", root.join("deploy"));
    let report = suite::pass(&mut python, &root.join("tests/package"));
    for skipped in report.lines().filter(|line| line.contains(" skipped ")) {
        say(&format!("package tier: {skipped}"));
    }
    say(&format!("package tier: {}", suite::summary(&report)));
}

/// What a cold start must not pay for (docs/decisions/0002 and 0012), and a second TLS provider.
#[test]
fn the_function_carries_none_of_the_tools_weight() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let listed = Command::new(cargo)
        .args([
            "tree",
            "--package",
            "drain-lambda",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(["--locked", "--offline"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"lambda_runtime") && names.contains(&"drain-core"), "{names:?}");
    let too_heavy =
        ["aws-config", "aws-sdk-sts", "aws-lc-rs", "clap", "drain-lab", "reqwest", "rustls-native-certs"];
    for heavy in too_heavy {
        assert!(!names.contains(&heavy), "the function depends on {heavy}");
    }
}
