//! Where the function's binary comes from.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::Command;

/// The checkout that this program was built from. One that is released knows of none (`deploy/package --tool` sets the variable):
/// it is the same wherever its sources lay, and that place is not there for whoever runs it.
const CHECKOUT: Option<&str> = match option_env!("NOMAD_DRAIN_RELEASE") {
    Some(_) => None,
    None => Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")),
};

/// Builds the function out of the checkout that this program was built from, and gives its path. It is built as it is
/// deployed, in the release profile, whatever this program's own profile is: the demonstration's figures are the function's.
/// Cargo shows its progress on standard error, and ends if it is not waited for.
pub(super) async fn build() -> anyhow::Result<PathBuf> {
    let Some(workspace) = CHECKOUT.map(Path::new) else {
        bail!(
            "a released nomad-drain has no checkout to build the function from: name its binary with --bootstrap"
        );
    };
    if !workspace.join("Cargo.toml").is_file() {
        bail!(
            "there is no checkout at {} to build the function from: name its binary with --bootstrap",
            workspace.display()
        );
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(workspace).args([
        "build",
        "--release",
        "--package",
        "drain-lambda",
        "--bin",
        "bootstrap",
    ]);
    command.args(["--message-format", "json-render-diagnostics"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_told_by_cargo)) {
        command.env_remove(name);
    }
    let build = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
    let build = build.with_context(|| format!("{} could not be started", cargo.display()))?;
    let built = build.wait_with_output().await.context("cargo's answer was not heard")?;
    if !built.status.success() {
        bail!("the function could not be built: cargo ended with {}", built.status);
    }
    executable(&built.stdout)
        .context("cargo built the function, but does not say where: name its binary with --bootstrap")
}

/// Whether Cargo sets a variable for the programs that it runs, as this one. Build scripts look at some of them, *ring*'s for
/// one: it and everything above it would be built again, now, and next time without them.
fn is_told_by_cargo(name: &str) -> bool {
    let told = ["BIN_", "CRATE_", "MANIFEST_", "PKG_", "PRIMARY_PACKAGE", "TARGET_TMPDIR"];
    name.strip_prefix("CARGO_").is_some_and(|name| told.iter().any(|told| name.starts_with(told)))
}

/// The binary of which Cargo's messages tell.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut artifacts = messages.filter(|message: &Value| message["target"]["name"] == "bootstrap");
    Some(artifacts.find_map(|artifact| artifact["executable"].as_str().map(str::to_owned))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_where_cargo_says() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"drain\",\"kind\":[\"lib\"]},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"bootstrap\",\"kind\":[\"bin\"]},\
             \"executable\":\"/elsewhere/release/bootstrap\"}\n",
            "{\"reason\":\"build-finished\",\"success\":true}\n",
        );
        assert_eq!(executable(messages.as_bytes()), Some(PathBuf::from("/elsewhere/release/bootstrap")));
        assert_eq!(executable(b"no message\n"), None);
    }

    #[test]
    fn what_cargo_tells_this_program_is_not_for_the_function() {
        for told in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_BIN_EXE_nomad-drain"] {
            assert!(is_told_by_cargo(told), "{told}");
        }
        for set in
            ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_PROFILE_RELEASE_LTO"]
        {
            assert!(!is_told_by_cargo(set), "{set}");
        }
    }
}
