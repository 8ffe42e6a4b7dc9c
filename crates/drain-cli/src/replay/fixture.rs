//! A decision as a test case.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::step::Step;

/// Writes each decision, as it is made now, into a folder or as one file. Says which files those are.
pub(super) fn write(place: &Path, steps: &[Step]) -> anyhow::Result<Vec<PathBuf>> {
    let paths = paths(place, steps)?;
    // All or nothing, as far as that can be known before.
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        bail!("{} is there already, and no test case is overwritten. Nothing was written", path.display());
    }
    for (path, step) in paths.iter().zip(steps) {
        let text = serde_json::to_string_pretty(&step.record)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        file.and_then(|mut file| writeln!(file, "{text}"))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(paths)
}

fn paths(place: &Path, steps: &[Step]) -> anyhow::Result<Vec<PathBuf>> {
    if !place.is_dir() {
        if place.extension().is_none_or(|extension| extension != "json") {
            bail!("{} is no folder, and as a file its name has to end with .json", place.display());
        }
        if steps.len() != 1 {
            bail!("one file holds one decision, and there are {}: name a folder", steps.len());
        }
        return Ok(vec![place.to_owned()]);
    }
    let mut taken = BTreeSet::new();
    let mut path = |step: &Step| {
        let name = format!("{}-{}", step.reason, step.record.observation.target.instance);
        let numbers = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
        let mut names = numbers.map(|number| format!("{name}{number}.json"));
        let name = names.find(|name| taken.insert(name.clone())).unwrap_or_default();
        place.join(name)
    };
    Ok(steps.iter().map(&mut path).collect())
}
