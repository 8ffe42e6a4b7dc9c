//! What the function is made of. And runs the tests of `deploy/package` and of the workflows, in `tests/package`. They build nothing: a build with Zig takes
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
