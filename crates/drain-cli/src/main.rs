//! `nomad-drain`: the operator's tool.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Drains Nomad client nodes when Auto Scaling ends the EC2 instances under them.
///
/// This is the tool beside the Lambda function. It needs no AWS account for what it can do so far.
#[derive(Debug, Parser)]
#[command(name = "nomad-drain", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the function at work in an emulated AWS and Nomad.
    ///
    /// Starts a lab on loopback with a Nomad cluster of eight nodes that run service, batch and system jobs, deploys the
    /// real function in it, and ends five instances as Auto Scaling would: an ordinary one, one with a task that ignores
    /// its signal, one whose event is lost, one whose drain an operator cancels, and one in a Nomad outage. Shows the
    /// allocations leaving, a timeline and a summary, in less than a minute. The exit status is 0 only if everything that
    /// it shows has really happened, and no instance was released before its last allocation had ended.
    Demo(demo::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command: Command::Demo(arguments) } = Arguments::parse();
    match demo::run(&arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nomad-drain: {error:#}");
            ExitCode::FAILURE
        }
    }
}
