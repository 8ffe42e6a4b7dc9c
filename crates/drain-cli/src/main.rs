//! `nomad-drain`: the operator's tool.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod demo;
mod drain;
mod every;
mod exit;
mod frame;
mod manual;
mod release;
mod status;
mod stop;
mod sweep;
mod whom;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;
use frame::Frame;

/// Drains Nomad client nodes when Auto Scaling ends the EC2 instances under them.
///
/// This is the tool beside the Lambda function: the same code, at a terminal. It reads the same variables (`NOMAD_ADDR`,
/// `NOMAD_TOKEN`, `AUTO_SCALING_GROUPS` and so on), or takes them from the deployed function with --function, and finds AWS
/// credentials where every AWS tool does. Without any AWS account, see `nomad-drain demo`.
#[derive(Debug, Parser)]
#[command(name = "nomad-drain", version, arg_required_else_help = true, after_long_help = exit::HELP)]
struct Arguments {
    #[command(flatten)]
    frame: Frame,
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
    /// Show every held instance, and why we are waiting.
    ///
    /// Looks at every instance that a terminate hook of ours holds in the watched groups, as a sweep would, and changes
    /// nothing: since when it is held, its node, the drain, the allocations that are left by job, the next heartbeat, the
    /// deadline, and in words what is waited for or what the next sweep would do. Exit status: 1 if an instance needs
    /// attention, 3 if AWS or a Nomad cluster could not be asked.
    Status(status::Arguments),
    /// Sweep again and again, instead of the function's schedule or beside it.
    ///
    /// The function's own sweep as a program that runs until it is told to end, for a Nomad service job, say:
    /// deploy/nomad/nomad-drain-sweep.nomad.hcl. Finds every instance that a hook of ours holds, starts drains, keeps hooks
    /// alive and completes them. Needs what the function's role and token allow. The log goes to standard output. `/healthz`
    /// answers 200 while sweeps succeed. SIGTERM ends it; that is safe at any time.
    Sweep(sweep::Arguments),
    /// Drain instances by hand, and wait until their work has really stopped.
    ///
    /// The same loop as the function's: the node is found, drained with a deadline, and looked at until every allocation has
    /// stopped on its client. Ctrl-C leaves the drain running.
    Drain(drain::Arguments),
    /// Complete the lifecycle action that holds an instance, if nothing runs there any more.
    ///
    /// Refuses while allocations run on its node, and lists them; and while nobody can tell, or the node takes work.
    Release(release::Arguments),
    /// Print completions for a shell.
    ///
    /// For bash: `nomad-drain completions bash > /etc/bash_completion.d/nomad-drain`.
    Completions(manual::Completions),
    /// Print the manual pages: `nomad-drain man | man -l -`.
    Man,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { frame, command } = Arguments::parse();
    if matches!(command, Command::Sweep(_)) {
        frame.start_service_log();
    } else {
        frame.start_log();
    }
    match run(&frame, &command).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("nomad-drain: {error:#}");
            ExitCode::from(exit::UNKNOWN)
        }
    }
}

async fn run(frame: &Frame, command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(arguments) => demo::run(arguments, frame).await,
        Command::Status(arguments) => status::run(arguments, frame).await,
        Command::Sweep(arguments) => Box::pin(sweep::run(arguments, frame)).await,
        Command::Drain(arguments) => drain::run(arguments, frame).await,
        Command::Release(arguments) => release::run(arguments, frame).await,
        Command::Completions(arguments) => manual::completions(arguments),
        Command::Man => manual::man(),
    }
}
