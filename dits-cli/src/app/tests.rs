use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn global_options_stand_on_both_sides_of_the_command() {
    let words = ["dits", "--json", "-C", "a", "-C", "b", "version", "-q", "--color=never"];
    let cli = Cli::try_parse_from(words).unwrap();
    assert!(cli.globals.json && cli.globals.quiet);
    assert_eq!(cli.globals.color, Some(ColorWhen::Never));
    assert_eq!(cli.globals.folders.len(), 2);
}

/// Texts for users, and code that has hints in it.
fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, found);
        } else if path.extension().is_some_and(|end| end == "md" || end == "rs") {
            found.push(path);
        }
    }
}

/// The commands in a text: `dits …` between backquotes, and lines that begin so in a block of four spaces.
fn commands(text: &str) -> Vec<String> {
    // A string that goes on in the next line.
    let mut text = text.to_owned();
    while let Some(at) = text.find("\\\n") {
        let rest = text[at + 2..].trim_start().to_owned();
        text.replace_range(at.., &rest);
    }
    let quoted = text.split('`').skip(1).step_by(2).filter(|inside| !inside.contains('\n')).map(str::to_owned);
    let blocks = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
    quoted
        .chain(blocks)
        .filter(|command| {
            let name = command.strip_prefix("dits ");
            name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
        })
        .collect()
}

/// What would be typed, without what only explains: comments, pipes, optional parts, alternatives.
fn words(command: &str) -> Vec<String> {
    let end =
        [" #", "  ", " | ", " && ", " > ", "…", "...", ";", " ->"].iter().filter_map(|stop| command.find(stop)).min();
    let command = command[..end.unwrap_or(command.len())].replace(['[', ']', '{', '}', '"', '\'', '\\'], "");
    command.split_whitespace().map(|word| word.split('|').next().unwrap_or(word).to_owned()).collect()
}

#[test]
fn every_command_that_a_text_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("README.md")];
    for folder in ["docs", "dits-cli/src", "dits-core/src", "dits-fuse/src", "dits-sync/src"] {
        texts(&root.join(folder), &mut files);
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files {
        for command in commands(&fs::read_to_string(&file).unwrap()) {
            count += 1;
            let error = Cli::try_parse_from(words(&command)).err();
            if error.is_some_and(|e| matches!(e.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand)) {
                wrong.push(format!("{}: {command}", file.strip_prefix(root).unwrap().display()));
            }
        }
    }
    assert!(count > 300, "only {count} were found");
    assert!(wrong.is_empty(), "no such command or option:\n{}", wrong.join("\n"));
}
