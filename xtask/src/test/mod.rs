//! `cargo xtask test`: everything that has to hold before a change is merged.

mod binaries;
mod leftovers;
mod step;

use crate::{Failure, interrupt, packages, place};
use binaries::Tally;
use leftovers::Watch;
use std::time::{Duration, Instant};
use step::Step;

/// What to run.
#[derive(clap::Args)]
pub struct Args {
    /// Only tests whose name contains this; formatting, lints and fuzzing are then left out.
    filter: Option<String>,
    /// Also the long tests (gigabytes, minutes).
    #[arg(long)]
    long: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let begin = Instant::now();
    interrupt::watch()?;
    packages::ensure(packages::TESTS)?;
    if args.long && !dits_testkit::installed("pjdfstest") {
        // Without it the test that uses it says that it is skipped.
        let _ =
            Step::new("pjdfstest", place::cargo(&["install", "--quiet", "--locked", "pjdfstest@0.2.2"]), 1800).run();
    }
    let mut failed = Vec::new();
    if args.filter.is_none() {
        failed.extend(checks());
    }
    let watch = Watch::begin()?;
    let mut tally = Tally::default();
    match binaries::build() {
        Ok(built) => {
            for binary in &built {
                tally.add(&run_binary(binary, args, &watch));
            }
            failed.extend(doc_tests(args, &watch));
            if args.filter.is_none() {
                failed.extend(fuzz(args.long, &watch));
            }
        }
        Err(why) => failed.push(why),
    }
    failed.extend(tally.failed.iter().cloned());
    failed.extend(watch.end());
    println!(
        "\n{} passed, {} failed, {} ignored in {:.0?}",
        tally.passed,
        tally.failures,
        tally.ignored,
        begin.elapsed()
    );
    if failed.is_empty() {
        println!("all is well");
        return Ok(());
    }
    Err(Failure::Failed(format!("failed:\n  {}", failed.join("\n  "))))
}

/// Ends every process this run's tests have started.
pub fn kill_marked() {
    leftovers::kill(&std::process::id().to_string());
}

/// Formatting, lints, licences; gives the names of those that failed.
fn checks() -> Vec<String> {
    let mut steps = vec![
        Step::new("formatting", place::cargo(&["fmt", "--all", "--check"]), 120),
        Step::new(
            "lints",
            place::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
            1800,
        ),
    ];
    if dits_testkit::installed("cargo-deny") {
        steps.push(Step::new("licences and advisories", place::cargo(&["deny", "--workspace", "check"]), 300));
    } else {
        println!("== licences and advisories: skipped, cargo-deny is not installed");
    }
    println!("== the client for x86_64-pc-windows-gnu: skipped, it does not compile there yet (docs/shortcomings.md)");
    steps.into_iter().filter_map(Step::run).collect()
}

fn doc_tests(args: &Args, watch: &Watch) -> Option<String> {
    let mut command = place::cargo(&["test", "--workspace", "--doc", "--quiet"]);
    command.arg("--").args(args.filter.as_deref()).envs(watch.environment());
    Step::new("examples in the documentation", command, 900).run()
}

fn fuzz(long: bool, watch: &Watch) -> Option<String> {
    let (seconds, limit) = if long { ("60", 7200) } else { ("5", 900) };
    let mut command = place::cargo(&["run", "--quiet", "--package", "dits-fuzz", "--", "--seconds", seconds]);
    if long {
        command.args(["--count", "100000000"]);
    }
    command.envs(watch.environment());
    Step::new("fuzz smoke", command, limit).run()
}

fn run_binary(binary: &binaries::Binary, args: &Args, watch: &Watch) -> Tally {
    let long = args.long.then_some((dits_testkit::LONG, "1"));
    binaries::run(
        binary,
        args.filter.as_deref(),
        limit(args.long),
        &watch.environment().into_iter().chain(long.map(|(key, value)| (key, value.into()))).collect::<Vec<_>>(),
    )
}

/// The wall-clock limit of one test binary.
fn limit(long: bool) -> Duration {
    Duration::from_secs(if long { 5400 } else { 600 })
}
