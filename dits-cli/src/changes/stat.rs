//! `--stat`, `--numstat` and `--shortstat`.

use std::io::Write;

use dits_core::diff::lines_of;
use unicode_width::UnicodeWidthStr;

use super::{Body, Changes, Item, binary};
use crate::error::CliError;
use crate::output::color::{ADDED, DELETED};
use crate::output::path::quote_text;
use crate::output::size::{format_bytes, format_count, plural};

/// The widest line when nothing says how wide the terminal is, as in git.
const WIDTH: usize = 80;

/// How much of a file changed.
enum Amount {
    Lines { added: usize, removed: usize },
    Binary(String),
    Conflict,
}

/// Writes them as the form says.
///
/// # Errors
/// When a file cannot be read.
pub fn write(changes: &Changes<'_>, items: &[Item], out: &mut Vec<u8>) -> Result<(), CliError> {
    let mut rows = Vec::new();
    for item in items {
        rows.push((item, amount(changes, item)?));
    }
    if changes.form.numstat {
        rows.iter().for_each(|(item, amount)| numbers(changes, item, amount, out));
    }
    if changes.form.stat {
        lines(changes, &rows, out);
    }
    if changes.form.stat || changes.form.shortstat {
        summary(&rows, out);
    }
    Ok(())
}

fn amount(changes: &Changes<'_>, item: &Item) -> Result<Amount, CliError> {
    if item.conflict {
        return Ok(Amount::Conflict);
    }
    if item.same_content() {
        return Ok(Amount::Lines { added: 0, removed: 0 });
    }
    match changes.body(item)? {
        Body::Text(old, new) => {
            let diff = lines_of(&old, &new, 0);
            Ok(Amount::Lines { added: diff.added, removed: diff.removed })
        }
        Body::Binary(..) => {
            let size = |side: &Option<super::Side>| side.as_ref().map_or(0, |side| side.size);
            let diff = binary::compare(changes, item)?;
            let mut text = format!("Bin {} -> {}", format_bytes(size(&item.old)), format_bytes(size(&item.new)));
            if item.new.is_some() {
                let (added, all) = (format_count(diff.added.chunks), format_count(diff.new.chunks));
                text.push_str(&match item.old {
                    Some(_) => format!(", {added} of {all} chunks new ({})", format_bytes(diff.added.bytes)),
                    // Nothing is said of content that other files share.
                    None => format!(", {}", plural(diff.new.chunks, "chunk", "chunks")),
                });
            }
            Ok(Amount::Binary(text))
        }
    }
}

fn numbers(changes: &Changes<'_>, item: &Item, amount: &Amount, out: &mut Vec<u8>) {
    let (added, removed) = match amount {
        Amount::Lines { added, removed } => (added.to_string(), removed.to_string()),
        Amount::Binary(_) => ("-".to_owned(), "-".to_owned()),
        Amount::Conflict => ("0".to_owned(), "0".to_owned()),
    };
    out.extend(format!("{added}\t{removed}\t").bytes());
    if changes.form.nul {
        if item.moved.is_some() {
            out.push(0);
            out.extend(item.old_path().as_bytes());
            out.push(0);
        }
        out.extend(item.path.as_bytes());
        out.push(0);
    } else {
        out.extend(format!("{}\n", shown_name(item)).bytes());
    }
}

/// `old => new`, with what both have in common written once: `shots/{a.mp4 => b.mp4}`.
fn shown_name(item: &Item) -> String {
    let Some((from, _)) = &item.moved else { return quote_text(item.path.as_bytes()) };
    let (old, new) = (quote_text(from.as_bytes()), quote_text(item.path.as_bytes()));
    if old.starts_with('"') || new.starts_with('"') {
        return format!("{old} => {new}");
    }
    let prefix = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let prefix = old[..floor(&old, prefix)].rfind('/').map_or(0, |slash| slash + 1);
    let room = (old.len() - prefix).min(new.len() - prefix);
    let tail = old.bytes().rev().zip(new.bytes().rev()).take(room).take_while(|(a, b)| a == b).count();
    let tail_start = floor_up(&old, old.len() - tail);
    let suffix = old[tail_start..].find('/').map_or(0, |slash| old.len() - tail_start - slash);
    let (old_middle, new_middle) = (&old[prefix..old.len() - suffix], &new[prefix..new.len() - suffix]);
    match prefix + suffix {
        0 => format!("{old} => {new}"),
        _ => format!("{}{{{old_middle} => {new_middle}}}{}", &old[..prefix], &old[old.len() - suffix..]),
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn floor_up(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn lines(changes: &Changes<'_>, rows: &[(&Item, Amount)], out: &mut Vec<u8>) {
    let names: Vec<String> = rows.iter().map(|(item, _)| shown_name(item)).collect();
    let name_width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let totals = rows.iter().filter_map(|(_, amount)| match amount {
        Amount::Lines { added, removed } => Some(added + removed),
        _ => None,
    });
    let most = totals.max().unwrap_or(0);
    let has_binary = rows.iter().any(|(_, amount)| matches!(amount, Amount::Binary(_)));
    let number_width = most.to_string().len().max(if has_binary { 3 } else { 1 });
    let columns = if changes.cx.out().is_terminal() { terminal_width() } else { WIDTH };
    let graph_width = columns.saturating_sub(name_width + number_width + 6).max(10);
    for ((_, amount), name) in rows.iter().zip(&names) {
        let padding = " ".repeat(name_width - name.width());
        let _ = write!(out, " {name}{padding} | ");
        let _ = match amount {
            Amount::Lines { added, removed } => {
                let (plus, minus) = scaled(*added, *removed, most, graph_width);
                let total = added + removed;
                let gap = if total == 0 { "" } else { " " };
                let paint = |style, sign: &str, count| changes.cx.out().paint(style, sign.repeat(count));
                let (plus, minus) = (paint(ADDED, "+", plus), paint(DELETED, "-", minus));
                writeln!(out, "{total:>number_width$}{gap}{plus}{minus}")
            }
            Amount::Binary(text) => writeln!(out, "{text}"),
            Amount::Conflict => writeln!(out, "Unmerged"),
        };
    }
}

/// How many signs stand for the lines; every kind that there is gets one at least.
fn scaled(added: usize, removed: usize, most: usize, width: usize) -> (usize, usize) {
    let scale = |count: usize| match count {
        0 => 0,
        _ if most <= width => count,
        _ => (count * (width - 1)).div_ceil(most).max(1),
    };
    (scale(added), scale(removed))
}

fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}

fn summary(rows: &[(&Item, Amount)], out: &mut Vec<u8>) {
    if rows.is_empty() {
        return;
    }
    let (mut added, mut removed) = (0, 0);
    for (_, amount) in rows {
        if let Amount::Lines { added: plus, removed: minus } = amount {
            added += plus;
            removed += minus;
        }
    }
    let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let mut text = format!(" {} changed", counted(rows.len(), "file"));
    let neither = added == 0 && removed == 0;
    if added > 0 || neither {
        text.push_str(&format!(", {}(+)", counted(added, "insertion")));
    }
    if removed > 0 || neither {
        text.push_str(&format!(", {}(-)", counted(removed, "deletion")));
    }
    text.push('\n');
    out.extend(text.bytes());
}
