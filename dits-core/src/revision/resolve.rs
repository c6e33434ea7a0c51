//! From a parsed revision to an object.

use super::{Navigation, Range, Revision, RevisionError};
use crate::commit::Commit;
use crate::history;
use crate::object::{CommitId, Digest, ObjectKind, TagId, TreeId};
use crate::path::RepoPath;
use crate::refs::{BRANCHES, RefName, RefStore, Target};
use crate::repo::{RepoError, Repository};
use crate::store::HexPrefix;
use crate::tag::Tag;
use crate::tree::{Content, Tree, TreeEntry};

/// The fewest digits an abbreviated id has.
const MIN_PREFIX: usize = 4;

/// What a revision names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// An object.
    Object(ObjectKind, Digest),
    /// A file or folder of a version.
    Entry(RepoPath, TreeEntry),
}

impl Repository {
    /// The object that a text names.
    ///
    /// # Errors
    /// When it cannot be understood or found, or what is on the way to it cannot be read.
    pub fn resolve(&self, text: &str) -> Result<Resolved, RepoError> {
        self.resolve_parsed(&Revision::parse(text)?)
    }

    /// The commit that a text names, following tags.
    ///
    /// # Errors
    /// As [`Repository::resolve`], and when it is not a commit.
    pub fn resolve_commit(&self, text: &str) -> Result<CommitId, RepoError> {
        self.commit_of(&Revision::parse(text)?)
    }

    /// The tree that a text names: a commit's, or a folder's in a version.
    ///
    /// # Errors
    /// As [`Repository::resolve`], and when it is neither.
    pub fn resolve_tree(&self, text: &str) -> Result<TreeId, RepoError> {
        match self.resolve(text)? {
            Resolved::Entry(_, TreeEntry { content: Content::Tree(tree), .. }) => Ok(tree),
            Resolved::Entry(..) => Err(wrong_kind(text, "tree", "file")),
            Resolved::Object(kind, digest) => self.peel_to_tree(text, kind, digest),
        }
    }

    /// Resolves a parsed revision.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub fn resolve_parsed(&self, revision: &Revision) -> Result<Resolved, RepoError> {
        let Some(path) = &revision.path else {
            let (kind, digest) = self.object_of(revision)?;
            return Ok(Resolved::Object(kind, digest));
        };
        if revision.base.is_empty() && revision.left_branch.is_none() {
            return self.index_entry(path);
        }
        let (kind, digest) = self.object_of(revision)?;
        let tree = self.peel_to_tree(&revision.text, kind, digest)?;
        let trimmed = path.trim_end_matches('/');
        if trimmed.is_empty() || trimmed == "." {
            return Ok(Resolved::Object(ObjectKind::Tree, *tree.digest()));
        }
        let parsed =
            RepoPath::parse(trimmed.strip_prefix("./").unwrap_or(trimmed).as_bytes()).map_err(RevisionError::from)?;
        let entry = Tree::at_path(self.store(), tree, &parsed)?;
        let missing = || RevisionError::NoPath { revision: revision.base.clone(), path: path.clone() };
        Ok(Resolved::Entry(parsed, entry.ok_or_else(missing)?))
    }

    /// The commits that ranges select, as (tips, hidden).
    ///
    /// # Errors
    /// When an end cannot be resolved to a commit.
    pub fn resolve_ranges(&self, ranges: &[Range]) -> Result<(Vec<CommitId>, Vec<CommitId>), RepoError> {
        let (mut tips, mut hidden) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                Range::Single(revision) => tips.push(self.commit_of(revision)?),
                Range::Not(revision) => hidden.push(self.commit_of(revision)?),
                Range::Between(from, to) => {
                    hidden.push(self.commit_of(from)?);
                    tips.push(self.commit_of(to)?);
                }
                Range::Symmetric(a, b) => {
                    let (a, b) = (self.commit_of(a)?, self.commit_of(b)?);
                    hidden.extend(history::merge_bases(self.store(), a, b)?);
                    tips.extend([a, b]);
                }
            }
        }
        Ok((tips, hidden))
    }

    /// The commit that a parsed revision names, following tags.
    ///
    /// # Errors
    /// As [`Repository::resolve_commit`].
    pub fn commit_of(&self, revision: &Revision) -> Result<CommitId, RepoError> {
        if revision.path.is_some() {
            return Err(wrong_kind(&revision.text, "commit", "path"));
        }
        let (kind, digest) = self.object_of(revision)?;
        self.peel_to_commit(&revision.text, kind, digest)
    }

    fn object_of(&self, revision: &Revision) -> Result<(ObjectKind, Digest), RepoError> {
        let (mut kind, mut digest) = self.base_of(revision)?;
        for step in &revision.steps {
            match step {
                Navigation::Peel(what) => (kind, digest) = self.peel(&revision.text, kind, digest, what)?,
                Navigation::Parent(0) => {
                    (kind, digest) = (ObjectKind::Commit, *self.peel_to_commit(&revision.text, kind, digest)?.digest());
                }
                Navigation::Parent(n) => {
                    let commit = self.peel_to_commit(&revision.text, kind, digest)?;
                    (kind, digest) = (ObjectKind::Commit, *self.parent(revision, commit, *n)?.digest());
                }
                Navigation::Ancestor(n) => {
                    let mut commit = self.peel_to_commit(&revision.text, kind, digest)?;
                    for _ in 0..*n {
                        commit = self.parent(revision, commit, 1)?;
                    }
                    (kind, digest) = (ObjectKind::Commit, *commit.digest());
                }
            }
        }
        Ok((kind, digest))
    }

    fn parent(&self, revision: &Revision, of: CommitId, number: u32) -> Result<CommitId, RepoError> {
        let parents = Commit::read(self.store(), of)?.parents;
        let parent = parents.get(number as usize - 1).copied();
        let text = revision.text.clone();
        match (parent, parents.len()) {
            (Some(parent), _) => Ok(parent),
            (None, count @ 1..) if number > 1 => Err(RevisionError::NoParent { text, number, count }.into()),
            (None, _) => Err(RevisionError::NoAncestor { text }.into()),
        }
    }

    fn base_of(&self, revision: &Revision) -> Result<(ObjectKind, Digest), RepoError> {
        if let Some(back) = revision.left_branch {
            let name = self.branch_left(revision, back)?;
            return self.base_of(&Revision { base: name, left_branch: None, ..revision.clone() });
        }
        if revision.upstream {
            let name = self.upstream_ref(&revision.base)?;
            return self.ref_object(revision, &name);
        }
        if let Some(name) = self.ref_named(&revision.base)? {
            return self.ref_object(revision, &name);
        }
        if revision.log_entry.is_none()
            && let Some(found) = self.object_with_prefix(&revision.base)?
        {
            return Ok(found);
        }
        if revision.base == "HEAD" {
            self.head_commit()?;
        }
        Err(RevisionError::Unknown { text: revision.base.clone() }.into())
    }

    fn ref_object(&self, revision: &Revision, name: &RefName) -> Result<(ObjectKind, Digest), RepoError> {
        let digest = match revision.log_entry {
            None => self.refs().resolve(name)?.map(|(_, digest)| digest),
            Some(0) if self.refs().log(name, 1)?.is_empty() => self.refs().resolve(name)?.map(|(_, digest)| digest),
            Some(n) => {
                let entries = self.refs().log(name, usize::MAX)?;
                let too_short = || RevisionError::NoLogEntry {
                    text: revision.text.clone(),
                    name: name.short().to_owned(),
                    entries: entries.len(),
                };
                Some(entries.get(n).and_then(|entry| entry.new).ok_or_else(too_short)?)
            }
        };
        let digest = digest.ok_or_else(|| RevisionError::Unknown { text: revision.base.clone() })?;
        let info = self.store().meta.info(&digest)?;
        let kind =
            info.map(|info| info.kind).ok_or(crate::store::StoreError::Missing { kind: ObjectKind::Commit, digest })?;
        Ok((kind, digest))
    }

    /// The ref that has what a branch follows; `HEAD` is the branch that it is on.
    ///
    /// # Errors
    /// When it follows nothing, or that is not here.
    pub fn upstream_ref(&self, branch: &str) -> Result<RefName, RepoError> {
        let name = match branch {
            "HEAD" => {
                let on_none = || RevisionError::NoBranch { text: format!("{branch}@{{u}}") };
                self.head()?.branch().cloned().ok_or_else(on_none)?
            }
            _ => RefName::branch(branch.strip_prefix(BRANCHES).unwrap_or(branch))?,
        };
        let short = || name.short().to_owned();
        let upstream = self.upstream(&name)?.ok_or_else(|| RevisionError::NoUpstream { branch: short() })?;
        match upstream.tracking {
            Some(tracking) if self.refs().resolve(&tracking)?.is_some() => Ok(tracking),
            _ => {
                let (merge, remote) = (upstream.follow.branch().to_owned(), upstream.follow.remote);
                Err(RevisionError::UpstreamGone { branch: short(), merge, remote }.into())
            }
        }
    }

    /// The full name of a ref that people call `short`, in git's order of preference.
    ///
    /// # Errors
    /// When a ref is damaged, or the upstream of a branch is asked for and there is none.
    pub fn ref_named(&self, short: &str) -> Result<Option<RefName>, RepoError> {
        if short.ends_with('}')
            && let Ok(Revision { base, upstream: true, steps, path: None, .. }) = Revision::parse(short)
            && steps.is_empty()
        {
            return self.upstream_ref(&base).map(Some);
        }
        let remote_head = format!("refs/remotes/{short}/HEAD");
        for prefix in ["", "refs/", "refs/tags/", "refs/branches/", "refs/remotes/"] {
            let Ok(name) = RefName::parse(&format!("{prefix}{short}")) else { continue };
            if self.refs().resolve(&name)?.is_some() {
                return Ok(Some(name));
            }
        }
        match RefName::parse(&remote_head) {
            Ok(name) if self.refs().resolve(&name)?.is_some() => Ok(Some(name)),
            _ => Ok(None),
        }
    }

    /// The branch or commit that HEAD was on before the `back`th last switch, from 1.
    ///
    /// # Errors
    /// When there were not that many switches, or the log cannot be read; the error names `revision`.
    pub fn branch_left(&self, revision: &Revision, back: usize) -> Result<String, RepoError> {
        let entries = self.refs().log(&RefName::head(), usize::MAX)?;
        let left = |message: &str| {
            let moved = message.strip_prefix("checkout: moving from ")?;
            moved.split_once(" to ").map(|(from, _)| from.to_owned())
        };
        let mut switches = entries.iter().filter_map(|entry| left(&entry.message));
        let name = switches.nth(back - 1);
        Ok(name.ok_or_else(|| RevisionError::Unknown { text: revision.text.clone() })?)
    }

    fn object_with_prefix(&self, prefix: &str) -> Result<Option<(ObjectKind, Digest)>, RepoError> {
        if prefix.len() < MIN_PREFIX || prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let prefix: HexPrefix = prefix.parse().map_err(|_| RevisionError::Unknown { text: prefix.to_owned() })?;
        let mut found = self.store().meta.resolve_prefix(&prefix)?;
        // A short id most likely means a commit, as in git.
        if found.len() > 1 {
            let commits: Vec<_> = found.iter().copied().filter(|(_, kind)| *kind == ObjectKind::Commit).collect();
            if commits.len() == 1 {
                found = commits;
            }
        }
        if found.is_empty() {
            found = self.store().content.resolve_prefix(&prefix)?;
        }
        match found[..] {
            [] => Ok(None),
            [(digest, kind)] => Ok(Some((kind, digest))),
            _ => {
                let candidates =
                    found.iter().take(8).map(|(digest, kind)| format!("{kind} {:.12}", digest.to_string()));
                Err(RevisionError::Ambiguous { text: prefix.to_string(), candidates: candidates.collect() }.into())
            }
        }
    }

    fn index_entry(&self, path: &str) -> Result<Resolved, RepoError> {
        let parsed = RepoPath::parse(path.as_bytes()).map_err(RevisionError::from)?;
        let index = self.index()?;
        let entry = index.get(&parsed, crate::index::Stage::Normal).map(|entry| TreeEntry {
            name: parsed.name().to_owned(),
            mode: entry.mode,
            size: entry.size,
            content: entry.content.clone(),
        });
        let missing = || RevisionError::NoPath { revision: "the index".to_owned(), path: path.to_owned() };
        Ok(Resolved::Entry(parsed.clone(), entry.ok_or_else(missing)?))
    }

    fn peel(
        &self,
        text: &str,
        kind: ObjectKind,
        digest: Digest,
        what: &str,
    ) -> Result<(ObjectKind, Digest), RepoError> {
        match what {
            "commit" => Ok((ObjectKind::Commit, *self.peel_to_commit(text, kind, digest)?.digest())),
            "tree" => Ok((ObjectKind::Tree, *self.peel_to_tree(text, kind, digest)?.digest())),
            "" => self.peel_tag(kind, digest),
            _ => {
                let why = "`^{…}` takes `commit`, `tree` or nothing";
                Err(RevisionError::Syntax { text: text.to_owned(), why }.into())
            }
        }
    }

    fn peel_tag(&self, mut kind: ObjectKind, mut digest: Digest) -> Result<(ObjectKind, Digest), RepoError> {
        while kind == ObjectKind::Tag {
            let tag = Tag::read(self.store(), TagId::from_digest(digest))?;
            (kind, digest) = (tag.target_kind, tag.target);
        }
        Ok((kind, digest))
    }

    fn peel_to_commit(&self, text: &str, kind: ObjectKind, digest: Digest) -> Result<CommitId, RepoError> {
        match self.peel_tag(kind, digest)? {
            (ObjectKind::Commit, digest) => Ok(CommitId::from_digest(digest)),
            (other, _) => Err(wrong_kind(text, "commit", other.name())),
        }
    }

    fn peel_to_tree(&self, text: &str, kind: ObjectKind, digest: Digest) -> Result<TreeId, RepoError> {
        match self.peel_tag(kind, digest)? {
            (ObjectKind::Tree, digest) => Ok(TreeId::from_digest(digest)),
            (ObjectKind::Commit, digest) => Ok(Commit::read(self.store(), CommitId::from_digest(digest))?.tree),
            (other, _) => Err(wrong_kind(text, "tree", other.name())),
        }
    }
}

fn wrong_kind(text: &str, wanted: &'static str, found: &str) -> RepoError {
    RevisionError::WrongKind { text: text.to_owned(), wanted, found: found.to_owned() }.into()
}

impl Repository {
    /// What a symbolic or direct target leads to.
    ///
    /// # Errors
    /// When a ref on the way is damaged.
    pub fn target_digest(&self, target: &Target) -> Result<Option<Digest>, RepoError> {
        match target {
            Target::Id(digest) => Ok(Some(*digest)),
            Target::Symbolic(name) => Ok(self.refs().resolve(name)?.map(|(_, digest)| digest)),
        }
    }
}
