//! The form for people.

use anstyle::Style;
use dits_core::diff::{Change, ChangeKind};
use dits_core::path::RepoPath;
use dits_core::repo::{Head, PendingKind};
use dits_core::tree::Mode;
use dits_core::worktree::{Skipped, StagedChange, Status, StatusOptions, Untracked, UntrackedMode};

use super::short::conflict_letters;
use crate::context::Context;
use crate::error::CliError;
use crate::locking::unheld::Unheld;
use crate::output::color;
use crate::output::path::quote_text;
use crate::output::size::plural;
use crate::repository::Opened;
use crate::tracking::Tracking;

/// A status to be shown.
pub struct Long<'a> {
    /// The status.
    pub status: &'a Status,
    /// How far the branch is from what it follows.
    pub tracking: Option<Tracking>,
    /// Changed files that this clone has not locked.
    pub unheld: Vec<Unheld>,
    /// What it looked for.
    pub options: StatusOptions,
    /// The repository.
    pub opened: &'a Opened,
    /// The run.
    pub cx: &'a Context,
}

impl Long<'_> {
    /// Writes it.
    pub fn show(&self) -> Result<(), CliError> {
        self.head()?;
        self.pending()?;
        self.staged()?;
        self.conflicts()?;
        self.unstaged()?;
        self.unheld()?;
        let (title, hint) = ("Untracked files:", "`dits add PATH` stages them");
        self.listed(title, hint, &self.status.untracked)?;
        self.listed("Ignored files:", "`dits add -f PATH` stages them all the same", &self.status.ignored)?;
        self.skipped()?;
        self.ghosts()?;
        self.summary()
    }

    fn line(&self, text: &str) -> Result<(), CliError> {
        writeln!(self.cx.out(), "{text}")
    }

    fn section(&self, title: &str, hints: &[&str]) -> Result<(), CliError> {
        self.line("")?;
        self.line(title)?;
        if self.cx.quiet() {
            return Ok(());
        }
        hints.iter().try_for_each(|hint| {
            writeln!(self.cx.out(), "{}", self.cx.out().paint(color::FAINT, format!("  ({hint})")))
        })
    }

    fn entry(&self, style: Style, text: &str) -> Result<(), CliError> {
        writeln!(self.cx.out(), "        {}", self.cx.out().paint(style, text))
    }

    fn head(&self) -> Result<(), CliError> {
        match &self.status.head {
            Head::Branch { branch, .. } => {
                self.line(&format!("On branch {}", branch.short()))?;
                let report = self.tracking.as_ref().map(|tracking| tracking.report(!self.cx.quiet()));
                write!(self.cx.out(), "{}", report.unwrap_or_default())
            }
            Head::Detached { commit } => self.line(&format!("HEAD detached at {}", &commit.to_string()[..7])),
            Head::Unborn { branch } => {
                self.line(&format!("On branch {}", branch.short()))?;
                self.line("")?;
                self.line("No commits yet")
            }
        }
    }

    fn pending(&self) -> Result<(), CliError> {
        let Some(pending) = &self.status.pending else { return Ok(()) };
        let open = !self.status.conflicts.is_empty();
        let command = pending.kind.command();
        let next = match (pending.kind, open) {
            (PendingKind::Stash, true) => "decide the conflicts with `dits resolve`".to_owned(),
            (PendingKind::Stash, false) => "all conflicts are decided".to_owned(),
            (_, true) => format!("decide the conflicts with `dits resolve`, then run `dits {command} --continue`"),
            (_, false) => format!("all conflicts are decided: `dits {command} --continue` finishes it"),
        };
        let abort = match pending.kind {
            PendingKind::Stash => "`dits stash abort` goes back to where it began".to_owned(),
            _ => format!("`dits {command} --abort` goes back to where it began"),
        };
        self.section(&format!("A {command} is in progress:"), &[&next, &abort])
    }

    fn staged(&self) -> Result<(), CliError> {
        if self.status.staged.is_empty() {
            return Ok(());
        }
        let hint = match self.status.head.commit() {
            Some(_) => "`dits restore --staged PATH` takes them back out",
            None => "`dits rm --cached PATH` takes them back out",
        };
        self.section("Changes to be committed:", &[hint])?;
        for staged in &self.status.staged {
            self.entry(color::ADDED, &staged_line(staged, self.opened))?;
        }
        Ok(())
    }

    fn unstaged(&self) -> Result<(), CliError> {
        if self.status.unstaged.is_empty() {
            return Ok(());
        }
        let hints = ["`dits add PATH` stages them, `dits commit -a` commits them", "`dits restore PATH` undoes them"];
        self.section("Changes not staged for commit:", &hints)?;
        for change in &self.status.unstaged {
            let text = format!("{:<15}{}", word(change.kind), self.opened.show(&change.path));
            self.entry(color::DELETED, &text)?;
        }
        Ok(())
    }

    fn unheld(&self) -> Result<(), CliError> {
        if self.unheld.is_empty() {
            return Ok(());
        }
        let hints = ["`dits lock PATH` before you go on; `dits locks` shows who has what now"];
        self.section("Changed, and not locked by you:", &hints)?;
        let now = self.cx.now()?;
        for one in &self.unheld {
            self.entry(color::DELETED, &format!("{} {}", self.opened.show(&one.path), one.words(now)))?;
        }
        Ok(())
    }

    fn conflicts(&self) -> Result<(), CliError> {
        if self.status.conflicts.is_empty() {
            return Ok(());
        }
        let hints = ["`dits resolve --ours PATH` or `--theirs PATH` decides; after editing, `dits resolve PATH`"];
        self.section("Paths in conflict:", &hints)?;
        for conflict in &self.status.conflicts {
            let what = match conflict_letters(conflict) {
                ('D', 'D') => "both deleted:",
                ('A', 'U') => "added by us:",
                ('U', 'A') => "added by them:",
                ('A', 'A') => "both added:",
                ('U', 'D') => "deleted by them:",
                ('D', 'U') => "deleted by us:",
                _ => "both modified:",
            };
            let beside = self.beside(&conflict.path).map(|file| format!(" (theirs is in {})", self.opened.show(file)));
            let path = self.opened.show(&conflict.path);
            self.entry(color::DELETED, &format!("{what:<17}{path}{}", beside.unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Where their version of a file in conflict was put.
    fn beside(&self, path: &RepoPath) -> Option<&RepoPath> {
        let pending = self.status.pending.as_ref()?;
        pending.beside.iter().find(|(of, _)| of == path).map(|(_, file)| file)
    }

    fn listed(&self, title: &str, hint: &str, list: &[Untracked]) -> Result<(), CliError> {
        if list.is_empty() {
            return Ok(());
        }
        self.section(title, &[hint])?;
        for one in list {
            let slash = if one.is_folder { "/" } else { "" };
            self.entry(
                color::DELETED,
                &quote_text(&self.opened.relative_to_here(&[one.path.as_bytes(), slash.as_bytes()].concat())),
            )?;
        }
        Ok(())
    }

    fn skipped(&self) -> Result<(), CliError> {
        if self.status.skipped.is_empty() {
            return Ok(());
        }
        self.section("Left out, as they cannot be versioned:", &[])?;
        for skipped in &self.status.skipped {
            let text = match skipped {
                Skipped::Nested(path) => format!("{} (a repository of its own)", self.opened.show(path)),
                Skipped::Special(path) => format!("{} (not a file, link or folder)", self.opened.show(path)),
                Skipped::Refused(folder, name, why) => {
                    let folder = folder.as_ref().map(|path| [path.as_bytes(), b"/"].concat()).unwrap_or_default();
                    format!("{} ({why})", quote_text(&self.opened.relative_to_here(&[&folder[..], name].concat())))
                }
            };
            self.entry(Style::new(), &text)?;
        }
        Ok(())
    }

    fn ghosts(&self) -> Result<(), CliError> {
        let count = self.status.ghosts as u64;
        if count == 0 {
            return Ok(());
        }
        self.line("")?;
        let (files, verb) = (plural(count, "file", "files"), if count == 1 { "is" } else { "are" });
        self.line(&format!(
            "{files} {verb} not here (`dits fetch PATH` brings content, `dits ls-files --ghosts` lists them)"
        ))
    }

    fn summary(&self) -> Result<(), CliError> {
        let status = self.status;
        if !status.staged.is_empty() || self.cx.quiet() {
            return Ok(());
        }
        let born = status.head.commit().is_some();
        let text = if !status.conflicts.is_empty() || !status.unstaged.is_empty() {
            "nothing is staged yet (`dits add` stages changes)"
        } else if !status.unreadable.is_empty() {
            "nothing else has changed, as far as could be seen"
        } else if !status.untracked.is_empty() {
            "nothing to commit but files that are not tracked (`dits add` stages them)"
        } else if self.options.untracked == UntrackedMode::No {
            "nothing to commit (untracked files were not looked for)"
        } else if born {
            "nothing to commit, working tree clean"
        } else {
            "nothing to commit (put files here, then run `dits add .`)"
        };
        // Right below the branch when there is nothing else, as in git.
        let alone =
            status.ghosts == 0 && status.untracked.is_empty() && status.is_clean() && born && status.pending.is_none();
        if !alone || self.tracking.is_some() || !status.skipped.is_empty() || !status.ignored.is_empty() {
            self.line("")?;
        }
        self.line(text)
    }
}

/// What happened, and to what.
pub fn staged_line(staged: &StagedChange, opened: &Opened) -> String {
    let path = opened.show(&staged.change.path);
    let path = match &staged.rename {
        Some(rename) => format!("{} -> {path}", opened.show(&rename.from)),
        None => path,
    };
    format!("{:<15}{path}", staged_word(staged))
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "new file:",
        ChangeKind::Deleted => "deleted:",
        ChangeKind::Modified => "modified:",
        ChangeKind::TypeChanged => "type changed:",
    }
}

fn staged_word(staged: &StagedChange) -> &'static str {
    match &staged.change {
        _ if staged.rename.is_some() => "renamed:",
        change if only_mode(change) => "mode changed:",
        change => word(change.kind()),
    }
}

/// Whether nothing but the executable bit differs.
fn only_mode(change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return false };
    old.content == new.content && old.mode != new.mode && new.mode != Mode::Symlink
}
