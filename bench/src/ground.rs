//! What every measurement stands on: the programs, and a folder for what passes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::build;

/// The programs that are compared, and a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The checkout.
    pub(crate) workspace: PathBuf,
    /// The function, in release.
    pub(crate) function: PathBuf,
    /// The least that a function can do.
    pub(crate) floor: PathBuf,
    /// Python with the old way's libraries; there if it was asked for.
    pub(crate) python: Option<PathBuf>,
    /// For certificates, profiles and whatever else has to lie somewhere.
    pub(crate) scratch: TempDir,
}

impl Ground {
    /// Builds the function and the floor, and on demand installs the old way.
    pub(crate) fn prepare(workspace: &Path, old_way: bool) -> anyhow::Result<Self> {
        let function = build::release(workspace, "drain-lambda", "bootstrap")?;
        let floor = build::release(workspace, "bench-floor", "bench-floor")?;
        let python = old_way.then(|| build::baseline(workspace)).transpose()?;
        let scratch = tempfile::Builder::new().prefix("drain-bench-").tempdir()?;
        Ok(Self { workspace: workspace.to_owned(), function, floor, python, scratch })
    }
}
