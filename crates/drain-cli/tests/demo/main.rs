//! The demonstration, as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod browser;
mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// The function, as the tests of the workspace have it: where they run, nothing is built for this.
static FUNCTION: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    // A test of the package of which the binary is: it has the features that all tests together ask for.
    command.args(["test", "--workspace", "--test", "package", "--no-run", "--message-format", "json"]);
    // Build scripts look at what Cargo tells the tests that it runs, and would run again.
    for (name, _) in std::env::vars_os() {
        let name_starts = |told: &&str| name.to_string_lossy().starts_with(*told);
        if ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(name_starts) {
            command.env_remove(name);
        }
    }
    let built = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "the function cannot be built");
    let messages = built.stdout.split(|byte| *byte == b'\n');
    let mut messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let is_it =
        |message: &Value| message["target"]["name"] == "bootstrap" && message["profile"]["test"] == false;
    let found = messages
        .find_map(|message| message["executable"].as_str().filter(|_| is_it(&message)).map(PathBuf::from));
    found.unwrap_or_else(|| panic!("cargo does not name the function's binary"))
});

/// A demonstration that was played once for all tests that look at what it leaves behind.
struct Played {
    document: Value,
    folder: PathBuf,
}

impl Played {
    /// Its files.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

static PLAYED: LazyLock<Played> = LazyLock::new(|| {
    // It stays until the next time: nobody drops what is static.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-report");
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let [report, svg] = ["report.html", "timeline.svg"].map(|name| folder.join(name));
    let files = [report.to_str().unwrap(), svg.to_str().unwrap()];
    let run = demo(&["--json", "--report", files[0], "--svg", files[1]]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
    Played { document: serde_json::from_slice(&run.stdout).unwrap(), folder }
});

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad-drain"));
    command.args(["demo", "--bootstrap"]).arg(&*FUNCTION).args(arguments).output().unwrap()
}

/// The demonstration with a function that does nothing but end.
fn demo_that_fails(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad-drain"));
    command.args(["demo", "--bootstrap", "/bin/false"]).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_story_is_told_and_the_document_says_so() {
    let document = &PLAYED.document;
    assert_eq!(document["succeeded"], true);
    assert_eq!(document["problems"].as_array().unwrap().len(), 0);
    let instances = document["instances"].as_array().unwrap();
    let stories: Vec<&str> = instances.iter().map(|instance| instance["story"].as_str().unwrap()).collect();
    assert_eq!(stories, ["ordinary", "slow_kill", "lost_event", "operator_cancels", "nomad_outage"]);
    for instance in instances {
        assert_eq!((&instance["outcome"], &instance["reason"]), (&"completed".into(), &"drained".into()));
        let found_by = if instance["story"] == "lost_event" { "sweep" } else { "event" };
        assert_eq!(instance["found_by"], found_by, "{instance}");
        let ms = |field: &str| instance[field].as_u64().unwrap();
        assert!(ms("event_to_drain_ms") < ms("event_to_empty_ms"), "{instance}");
        // Not negative: nothing was released before its last allocation had ended.
        ms("empty_to_released_ms");
        assert!(ms("heartbeats") > 0, "{instance}");
    }
    let gave = |number: usize, reason: &str| {
        instances[number]["reasons"].as_array().unwrap().iter().any(|given| given == reason)
    };
    assert!(gave(3, "drain_cancelled"), "{}", instances[3]);
    assert!(gave(4, "nomad_unreachable"), "{}", instances[4]);
    for operation in ["POST /v1/node/:id/drain", "CompleteLifecycleAction"] {
        assert!(document["calls"][operation].as_u64().unwrap() >= 5, "{operation}");
    }
}

#[test]
fn without_a_terminal_there_is_a_line_for_each_event_and_a_summary() {
    let run = demo(&[]);
    let output = text(&run.stdout);
    assert!(run.status.success(), "{output}{}", text(&run.stderr));
    assert!(!output.contains('\u{1b}'), "no colours and no cursor movement without a terminal: {output}");
    let line_of =
        |words: &[&str]| output.lines().position(|line| words.iter().all(|word| line.contains(word)));
    let lines = [
        &["worker-1", "AWS", "ends it"][..],
        &["worker-1", "function", "drains the node"],
        &["worker-1", "releases it", "after its last allocation"],
        &["worker-2", "drain complete", "import, logger run on"],
        &["worker-3", "message is lost"],
        &["worker-3", "sweep", "proves that the hook holds it"],
        &["worker-4", "operator", "cancels the drain"],
        &["worker-4", "answers", "drain_cancelled"],
        &["worker-4", "operator", "drains the node himself"],
        &["worker-5", "cannot be reached any more"],
        &["worker-5", "answers", "nomad_unreachable"],
        &["worker-5", "can be reached again"],
        &["to drain", "to empty", "released"],
    ];
    for words in lines {
        assert!(line_of(words).is_some(), "{words:?} is not in {output}");
    }
    assert!(line_of(&["import", "has ended"]) < line_of(&["worker-2", "releases it"]), "{output}");
    assert!(output.contains("Everything happened"), "{output}");
}

#[test]
fn a_function_that_fails_is_told_at_once() {
    let run = demo_that_fails(&[]);
    assert!(!run.status.success());
    let said = text(&run.stderr);
    assert!(said.contains("the function failed: Runtime.ExitError"), "{said}");
}

/// A function that does nothing for long, and leaves its process id in a file.
#[cfg(target_os = "linux")]
fn idle_function(folder: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;

    let (script, pid) = (folder.join("bootstrap"), folder.join("pid"));
    std::fs::write(&script, format!("#!/bin/sh\necho $$ > '{}'\nexec sleep 600\n", pid.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    (script, pid)
}

#[cfg(target_os = "linux")]
#[test]
fn what_it_started_ends_with_it_and_its_files_are_not_there() {
    use std::time::{Duration, Instant};

    let until = |what: &str, happened: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < Duration::from_mins(1), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let (folder, reports) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (script, pid) = idle_function(folder.path());
    let read_pid = || std::fs::read_to_string(&pid).unwrap_or_default().trim().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad-drain"));
    command.args(["demo", "--json", "--bootstrap"]).arg(&script);
    let mut demo = command.arg("--report").arg(reports.path().join("report.html")).spawn().unwrap();
    until("the function was not started", &|| !read_pid().is_empty());
    let killed = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(!demo.wait().unwrap().success());
    // Whoever has ended has no command line, reaped or not.
    let command_line = format!("/proc/{}/cmdline", read_pid());
    let gone = || std::fs::read(&command_line).map_or(true, |bytes| bytes.is_empty());
    until("the function's process lives on", &gone);
    assert_eq!(report::names_in(reports.path()), Vec::<String>::new());
}

#[test]
fn without_a_nomad_the_real_demonstration_says_where_to_get_one() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nomad-drain"));
    command.args(["demo", "--real-nomad", "--bootstrap", "/bin/false"]);
    let run = command.env_remove("NOMAD_BIN").env("PATH", "").output().unwrap();
    assert!(!run.status.success());
    let said = text(&run.stderr);
    for expected in ["NOMAD_BIN", "https://developer.hashicorp.com/nomad/install"] {
        assert!(said.contains(expected), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_same_stories_are_told_on_a_real_cluster() {
    use std::io::Write as _;

    if drain_lab::real_nomad::find(|name| std::env::var_os(name)).is_none() {
        let line =
            "demonstration on a real Nomad skipped: there is no nomad on PATH, and NOMAD_BIN is not set";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let run = demo(&["--json", "--real-nomad"]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&document["succeeded"], &document["problems"]), (&true.into(), &Value::Array(vec![])));
    let version = document["real_nomad"].as_str().unwrap();
    assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");
    let _ = writeln!(std::io::stderr(), "demonstration on a real Nomad {version}: all five stories");
    let instances = document["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 5);
    for instance in instances {
        assert_eq!((&instance["outcome"], &instance["reason"]), (&"completed".into(), &"drained".into()));
        assert!(instance["empty_to_released_ms"].as_u64().is_some(), "{instance}");
    }
}
