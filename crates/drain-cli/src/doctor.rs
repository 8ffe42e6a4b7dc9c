//! `nomad-drain doctor`: would a drain work?
//!
//! Everything is read first ([`gather`]), into plain facts; then it is judged ([`judge`]), which is pure; then it is shown.
//! What a hook, a group, a token or a version means is not decided here but by the crates that the function is made of.

mod code;
mod facts;
mod finding;
mod gather;
mod judge;
mod needed;
mod shell;
mod show;

use drain_core::ids::{GroupName, InvalidGroupName};
use jiff::Timestamp;

use crate::exit::Exit;
use crate::frame::Frame;
use crate::out;
use code::{Area, Code, Severity};
use finding::Finding;

/// What can be asked of the doctor.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An Auto Scaling group to look at; may be given more than once. Without it, every group that the sweep looks after.
    #[arg(long, value_name = "NAME", value_parser = group_name)]
    group: Vec<GroupName>,
}

fn group_name(text: &str) -> Result<GroupName, InvalidGroupName> {
    GroupName::parse(text)
}

/// Looks, and says what it has found.
pub(crate) async fn run(arguments: &Arguments, frame: &Frame) -> anyhow::Result<Exit> {
    let facts = gather::gather(frame, &arguments.group).await;
    let findings = judge::judge(&facts, Timestamp::now());
    let exit = exit(&findings, frame.function.is_some());
    if frame.json {
        out::line(&serde_json::to_string_pretty(&show::document(&facts, &findings, exit))?)?;
    } else {
        out::line(&show::text(&facts, &findings, exit, &show::Style::of_terminal()))?;
    }
    Ok(exit)
}

/// An error is something that would make a drain fail. But without credentials, or without a configuration that anybody has
/// named or may read, nothing has been found out.
fn exit(findings: &[Finding], names_function: bool) -> Exit {
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity() == Severity::Error).collect();
    let hides_the_rest = |finding: &&&Finding| {
        matches!(finding.code, Code::CredentialsMissing | Code::CredentialsRefused)
            || (finding.code == Code::ConfigurationInvalid && !names_function)
    };
    let unread = findings
        .iter()
        .any(|finding| finding.area == Area::Configuration && finding.code == Code::NotChecked);
    if errors.is_empty() {
        if unread { Exit::Unknown } else { Exit::Done }
    } else if errors.iter().all(|finding| hides_the_rest(&finding)) {
        Exit::Unknown
    } else {
        Exit::NotDone
    }
}

#[cfg(test)]
mod tests;
