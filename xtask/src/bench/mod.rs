//! `cargo xtask bench`: dits beside other tools and beside the machine's limits, in interleaved rounds.

mod forecast;
mod limits;
mod local;
mod locks;
mod measure;
mod mount;
mod promise;
mod report;
mod sharing;
mod tools;
mod workload;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Failure, place};
use measure::Cost;
use workload::Workload;

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    /// One of the four; without it all.
    part: Option<Part>,
    /// Small workloads and one round: to see that it works, not to quote. As `--scale 0.0625 --rounds 1`.
    #[arg(long)]
    quick: bool,
    /// Workloads of this share of their full size.
    #[arg(long, value_parser = share)]
    scale: Option<f64>,
    /// Only these workloads: random, mixed, small, video (local); random, mixed, large, link, link-all (sharing); read, cold, list,
    /// write, handles (mount).
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these tools.
    #[arg(long)]
    tool: Vec<String>,
    /// Rounds; the medians are reported. Without it three, and one of what takes long.
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the results go; docs/benchmarks, or target/bench/quick if the workloads have not their full size.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Builds nothing: the release binaries and examples are in the target folder.
    #[arg(long)]
    built: bool,
    /// Prints one limit and ends: bench runs itself so in a process of its own.
    #[arg(long, hide = true, num_args = 3)]
    limit: Vec<String>,
}

/// The parts of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Add, status, checkout.
    Local,
    /// Push, clone, pull.
    Sharing,
    /// Reading, listing and writing in a drive.
    Mount,
    /// Locking.
    Locks,
}

/// Everything measured: workload, subject (a tool or a limit), operation → one cost per round.
pub type Samples = BTreeMap<(String, String, String), Vec<Cost>>;

pub fn run(args: &Args) -> Result<(), Failure> {
    if let [name, bytes, path] = args.limit.as_slice() {
        return limits::child(name, bytes, Path::new(path));
    }
    args.check()?;
    if !args.built {
        build()?;
    }
    let chosen = |part| args.part.is_none_or(|only| only == part);
    if chosen(Part::Local) {
        local::run(args)?;
    }
    if chosen(Part::Sharing) {
        sharing::run(args)?;
    }
    if chosen(Part::Mount) {
        mount::run(args)?;
    }
    if chosen(Part::Locks) && args.only.is_empty() {
        locks::run(args)?;
    }
    Ok(())
}

fn build() -> Result<(), Failure> {
    place::build_dits()?;
    let examples = ["--package", "dits-sync", "--example", "carrier", "--example", "tls", "--example", "lock_load"];
    for what in [&["--package", "xtask"][..], &examples] {
        if !place::cargo(&[&["build", "--release"], what].concat()).status()?.success() {
            return Err(Failure::Failed(format!("cargo build --release {} fails", what.join(" "))));
        }
    }
    Ok(())
}

impl Args {
    fn takes(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == workload)
    }

    /// A workload that there is not would measure nothing, and say so after minutes of building.
    fn check(&self) -> Result<(), Failure> {
        for only in &self.only {
            let mut known = workload::local(1.0).into_iter().chain(workload::sharing(1.0));
            if !known.any(|workload| workload.name == only) && !mount::WORKLOADS.contains(&only.as_str()) {
                return Err(Failure::Missing(format!("there is no workload {only}; see --help")));
            }
        }
        Ok(())
    }

    fn scale(&self) -> f64 {
        self.scale.unwrap_or(if self.quick { 1.0 / 16.0 } else { 1.0 })
    }

    /// Those of the workloads that were asked for.
    fn chosen(&self, workloads: impl IntoIterator<Item = Workload>) -> Vec<Workload> {
        workloads.into_iter().filter(|workload| self.takes(workload.name)).collect()
    }

    fn wants(&self, tool: &str) -> bool {
        self.tool.is_empty() || self.tool.iter().any(|wanted| wanted == tool)
    }

    fn rounds(&self, workload: &Workload) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { workload.rounds() })
    }

    fn out(&self, place: &Path) -> PathBuf {
        match &self.out {
            Some(out) => out.clone(),
            None if self.scale() < 1.0 => place.join("quick"),
            None => place::workspace().join("docs/benchmarks"),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= 1.0 { Ok(number) } else { Err("more than 0 and at most 1".to_owned()) }
}

/// Puts a cost to those of other rounds.
fn note(samples: &mut Samples, [workload, subject, operation]: [&str; 3], cost: Result<Cost, String>) {
    match cost {
        Ok(cost) => {
            println!("{subject:>14} {operation:<18} {cost}");
            let key = (workload.to_owned(), subject.to_owned(), operation.to_owned());
            samples.entry(key).or_default().push(cost);
        }
        Err(why) => println!("{subject:>14} {operation:<18} FAILED: {why}"),
    }
}
