//! The tables of everything measured.

use std::fmt::Write;

use crate::bench::measure::Cost;
use crate::bench::report::{Measured, median};

pub const HEAD: &str = "# Benchmarks of sharing

Made by `cargo xtask bench sharing`; the numbers for programs are in `sharing.json`. Medians of interleaved rounds: every round
takes every tool through every step on the same files (warm page cache, `sync` before each measurement), then measures the
limits. Client and server are on one machine and share its processors; what goes between them is counted at the network device
of a network of their own, in both directions, as IP packets. Every clone and pull was compared byte for byte.

- **push**: everything to an empty server, **clone**: everything into an empty folder. Then one change, committed (not measured),
  pushed, and pulled into the clone. A tool without versions copies folders: there **push** and **pull** are its copying there and back.
- **dits** is over QUIC, **dits-tls** over its fallback for networks without UDP; both encrypt, verify, and have the content synced
  on disk when they return. **git-lfs** has a folder for its server (`file://`; it links files into it where it can): without a
  server it has no network. **rsync** is a daemon, not encrypted; **rsync-fsync** syncs as dits does. **rclone** copies over SFTP.
- **limit: tls** is one TLS stream of as many bytes from memory to memory, **quic carrier** and **tls carrier** what dits sends its
  messages through, likewise, **write+fsync** one file of that size written and synced.
- CPU is user and system time, here of the client, there of the server. Added is what the server's folder grew by.
- **large** is a file of 10 GB on a server that has a million chunks. **link** and **link-all** go over an emulated link with 50 ms there
  and back, 1 % loss and 200 Mbit/s.
";

/// One table for each workload.
pub fn of(measured: &Measured) -> String {
    let mut text = String::new();
    for (workload, bytes) in &measured.sizes {
        let rows = measured.samples.iter().filter(|((of, ..), _)| of == workload);
        let mut rows: Vec<_> = rows.map(|((_, subject, step), costs)| (step, subject, median(costs))).collect();
        rows.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then(a.2.wall.total_cmp(&b.2.wall)));
        let _ = writeln!(text, "\n## {workload}, {} MB\n", bytes / 1_000_000);
        text += "| step | tool | wall s | MB/s | CPU s here | there | CPU s/GB | on the wire MiB | added MiB |\n";
        text += "|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
        for (step, subject, cost) in rows {
            row(&mut text, [step, subject], cost, *bytes);
        }
    }
    text
}

/// Push, clone, pulls of nothing, then the changes: each pushed, then pulled.
fn rank(step: &str) -> (usize, &str, usize) {
    match step {
        "push" => (0, "", 0),
        "clone" => (1, "", 0),
        "pull: nothing" => (2, "", 0),
        _ => {
            let (direction, change) = step.split_once(": ").unwrap_or_default();
            (3, change, usize::from(direction == "pull"))
        }
    }
}

fn row(text: &mut String, [step, subject]: [&str; 2], cost: Cost, bytes: u64) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let whole = matches!(step, "push" | "clone");
    let of_all = |number: f64, digits: usize| if whole { format!("{number:.digits$}") } else { String::new() };
    let gigabytes = bytes as f64 / 1e9;
    let (speed, cpu) = (of_all(gigabytes * 1e3 / cost.wall, 0), of_all((cost.cpu + cost.server_cpu) / gigabytes, 2));
    let limit = subject.starts_with("limit: ");
    let subject = if limit { format!("*{subject}*") } else { subject.to_owned() };
    let added = if step.starts_with("push") && !limit { format!("{:.3}", mib(cost.added)) } else { String::new() };
    let wire = if cost.wire > 0 { format!("{:.3}", mib(cost.wire)) } else { String::new() };
    let Cost { wall, cpu: here, server_cpu: there, .. } = cost;
    let _ = writeln!(
        text,
        "| {step} | {subject} | {wall:.3} | {speed} | {here:.2} | {there:.2} | {cpu} | {wire} | {added} |"
    );
}
