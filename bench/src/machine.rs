//! Where the figures come from.

use std::path::Path;
use std::process::Command;

use crate::report::Machine;
use crate::units;

/// This machine.
pub(crate) fn this() -> Machine {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        architecture: std::env::consts::ARCH.to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: field(&read("/proc/meminfo"), "MemTotal").and_then(|kb| gigabytes(&kb)).unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        rustc: output(Command::new("rustc").arg("--version")),
        python: output(Command::new("python3").arg("--version")),
    }
}

/// The commit that was measured, marked if something has been changed since.
pub(crate) fn commit(workspace: &Path) -> String {
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(workspace).args(arguments));
    let changed =
        !git(&["status", "--porcelain", "--", "crates", "bench", "Cargo.lock", "Cargo.toml"]).is_empty();
    format!("{}{}", git(&["rev-parse", "--short=12", "HEAD"]), if changed { " with changes" } else { "" })
}

/// The first value of a field in a file of `/proc`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// As people say it: of a thousand million bytes each.
fn gigabytes(kb: &str) -> Option<String> {
    let kb: f64 = kb.strip_suffix("kB")?.trim().parse().ok()?;
    Some(format!("{} GB of memory", units::number(kb * 1024.0 / 1e9)))
}

fn output(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_where_it_stands_first() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2.00GHz\nmodel name\t: Another\n";
        assert_eq!(field(text, "model name").unwrap(), "A CPU @ 2.00GHz");
        assert_eq!(field(text, "flags"), None);
        assert_eq!(gigabytes("24607908 kB").unwrap(), "25.2 GB of memory");
    }
}
