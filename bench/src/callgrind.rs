//! Instructions instead of seconds: the same program, events and answers take the same number of them, whatever else the
//! machine does.
//!
//! Nor does it matter which processor that is. The C library, *ring* and others choose their code by what the processor says it
//! can do, and in valgrind it always says the same: where there is AVX2, that it is one certain Intel Core of 2014 (`VEX`,
//! `amd64g_dirtyhelper_CPUID_avx2`), on AMD's too. Older ones show something else: see [`are_comparable`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{Process, Program, cpu_ns};
use crate::runtime_api::RuntimeApi;
use crate::stage::{Certificates, Stage};

/// A program in valgrind is fifty times slower.
const PATIENCE: Duration = Duration::from_mins(1);

/// Valgrind, if it is installed.
pub(crate) fn valgrind() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("valgrind")).find(|file| file.is_file())
}

/// Whether instructions can be compared with those of other machines of this architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) fn are_comparable() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// The same: nobody knows better.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn are_comparable() -> bool {
    true
}

/// The instructions of a program from its start to the poll after so many events, each the end of another instance.
pub(crate) async fn instructions(
    program: &Path,
    events: u32,
    certificates: &Certificates,
    scratch: &Path,
) -> anyhow::Result<u64> {
    let valgrind = valgrind().context("valgrind is not installed")?;
    let stage = Stage::start(certificates).await?;
    let workers = stage.add_workers(events, Duration::from_hours(9))?;
    let mut api = RuntimeApi::open().await?;
    let mut variables = stage.variables(api.address(), 128);
    short(&mut variables);
    let profile = scratch.join(format!("callgrind-{:08x}.out", fastrand::u32(..)));
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&profile);
    let arguments = vec!["--tool=callgrind".into(), file, "--quiet".into(), program.into()];
    let process = Process::spawn(&Program { path: valgrind, arguments, variables })?;
    let played = async {
        let mut poll = api.poll(PATIENCE).await?;
        for worker in &workers {
            poll.give(stage.terminate(worker)?);
            poll = api.poll(PATIENCE).await?;
        }
        idle(process.id()?).await?;
        // It waits for the next event until it is ended.
        Ok(poll)
    };
    let played: anyhow::Result<_> = played.await;
    // Valgrind writes the profile when the program is asked to end.
    let printed = process.terminate().await;
    played.with_context(|| format!("{} in valgrind, which printed: {printed}", program.display()))?;
    let text = std::fs::read_to_string(&profile)
        .with_context(|| format!("valgrind wrote no profile; it printed: {printed}"))?;
    // A profile of a hundred thousand lines.
    _ = std::fs::remove_file(&profile);
    total(&text).context("the profile has no total")
}

/// An event is answered as soon as its drain has begun: how often a function looks again would be left to chance.
pub(crate) fn short(variables: &mut std::collections::BTreeMap<OsString, OsString>) {
    variables.insert("EVENT_LINGER".into(), "1ms".into());
}

/// Waits until a process does nothing.
pub(crate) async fn idle(id: u32) -> anyhow::Result<()> {
    let mut before = cpu_ns(id)?;
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = cpu_ns(id)?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
    bail!("the process is still busy")
}

/// The instructions in a profile (Valgrind manual, "Callgrind Format Specification").
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_read() {
        let profile = "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) main\n12 7\n\ntotals: 3415926\n";
        assert_eq!(total(profile), Some(3_415_926));
        assert_eq!(total("events: Ir\n"), None);
    }
}
