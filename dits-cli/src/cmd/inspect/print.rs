//! A report, for people.

use super::{NOT_HERE, Report, STORED};
use crate::context::Context;
use crate::error::CliError;
use crate::output::color::{FAINT, HEADING};
use crate::output::path::quote_text;
use crate::output::size::{format_bytes, format_bytes_exact, format_count, format_percent, plural};

/// Prints it.
pub(super) fn print(cx: &Context, report: &Report) -> Result<(), CliError> {
    let out = cx.out();
    let name = quote_text(&report.path.0);
    let title = report.version.as_ref().map_or_else(|| name.clone(), |version| format!("{version}:{name}"));
    writeln!(out, "{}", out.paint(HEADING, title))?;
    let line = |label: &str, value: String| writeln!(out, "  {label:<13} {value}");
    if let (Some(description), Some(name)) = (report.description, report.file_type) {
        line("Type", format!("{description} ({name})"))?;
    }
    line("Length", format_bytes_exact(report.size))?;
    line("State", report.state.to_owned())?;
    for (label, value) in &report.labels {
        line(label, value.clone())?;
    }
    let chunks = &report.chunks;
    if let Some(profile) = &report.profile {
        let sizes = [profile.min, profile.avg, profile.max].map(|size| format_bytes(u64::from(size)));
        line("Cut at", format!("{}, aiming at {}, at most {}", sizes[0], sizes[1], sizes[2]))?;
    }
    if chunks.count > 0 {
        let lengths = [u64::from(chunks.min), chunks.avg, u64::from(chunks.max)].map(format_bytes);
        let lengths = format!("shortest {}, average {}, longest {}", lengths[0], lengths[1], lengths[2]);
        line("Chunks", format!("{}: {lengths}", format_count(chunks.count)))?;
        line("In the store", in_the_store(report))?;
    }
    if chunks.zero_bytes > 0 {
        line("Zeros", format!("{} in chunks of nothing else", format_bytes(chunks.zero_bytes)))?;
    }
    if chunks.repeated_bytes > 0 {
        line("Repeats", format!("{} occur more than once in it", format_bytes(chunks.repeated_bytes)))?;
    }
    line("Lockable", if report.lockable { "yes" } else { "no" }.to_owned())?;
    if !report.attributes.is_empty() {
        let list: Vec<String> = report.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        line("Attributes", list.join(" "))?;
    }
    print_sharing(cx, report)?;
    if let Some(list) = &report.chunk_list {
        writeln!(out, "  {}", out.paint(FAINT, "      offset     length     stored  chunk"))?;
        for chunk in list {
            let stored = chunk.stored.map_or_else(|| "-".to_owned(), |stored| stored.to_string());
            writeln!(out, "  {:>12} {:>10} {stored:>10}  {}", chunk.offset, chunk.length, chunk.id)?;
        }
    }
    Ok(())
}

/// `1,207 of 1,210 chunks: 92.1 MiB in 91.8 MiB (99.7 %); 212 KiB are new`.
fn in_the_store(report: &Report) -> String {
    let (stored, chunks) = (&report.in_store, &report.chunks);
    if stored.chunks == 0 {
        return "nothing of it".to_owned();
    }
    let share = format_percent(stored.stored_bytes, stored.bytes);
    let sizes = format!("{} in {} ({share})", format_bytes(stored.bytes), format_bytes(stored.stored_bytes));
    let new = report.size.saturating_sub(stored.bytes);
    let amount = match stored.chunks == chunks.count {
        true => "all of it".to_owned(),
        false => format!("{} of {}", format_count(stored.chunks), plural(chunks.count, "chunk", "chunks")),
    };
    // What a version lacks is not new: a remote holds it.
    let word = if matches!(report.state, NOT_HERE | STORED) { NOT_HERE } else { "new" };
    let new = if new == 0 { String::new() } else { format!("; {} {word}", format_bytes(new)) };
    format!("{amount}, {sizes}{new}")
}

fn print_sharing(cx: &Context, report: &Report) -> Result<(), CliError> {
    let out = cx.out();
    let about = if report.estimated { "about " } else { "" };
    for (number, shared) in report.shared.iter().enumerate() {
        let own = if shared.path == report.path { " (as it is in HEAD)" } else { "" };
        let amount = format!("{about}{} ({})", format_bytes(shared.bytes), format_percent(shared.bytes, report.size));
        let label = if number == 0 { "Shares" } else { "" };
        writeln!(out, "  {label:<13} {amount:<22} with {}{own}", quote_text(&shared.path.0))?;
    }
    if let Some(more) = report.shared_files.checked_sub(report.shared.len()).filter(|more| *more > 0) {
        writeln!(out, "  {:<13} …and with {}", "", plural(more as u64, "more file", "more files"))?;
    }
    Ok(())
}
