//! The tables of what was measured in drives, and what was asked of it.

use std::fmt::Write;

use super::cold::ROUND_TRIP;
use crate::bench::measure::Cost;
use crate::bench::promise::{Bound, Promise};
use crate::bench::report::{Measured, median};

pub const HEAD: &str = "# Benchmarks of the drive

Made by `cargo xtask bench mount`, as root; the numbers for programs are in `mount.json`. Medians of rounds; every round takes all subjects
through the same reads.

- **read**: a file of 1 GiB from one end to the other, in pieces of 1 MiB, the second time; everything is on this machine. **native** is the file itself, from the
  system's cache. **kernel**: the kernel reads a whole copy by itself. **RAM**, **store**: the kernel has forgotten it, and the daemon has it in memory,
  or in packs that are in the system's cache.
- **cold**: a player that opens a file of 1 GB on a server 50 ms away (there and back) over 25 MB/s, reads 64 KiB at its beginning, at its end and
  in its middle; then 10 MB from the middle of a file of 10 GB.
- **list**: the attributes of 100 000 files in one folder; cold, after the kernel has forgotten all names. **write**: 20 000 times 4 KiB at random places of a file of 256 MiB, into the
  system's cache. **handles**: 500 files of 3 MiB are open and read beside each other, with `--ram` as it is by default, 256 MiB.
- **rclone** is `rclone mount --vfs-cache-mode full`, of the folder, or of `rclone serve sftp` over the same link.
- CPU and memory are those of the drive's program; mapped files are not counted.
";

/// What was asked of drives, in what was measured in the same rounds.
pub fn promises(measured: &Measured) -> Vec<Promise> {
    let cost = |workload: &str, subject: &str, operation: &str| {
        let key = (workload.to_owned(), subject.to_owned(), operation.to_owned());
        measured.samples.get(&key).map(|costs| median(costs))
    };
    let mut found = Vec::new();
    let mut put = |what: &str, value: Option<f64>, unit: &'static str, bound| {
        found.extend(value.map(|found| Promise { what: what.to_owned(), found, unit, bound }));
    };
    let ratio = |ours: Option<Cost>, theirs: Option<Cost>| Some(ours?.wall / theirs?.wall);
    let native = cost("read", "native", "sequential");
    let of_native = |subject| ratio(native, cost("read", subject, "sequential"));
    put("read: speed of what the kernel reads to native", of_native("dits, kernel"), "", Bound::AtLeast(0.95));
    put(
        "read: daemon meanwhile",
        cost("read", "dits, kernel", "sequential").map(|c| c.cpu),
        "CPU s",
        Bound::AtMost(0.02),
    );
    let speed = |subject| {
        let bytes = measured.sizes.get("read").copied().unwrap_or(0) as f64;
        cost("read", subject, "sequential").map(|cost| bytes / cost.wall / 1e9)
    };
    put("read: from RAM", speed("dits, RAM"), "GB/s", Bound::AtLeast(2.5));
    put("read: from the store", speed("dits, store"), "GB/s", Bound::AtLeast(1.3));
    let trips = |operation| cost("cold", "dits", operation).map(|cost| (cost.wall - 0.005) / ROUND_TRIP);
    put("cold: start, less 5 ms", trips("start"), "round trips", Bound::AtMost(2.0));
    put("cold: seek to the end, less 5 ms", trips("seek to the end"), "round trips", Bound::AtMost(2.0));
    put("cold: seek to the middle, less 5 ms", trips("seek to the middle"), "round trips", Bound::AtMost(2.0));
    let travelled = cost("cold", "dits", "10 MB of the middle").map(|cost| cost.wire as f64 / 1e6);
    put("cold: 10 MB of the middle", travelled, "MB on the wire", Bound::AtMost(20.0));
    for when in ["ls -l, cold", "ls -l, warm"] {
        for subject in ["dits, read-only", "dits"] {
            let found = ratio(cost("list", subject, when), cost("list", "native", when));
            put(&format!("list: {subject}, {when}, to native"), found, "x the seconds", Bound::None);
        }
    }
    let [ours, native] = ["dits", "native"].map(|subject| cost("write", subject, "4 KiB at random"));
    put("write: 4 KiB at random, to native", ratio(ours, native), "x the seconds", Bound::None);
    let memory = cost("handles", "dits", "500 handles").map(|cost| cost.rss as f64 / f64::from(256 << 20));
    put("handles: memory to --ram", memory, "", Bound::AtMost(1.1));
    found
}

/// One table for each workload.
pub fn of(measured: &Measured) -> String {
    let mut text = String::new();
    for (workload, bytes) in &measured.sizes {
        let _ = writeln!(text, "\n## {workload}, {} MB\n", bytes / 1_000_000);
        text +=
            "| operation | subject | wall s | MB/s | CPU s | MiB | on the wire MiB |\n|---|---|--:|--:|--:|--:|--:|\n";
        for ((of, subject, operation), costs) in &measured.samples {
            if of != workload {
                continue;
            }
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let cost = median(costs);
            let whole = operation == "sequential";
            let speed = if whole { format!("{:.0}", *bytes as f64 / 1e6 / cost.wall) } else { String::new() };
            let wire = if cost.wire > 0 { format!("{:.3}", mib(cost.wire)) } else { String::new() };
            let (wall, cpu, memory) = (cost.wall, cost.cpu, mib(cost.rss));
            let _ =
                writeln!(text, "| {operation} | {subject} | {wall:.4} | {speed} | {cpu:.2} | {memory:.0} | {wire} |");
        }
    }
    text
}
