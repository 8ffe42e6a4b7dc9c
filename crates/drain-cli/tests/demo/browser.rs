//! The report in a real browser, without a network.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PLAYED;

/// Widths in CSS pixels: a small phone, a phone, and a screen. A scroll bar takes some of it.
const WIDTHS: [u32; 3] = [360, 390, 1280];

/// Chromium, or something that calls itself so: `CHROMIUM`, or by its usual names on `PATH`.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let mut places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.find(|place| place.is_file())
}

/// What a page has become, and what the browser said of it on its console.
struct Seen {
    dom: String,
    console: Vec<String>,
}

/// Opens a file. The browser knows no host, and what it keeps is in a folder that goes away.
fn open(chromium: &Path, page: &Path) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    command.arg(format!("file://{}", page.display()));
    let mut browser = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = browser.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > Duration::from_mins(3) {
            browser.kill().unwrap();
            break browser.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let said = read(&err);
    assert!(status.success(), "{} ended with {status}: {said}", chromium.display());
    let console = said.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { dom: read(&out), console }
}

/// A page of the test's own that shows the report in frames of these widths, and says how wide it would like to be.
fn measuring(report: &str) -> String {
    let framed = report.replace('&', "&amp;").replace('"', "&quot;");
    let mut page = String::from("<!DOCTYPE html>\n<title>measures</title>\n");
    for width in WIDTHS {
        let _ = writeln!(
            page,
            "<iframe width=\"{width}\" height=\"800\" style=\"border:0\" srcdoc=\"{framed}\"></iframe>"
        );
    }
    page.push_str(
        "<pre id=\"measures\"></pre>\n<script>\n\
         onload = () => {\n\
           const measures = [...document.querySelectorAll('iframe')].map(frame => {\n\
             const page = frame.contentDocument;\n\
             page.querySelectorAll('details').forEach(details => details.open = true);\n\
             const wide = page.documentElement.scrollWidth;\n\
             const pictures = [...page.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0);\n\
             return {wide, inside: page.documentElement.clientWidth, pictures: pictures.length};\n\
           });\n\
           const result = document.getElementById('measures');\n\
           result.textContent = JSON.stringify(measures);\n\
           document.querySelectorAll('iframe').forEach(frame => frame.remove());\n\
         };\n</script>\n",
    );
    page
}

#[test]
fn a_browser_shows_the_report_and_asks_for_nothing() {
    let Some(chromium) = chromium() else {
        let line = "the report in a browser skipped: there is no chromium on PATH, and CHROMIUM is not set";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    };
    let report = PLAYED.file("report.html");
    let Seen { dom, console } = open(&chromium, &report);
    assert_eq!(console, Vec::<String>::new(), "nothing is refused, and nothing fails");
    for expected in [
        "an ordinary end: services, batch work and a system job leave",
        "a task ignores its signal and outlives the drain",
        "the hook's message is lost: the sweep finds the instance",
        "an operator cancels the drain, then drains the node himself",
        "Nomad cannot be reached in the middle of the drain",
        "No instance was released before its last allocation had ended.",
    ] {
        assert!(dom.contains(expected), "{expected}: {dom}");
    }
    for line in PLAYED.document["timeline"].as_array().unwrap() {
        assert!(dom.contains(line["what"].as_str().unwrap()), "{line}");
    }

    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("measures.html");
    std::fs::write(&page, measuring(&std::fs::read_to_string(&report).unwrap())).unwrap();
    let Seen { dom, console } = open(&chromium, &page);
    assert_eq!(console, Vec::<String>::new());
    let measures = dom.split_once("<pre id=\"measures\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (measures, _) = measures.unwrap_or_else(|| panic!("{dom}"));
    let measures: Value = serde_json::from_str(measures).unwrap_or_else(|error| panic!("{error}: {dom}"));
    for (width, measure) in WIDTHS.into_iter().zip(measures.as_array().unwrap()) {
        assert!(measure["wide"].as_u64() <= measure["inside"].as_u64(), "{measure} at a width of {width}");
        assert_eq!(measure["pictures"], 1, "one of the two pictures fits a width of {width}");
    }
}

#[test]
fn a_browser_that_is_asked_for_more_says_so() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let report = std::fs::read_to_string(PLAYED.file("report.html")).unwrap();
    // So that the test above is known to see what it looks for.
    std::fs::write(
        &page,
        report.replace("<main>", "<main><img src=\"https://nomad.example/x.png\" alt=\"\" />"),
    )
    .unwrap();
    let Seen { console, .. } = open(&chromium, &page);
    assert!(console.iter().any(|line| line.contains("nomad.example")), "{console:?}");
}
