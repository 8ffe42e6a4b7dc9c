//! How the program ends. A contract: scripts read it.

use std::process::ExitCode;

/// How a command has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// It has done, or found, what was asked for.
    Done,
    /// It ran, and something is wrong or not done: a finding, a refusal, work that still runs.
    NotDone,
    /// It ran, and what it was for could not be found out.
    Unknown,
}

/// The status of a command that could not find out or could not begin: no configuration, no credentials, AWS or Nomad out of
/// reach. 2 is clap's for arguments that make no sense.
pub(crate) const UNKNOWN: u8 = 3;

/// The exit statuses, for the help.
pub(crate) const HELP: &str = "\
Exit status:
  0  done
  1  it ran, and something is wrong or not done: a finding, a refusal, work that still runs
  2  arguments that make no sense
  3  it could not be found out: no configuration, no credentials, AWS or Nomad out of reach";

impl Exit {
    /// [`Exit::Done`] if this is so.
    pub(crate) fn done_if(done: bool) -> Self {
        if done { Self::Done } else { Self::NotDone }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::NotDone => Self::FAILURE,
            Exit::Unknown => Self::from(UNKNOWN),
        }
    }
}
