//! dits and a server beside other ways to bring files to another machine, over one road and in the same rounds.

mod change;
mod marks;
mod peer;
mod promises;
mod road;
pub mod server;
mod table;
mod trial;

use std::collections::BTreeMap;
use std::path::Path;

use super::report::{self, Measured};
use super::workload::{self, Workload};
use super::{Args, Samples, forecast, note, promise};
use crate::{Failure, interrupt, place};
use change::Change;
use peer::Peer;
use road::Road;
use trial::{Step, Trial};

pub use server::Server;

pub fn run(args: &Args) -> Result<(), Failure> {
    let place = place::target().join("bench");
    let peers = peer::present(|name| args.wants(name));
    let workloads = args.chosen(workload::sharing(args.scale()));
    let plan: Vec<_> =
        workloads.iter().map(|w| forecast::sharing(w, peers_on(w, &peers).count() * args.rounds(w))).collect();
    if plan.is_empty() {
        return Ok(());
    }
    forecast::announce("sharing", &plan, &place)?;
    interrupt::watch()?;
    let mut measured = Measured { samples: Samples::new(), sizes: BTreeMap::new(), versions: peer::versions(&peers) };
    for workload in &workloads {
        let Some(road) = Road::for_workload(workload)? else { continue };
        println!("== {}: making the files", workload.name);
        let folder = workload.make(&place)?;
        let bytes = dits_testkit::edit::folder_size(&folder)?;
        measured.sizes.insert(workload.name.to_owned(), bytes);
        let rounds = args.rounds(workload);
        for number in 1..=rounds {
            println!("== {}: round {number} of {rounds}, {} MB", workload.name, bytes / 1_000_000);
            round(workload, [&folder, &place], &road, &peers, number, &mut measured.samples)?;
            marks::round(workload, bytes, &road, &place, &mut measured.samples)?;
        }
        workload.put_away(&place)?;
    }
    let promises = promises::of(&measured);
    let mut numbers = report::numbers(&measured);
    numbers["promises"] = promise::numbers(&promises);
    let tables = promise::table(&promises) + &table::of(&measured);
    let head = format!("{}\n{}", table::HEAD, report::about(&measured));
    report::write(&args.out(&place), ["sharing.md", "sharing.json"], &head, &tables, &numbers)
}

/// Who takes part: what keeps to TCP needs minutes for what dits sends over the long link in seconds.
fn peers_on<'a>(workload: &Workload, peers: &'a [Peer]) -> impl Iterator<Item = &'a Peer> {
    let name = workload.name;
    peers.iter().filter(move |peer| match name {
        "link" => **peer == Peer::Dits,
        "link-all" => matches!(peer, Peer::Dits | Peer::DitsTls | Peer::Rsync),
        _ => true,
    })
}

/// Takes every peer through every step, beginning with another one each round.
fn round(
    workload: &Workload,
    [folder, place]: [&Path; 2],
    road: &Road,
    peers: &[Peer],
    number: usize,
    samples: &mut Samples,
) -> Result<(), Failure> {
    let mut peers: Vec<_> = peers_on(workload, peers).copied().collect();
    let turns = peers.len().max(1);
    peers.rotate_left((number - 1) % turns);
    for peer in peers {
        let mut trial = Trial::new(peer, road, folder, place)?;
        match trial.begin() {
            Ok(()) => {
                for step in steps(workload) {
                    note(samples, [workload.name, peer.name(), &step.name()], trial.measure(step));
                }
            }
            Err(why) => println!("{:>14} FAILED to begin: {why}", peer.name()),
        }
        trial.end()?;
    }
    Ok(())
}

fn steps(workload: &Workload) -> Vec<Step> {
    let changes: &[Change] = match workload.name {
        "random" | "mixed" => &[Change::Insert],
        "large" => &[Change::Edit, Change::Rename],
        _ => &[],
    };
    let mut steps = vec![Step::Push];
    if workload.is_cloned() {
        steps.push(Step::Clone);
    }
    if workload.is_cloned() && !workload.is_far() {
        steps.push(Step::PullNothing);
    }
    for change in changes {
        steps.push(Step::PushChange(*change));
        if workload.is_cloned() {
            steps.push(Step::PullChange(*change));
        }
    }
    steps
}
