//! The project's own tasks. `cargo xtask check` runs every check that CI runs.

#![forbid(unsafe_code)]

mod arrows;
mod bench;
mod check;
mod fuzz;
mod leftovers;
mod links;
mod loom;
mod nightly;
mod node;
mod oracle;
mod semantics;
mod tauri;
mod tsan;

use std::process::ExitCode;

use cargo_metadata::MetadataCommand;
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
    /// Runs the fuzz targets, one after the other. Needs a nightly compiler and cargo-fuzz.
    Fuzz(fuzz::Options),
    /// Measures everything that `docs/BENCHMARKS.md` shows of `tramline bench`, several times. Wants
    /// a quiet machine.
    Bench(bench::Options),
    /// Runs the same commands through Tauri and through tramline and compares what comes out. Needs the
    /// libraries that Tauri is linked with.
    Oracle(oracle::Options),
    /// Runs the ring's models under loom, and shows what breaks without each of its orders.
    Loom,
    /// Runs a real JSON-RPC client from npm against the program. Needs node and npm.
    Node,
    /// Measures the page of a Tauri app, stock and accelerated. Wants a quiet machine, and a system that
    /// can open a window.
    TauriBench(tauri::Options),
    /// Runs mixed load in windows of a Tauri app for a long time, and draws what memory it takes. Needs a
    /// system that can open a window.
    TauriSoak(tauri::SoakOptions),
    /// Runs the page of a Tauri app, stock and accelerated, and compares what comes out. Needs a system
    /// that can open a window.
    TauriTest(tauri::TestOptions),
    /// Runs the ring between two threads under ThreadSanitizer. Needs a nightly compiler.
    Tsan,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let metadata = match MetadataCommand::new().no_deps().exec() {
        Ok(metadata) => metadata,
        Err(error) => {
            eprintln!("the workspace's manifests cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    let root = metadata.workspace_root.clone().into_std_path_buf();
    match task {
        Task::Check(options) => check::check(options, metadata),
        Task::Fuzz(options) => fuzz::fuzz(&root, &options),
        Task::Bench(options) => {
            bench::bench(&root, metadata.target_directory.as_std_path(), &options)
        }
        Task::Oracle(options) => oracle::oracle(&root, &options),
        Task::Loom => loom::loom(&root, metadata.target_directory.as_std_path()),
        Task::Node => node::node(&root, metadata.target_directory.as_std_path()),
        Task::TauriBench(options) => tauri::bench(&root, &options),
        Task::TauriSoak(options) => tauri::soak(&root, &options),
        Task::TauriTest(options) => tauri::test(&root, &options),
        Task::Tsan => tsan::tsan(&root, metadata.target_directory.as_std_path()),
    }
}
