//! Rules for the binary formats of programs whose files nobody can merge.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use dits_core::attributes::ATTRIBUTES_FILE;
use dits_core::durable;
use dits_core::index::Stage;
use dits_core::lock::Rules;
use dits_core::path::RepoPath;
use dits_core::repo::RepoError;

use crate::error::CliError;
use crate::repository::Opened;

/// Endings of files, by the program that writes them.
const FORMATS: &[(&str, &[&str])] = &[
    ("Unreal", &["umap", "uasset", "ubulk", "uexp"]),
    ("Unity", &["unity", "prefab", "asset", "mat", "anim", "controller", "lighting", "physicmaterial"]),
    ("Godot", &["scn", "res"]),
    ("Blender", &["blend"]),
    ("Maya", &["ma", "mb"]),
    ("3ds Max", &["max"]),
    ("Cinema 4D", &["c4d"]),
    ("Houdini", &["hip", "hiplc", "hipnc", "hda", "otl"]),
    ("ZBrush", &["zpr", "ztl"]),
    ("Substance", &["sbs", "sbsar", "spp"]),
    ("models", &["fbx", "3dm", "skp", "usdc", "usdz", "abc"]),
    ("CAD", &["dwg", "rvt", "sldprt", "sldasm", "ipt", "iam"]),
    ("Photoshop", &["psd", "psb"]),
    ("Illustrator, InDesign, XD", &["ai", "indd", "xd"]),
    ("Affinity", &["afphoto", "afdesign", "afpub"]),
    ("Krita, GIMP, Clip Studio", &["kra", "xcf", "clip"]),
    ("Premiere, After Effects, Audition", &["prproj", "aep", "aepx", "sesx"]),
    ("Resolve, Avid, Final Cut", &["drp", "avp", "avb", "fcpxml"]),
    ("Nuke, Fusion", &["nk", "comp"]),
    ("Pro Tools, Live, Cubase, Logic, FL Studio, Reaper", &["ptx", "als", "cpr", "logicx", "flp", "rpp"]),
    ("office", &["docx", "xlsx", "pptx", "odt", "ods", "odp", "key", "numbers", "pages"]),
];

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The new lines.
    pub lines: Vec<String>,
}

/// Adds rules to the top folder's `.ditsattributes` for the formats of files that are staged, and of which no rule says yet
/// whether they are lockable.
///
/// # Errors
/// When the rules there cannot be read, or the file cannot be written.
pub fn write(opened: &Opened) -> Result<Written, CliError> {
    let repo = &opened.repo;
    let dirs = repo.work_dirs()?;
    let lookup = repo.attributes(&dirs)?;
    let mut found: BTreeSet<(usize, String)> = BTreeSet::new();
    for entry in repo.index()?.entries().filter(|entry| entry.stage == Stage::Normal) {
        let path = entry.repo_path();
        let Some((program, ending)) = format_of(&path) else { continue };
        let attributes = lookup.attributes_of(&path).map_err(RepoError::from)?;
        let lockable = Rules::of(&attributes).is_ok_and(|rules| rules.lockable);
        if !lockable && attributes.get("lockable").is_none() {
            found.insert((program, ending));
        }
    }
    if found.is_empty() {
        return Ok(Written::default());
    }
    let lines: Vec<String> = found.into_iter().map(|(_, ending)| format!("*.{ending} lockable")).collect();
    let file = dirs.root().join(ATTRIBUTES_FILE);
    let mut text = match std::fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => durable::IoContext::at(read, "read", &file)?,
    };
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend(b"# Formats that nobody can merge: lock before you edit (dits help locking)\n");
    lines.iter().for_each(|line| text.extend(format!("{line}\n").bytes()));
    durable::write_atomic(&file, &text)?;
    Ok(Written { lines })
}

/// The number of the program, and the ending as the file has it.
fn format_of(path: &RepoPath) -> Option<(usize, String)> {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0)?;
    let ending = std::str::from_utf8(&name[dot + 1..]).ok()?;
    let lower = ending.to_ascii_lowercase();
    let program = FORMATS.iter().position(|(_, endings)| endings.contains(&lower.as_str()))?;
    Some((program, ending.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_found_in_any_case_and_listed_once() {
        let found = |text: &str| format_of(&RepoPath::parse(text.as_bytes()).unwrap()).map(|(_, ending)| ending);
        assert_eq!(found("Maps/A.UMAP").as_deref(), Some("UMAP"));
        assert_eq!(found(".blend"), None);
        assert_eq!(found("notes.txt"), None);
        let mut all: Vec<&str> = FORMATS.iter().flat_map(|(_, endings)| endings.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
