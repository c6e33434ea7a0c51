//! Lets the user write a message in their editor.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::Command;

use dits_core::durable::IoContext;

use crate::env::Env;
use crate::error::CliError;
use crate::settings::Settings;

/// The editor's command line: `DITS_EDITOR`, `core.editor`, `VISUAL`, `EDITOR`, else `vi`.
///
/// # Errors
/// When none is set and there is no terminal for `vi`.
pub fn choose(env: &Env, settings: &dyn Settings) -> Result<String, CliError> {
    // VISUAL means a full screen, which a dumb terminal has not.
    let visual = || env.visual.clone().filter(|_| !env.is_dumb());
    let named = env.dits_editor.clone().or_else(|| settings.get("core.editor")).or_else(visual);
    match named.or_else(|| env.editor.clone()) {
        Some(editor) => Ok(editor),
        None if !env.is_dumb() && io::stdin().is_terminal() => Ok("vi".to_owned()),
        None => Err(CliError::usage("there is no terminal to write a message in")
            .hint("give the message with `-m MESSAGE` or `-F FILE`, or name an editor in DITS_EDITOR")),
    }
}

/// Writes `template` to `file`, runs the editor on it, and returns the [`clean`] text that the user left there.
///
/// # Errors
/// When the editor cannot be run or fails, or the file cannot be written or read.
pub fn edit(editor: &str, file: &Path, template: &str) -> Result<String, CliError> {
    fs::write(file, template).at("write", file)?;
    if editor != ":" {
        // The shell splits the words of the editor's command; the file's name goes past it untouched.
        let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file).status();
        let status = status.at("start an editor for", file)?;
        if !status.success() {
            return Err(CliError::usage(format!("the editor `{editor}` failed ({status})"))
                .hint("nothing was recorded; set another one in DITS_EDITOR or core.editor"));
        }
    }
    Ok(clean(&fs::read_to_string(file).at("read", file)?))
}

/// Drops lines that begin with `#`, spaces at the ends of lines, blank lines at both ends and repeated ones between.
/// What is left ends in one line break, or is empty.
#[must_use]
pub fn clean(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim_end);
    tidy(lines)
}

/// [`clean`] for a message that was given as an option: a `#` is no comment there.
#[must_use]
pub fn clean_given(text: &str) -> String {
    tidy(text.lines().map(str::trim_end))
}

fn tidy<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut cleaned = String::new();
    let mut blank = false;
    for line in lines {
        if line.is_empty() {
            blank = !cleaned.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            cleaned.push('\n');
        }
        cleaned.push_str(line);
        cleaned.push('\n');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    #[test]
    fn comments_and_idle_space_go() {
        assert_eq!(clean("\n\n# hi\nTitle  \n\n\n# x\n\nBody\n  indented\n\n\n"), "Title\n\nBody\n  indented\n");
        assert_eq!(clean("# only\n\n"), "");
        assert_eq!(clean("a\r\nb"), "a\nb\n");
        assert_eq!(clean_given("#1 fixed \n"), "#1 fixed\n");
    }

    #[test]
    fn the_first_editor_that_is_set() {
        let settings = Overrides::parse(&["core.editor=configured".to_owned()]).unwrap();
        let mut env = Env { visual: Some("visual".into()), editor: Some("editor".into()), ..Env::default() };
        assert_eq!(choose(&env, &Overrides::default()).unwrap(), "visual");
        assert_eq!(choose(&env, &settings).unwrap(), "configured");
        env.term = Some("dumb".to_owned());
        assert_eq!(choose(&env, &Overrides::default()).unwrap(), "editor");
        env.dits_editor = Some("own".to_owned());
        assert_eq!(choose(&env, &settings).unwrap(), "own");
    }

    #[test]
    fn runs_an_editor_with_arguments_on_a_name_with_spaces() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("COMMIT $EDIT MSG");
        assert_eq!(edit("sed -i s/old/new/", &file, "old\n# c\n").unwrap(), "new\n");
        assert!(edit("false", &file, "x").unwrap_err().message.contains("failed"));
    }
}
