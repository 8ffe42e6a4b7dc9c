//! Where the function's binary comes from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Builds the function out of the checkout that this program was built from, in the same profile, and gives its path.
/// Cargo shows its progress on standard error.
pub(super) fn build() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !workspace.join("Cargo.toml").is_file() {
        bail!(
            "there is no checkout at {} to build the function from: name its binary with --bootstrap",
            workspace.display()
        );
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(&workspace).args(["build", "--package", "drain-lambda", "--bin", "bootstrap"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().with_context(|| format!("{} could not be started", cargo.display()))?;
    if !status.success() {
        bail!("the function could not be built: cargo ended with {status}");
    }
    // Cargo puts both binaries of one profile into one folder.
    let this = std::env::current_exe().context("where is this program?")?;
    let bootstrap = this.with_file_name("bootstrap");
    if !bootstrap.is_file() {
        bail!(
            "cargo built the function, but {} is not there: name its binary with --bootstrap",
            bootstrap.display()
        );
    }
    Ok(bootstrap)
}
