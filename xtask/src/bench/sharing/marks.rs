//! What the road itself can carry: the marks that transfers are held against, measured in the same rounds.

use std::path::Path;
use std::process::Command;

use super::{Road, server::Server};
use crate::bench::measure::{self, Cost};
use crate::bench::workload::Workload;
use crate::bench::{Samples, limits, note};
use crate::{Failure, place};

/// The stream that nothing is put around.
pub const TLS: &str = "limit: tls";
/// What dits builds on.
pub const CARRIERS: [&str; 2] = ["limit: quic carrier", "limit: tls carrier"];
/// A file written and synced.
pub const WRITE: &str = "limit: write+fsync";

/// More says nothing more.
const MOST_MIB: u64 = 2048;

/// Measures what belongs to a workload of `bytes` bytes once.
pub fn round(workload: &Workload, bytes: u64, road: &Road, place: &Path, samples: &mut Samples) -> Result<(), Failure> {
    if !matches!(workload.name, "random" | "mixed" | "link") {
        return Ok(());
    }
    let mut put = |mark, cost| note(samples, [workload.name, mark, "push"], cost);
    measure::settle()?;
    put(CARRIERS[0], carrier("quic", bytes, road));
    if !workload.is_far() {
        put(CARRIERS[1], carrier("tcp", bytes, road));
        put(TLS, tls(bytes, road));
        measure::settle()?;
        put(WRITE, limits::measure("write+fsync", bytes, &place.join("limit")));
    }
    Ok(())
}

fn carrier(kind: &str, bytes: u64, road: &Road) -> Result<Cost, String> {
    let mut serve = road.there(example("carrier"));
    serve.args(["serve", &format!("{}:0", road.address())]);
    let server = Server::start(serve, ":")?;
    let mut send = road.here(example("carrier"));
    send.args(["send", server.address().unwrap_or_default(), kind, &mebibytes(bytes).to_string()]);
    sent(&mut send, bytes, road)
}

fn tls(bytes: u64, road: &Road) -> Result<Cost, String> {
    sent(road.here(example("tls")).arg(mebibytes(bytes).to_string()), bytes, road)
}

/// Both say megabytes per second, and CPU seconds per gigabyte at both ends; of that, `bytes` are reckoned.
fn sent(command: &mut Command, bytes: u64, road: &Road) -> Result<Cost, String> {
    let before = road.bytes()?;
    let (whole, said) = measure::run_heard(command)?;
    let carried = (mebibytes(bytes) << 20) as f64;
    let wire = (road.bytes()? - before) as f64 * bytes as f64 / carried;
    let words = said.split_whitespace().map(|word| word.trim_end_matches([',', ';']));
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    let [speed, sender, receiver, ..] = numbers[..] else { return Err(said) };
    let gigabytes = bytes as f64 / 1e9;
    Ok(Cost {
        wall: gigabytes * 1e3 / speed,
        cpu: sender * gigabytes,
        server_cpu: receiver * gigabytes,
        wire: wire as u64,
        ..whole
    })
}

fn mebibytes(bytes: u64) -> u64 {
    (bytes >> 20).clamp(1, MOST_MIB)
}

fn example(name: &str) -> String {
    place::target().join("release/examples").join(name).display().to_string()
}
