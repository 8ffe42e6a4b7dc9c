//! The files: what is in them, and when they are there.

use std::path::Path;

use serde_json::Value;

use crate::{PLAYED, demo_that_fails, text};

/// The names of what is in a folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_course_of_each_instance_agrees_with_its_figures() {
    let instances = PLAYED.document["instances"].as_array().unwrap();
    for instance in instances {
        let course = &instance["course"];
        let ms = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("{instance}"));
        // Each is cut off by itself, and up to four of them are compared.
        let same = |one: i64, other: i64| assert!((one - other).abs() <= 2, "{one}, {other}: {instance}");
        let held = ms(&course["held_at_ms"]);
        same(ms(&course["released_at_ms"]) - held, ms(&instance["held_ms"]));
        let found = held + ms(&instance["found_after_ms"]);
        same(ms(&course["drains"][0]["from_ms"]) - found, ms(&instance["event_to_drain_ms"]));
        let running = course["running"].as_array().unwrap();
        assert_eq!(ms(&running[0]["at_ms"]), held, "{instance}");
        assert!(ms(&running[0]["allocations"]) > 0, "{instance}");
        let last = running.last().unwrap();
        assert_eq!(ms(&last["allocations"]), 0, "{instance}");
        same(ms(&last["at_ms"]) - found, ms(&instance["event_to_empty_ms"]));
        let heartbeats = course["heartbeats_at_ms"].as_array().unwrap();
        assert_eq!(
            Some(heartbeats.len()),
            instance["heartbeats"].as_u64().and_then(|count| count.try_into().ok())
        );
    }
    let drains = |number: usize| {
        let drains = instances[number]["course"]["drains"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        drains.iter().map(|drain| (word(&drain["by"]), word(&drain["end"]))).collect::<Vec<_>>()
    };
    let owned = |by: &str, end: &str| (by.to_owned(), end.to_owned());
    assert_eq!(drains(0), [owned("function", "complete")]);
    assert_eq!(drains(1), [owned("function", "deadline")]);
    assert_eq!(drains(2), [owned("sweep", "complete")]);
    assert_eq!(drains(3), [owned("function", "cancelled"), owned("operator", "complete")]);
    let outage = &PLAYED.document["outage"];
    assert!(outage["from_ms"].as_i64() < outage["to_ms"].as_i64(), "{outage}");
}

#[test]
fn report_and_picture_tell_what_the_document_tells() {
    let read = |name: &str| std::fs::read_to_string(PLAYED.file(name)).unwrap();
    let (report, picture) = (read("report.html"), read("timeline.svg"));
    let document = &PLAYED.document;
    for instance in document["instances"].as_array().unwrap() {
        for field in ["instance_id", "node_name", "reason"] {
            assert!(report.contains(instance[field].as_str().unwrap()), "{field} of {instance}");
        }
        assert!(picture.contains(instance["node_name"].as_str().unwrap()), "{instance}");
    }
    for line in document["timeline"].as_array().unwrap() {
        assert!(report.contains(line["what"].as_str().unwrap()), "{line}");
    }
    for operation in document["calls"].as_object().unwrap().keys() {
        assert!(report.contains(operation), "{operation}");
    }
    assert!(picture.starts_with("<svg ") && picture.contains("<title ") && picture.contains("<desc "));
    assert_eq!(names_in(&PLAYED.folder).len(), 2, "nothing else is left beside the files");
}

#[test]
fn a_wrong_path_is_told_before_anything_is_built_or_played() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent/report.html");
    for flag in ["--report", "--svg"] {
        let run = demo_that_fails(&[flag, path.to_str().unwrap()]);
        let said = text(&run.stderr);
        assert_eq!(run.status.code(), Some(3), "{said}");
        assert!(said.contains("absent/report.html cannot be written: there is no folder"), "{said}");
        assert_eq!(text(&run.stdout), "");
    }
}

#[test]
fn a_demonstration_that_breaks_off_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let run = demo_that_fails(&["--report", path.to_str().unwrap()]);
    let said = text(&run.stderr);
    assert!(said.contains("the function failed"), "{said}");
    assert_eq!(names_in(folder.path()), Vec::<String>::new());
}

#[test]
fn two_documents_in_one_place_make_no_sense() {
    for arguments in
        [&["--json", "--report", "-"][..], &["--report", "-", "--svg", "-"], &["--report", "x", "--svg", "x"]]
    {
        let run = demo_that_fails(arguments);
        let said = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains("need a place each") && said.contains("Usage: nomad-drain demo"), "{said}");
    }
}
