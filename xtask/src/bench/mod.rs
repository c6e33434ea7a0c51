//! `cargo xtask bench`: dits beside other tools and beside the machine's limits, in interleaved rounds.

mod limits;
mod measure;
mod report;
mod tools;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Failure, place};
use measure::Cost;
use tools::{Operation, Tool};
use workload::Workload;

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    /// Small workloads and one round: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Only this workload: random, mixed or video.
    #[arg(long)]
    only: Option<String>,
    /// Only these tools.
    #[arg(long)]
    tool: Vec<String>,
    /// Rounds; the medians are reported.
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the results go; docs/benchmarks, or target/bench/quick with --quick.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints one limit and ends: bench runs itself so in a process of its own.
    #[arg(long, hide = true, num_args = 3)]
    limit: Vec<String>,
}

/// Everything measured: workload, subject (a tool or a limit), operation → one cost per round.
pub type Samples = BTreeMap<(String, String, String), Vec<Cost>>;

pub fn run(args: &Args) -> Result<(), Failure> {
    if let [name, bytes, path] = args.limit.as_slice() {
        return limits::child(name, bytes, Path::new(path));
    }
    let mut build = place::cargo(&["build", "--release", "--package", "dits-cli", "--package", "xtask"]);
    if !build.status()?.success() {
        return Err(Failure::Failed("dits does not build".to_owned()));
    }
    let place = place::target().join("bench");
    let tools = tools::present(&place::target().join("release/dits"), &args.tool);
    let workloads = workload::all(args.quick).into_iter().filter(|w| args.only.as_ref().is_none_or(|o| w.name == o));
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    let mut samples = Samples::new();
    let mut sizes = BTreeMap::new();
    for workload in workloads {
        println!("== {}: making the files", workload.name);
        let folder = workload.make(&place)?;
        let bytes = dits_testkit::edit::folder_size(&folder)?;
        sizes.insert(workload.name.to_owned(), bytes);
        for number in 1..=rounds {
            println!("== {}: round {number} of {rounds}, {} MB", workload.name, bytes / 1_000_000);
            round(&workload, &folder, &place, &tools, number, &mut samples)?;
            limits::round(workload.name, &folder, &place, bytes, &mut samples)?;
        }
    }
    let out = match &args.out {
        Some(out) => out.clone(),
        None if args.quick => place.join("quick"),
        None => place::workspace().join("docs/benchmarks"),
    };
    report::write(&out, &samples, &sizes, &tools, rounds)?;
    println!("written to {}", out.display());
    Ok(())
}

/// Takes every tool through every operation, beginning with another one each round.
fn round(
    workload: &Workload,
    folder: &Path,
    place: &Path,
    tools: &[Tool],
    number: usize,
    samples: &mut Samples,
) -> Result<(), Failure> {
    for turn in 0..tools.len() {
        let tool = &tools[(turn + number - 1) % tools.len()];
        let mut trial = tools::Trial::begin(tool, folder, place)?;
        for operation in Operation::ALL {
            match trial.measure(operation) {
                Ok(None) => {}
                Ok(Some(cost)) => {
                    println!("{:>10} {:<10} {cost}", tool.name, operation.name());
                    let key = (workload.name.to_owned(), tool.name.to_owned(), operation.name().to_owned());
                    samples.entry(key).or_default().push(cost);
                }
                Err(why) => println!("{:>10} {:<10} FAILED: {why}", tool.name, operation.name()),
            }
        }
        trial.end()?;
    }
    Ok(())
}
