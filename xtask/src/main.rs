//! The project's own tasks. `cargo xtask check` runs every check that CI runs.

#![forbid(unsafe_code)]

mod arrows;
mod check;
mod leftovers;
mod links;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every check that CI runs, in order, and stops at the first that fails.
    Check(check::Options),
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Check(options) => check::check(options),
    }
}
