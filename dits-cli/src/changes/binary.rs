//! What can be said of files that are not text.

use std::io::Write;
use std::ops::Range;

use dits_core::diff::{ContentDiff, Region, contents};
use dits_core::media::{Fact, FileType};
use dits_core::tree::Content;

use super::{Changes, Item, Side};
use crate::error::CliError;
use crate::output::color::{FAINT, RANGE};
use crate::output::path::quote_text;
use crate::output::size::{format_bytes, format_count, plural};

/// How many byte ranges are shown.
const SHOWN: usize = 8;

/// Compares the chunks of both sides.
///
/// # Errors
/// When a manifest cannot be read.
pub fn compare(changes: &Changes<'_>, item: &Item) -> Result<ContentDiff, CliError> {
    let side = |side: &Option<Side>| {
        let content = side.as_ref().and_then(|side| side.content.clone()).unwrap_or(Content::Empty);
        (content, side.as_ref().map_or(0, |side| side.size))
    };
    let (old, new) = (side(&item.old), side(&item.new));
    Ok(contents(&changes.read, (&old.0, old.1), (&new.0, new.1))?)
}

/// A fact that is not the same on both sides.
pub struct ChangedFact {
    /// What it is about.
    pub key: &'static str,
    /// The same for people.
    pub label: &'static str,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

/// The facts that differ; of a file that is new or gone, all.
///
/// # Errors
/// When a header cannot be read.
pub fn facts(
    changes: &Changes<'_>,
    item: &Item,
    types: (Option<FileType>, Option<FileType>),
) -> Result<Vec<ChangedFact>, CliError> {
    let of = |path, side: &Option<Side>, found: Option<FileType>| -> Result<Vec<Fact>, CliError> {
        // What is absent has no known type.
        let (Some(side), Some(found)) = (side, found) else { return Ok(Vec::new()) };
        Ok(changes.facts(path, side, found)?.iter().cloned().collect())
    };
    let old = of(item.old_path(), &item.old, types.0)?;
    let new = of(&item.path, &item.new, types.1)?;
    let value = |facts: &[Fact], key| facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.to_string());
    let mut changed: Vec<ChangedFact> = Vec::new();
    for fact in new.iter().chain(&old) {
        let (before, after) = (value(&old, fact.key), value(&new, fact.key));
        if before != after && changed.iter().all(|known| known.key != fact.key) {
            changed.push(ChangedFact { key: fact.key, label: fact.label, old: before, new: after });
        }
    }
    Ok(changed)
}

/// Writes what there is to say below the file's header.
///
/// # Errors
/// When the files cannot be read.
pub fn write(
    changes: &Changes<'_>,
    item: &Item,
    types: (Option<FileType>, Option<FileType>),
    out: &mut Vec<u8>,
) -> Result<(), CliError> {
    let diff = compare(changes, item)?;
    let mut say = |text: String| writeln!(out, "  {text}").unwrap_or_default();
    say(headline(item, types));
    let absent = |side: &Option<Side>, found: Option<FileType>| side.is_some() && found.is_none();
    if absent(&item.old, types.0) || absent(&item.new, types.1) {
        say(format!("the content is not here; `dits fetch {}` brings it", quote_text(item.path.as_bytes())));
    }
    if item.old.is_some() && item.new.is_some() {
        say(chunks(&diff));
        for region in diff.regions.iter().take(SHOWN) {
            say(changes.cx.out().paint(RANGE, describe(region)).to_string());
        }
        if let Some(more) = diff.regions.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            say(changes.cx.out().paint(FAINT, format!("…and {more} more")).to_string());
        }
    } else {
        say(plural(diff.new.chunks.max(diff.old.chunks), "chunk", "chunks"));
    }
    for fact in facts(changes, item, types)? {
        say(match (fact.old, fact.new) {
            (Some(old), Some(new)) => format!("{}: {old} -> {new}", fact.label),
            (None, Some(new)) if item.old.is_some() => format!("{}: now {new}", fact.label),
            (Some(old), None) if item.new.is_some() => format!("{}: no longer {old}", fact.label),
            (old, new) => format!("{}: {}", fact.label, new.or(old).unwrap_or_default()),
        });
    }
    Ok(())
}

/// `MPEG-4 video, 92.1 MiB -> 92.3 MiB`.
fn headline(item: &Item, types: (Option<FileType>, Option<FileType>)) -> String {
    let name = |found: Option<FileType>| found.map_or("content not here", FileType::description);
    let size = |side: &Option<Side>| side.as_ref().map_or_else(String::new, |side| format_bytes(side.size));
    match (&item.old, &item.new) {
        (Some(_), Some(_)) => {
            let what = match types.0 == types.1 {
                true => name(types.1).to_owned(),
                false => format!("{} -> {}", name(types.0), name(types.1)),
            };
            let (old, new) = (size(&item.old), size(&item.new));
            let sizes = if old == new { new } else { format!("{old} -> {new}") };
            format!("{what}, {sizes}{}", grown(item))
        }
        (Some(_), None) => format!("{}, {}", name(types.0), size(&item.old)),
        _ => format!("{}, {}", name(types.1), size(&item.new)),
    }
}

/// ` (+12 B)`.
fn grown(item: &Item) -> String {
    let (Some(old), Some(new)) = (&item.old, &item.new) else { return String::new() };
    match new.size.cmp(&old.size) {
        std::cmp::Ordering::Equal => ", same length".to_owned(),
        std::cmp::Ordering::Greater => format!(" (+{})", format_bytes(new.size - old.size)),
        std::cmp::Ordering::Less => format!(" (-{})", format_bytes(old.size - new.size)),
    }
}

/// `3 of 1,210 chunks are new (212 KiB); 1,207 are shared (92.1 MiB)`.
fn chunks(diff: &ContentDiff) -> String {
    let (added, shared) = (diff.added, diff.shared());
    let verb = if added.chunks == 1 { "is" } else { "are" };
    format!(
        "{} of {} {verb} new ({}); {} shared ({})",
        format_count(added.chunks),
        plural(diff.new.chunks, "chunk", "chunks"),
        format_bytes(added.bytes),
        format_count(shared.chunks),
        format_bytes(shared.bytes),
    )
}

/// The ends are inclusive, as people count bytes.
fn describe(region: &Region) -> String {
    let length = |range: &Range<u64>| range.end - range.start;
    let shown = |range: &Range<u64>| format!("{}-{}", range.start, range.end.saturating_sub(1));
    let (old, new) = (length(&region.old), length(&region.new));
    match (old, new) {
        (0, _) => format!("+ bytes {}: {} inserted", shown(&region.new), format_bytes(new)),
        (_, 0) => format!("- bytes {}: {} removed", shown(&region.old), format_bytes(old)),
        _ if region.old == region.new => format!("~ bytes {}: {} differ", shown(&region.new), format_bytes(new)),
        _ => format!(
            "~ bytes {} -> {}: {} in place of {}",
            shown(&region.old),
            shown(&region.new),
            format_bytes(new),
            format_bytes(old)
        ),
    }
}
