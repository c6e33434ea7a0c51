//! Which branches and tags are at a commit.

use std::collections::HashMap;

use anstyle::{AnsiColor, Style};
use dits_core::object::{CommitId, ObjectKind, TagId};
use dits_core::refs::{RefName, RefStore};
use dits_core::repo::{RepoError, Repository};
use dits_core::tag::Tag;

use crate::output::Output;

/// How refs are named beside commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DecorateWhen {
    /// By short names: `main`, `tag: v1`.
    Short,
    /// By full names: `refs/branches/main`.
    Full,
    /// Short if a person watches, else not at all.
    Auto,
    /// Not at all.
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tag,
    Remote,
    Branch,
    Other,
}

/// A ref that is at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    kind: Kind,
    name: RefName,
}

/// All refs, by the commit they are at.
#[derive(Debug, Default)]
pub struct Decorations {
    at: HashMap<CommitId, Vec<Mark>>,
    head: Option<CommitId>,
    branch: Option<RefName>,
    full: bool,
}

impl Decorations {
    /// Reads all refs.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn load(repo: &Repository, full: bool) -> Result<Self, RepoError> {
        let head = repo.head()?;
        let mut found = Self { head: head.commit(), branch: head.branch().cloned(), full, ..Self::default() };
        for (name, target) in repo.refs().list("refs/")? {
            let kind = match name.as_str() {
                text if text.starts_with("refs/branches/") => Kind::Branch,
                text if text.starts_with("refs/tags/") => Kind::Tag,
                text if text.starts_with("refs/remotes/") => Kind::Remote,
                _ => Kind::Other,
            };
            let Some(digest) = repo.target_digest(&target)? else { continue };
            let Some(commit) = peel(repo, digest)? else { continue };
            found.at.entry(commit).or_default().push(Mark { kind, name });
        }
        for marks in found.at.values_mut() {
            // The last name of a kind comes first, as in git.
            marks.sort_by(|a, b| (a.kind, &b.name).cmp(&(b.kind, &a.name)));
        }
        Ok(found)
    }

    fn name(&self, mark: &Mark) -> String {
        let name = if self.full { mark.name.as_str() } else { mark.name.short() };
        if mark.kind == Kind::Tag { format!("tag: {name}") } else { name.to_owned() }
    }

    /// The names at a commit, each with its style: `HEAD -> main`, `tag: v1`, `origin/main`.
    fn parts(&self, id: CommitId) -> Vec<(Style, String)> {
        let style = |color: AnsiColor| color.on_default().bold();
        let mut parts = Vec::new();
        let at_head = self.head == Some(id);
        match &self.branch {
            Some(branch) if at_head => {
                let name = if self.full { branch.as_str() } else { branch.short() };
                parts.push((style(AnsiColor::Cyan), format!("HEAD -> {name}")));
            }
            None if at_head => parts.push((style(AnsiColor::Cyan), "HEAD".to_owned())),
            _ => {}
        }
        for mark in self.at.get(&id).into_iter().flatten() {
            if at_head && self.branch.as_ref() == Some(&mark.name) {
                continue;
            }
            let color = match mark.kind {
                Kind::Branch => AnsiColor::Green,
                Kind::Remote => AnsiColor::Red,
                Kind::Tag => AnsiColor::Yellow,
                Kind::Other => AnsiColor::Magenta,
            };
            parts.push((style(color), self.name(mark)));
        }
        parts
    }

    /// The names, for JSON and `%D`.
    #[must_use]
    pub fn names(&self, id: CommitId) -> Vec<String> {
        self.parts(id).into_iter().map(|(_, name)| name).collect()
    }

    /// ` (HEAD -> main, tag: v1)` in colour; empty where nothing is.
    #[must_use]
    pub fn text(&self, id: CommitId, out: &Output) -> String {
        let parts = self.parts(id);
        if parts.is_empty() {
            return String::new();
        }
        let frame = crate::output::color::COMMIT;
        let names: Vec<String> = parts.iter().map(|(style, name)| out.paint(*style, name).to_string()).collect();
        let comma = out.paint(frame, ", ").to_string();
        format!(" {}{}{}", out.paint(frame, "("), names.join(&comma), out.paint(frame, ")"))
    }
}

/// The commit that a ref leads to; `None` if it leads to something else.
fn peel(repo: &Repository, mut digest: dits_core::object::Digest) -> Result<Option<CommitId>, RepoError> {
    loop {
        match repo.store().meta.info(&digest)?.map(|info| info.kind) {
            Some(ObjectKind::Commit) => return Ok(Some(CommitId::from_digest(digest))),
            Some(ObjectKind::Tag) => digest = Tag::read(repo.store(), TagId::from_digest(digest))?.target,
            _ => return Ok(None),
        }
    }
}
