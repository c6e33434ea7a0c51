//! dits beside other tools, all on this machine.

use std::collections::BTreeMap;
use std::path::Path;

use super::tools::{self, Operation, Tool};
use super::workload::{self, Workload};
use super::{Args, Samples, forecast, limits, note, report};
use crate::{Failure, place};

pub fn run(args: &Args) -> Result<(), Failure> {
    let place = place::target().join("bench");
    let tools = tools::present(&place::target().join("release/dits"), |tool| args.wants(tool));
    let workloads = args.chosen(workload::local(args.scale()));
    let plan: Vec<_> = workloads.iter().map(|w| forecast::local(w, tools.len() * args.rounds(w))).collect();
    if plan.is_empty() {
        return Ok(());
    }
    forecast::announce("local", &plan, &place)?;
    let mut samples = Samples::new();
    let mut sizes = BTreeMap::new();
    for workload in &workloads {
        println!("== {}: making the files", workload.name);
        let folder = workload.make(&place)?;
        let bytes = dits_testkit::edit::folder_size(&folder)?;
        sizes.insert(workload.name.to_owned(), bytes);
        let rounds = args.rounds(workload);
        for number in 1..=rounds {
            println!("== {}: round {number} of {rounds}, {} MB", workload.name, bytes / 1_000_000);
            round(workload, &folder, &place, &tools, number, &mut samples)?;
            limits::round(workload.name, &folder, &place, bytes, &mut samples)?;
        }
    }
    let versions = tools.iter().map(|tool| (tool.name, tool.version.clone())).collect();
    report::local(&args.out(&place), &report::Measured { samples, sizes, versions })
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
            if let Some(cost) = trial.measure(operation).transpose() {
                note(samples, [workload.name, tool.name, operation.name()], cost);
            }
        }
        trial.end()?;
    }
    Ok(())
}
