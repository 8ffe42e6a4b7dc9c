//! What is measured is built first, as it is released.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The checkout that this program was built from.
pub(crate) fn workspace() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().with_context(|| format!("{}", workspace.display()))?;
    if !workspace.join("Cargo.lock").is_file() {
        bail!("{} is no checkout: there is nothing to build and measure", workspace.display());
    }
    Ok(workspace)
}

/// Builds one program in the release profile, as a package of its own: built together with others it would get their
/// features too.
pub(crate) fn release(workspace: &Path, package: &str, bin: &str) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(workspace).args([
        "build",
        "--release",
        "--locked",
        "--package",
        package,
        "--bin",
        bin,
    ]);
    run(&mut command).with_context(|| format!("{package} could not be built"))?;
    let built = target(workspace).join("release").join(bin);
    if !built.is_file() {
        bail!("cargo built {package}, but {} is not there", built.display());
    }
    Ok(built)
}

/// A virtual environment with the old way's libraries, and its Python.
pub(crate) fn baseline(workspace: &Path) -> anyhow::Result<PathBuf> {
    let (home, wanted) =
        (target(workspace).join("bench/baseline"), workspace.join("bench/baseline/requirements.txt"));
    let (python, stamp) = (home.join("bin/python"), home.join("requirements.txt"));
    let wanted_text = std::fs::read(&wanted).with_context(|| format!("{}", wanted.display()))?;
    if python.exists() && std::fs::read(&stamp).is_ok_and(|installed| installed == wanted_text) {
        return Ok(python);
    }
    eprintln!("installing the old way's libraries in {}", home.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))
        .context("the old way needs Python 3 with its module venv")?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary",
            ":all:",
        ])
        .arg("--requirement")
        .arg(&wanted))
    .context("the old way's libraries could not be installed")?;
    // Without it the first process to import a module would compile it for the others.
    run(Command::new(&python).args(["-m", "compileall", "-q", "-j", "0"]).arg(home.join("lib")))?;
    std::fs::write(&stamp, &wanted_text)?;
    Ok(python)
}

/// Where cargo puts what it builds.
fn target(workspace: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(elsewhere) => workspace.join(elsewhere),
        None => workspace.join("target"),
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status =
        command.status().with_context(|| format!("{} does not start", command.get_program().display()))?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    Ok(())
}
