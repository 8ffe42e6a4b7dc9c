//! No regressions: instructions and size against what was recorded. Time is never judged: it belongs to the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::callgrind::{are_comparable, instructions, valgrind};
use crate::stage::Certificates;
use crate::units::count;
use crate::{build, warm};

/// By how many hundredths a figure may exceed what was recorded.
const TOLERATED_PERCENT: u64 = 5;

/// What is recorded, by the machine's architecture: `bench/recorded.json`.
type Recorded = BTreeMap<String, Figures>;

/// What is compared. Those that valgrind counts are missing where there is none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Figures {
    /// The size of `bootstrap`.
    bytes: Option<u64>,
    /// From its start to its first poll.
    init_instructions: Option<u64>,
    /// Of one event in a warm process.
    event_instructions: Option<u64>,
}

/// How a figure compares.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Verdict {
    Good(String),
    Better(String),
    Worse(String),
    Skipped(String),
}

/// Measures, and fails if a figure exceeds what was recorded by more than is tolerated.
pub(crate) async fn check(workspace: &Path, recorded: Option<&Path>) -> anyhow::Result<()> {
    let file = recorded.map_or_else(|| workspace.join(FILE), Path::to_path_buf);
    let recorded = read(&file)?;
    let Some(recorded) = recorded.get(std::env::consts::ARCH) else {
        println!("nothing is recorded for {}: cargo bench-all record", std::env::consts::ARCH);
        return Ok(());
    };
    let verdicts = compare(recorded, &figures(workspace).await?);
    for verdict in &verdicts {
        let (Verdict::Good(text) | Verdict::Better(text) | Verdict::Worse(text) | Verdict::Skipped(text)) =
            verdict;
        println!("{text}");
    }
    if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Worse(_))) {
        bail!(
            "the function has grown by more than {TOLERATED_PERCENT} %. Find out why; if it is worth it, say so in the commit and \
             record anew: cargo bench-all record"
        );
    }
    Ok(())
}

/// Measures, and records it for machines of this architecture.
pub(crate) async fn record(workspace: &Path) -> anyhow::Result<()> {
    let file = workspace.join(FILE);
    let mut recorded = if file.exists() { read(&file)? } else { Recorded::new() };
    let figures = figures(workspace).await?;
    if figures.init_instructions.is_none() {
        bail!("{WHY_NONE}: there would be no instructions in {FILE}");
    }
    recorded.insert(std::env::consts::ARCH.to_owned(), figures);
    std::fs::write(&file, serde_json::to_string_pretty(&recorded)? + "\n")?;
    println!("{}: {figures:?}", file.display());
    Ok(())
}

/// Why no instructions are counted.
const WHY_NONE: &str = "valgrind is not installed, or this processor has no AVX2 and takes other ways";

const FILE: &str = "bench/recorded.json";

fn read(file: &PathBuf) -> anyhow::Result<Recorded> {
    let text = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))
}

async fn figures(workspace: &Path) -> anyhow::Result<Figures> {
    let function = build::release(workspace, "drain-lambda", "bootstrap")?;
    let bytes = Some(std::fs::metadata(&function)?.len());
    if valgrind().is_none() || !are_comparable() {
        return Ok(Figures { bytes, ..Figures::default() });
    }
    let scratch = tempfile::Builder::new().prefix("drain-bench-").tempdir()?;
    let certificates = Certificates::make(scratch.path())?;
    let init = instructions(&function, 0, &certificates, scratch.path()).await?;
    let event = warm::per_event(&function, &certificates, scratch.path()).await?;
    Ok(Figures { bytes, init_instructions: Some(init), event_instructions: Some(event) })
}

fn compare(recorded: &Figures, measured: &Figures) -> Vec<Verdict> {
    [
        ("bytes of the program", recorded.bytes, measured.bytes),
        (
            "instructions from the start to the first poll",
            recorded.init_instructions,
            measured.init_instructions,
        ),
        ("instructions of a warm event", recorded.event_instructions, measured.event_instructions),
    ]
    .into_iter()
    .map(|(what, recorded, measured)| verdict(what, recorded, measured))
    .collect()
}

fn verdict(what: &str, recorded: Option<u64>, measured: Option<u64>) -> Verdict {
    let (recorded, measured) = match (recorded, measured) {
        (Some(recorded), Some(measured)) => (recorded, measured),
        (Some(_), None) => return Verdict::Skipped(format!("{what}: skipped, as {WHY_NONE}")),
        (None, _) => return Verdict::Skipped(format!("{what}: skipped, as none are recorded")),
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let change = (measured as f64 / recorded as f64 - 1.0) * 100.0;
    let text = format!("{what}: {}, {change:+.1} % of the recorded {}", count(measured), count(recorded));
    if measured * 100 > recorded * (100 + TOLERATED_PERCENT) {
        Verdict::Worse(format!("{text}: too many"))
    } else if measured * (100 + TOLERATED_PERCENT) < recorded * 100 {
        Verdict::Better(format!("{text}: record it anew, so that it stays so (cargo bench-all record)"))
    } else {
        Verdict::Good(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundredths_more_are_tolerated_and_nothing_beyond() {
        let judged = |measured| verdict("bytes", Some(1_000_000), Some(measured));
        for measured in [1_000_000, 1_050_000, 960_000] {
            assert!(matches!(judged(measured), Verdict::Good(_)), "{measured}");
        }
        assert_eq!(
            judged(1_050_001),
            Verdict::Worse("bytes: 1,050,001, +5.0 % of the recorded 1,000,000: too many".to_owned())
        );
        assert!(matches!(judged(900_000), Verdict::Better(_)));
    }

    #[test]
    fn each_figure_is_compared_with_its_own() {
        let figures = |bytes, init, event| Figures {
            bytes: Some(bytes),
            init_instructions: Some(init),
            event_instructions: Some(event),
        };
        let recorded = figures(100, 200, 300);
        let worse = |measured| {
            let verdicts = compare(&recorded, &measured);
            verdicts.iter().map(|verdict| matches!(verdict, Verdict::Worse(_))).collect::<Vec<bool>>()
        };
        assert_eq!(worse(figures(200, 200, 300)), [true, false, false]);
        assert_eq!(worse(figures(100, 300, 300)), [false, true, false]);
        assert_eq!(worse(figures(100, 200, 400)), [false, false, true]);
    }

    #[test]
    fn without_valgrind_the_size_is_compared_all_the_same() {
        let recorded = Figures { bytes: Some(100), init_instructions: Some(5), event_instructions: Some(5) };
        let verdicts = compare(&recorded, &Figures { bytes: Some(120), ..Figures::default() });
        assert!(matches!(verdicts[0], Verdict::Worse(_)));
        assert!(matches!(&verdicts[1], Verdict::Skipped(text) if text.contains("valgrind is not installed")));
    }
}
