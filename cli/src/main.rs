//! The `tramline` program: shows what the library does, on your own files.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod bench;
mod demo;
mod failure;
mod folder;
mod guard;
mod inspect;
mod measure;
mod report;
mod serve_json;
mod transcode;
mod worker;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Commands and events between two processes, shown on your own files.
#[derive(Debug, Parser)]
#[command(name = "tramline", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lets a second process scan a folder, over every transport and codec, and compares.
    ///
    /// Nothing is changed, and nothing outside of the folder is read.
    Demo {
        /// The folder.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Measures calls, events and waiting on this machine, each beside the floor.
    #[cfg(target_os = "linux")]
    Bench(bench::Args),
    /// The second process of a measurement.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchPeer(bench::PeerArgs),
    /// Another process of a measurement with several clients.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchCrowd(bench::CrowdArgs),
    /// Shows what the links of a running process are doing.
    ///
    /// One line for each direction of each link over shared memory, as its owner counts. The
    /// process is not disturbed; it takes the right to trace it.
    Inspect {
        /// Its process id.
        pid: u32,
        /// One JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Stands between clients and a core and lets through what it is told to.
    ///
    /// Clients connect to LISTEN as they would to the core at CORE; the core should admit nobody but
    /// this process. The program of `--program` is given each message as a line of JSON on its
    /// standard input and answers each with a line on its standard output:
    /// `{"verdict":"allow"}`, `{"verdict":"refuse","text":".."}` or `{"verdict":"rewrite","args":..}`.
    /// If it ends, takes too long or says anything else, it is killed, and everything is refused until
    /// the guard is started anew.
    Guard(guard::Args),
    /// Serves the demo's commands to JSON-RPC 2.0 clients.
    ///
    /// One message a line, or Content-Length headers as language servers use them: the answer is
    /// framed like its question. Exit code 0 when standard input ends.
    ServeJson(serve_json::Args),
    /// Turns MessagePack into JSON text or back, standard input to standard output.
    ///
    /// Any number of values in a row. JSON comes out as one value a line, and goes in with any white
    /// space. What breaks a rule (a key that comes twice, NaN, an extension type, an integer beyond 64
    /// bits, ..) ends it: exit code 2, one line on standard error with the byte at which it is, and
    /// nothing on standard output behind the last good value. To promise that, JSON is held back
    /// until its value is complete, above 8 MiB in an unnamed temporary file. Memory stays constant
    /// however large a value is; only towards MessagePack, which begins with lengths, it takes what
    /// the encoded value takes.
    Transcode(transcode::Args),
    /// The second process of the demo.
    #[command(hide = true)]
    Worker {
        /// The folder whose files it may read.
        path: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => return usage(&e),
    };
    #[cfg(target_os = "linux")]
    if let Task::Bench(args) = &arguments.task
        && let Err(e) = args.check()
    {
        return usage(&e);
    }
    if let Task::Transcode(args) = &arguments.task
        && let Err(e) = args.check()
    {
        return usage(&e);
    }
    let ended = match arguments.task {
        Task::Demo { path } => demo::run(&path, &mut io::stdout().lock()),
        #[cfg(target_os = "linux")]
        Task::Bench(args) => bench::run(&args, &mut io::stdout().lock()),
        #[cfg(target_os = "linux")]
        Task::BenchPeer(args) => bench::serve(&args),
        Task::Guard(args) => guard::run(args),
        #[cfg(target_os = "linux")]
        Task::BenchCrowd(args) => bench::take_part(&args),
        Task::Inspect { pid, json } => inspect::run(pid, json, &mut io::stdout().lock()),
        Task::ServeJson(args) => serve_json::run(&args),
        Task::Transcode(args) => transcode::run(&args, io::stdin().lock(), io::stdout().lock()),
        Task::Worker { path } => worker::run(&path),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(Failure::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure.line());
            match failure {
                Failure::BadInput(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Help and version as clap prints them, everything else as one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = error.to_string();
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // What is missing stands on a line of its own.
    let rest = lines.next().filter(|_| line.ends_with(':')).unwrap_or_default();
    complain(format!("{line} {}", rest.trim()).trim_end());
    ExitCode::from(2)
}

/// A line on standard error.
fn complain(line: &str) {
    use io::Write as _;
    // Without standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "tramline: {line}");
}
