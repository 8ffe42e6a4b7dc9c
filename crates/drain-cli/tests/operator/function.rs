//! The real function, for tests that need one in the lab.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use drain_lab::lab::Lab;
use drain_lab::lambda::{Function, InvocationRecord};

/// Its binary, built once in the profile of this test.
pub(crate) fn bootstrap() -> &'static Path {
    static BOOTSTRAP: OnceLock<PathBuf> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // As a part of the workspace: `cargo test --workspace` has built it already, with the features that it has there.
        cargo.args(["build", "--quiet", "--workspace", "--bin", "bootstrap"]);
        // Build scripts that look at what Cargo tells this test would run again, and everything above them would be built again.
        for told in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_MANIFEST_LINKS"] {
            cargo.env_remove(told);
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the function could not be built: {built}");
        // Cargo puts both binaries of one profile into one folder.
        Path::new(env!("CARGO_BIN_EXE_nomad-drain")).with_file_name("bootstrap")
    })
}

/// The function as it is deployed in a lab: it looks often, and logs as a test asks.
pub(crate) fn function(lab: &Lab, variables: &[(&str, &str)]) -> Function {
    lab.function(bootstrap()).with_variables(&[("POLL_INTERVAL", "50ms")]).with_variables(variables)
}

/// Everything that the function has printed in these runs.
pub(crate) fn log(runs: &[InvocationRecord]) -> String {
    let lines = runs.iter().flat_map(|run| &run.log).map(|line| line.text.trim_end());
    lines.collect::<Vec<_>>().join("\n")
}
