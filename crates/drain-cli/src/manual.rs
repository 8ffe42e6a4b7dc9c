//! `nomad-drain completions` and `nomad-drain man`: what a package installs beside the program.

use std::io::{self, Write as _};

use clap::{Command, CommandFactory as _};

use crate::exit::Exit;

/// What can be asked of the completions.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell that they are for.
    shell: clap_complete::Shell,
}

/// Prints the completions for a shell.
pub(crate) fn completions(arguments: &Completions) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "nomad-drain", &mut text);
    io::stdout().write_all(&text)?;
    Ok(Exit::Done)
}

/// Prints the manual: the page of the program, followed by one for each command.
pub(crate) fn man() -> anyhow::Result<Exit> {
    let mut command = crate::Arguments::command();
    command.build();
    let mut text = Vec::new();
    page(&command, &mut text)?;
    for one in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        page(one, &mut text)?;
    }
    io::stdout().write_all(&text)?;
    Ok(Exit::Done)
}

fn page(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(text)
}
