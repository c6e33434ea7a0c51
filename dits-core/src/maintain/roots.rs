//! What must be kept: everything that a ref, a log, a staging area or a pending operation names, in every worktree.

use crate::index::Index;
use crate::object::{Digest, ObjectKind};
use crate::overlay;
use crate::refs::{FolderRefs, LogEntry, RefName, RefStore, Target};
use crate::repo::{Layout, Pending, RepoError, Repository};
use crate::tree::Content;

/// An object that is kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What it is, where that is known without reading it.
    pub kind: Option<ObjectKind>,
    /// Its name.
    pub digest: Digest,
    /// Who names it, for messages.
    pub named_by: String,
    /// Whether a missing object here is damage; a log may outlive what it names.
    pub required: bool,
}

/// Everything that keeps objects alive; what must be there comes first.
///
/// # Errors
/// When one of the places cannot be read: then nothing may be removed.
pub fn roots(repo: &Repository) -> Result<Vec<Root>, RepoError> {
    roots_with(repo, &|_| true)
}

/// [`roots`], as if the logs held only the lines that `keep` keeps. The log of the stash is not asked about.
///
/// # Errors
/// As [`roots`].
pub fn roots_with(repo: &Repository, keep: &dyn Fn(&LogEntry) -> bool) -> Result<Vec<Root>, RepoError> {
    let mut roots = Vec::new();
    for (name, target) in repo.refs().list("refs/")? {
        add_ref(&mut roots, repo.refs(), &name, Some(&target), keep)?;
    }
    // A deleted ref takes its log with it, so this is a log whose ref was lost: it may be all that knows the commits.
    for name in repo.refs().logs()? {
        if !name.is_per_worktree() && repo.refs().read(&name)?.is_none() {
            add_ref(&mut roots, repo.refs(), &name, None, &|_| true)?;
        }
    }
    for commit in repo.promises()?.commits() {
        let named_by = "what a remote has promised".to_owned();
        roots.push(Root { kind: Some(ObjectKind::Commit), digest: *commit.digest(), named_by, required: false });
    }
    for private in repo.private_folders()? {
        let layout = Layout { private: private.clone(), ..repo.layout().clone() };
        let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
        for (name, target) in refs.list("")?.into_iter().filter(|(name, _)| name.is_per_worktree()) {
            add_ref(&mut roots, &refs, &name, Some(&target), keep)?;
        }
        add_index(&mut roots, &layout)?;
        add_overlay(&mut roots, &layout)?;
        if let Some(pending) = Pending::of(&layout)? {
            let named_by = format!("an unfinished {}", pending.kind.command());
            let commits = pending.heads.iter().chain(&pending.todo).chain([&pending.start, &pending.original]);
            roots.extend(commits.map(|id| required(ObjectKind::Commit, *id.digest(), &named_by)));
            roots.push(required(ObjectKind::Tree, *pending.ours.digest(), &named_by));
        }
    }
    roots.sort_by_key(|root| !root.required);
    Ok(roots)
}

fn required(kind: ObjectKind, digest: Digest, named_by: &str) -> Root {
    Root { kind: Some(kind), digest, named_by: named_by.to_owned(), required: true }
}

fn add_ref(
    roots: &mut Vec<Root>,
    refs: &FolderRefs,
    name: &RefName,
    target: Option<&Target>,
    keep: &dyn Fn(&LogEntry) -> bool,
) -> Result<(), RepoError> {
    if let Some(Target::Id(digest)) = target {
        roots.push(Root { kind: None, digest: *digest, named_by: name.to_string(), required: true });
    }
    // The log of the stash is its list of entries: what it names is not history but work put aside.
    let required = *name == RefName::stash();
    for entry in refs.log(name, usize::MAX)?.into_iter().filter(|entry| required || keep(entry)) {
        // In it a line's `old` may be an entry that was dropped.
        for digest in entry.new.into_iter().chain(entry.old.filter(|_| !required)) {
            roots.push(Root { kind: None, digest, named_by: format!("the log of {name}"), required });
        }
    }
    Ok(())
}

fn add_index(roots: &mut Vec<Root>, layout: &Layout) -> Result<(), RepoError> {
    let index = Index::load(&layout.index())?;
    let named_by = layout.index().display().to_string();
    if let Some(tree) = index.matches_tree() {
        roots.push(required(ObjectKind::Tree, *tree.digest(), &named_by));
    }
    for entry in index.entries() {
        roots.extend(root_of(&entry.content, || format!("{named_by}, `{}`", entry.repo_path())));
    }
    Ok(())
}

/// What files in a mount are made of that is in none of its commits any more, or not yet.
fn add_overlay(roots: &mut Vec<Root>, layout: &Layout) -> Result<(), RepoError> {
    let log = overlay::log_path(&layout.private);
    let contents = overlay::contents(&log)?;
    roots.extend(contents.iter().filter_map(|content| root_of(content, || log.display().to_string())));
    Ok(())
}

fn root_of(content: &Content, named_by: impl FnOnce() -> String) -> Option<Root> {
    match content {
        Content::Chunk(id) => Some(required(ObjectKind::Chunk, *id.digest(), &named_by())),
        Content::Manifest(id) => Some(required(ObjectKind::Manifest, *id.digest(), &named_by())),
        Content::Empty | Content::Symlink(_) | Content::Recipe(_) | Content::Tree(_) => None,
    }
}
