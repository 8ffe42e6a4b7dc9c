//! `nomad-drain`: the operator's tool.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod aws;
mod demo;
mod doctor;
mod drain;
mod every;
mod exit;
mod frame;
mod left;
mod manual;
mod out;
mod release;
mod replay;
mod simulate;
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
    /// allocations leaving, a timeline and a summary, in less than a minute; with --report also as a page for a browser. The exit status is 0 only if everything that
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
    /// Check whether a drain would work, before one has to.
    ///
    /// Looks at everything that a drain needs, from the function's variables to the certificates of Nomad's servers, and
    /// changes nothing. Each finding says what is wrong and what to do; docs/doctor.md explains every code. Name the deployed
    /// function with --function, so that its own variables, role and permissions are looked at. What you may not read is said
    /// to be not checked. The exit status is 1 if something would make a drain fail.
    Doctor(doctor::Arguments),
    /// Drain instances by hand, and wait until their work has really stopped.
    ///
    /// The same loop as the function's: the node is found, drained with a deadline, and looked at until every allocation has
    /// stopped on its client. Ctrl-C leaves the drain running.
    Drain(drain::Arguments),
    /// Complete the lifecycle action that holds an instance, if nothing runs there any more.
    ///
    /// Refuses while allocations run on its node, and lists them; and while nobody can tell, or the node takes work.
    Release(release::Arguments),
    /// Decide again what the function has decided, or show how it reads an event.
    ///
    /// At DEBUG the function logs each decision with everything that it was made of. This reads such records out of a line or
    /// a whole log, runs the same rules on them, and says whether they decide the same. With --at and --policy it answers what
    /// would have been decided later or with other settings; with --fixture the decision becomes a test. An event is peeled
    /// as the function peels it, and nothing is asked or done: no network is needed.
    Replay(replay::Arguments),
    /// Make any event that the function understands, and print or send it.
    ///
    /// Without a destination the JSON goes to standard output, as a function is invoked with it: for `nomad-drain replay -` or
    /// `aws lambda invoke --payload`. Several instances are a line each, or a batch where a queue brings them. A function acts on
    /// what is sent: if the instance has a node, the node is drained. Nothing can be put on `EventBridge`: it takes no events of
    /// `aws.` sources from anybody but AWS. Send those to the function or to the rule's queue.
    Simulate(simulate::Arguments),
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
        Err(error) if out::is_unread(&error) => ExitCode::FAILURE,
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
        Command::Doctor(arguments) => doctor::run(arguments, frame).await,
        Command::Drain(arguments) => drain::run(arguments, frame).await,
        Command::Release(arguments) => release::run(arguments, frame).await,
        Command::Replay(arguments) => replay::run(arguments, frame).await,
        Command::Simulate(arguments) => simulate::run(arguments, frame).await,
        Command::Completions(arguments) => manual::completions(arguments),
        Command::Man => manual::man(),
    }
}
