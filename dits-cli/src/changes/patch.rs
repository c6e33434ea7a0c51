//! Differences in full: git's patches for text, chunks and byte ranges for the rest.

use std::fmt;
use std::io::Write;
use std::ops::Range;

use anstyle::Style;
use dits_core::diff::{Hunk, LineChange, lines_of};
use dits_core::path::RepoPath;
use dits_core::tree::Content;

use super::{Body, Changes, Item, Side, binary};
use crate::error::CliError;
use crate::output::color::{ADDED, DELETED, HEADING, RANGE};
use crate::output::path::quote_text;

/// Digits of a content's id in an `index` line.
const DIGITS: usize = 7;

/// Writes one file.
///
/// # Errors
/// When it cannot be read.
pub fn write(changes: &Changes<'_>, item: &Item, out: &mut Vec<u8>) -> Result<(), CliError> {
    let paint = |out: &mut Vec<u8>, style: Style, text: fmt::Arguments<'_>| {
        let _ = writeln!(out, "{}", changes.cx.out().paint(style, text));
    };
    if item.conflict {
        paint(out, HEADING, format_args!("* Unmerged path {}", quote_text(item.path.as_bytes())));
        return Ok(());
    }
    // A link in place of a file has nothing in common with it: one is gone and the other new.
    if item.letter() == 'T' {
        let gone = Item { new: None, ..item.clone() };
        let new = Item { old: None, ..item.clone() };
        write(changes, &gone, out)?;
        return write(changes, &new, out);
    }
    let (a, b) = (name("a/", item.old_path()), name("b/", &item.path));
    paint(out, HEADING, format_args!("diff --git {a} {b}"));
    for line in header(item) {
        paint(out, HEADING, format_args!("{line}"));
    }
    if item.same_content() {
        return Ok(());
    }
    let (from, to) = (side_name(&item.old, &a), side_name(&item.new, &b));
    match changes.body(item)? {
        Body::Text(old, new) => {
            let diff = lines_of(&old, &new, changes.form.context);
            if !diff.hunks.is_empty() {
                paint(out, HEADING, format_args!("--- {from}"));
                paint(out, HEADING, format_args!("+++ {to}"));
            }
            diff.hunks.iter().for_each(|hunk| write_hunk(changes, hunk, out));
        }
        Body::Binary(old, new) => {
            let _ = writeln!(out, "Binary files {from} and {to} differ");
            binary::write(changes, item, (old, new), out)?;
        }
    }
    Ok(())
}

fn name(prefix: &str, path: &RepoPath) -> String {
    quote_text(&[prefix.as_bytes(), path.as_bytes()].concat())
}

fn side_name<'n>(side: &Option<Side>, name: &'n str) -> &'n str {
    if side.is_some() { name } else { "/dev/null" }
}

/// The lines between `diff --git` and the names.
fn header(item: &Item) -> Vec<String> {
    let mut lines = Vec::new();
    let mode = |side: &Side| side.mode.octal();
    match (&item.old, &item.new) {
        (None, Some(new)) => lines.push(format!("new file mode {}", mode(new))),
        (Some(old), None) => lines.push(format!("deleted file mode {}", mode(old))),
        (Some(old), Some(new)) if old.mode != new.mode => {
            lines.push(format!("old mode {}", mode(old)));
            lines.push(format!("new mode {}", mode(new)));
        }
        _ => {}
    }
    if let Some((from, similarity)) = &item.moved {
        lines.push(format!("similarity index {similarity}%"));
        lines.push(format!("rename from {}", quote_text(from.as_bytes())));
        lines.push(format!("rename to {}", quote_text(item.path.as_bytes())));
    }
    if !item.same_content() {
        let (old, new) = (content_id(&item.old), content_id(&item.new));
        let unchanged = match (&item.old, &item.new) {
            (Some(old), Some(new)) if old.mode == new.mode => format!(" {}", mode(new)),
            _ => String::new(),
        };
        lines.push(format!("index {old}..{new}{unchanged}"));
    }
    lines
}

/// The beginning of a content's id; zeros where there is none.
fn content_id(side: &Option<Side>) -> String {
    let id = match side.as_ref().and_then(|side| side.content.as_ref()) {
        Some(Content::Chunk(id)) => id.to_string(),
        Some(Content::Manifest(id)) => id.to_string(),
        Some(Content::Symlink(target)) => dits_core::object::ChunkId::of(target).to_string(),
        Some(Content::Empty) => dits_core::object::ChunkId::of(&[]).to_string(),
        _ => "0".repeat(DIGITS),
    };
    id[..DIGITS].to_owned()
}

fn write_hunk(changes: &Changes<'_>, hunk: &Hunk<'_>, out: &mut Vec<u8>) {
    let (old, new) = (numbers(&hunk.old), numbers(&hunk.new));
    let _ = writeln!(out, "{}", changes.cx.out().paint(RANGE, format_args!("@@ -{old} +{new} @@")));
    for (change, line) in &hunk.lines {
        let (sign, style) = match change {
            LineChange::Same => (b' ', Style::new()),
            LineChange::Removed => (b'-', DELETED),
            LineChange::Added => (b'+', ADDED),
        };
        let (text, ended) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (*line, false),
        };
        let style = if changes.cx.out().color() { style } else { Style::new() };
        let _ = write!(out, "{style}");
        out.push(sign);
        out.extend(text);
        let _ = writeln!(out, "{style:#}");
        if !ended {
            out.extend(b"\\ No newline at end of file\n");
        }
    }
}

/// `3,7`: the first line and how many; one line goes without its number, none begins at the line before.
fn numbers(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        count => format!("{},{count}", range.start + 1),
    }
}
