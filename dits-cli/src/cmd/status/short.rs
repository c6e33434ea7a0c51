//! The short forms: one line per path, as `git status --porcelain=v1` has them.

use std::collections::BTreeMap;

use anstyle::Style;
use dits_core::diff::ChangeKind;
use dits_core::index::Conflict;
use dits_core::path::RepoPath;
use dits_core::repo::Head;
use dits_core::worktree::{Status, Untracked};

use crate::error::CliError;
use crate::output::path::{Quoting, quote};
use crate::output::{Output, color};
use crate::repository::Opened;
use crate::tracking::Tracking;

/// Which of the short forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people: in colours, paths from the current folder.
    Short,
    /// For scripts: paths from the top.
    Porcelain,
    /// The same with NUL at the ends of lines and raw names.
    Nul,
}

#[derive(Default)]
struct Line<'a> {
    staged: Option<char>,
    unstaged: Option<char>,
    from: Option<&'a RepoPath>,
    conflict: bool,
}

/// Writes it; `branch` asks for the line with the branch, and has what that follows.
pub fn show(
    status: &Status,
    form: Form,
    branch: Option<Option<&Tracking>>,
    opened: &Opened,
    out: &Output,
) -> Result<(), CliError> {
    let writer = Writer { form, opened, out };
    if let Some(tracking) = branch {
        writer.branch(&status.head, tracking)?;
    }
    for (path, line) in lines(status) {
        writer.line(path, &line)?;
    }
    for (mark, list) in [("??", &status.untracked), ("!!", &status.ignored)] {
        for one in list {
            writer.untracked(mark, one)?;
        }
    }
    Ok(())
}

fn lines(status: &Status) -> BTreeMap<&RepoPath, Line<'_>> {
    let mut lines: BTreeMap<&RepoPath, Line<'_>> = BTreeMap::new();
    for staged in &status.staged {
        let line = lines.entry(&staged.change.path).or_default();
        line.from = staged.rename.as_ref().map(|rename| &rename.from);
        line.staged = Some(if line.from.is_some() { 'R' } else { letter(staged.change.kind()) });
    }
    for unstaged in &status.unstaged {
        lines.entry(&unstaged.path).or_default().unstaged = Some(letter(unstaged.kind));
    }
    for conflict in &status.conflicts {
        let (staged, unstaged) = conflict_letters(conflict);
        let line = Line { staged: Some(staged), unstaged: Some(unstaged), from: None, conflict: true };
        lines.insert(&conflict.path, line);
    }
    lines
}

/// git's letter for a kind of change.
pub fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
        ChangeKind::Modified => 'M',
        ChangeKind::TypeChanged => 'T',
    }
}

/// git's letters for what our and their side did.
pub fn conflict_letters(conflict: &Conflict) -> (char, char) {
    match (&conflict.base, &conflict.ours, &conflict.theirs) {
        (_, None, None) => ('D', 'D'),
        (None, Some(_), None) => ('A', 'U'),
        (None, None, Some(_)) => ('U', 'A'),
        (None, Some(_), Some(_)) => ('A', 'A'),
        (Some(_), Some(_), None) => ('U', 'D'),
        (Some(_), None, Some(_)) => ('D', 'U'),
        (Some(_), Some(_), Some(_)) => ('U', 'U'),
    }
}

struct Writer<'a> {
    form: Form,
    opened: &'a Opened,
    out: &'a Output,
}

impl Writer<'_> {
    fn end(&self) -> char {
        if self.form == Form::Nul { '\0' } else { '\n' }
    }

    fn letter(&self, style: Style, letter: Option<char>) -> String {
        letter.map_or_else(|| " ".to_owned(), |letter| self.painted(style, letter.encode_utf8(&mut [0; 4])))
    }

    fn branch(&self, head: &Head, tracking: Option<&Tracking>) -> Result<(), CliError> {
        let ours = |name: &str| self.painted(color::ADDED, name);
        let text = match head {
            Head::Unborn { branch } => format!("No commits yet on {}", ours(branch.short())),
            Head::Branch { branch, .. } => ours(branch.short()),
            Head::Detached { .. } => self.painted(color::DELETED, "HEAD (no branch)"),
        };
        let upstream = tracking.map_or_else(String::new, |tracking| {
            let distance = tracking.short().map(|distance| format!(" [{distance}]"));
            format!("...{}{}", self.painted(color::DELETED, &tracking.name), distance.unwrap_or_default())
        });
        write!(self.out, "## {text}{upstream}{}", self.end())
    }

    /// Colours are for people only.
    fn painted(&self, style: Style, text: &str) -> String {
        match self.form {
            Form::Short => self.out.paint(style, text).to_string(),
            _ => text.to_owned(),
        }
    }

    fn line(&self, path: &RepoPath, line: &Line<'_>) -> Result<(), CliError> {
        let first = if line.conflict { color::DELETED } else { color::ADDED };
        let (staged, unstaged) = (self.letter(first, line.staged), self.letter(color::DELETED, line.unstaged));
        write!(self.out, "{staged}{unstaged} ")?;
        match (line.from, self.form) {
            (Some(from), Form::Nul) => {
                self.path(path.as_bytes())?;
                write!(self.out, "\0")?;
                self.path(from.as_bytes())?;
            }
            (Some(from), _) => {
                self.path(from.as_bytes())?;
                write!(self.out, " -> ")?;
                self.path(path.as_bytes())?;
            }
            (None, _) => self.path(path.as_bytes())?,
        }
        write!(self.out, "{}", self.end())
    }

    fn untracked(&self, mark: &str, one: &Untracked) -> Result<(), CliError> {
        match self.form {
            Form::Short => write!(self.out, "{} ", self.out.paint(color::DELETED, mark))?,
            _ => write!(self.out, "{mark} ")?,
        }
        let slash: &[u8] = if one.is_folder { b"/" } else { b"" };
        self.path(&[one.path.as_bytes(), slash].concat())?;
        write!(self.out, "{}", self.end())
    }

    /// A name with a space is quoted too: the arrow of a rename has spaces.
    fn path(&self, path: &[u8]) -> Result<(), CliError> {
        let shown = match self.form {
            Form::Nul => return self.out.write_bytes(path),
            Form::Porcelain => quote(path, Quoting::NonAscii).into_owned(),
            Form::Short => quote(&self.opened.relative_to_here(path), Quoting::Odd).into_owned(),
        };
        if shown.contains(&b' ') && !shown.starts_with(b"\"") {
            return self.out.write_bytes(&[b"\"", &shown[..], b"\""].concat());
        }
        self.out.write_bytes(&shown)
    }
}
