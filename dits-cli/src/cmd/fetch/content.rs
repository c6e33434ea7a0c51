//! Bringing the content of files that a partial clone left out.

use std::collections::BTreeSet;
use std::ffi::OsString;

use dits_core::chunk::ChunkRef;
use dits_core::commit::Commit;
use dits_core::diff::{self, FileVersion};
use dits_core::object::{CommitId, ObjectKind};
use dits_core::partial::{Absent, Hydrated};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::refs::{BRANCHES, REMOTES, RefStore};
use dits_core::remote::Remote;
use dits_core::repo::RepoError;
use dits_core::store::{StoreWriter, WriterGuard};
use dits_core::worktree::Selection;
use dits_sync::client::{FetchStats, RemoteChunks};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;
use crate::sharing::amounts::Amounts;
use crate::sharing::disk;
use crate::sharing::patterns::Patterns;
use crate::sharing::peer::{Carried, Peer, Surroundings, default_remote};

/// What was brought, in JSON.
#[derive(Serialize, Default)]
pub struct Answer {
    /// Ghosts that became files.
    files: u64,
    /// The bytes of these files.
    file_bytes: u64,
    /// Ghosts that stay.
    absent: u64,
    /// Bytes that the disk cache of mounts had.
    from_cache: u64,
    #[serde(flatten)]
    amounts: Amounts,
}

/// Brings content.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// Of files of this repository.
    pub opened: &'a Opened,
    /// The run.
    pub cx: &'a Context,
    /// The most bytes a second, if not as the settings say.
    pub limit: Option<u64>,
    /// Only says what would come.
    pub dry_run: bool,
}

impl Content<'_> {
    /// Brings the content of the named files.
    ///
    /// # Errors
    /// When a path names nothing, no remote has promised the content, or it cannot be brought.
    pub fn paths(&self, paths: &[OsString]) -> Result<Answer, CliError> {
        let Self { opened, cx, .. } = self;
        opened.repo.worktree()?;
        let specs = opened.select(paths)?;
        // All are asked about: which paths name something is told afterwards.
        if disk::files(&opened.repo, &specs)?.is_empty() {
            let shown: Vec<_> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            return Err(CliError::new(
                Exit::Difference,
                format!("`{}` is neither a remote nor a file known here", shown.join(" ")),
            )
            .hint("`dits remote` lists the remotes, `dits ls-files` the files"));
        }
        specs.check_all_used()?;
        let answer = self.bring(&specs)?;
        if answer.amounts.is_nothing() && answer.files == 0 {
            cx.note("Everything is here already");
        }
        Ok(answer)
    }

    /// Brings the content of selected files, and puts it in place of their ghosts.
    ///
    /// # Errors
    /// As [`Content::paths`].
    fn bring(&self, selection: &dyn Selection) -> Result<Answer, CliError> {
        let (repo, cx) = (&self.opened.repo, self.cx);
        let progress = cx.progress();
        progress.stage("Looking for what is absent", None, None);
        let has_index = repo.layout().index().exists();
        let mut absent = match has_index {
            true => repo.absent(selection, &progress)?,
            false => repo.absent_of(&disk::files(repo, selection)?, &progress)?,
        };
        let mut answer = Answer::default();
        let logical: u64 = absent.files.iter().map(|(_, version)| version.size).sum();
        // The guard keeps what came from garbage collection until files need it.
        let (((stats, carried), _guard), from_cache) = self.receive(&mut absent, &progress)?;
        answer.from_cache = from_cache;
        if self.dry_run {
            let stats = FetchStats { known: (0, logical.saturating_sub(stats.plain)), ..stats };
            answer.amounts = Amounts::fetched(&stats, carried, true);
            answer.files = absent.files.len() as u64;
            drop(progress);
            tell(cx, &answer, "Would come");
            return Ok(answer);
        }
        // In a mount there are no ghosts, and where nothing was checked out there is nothing.
        let hydrated = match has_index && !repo.layout().is_mount() {
            true => repo.hydrate(selection, &progress)?,
            false => Hydrated::default(),
        };
        drop(progress);
        let stats = FetchStats { known: (0, logical.saturating_sub(stats.plain)), ..stats };
        answer.amounts = Amounts::fetched(&stats, carried, false);
        (answer.files, answer.file_bytes, answer.absent) = (hydrated.files, hydrated.bytes, hydrated.absent);
        tell(cx, &answer, "Here now");
        Ok(answer)
    }

    /// Brings chunks: from files of worktrees, from the disk cache, and then from remotes. Says how many bytes the cache had.
    fn receive(&self, absent: &mut Absent, progress: &dyn Progress) -> Result<(Received, u64), CliError> {
        if absent.chunks.is_empty() {
            return Ok(<_>::default());
        }
        let repo = &self.opened.repo;
        if self.dry_run {
            repo.take_from_worktrees(absent, None, progress)?;
            let cached = disk::take(repo, absent, None, progress)?;
            let chunks = absent.chunks.len() as u64;
            let stats = FetchStats { chunks, plain: absent.bytes, ..FetchStats::default() };
            return Ok((((stats, Carried::default()), None), cached));
        }
        let writer = repo.writer()?;
        repo.take_from_worktrees(absent, Some(&writer), progress)?;
        let cached = disk::take(repo, absent, Some(&writer), progress)?;
        let asked = self.ask(&absent.chunks, &writer, progress);
        // Also after a failure: what came need not come again.
        let guard = writer.finish()?.guard;
        Ok(((asked?, Some(guard)), cached))
    }

    /// Brings chunks from the remotes that should have them, one after the other until one has them all.
    fn ask(
        &self,
        chunks: &[ChunkRef],
        writer: &StoreWriter,
        progress: &dyn Progress,
    ) -> Result<(FetchStats, Carried), CliError> {
        if chunks.is_empty() {
            return Ok(<_>::default());
        }
        let repo = &self.opened.repo;
        let wanted: Vec<_> = chunks.iter().map(|chunk| (*chunk.id.digest(), u64::from(chunk.len))).collect();
        let mut failed = None;
        for peer in self.holders()? {
            let talked = peer.talk(progress, |client, progress| {
                let request = RemoteChunks { chunks: &wanted, alternates: &[], dry_run: false };
                client.get(repo, writer, &request, progress)
            });
            match talked {
                Ok(carried) => return Ok(carried),
                Err(error) => failed = failed.or(Some(error)),
            }
            if progress.interrupted() {
                break;
            }
        }
        Err(failed.unwrap_or_else(|| CliError::usage("no remote has promised this content")))
    }

    /// The remotes that have promised content. What nobody promised is lost, and may be where fetches go.
    ///
    /// # Errors
    /// When one of them cannot be found by the settings.
    pub fn holders(&self) -> Result<Vec<Peer>, CliError> {
        let Self { opened, cx, limit, .. } = *self;
        let repo = &opened.repo;
        let promises = repo.promises()?;
        let names: BTreeSet<&str> = promises.iter().map(|(name, _)| name).collect();
        let around = Surroundings { cx, config: repo.config(), repo: Some(repo), who: opened.who(cx)?, limit };
        let (mut peers, mut unknown) = (Vec::new(), None);
        if names.is_empty() {
            let lost = "content is lost here that no worktree has";
            let remote = default_remote(repo, "fetch").map_err(|_| CliError::new(Exit::Corruption, lost))?;
            peers.push(Peer::named(&around, remote, false)?);
        }
        for name in names {
            match Remote::find(repo.config(), name).map_err(RepoError::from)? {
                Some(remote) => peers.push(Peer::named(&around, remote, false)?),
                None => unknown = Some(name.to_owned()),
            }
        }
        match (peers.is_empty(), unknown) {
            (true, Some(name)) => Err(CliError::usage(format!(
                "the content is held by the remote `{name}`, which is not set up any more"
            ))
            .hint(format!("dits remote add {name} URL"))),
            _ => Ok(peers),
        }
    }

    /// Brings what the settings ask for: of the files here what `fetch.include` names, and with `recent` the files of
    /// branches with new commits. `None` where there is nothing to ask for.
    ///
    /// # Errors
    /// As [`Content::paths`].
    pub fn configured(&self, recent: bool) -> Result<Option<Answer>, CliError> {
        let opened = self.opened;
        let patterns = Patterns::of_settings(opened.repo.config())?;
        if opened.repo.promises()?.is_empty() || (patterns.is_empty() && !recent) {
            return Ok(None);
        }
        if recent {
            self.bring_recent(&patterns)?;
        }
        match opened.repo.layout().worktree {
            Some(_) => self.bring(&patterns.unless_empty(recent)).map(Some),
            None => Ok(None),
        }
    }

    /// Brings the files of branches whose newest commit is not old.
    fn bring_recent(&self, patterns: &Patterns) -> Result<(), CliError> {
        let (opened, cx) = (self.opened, self.cx);
        let repo = &opened.repo;
        let days = repo.config().get_int("fetch.recentDays")?.unwrap_or(7);
        let oldest = cx.now()?.seconds.saturating_sub(days.saturating_mul(86_400));
        let selection = patterns.unless_empty(true);
        let mut files: Vec<(RepoPath, FileVersion)> = Vec::new();
        for tip in tips(opened)? {
            let commit = Commit::read(repo.store(), tip).map_err(RepoError::from)?;
            if commit.committer.time < oldest {
                continue;
            }
            for change in diff::trees(repo.store(), None, Some(commit.tree)).map_err(RepoError::from)? {
                files.extend(change.new.filter(|_| selection.includes(&change.path)).map(|new| (change.path, new)));
            }
        }
        files.dedup();
        let progress = cx.progress();
        let mut absent = repo.absent_of(&files, &progress)?;
        let (((stats, carried), _guard), _) = self.receive(&mut absent, &progress)?;
        drop(progress);
        if self.dry_run || stats.chunks > 0 {
            cx.note(format!("recent branches: {}", Amounts::fetched(&stats, carried, self.dry_run)));
        }
        Ok(())
    }
}

fn tell(cx: &Context, answer: &Answer, what: &str) {
    if answer.files > 0 {
        let size =
            if answer.file_bytes > 0 { format!(" ({})", format_bytes(answer.file_bytes)) } else { String::new() };
        cx.note(format!("{what}: {}{size}", plural(answer.files, "file", "files")));
    }
    if answer.from_cache > 0 {
        cx.note(format!("{} were in the disk cache", format_bytes(answer.from_cache)));
    }
    if !answer.amounts.is_nothing() {
        cx.note(&answer.amounts);
    }
}

type Received = ((FetchStats, Carried), Option<WriterGuard>);

/// The commits that branches, ours and those of remotes, are at.
fn tips(opened: &Opened) -> Result<BTreeSet<CommitId>, CliError> {
    let (repo, mut tips) = (&opened.repo, BTreeSet::new());
    for space in [BRANCHES, REMOTES] {
        for (_, target) in repo.refs().list(space).map_err(RepoError::from)? {
            let Some(id) = repo.target_digest(&target)? else { continue };
            let is_commit = repo.store().meta.info(&id)?.is_some_and(|info| info.kind == ObjectKind::Commit);
            tips.extend(is_commit.then(|| CommitId::from_digest(id)));
        }
    }
    Ok(tips)
}
