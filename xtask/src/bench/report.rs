//! The results, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Samples;
use super::measure::Cost;
use crate::Failure;

const HEAD: &str = "# Benchmarks

Made by `cargo xtask bench local`; the numbers for programs are in `latest.json`. `sharing.md` has push, clone and pull, `mount.md` the drive. Medians of
interleaved rounds: every round takes every tool through every operation on the same files (warm page cache, `sync` before each
measurement), then measures the limits. Every checkout was compared byte for byte with its source.

- **add**: the first version, added and committed (a backup, for backup tools). **status**, **re-add**: nothing has changed.
  **checkout**: everything into an empty folder. **insert**: one byte put in front of the largest file, added and committed.
- **limit: pipeline** is FastCDC 16/64/256 KiB and BLAKE3 in memory on all cores (**pipeline-1**: on one), **write+fsync** one file
  of that size written and synced, **cp** a plain copy of the files.
- CPU is user and system time; memory is the largest resident set of any process; added is what the repository grew by.
";

/// What a part of the benchmark has found.
pub struct Measured {
    pub samples: Samples,
    /// Workload → bytes.
    pub sizes: BTreeMap<String, u64>,
    /// Tool → version.
    pub versions: BTreeMap<&'static str, String>,
}

/// Writes `README.md` and `latest.json`, and prints the tables.
pub fn local(out: &Path, measured: &Measured) -> Result<(), Failure> {
    let table = table(&measured.samples, &measured.sizes);
    write(out, ["README.md", "latest.json"], &format!("{HEAD}\n{}", about(measured)), &table, &numbers(measured))
}

/// Writes a page of a head and tables, and the numbers; prints the tables.
pub fn write(out: &Path, [page, file]: [&str; 2], head: &str, tables: &str, numbers: &Value) -> Result<(), Failure> {
    fs::create_dir_all(out)?;
    fs::write(out.join(file), serde_json::to_string_pretty(numbers).map_err(std::io::Error::other)? + "\n")?;
    fs::write(out.join(page), format!("{head}{tables}"))?;
    println!("{tables}\nwritten to {}", out.join(page).display());
    Ok(())
}

/// When, how often and on what this was measured.
pub fn about(measured: &Measured) -> String {
    let machine = machine();
    let word = |key: &str| machine[key].as_str().unwrap_or_default().to_owned();
    let rounds = measured.samples.values().map(Vec::len).max().unwrap_or(0);
    format!("{}, {rounds} rounds, {} cores of {}, {}.\n", today(), machine["cores"], word("cpu"), word("kernel"))
}

/// All of it, for programs.
pub fn numbers(measured: &Measured) -> Value {
    let results: Vec<Value> = measured.samples.iter().map(|(key, costs)| result(key, costs)).collect();
    json!({
        "schema": 1, "date": today(), "machine": machine(), "tools": measured.versions,
        "workload_bytes": measured.sizes, "results": results,
    })
}

fn today() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d").to_string()
}

fn result((workload, subject, operation): &(String, String, String), costs: &[Cost]) -> Value {
    let middle = median(costs);
    json!({
        "workload": workload, "subject": subject, "operation": operation,
        "wall_s": middle.wall, "cpu_s": middle.cpu, "peak_rss_bytes": middle.rss, "added_bytes": middle.added,
        "server_cpu_s": middle.server_cpu, "wire_bytes": middle.wire,
        "all_wall_s": costs.iter().map(|cost| cost.wall).collect::<Vec<_>>(),
    })
}

/// The median of each measure by itself; of memory, the largest.
pub fn median(costs: &[Cost]) -> Cost {
    let middle = |measure: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(measure).collect();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        if n == 0 { 0.0 } else { f64::midpoint(values[(n - 1) / 2], values[n / 2]) }
    };
    let count = |measure: fn(&Cost) -> u64| {
        let mut values: Vec<u64> = costs.iter().map(measure).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    Cost {
        wall: middle(|cost| cost.wall),
        cpu: middle(|cost| cost.cpu),
        rss: costs.iter().map(|cost| cost.rss).max().unwrap_or(0),
        added: count(|cost| cost.added),
        server_cpu: middle(|cost| cost.server_cpu),
        wire: count(|cost| cost.wire),
    }
}

fn table(samples: &Samples, sizes: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (workload, bytes) in sizes {
        let _ = writeln!(text, "\n## {workload}, {} MB\n", bytes / 1_000_000);
        text += "| operation | tool | wall s | MB/s | CPU s | peak MiB | added MiB |\n|---|---|--:|--:|--:|--:|--:|\n";
        for operation in ["add", "status", "re-add", "checkout", "insert"] {
            let mut rows: Vec<_> = samples
                .iter()
                .filter(|((of, _, what), _)| of == workload && what == operation)
                .map(|((_, subject, _), costs)| (subject, median(costs)))
                .collect();
            rows.sort_by(|a, b| a.1.wall.total_cmp(&b.1.wall));
            for (subject, cost) in rows {
                row(&mut text, operation, subject, cost, *bytes);
            }
        }
    }
    text
}

fn row(text: &mut String, operation: &str, subject: &str, cost: Cost, bytes: u64) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let whole = matches!(operation, "add" | "checkout");
    let speed = if whole { format!("{:.0}", bytes as f64 / 1e6 / cost.wall) } else { String::new() };
    let (wall, cpu, rss, added) = (cost.wall, cost.cpu, mib(cost.rss), mib(cost.added));
    let _ = if subject.starts_with("limit: ") {
        writeln!(text, "| {operation} | *{subject}* | {wall:.3} | {speed} | | | |")
    } else {
        writeln!(text, "| {operation} | {subject} | {wall:.3} | {speed} | {cpu:.3} | {rss:.0} | {added:.3} |")
    };
}

fn machine() -> Value {
    let line = |file: &str, start: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(start)).and_then(|line| line.split_once(':'));
        found.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cpu": line("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": line("/proc/meminfo", "MemTotal"),
        "kernel": format!("Linux {}", kernel.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_taken_measure_by_measure() {
        let cost = |wall, cpu, rss, added| Cost { wall, cpu, rss, added, ..Cost::default() };
        let middle = median(&[cost(3.0, 1.0, 5, 7), cost(1.0, 2.0, 9, 7), cost(2.0, 9.0, 1, 8)]);
        assert_eq!(middle, cost(2.0, 2.0, 9, 7));
        assert_eq!(median(&[cost(1.0, 0.0, 0, 0), cost(2.0, 0.0, 0, 0)]).wall, 1.5);
    }

    #[test]
    fn the_table_is_ordered_by_operation_and_time() {
        let mut samples = Samples::new();
        let key = |subject: &str, operation: &str| ("w".to_owned(), subject.to_owned(), operation.to_owned());
        samples.insert(key("slow", "add"), vec![Cost { wall: 2.0, ..Cost::default() }]);
        samples.insert(key("swift", "add"), vec![Cost { wall: 1.0, ..Cost::default() }]);
        samples.insert(key("slow", "status"), vec![Cost { wall: 0.1, ..Cost::default() }]);
        let table = table(&samples, &[("w".to_owned(), 2_000_000)].into());
        let rows: Vec<_> = table.lines().skip(5).map(|line| line.split('|').nth(2).unwrap().trim()).collect();
        assert_eq!(rows, ["swift", "slow", "slow"]);
    }
}
