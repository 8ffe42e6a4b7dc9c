//! Memory and size: the most that one drain needs, and what is uploaded.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;
use tokio::process::Command;

use crate::ground::Ground;
use crate::process::{Process, Program, memory};
use crate::report::{Section, Table, Target};
use crate::runtime_api::RuntimeApi;
use crate::stage::{Certificates, DRAIN, Stage};
use crate::units::{count, megabytes};

/// What was promised.
const PEAK_BYTES: f64 = 10e6;
const ZIP_BYTES: f64 = 2.5e6;

/// After this a process hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Zips the program as the package does.
const ZIP: &str = "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
from pathlib import Path
from lambda_package import archive
archive.write(Path(sys.argv[3]), {'bootstrap': Path(sys.argv[2]).read_bytes()})";

/// What was measured, in bytes.
#[derive(Debug, Serialize)]
struct Sizes {
    /// Resident set at the first poll.
    at_first_poll: u64,
    /// The largest resident set, the whole drain long.
    peak: u64,
    /// Of the resident set in the end, what is not part of a file.
    anonymous: u64,
    bootstrap: u64,
    zip: u64,
}

/// Plays one whole drain, and weighs the package.
pub(crate) async fn measure(ground: &Ground) -> anyhow::Result<Section> {
    let certificates = Certificates::make(ground.scratch.path())?;
    let stage = Stage::start(&certificates).await?;
    let workers = stage.add_workers(1, Duration::from_millis(500))?;
    let worker = workers.first().context("no worker")?;
    let mut api = RuntimeApi::open().await?;
    let mut variables = stage.variables(api.address(), 128);
    variables.insert("POLL_INTERVAL".into(), "200ms".into());
    let program = Program { path: ground.function.clone(), arguments: vec![], variables };
    let process = Process::spawn(&program)?;
    let id = process.id()?;
    let poll = api.poll(PATIENCE).await?;
    let at_first_poll = memory(id, "VmHWM")?;
    poll.give(stage.terminate(worker)?);
    let _poll = api.poll(PATIENCE).await?;
    let calls: Vec<String> = stage.calls().into_iter().map(|call| call.what).collect();
    if !calls.iter().any(|what| what == DRAIN) || !calls.iter().any(|what| what == "CompleteLifecycleAction")
    {
        bail!("this was no whole drain: {calls:?}");
    }
    let (peak, anonymous) = (memory(id, "VmHWM")?, memory(id, "RssAnon")?);
    process.kill().await;
    let zip = ground.scratch.path().join("function.zip");
    zipped(&ground.workspace, &ground.function, &zip).await?;
    let bytes = |path: &Path| anyhow::Ok(std::fs::metadata(path)?.len());
    let (bootstrap, zip) = (bytes(&ground.function)?, bytes(&zip)?);
    Ok(section(&Sizes { at_first_poll, peak, anonymous, bootstrap, zip }))
}

async fn zipped(workspace: &Path, function: &Path, zip: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("python3");
    command.args(["-c", ZIP]).arg(workspace.join("deploy")).arg(function).arg(zip);
    let output = command.output().await.context("python3 does not start")?;
    if !output.status.success() {
        bail!("the package cannot be zipped: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn section(sizes: &Sizes) -> Section {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let mb = |bytes: u64| bytes as f64;
    let mut section = Section::new("size", "Memory and size of one drain");
    section.headlines.push(format!(
        "One drain from event to completed hook needs {} of memory at most; the package is {}.",
        megabytes(mb(sizes.peak)),
        megabytes(mb(sizes.zip))
    ));
    section.targets.push(Target::at_most("Peak memory of one drain", PEAK_BYTES, mb(sizes.peak), megabytes));
    section.targets.push(Target::at_most("Package", ZIP_BYTES, mb(sizes.zip), megabytes));
    let mut table = Table::new("Bytes", &["", "bytes"]);
    for (name, bytes) in [
        ("resident set at the first poll (`VmHWM`)", sizes.at_first_poll),
        ("largest resident set of one whole drain (`VmHWM`)", sizes.peak),
        ("of it at the end: not from a file (`RssAnon`)", sizes.anonymous),
        ("program", sizes.bootstrap),
        ("package (zip)", sizes.zip),
    ] {
        table.row([name.to_owned(), count(bytes)]);
    }
    section.tables.push(table);
    section.how = vec![
        "One process gets one event, drains its node, watches the work stop, and completes the lifecycle action, over TLS; then \
         its `/proc/PID/status` is read. Pages of the program and the C library count as far as they were touched."
            .to_owned(),
        "The program is that of `cargo build --release`, zipped as `deploy/package` zips it. The released one is built by \
         cargo-lambda against an older C library, from the same sources in the same profile."
            .to_owned(),
    ];
    section.data = json!(sizes);
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_up_to_their_bounds() {
        let told = |peak, zip| {
            let sizes =
                Sizes { at_first_poll: 5_000_000, peak, anonymous: 1_000_000, bootstrap: 4_000_000, zip };
            section(&sizes).targets.iter().map(|target| target.met).collect::<Vec<bool>>()
        };
        assert_eq!(told(10_000_000, 2_500_000), [true, true]);
        assert_eq!(told(10_000_001, 2_500_001), [false, false]);
    }
}
