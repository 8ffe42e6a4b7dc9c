//! The programs of others that the deployment is tried with, in a virtual environment under `target`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where they are.
#[derive(Clone)]
pub(crate) struct Tools(PathBuf);

/// The folder of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

impl Tools {
    /// Installs them, unless they are there; or says why they cannot be.
    pub(crate) fn ready() -> Result<Self, String> {
        static READY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        READY.get_or_init(install).clone().map(Self)
    }

    /// One of them.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// The folder of them all, for `PATH`.
    pub(crate) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }
}

fn install() -> Result<PathBuf, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let requirements = root().join("tests/deploy/requirements.txt");
    let wanted =
        fs::read_to_string(requirements).map_err(|error| failed("tests/deploy/requirements.txt", error))?;
    let folder = root().join("target/deploy-tools");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    let run = |command: &mut Command, what: &str| {
        let run = command.output().map_err(|error| failed(what, error))?;
        let said = String::from_utf8_lossy(&run.stderr);
        let last = said.trim().lines().last().unwrap_or_default().to_owned();
        if run.status.success() { Ok(()) } else { Err(format!("{what}: {last}")) }
    };
    let _ = fs::remove_dir_all(&folder);
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
        "python3 cannot make a virtual environment",
    )?;
    run(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(root().join("tests/deploy/requirements.txt")),
        "pip cannot install tests/deploy/requirements.txt",
    )?;
    fs::write(stamp, wanted).map_err(|error| failed("target/deploy-tools", error))?;
    Ok(folder)
}
