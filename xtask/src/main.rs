//! The project's own commands, as `cargo xtask …`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these are programs for the terminal")]

mod bench;
mod demo;
mod interrupt;
mod media;
mod packages;
mod place;
mod test;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Test, show and measure dits.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, check the code, run every test.
    Test(test::Args),
    /// Build dits and do the main job: version media, edit it, check it out, compare.
    Demo(demo::Args),
    /// Make the real media that tests, demo and benchmarks use.
    Media(media::Args),
    /// Measure dits beside other tools and the machine's limits.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Media(args) => media::run(&args),
        Task::Bench(args) => bench::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
        Err(Failure::Missing(what)) => {
            eprintln!("xtask: {what}");
            ExitCode::from(2)
        }
    }
}

/// Why a task did not succeed.
#[derive(Debug)]
enum Failure {
    /// Something was found, or went wrong: exit code 1.
    Failed(String),
    /// The machine lacks something; the text says what and how to get it: exit code 2.
    Missing(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
