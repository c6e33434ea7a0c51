//! Making the repository, filling it, and writing its files.

use dits_core::commit::Commit;
use dits_core::config::{self, Edit, Layer, Value};
use dits_core::object::CommitId;
use dits_core::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::{InitOptions, RepoError, Repository};
use dits_core::signature::Signature;
use dits_core::store::{Odb, StoreError};

use super::begin::Start;
use super::folder::Folder;
use super::{Done, Job};
use crate::cmd::fetch::Content;
use crate::error::CliError;
use crate::moves::Files;
use crate::repository::Opened;
use crate::sharing::arrivals::Tags;
use crate::sharing::fetching;
use crate::sharing::filter::Filter;
use crate::sharing::peer::{self, Peer, Surroundings};

impl Job<'_> {
    /// Makes it. One that failed with nothing to show for it leaves nothing behind; otherwise what came is kept.
    pub(super) fn fill(&self, folder: &Folder) -> Result<Done, CliError> {
        let head = match &self.start {
            Start::Branch(name, _) | Start::Unborn(name) => name.short().to_owned(),
            Start::Tag(..) => "main".to_owned(),
        };
        let options = InitOptions { branch: head, bare: self.args.bare };
        folder.begin(&self.url)?;
        let (repo, _) = Repository::init(&folder.path, &options, &self.cx.environment()?)?;
        self.try_fill(&repo).map_err(|error| {
            if !has_something(&repo) {
                drop(repo);
                folder.remove();
                return error;
            }
            let place = folder.path.display();
            let error =
                CliError { hints: error.hints.into_iter().filter(|hint| !hint.contains("is kept")).collect(), ..error };
            error.hint(format!("what has arrived is kept in {place}: run the same command again to go on"))
        })
    }

    fn try_fill(&self, repo: &Repository) -> Result<Done, CliError> {
        let layout = repo.layout().clone();
        config::update(Layer::Repository, &layout.config(), &self.settings()?)?;
        // Opened anew, so that it knows the settings.
        let repo = Repository::open(layout, &self.cx.environment()?)?;
        let who = peer::nobody(self.cx, repo.config())?;
        let brought = self.fetch(&repo, &who)?;
        let commit = self.set_head(&repo, &who)?;
        let mut files = Files::default();
        if let (Some(commit), false, false) = (commit, self.args.bare, self.args.no_checkout) {
            let tree = Commit::read(repo.store(), commit).map_err(RepoError::from)?.tree;
            let progress = self.cx.progress();
            files = Files::from(&repo.reset_hard(Some(tree), &progress)?);
        }
        self.bring_configured(&repo)?;
        Ok(Done { repo, commit, amounts: brought.amounts, files })
    }

    fn settings(&self) -> Result<Vec<Edit>, CliError> {
        let name = &self.args.origin;
        let edit = |key: String, value: &str| Edit::Set(key, Value::Text(value.to_owned()));
        let mut edits = vec![edit(format!("remote.{name}.url"), &self.url)];
        let specs = if self.args.bare { Vec::new() } else { self.followed() };
        let specs = specs.iter().map(|spec| Value::Text(spec.to_string())).collect();
        edits.push(Edit::Set(format!("remote.{name}.fetch"), Value::List(specs)));
        if self.args.filter != Filter::All {
            edits.push(edit(format!("remote.{name}.partialCloneFilter"), &self.args.filter.to_string()));
        }
        if let (Start::Branch(branch, _) | Start::Unborn(branch), false) = (&self.start, self.args.bare) {
            let section = crate::tracking::section(branch);
            edits.push(edit(format!("{section}.remote"), name));
            edits.push(edit(format!("{section}.merge"), branch.as_str()));
        }
        Ok(edits)
    }

    /// What the clone follows from now on.
    fn followed(&self) -> Vec<Refspec> {
        let name = &self.args.origin;
        match (&self.start, self.is_single()) {
            (Start::Branch(branch, _), true) => vec![Refspec::one_branch(name, branch.short())],
            (Start::Tag(tag, _), true) => {
                vec![Refspec { force: true, source: tag.to_string(), target: Some(tag.to_string()) }]
            }
            _ => vec![Refspec::all_branches(name)],
        }
    }

    fn is_single(&self) -> bool {
        self.args.single_branch || (self.args.depth.is_some() && !self.args.no_single_branch)
    }

    fn fetch(&self, repo: &Repository, who: &Signature) -> Result<fetching::Brought, CliError> {
        let config = repo.config();
        let around = Surroundings {
            cx: self.cx,
            config,
            repo: Some(repo),
            who: who.clone(),
            limit: self.args.transfer.limit_rate,
        };
        let remote = Remote::find(config, &self.args.origin).map_err(RepoError::from)?;
        let remote = remote.ok_or_else(|| CliError::usage("the settings of the clone went away"))?;
        let specs = match (self.args.bare, self.is_single(), &self.start) {
            (true, true, Start::Branch(name, _) | Start::Tag(name, _)) => {
                vec![Refspec { force: true, source: name.to_string(), target: Some(name.to_string()) }]
            }
            (true, ..) => vec![Refspec::parse("+refs/branches/*:refs/branches/*").map_err(RepoError::from)?],
            (false, ..) => Vec::new(),
        };
        let job = fetching::Job {
            repo,
            peer: &Peer::named(&around, remote, false)?,
            specs: &specs,
            tags: match (self.args.no_tags, self.is_single(), self.args.bare) {
                (true, ..) | (_, true, _) => Tags::None,
                (_, _, true) => Tags::All,
                _ => Tags::New,
            },
            prune: false,
            force: false,
            depth: self.args.depth.unwrap_or(0),
            filter: self.args.filter,
            alternates: self.alternates.clone(),
            dry_run: false,
            who: who.clone(),
            log: format!("clone: from {}", self.peer.shown()),
        };
        let progress = self.cx.progress();
        job.carry_out(&progress)
    }

    /// Puts HEAD, the branch and what the remote's name stands for where they belong.
    fn set_head(&self, repo: &Repository, who: &Signature) -> Result<Option<CommitId>, CliError> {
        let message = format!("clone: from {}", self.peer.shown());
        let mut edits = Vec::new();
        let line = |commit: CommitId| {
            let new = Some(*commit.digest());
            LogLine { old: None, new, who: who.clone(), message: message.clone() }
        };
        let commit = match &self.start {
            Start::Branch(_, id) | Start::Tag(_, id) => Some(repo.resolve_commit(&id.to_string())?),
            Start::Unborn(_) => None,
        };
        let set = |name: RefName, target: Target| RefEdit::set(name, Expected::Any, target);
        match (&self.start, commit) {
            (Start::Branch(branch, _), Some(commit)) => {
                if !self.args.bare {
                    edits.push(set(branch.clone(), Target::Id(*commit.digest())).with_log(line(commit)));
                }
                edits.push(set(RefName::head(), Target::Symbolic(branch.clone())).with_log(line(commit)));
            }
            (Start::Tag(..), Some(commit)) => {
                edits.push(set(RefName::head(), Target::Id(*commit.digest())).with_log(line(commit)));
            }
            (Start::Unborn(branch) | Start::Branch(branch, _), _) => {
                edits.push(set(RefName::head(), Target::Symbolic(branch.clone())));
            }
            (Start::Tag(..), None) => {}
        }
        edits.extend(self.remote_head(repo)?);
        repo.refs().transaction(edits).map_err(RepoError::from)?;
        Ok(commit)
    }

    /// `origin` alone stands for the branch that HEAD names there.
    fn remote_head(&self, repo: &Repository) -> Result<Option<RefEdit>, CliError> {
        let Some(head) = self.listing.head.as_ref().filter(|_| !self.args.bare) else { return Ok(None) };
        let tracking = RefName::remote(&self.args.origin, head.short()).map_err(RepoError::from)?;
        if repo.refs().read(&tracking).map_err(RepoError::from)?.is_none() {
            return Ok(None);
        }
        let name = RefName::remote(&self.args.origin, "HEAD").map_err(RepoError::from)?;
        Ok(Some(RefEdit::set(name, Expected::Any, Target::Symbolic(tracking))))
    }

    /// What the user's settings want of every partial clone.
    fn bring_configured(&self, repo: &Repository) -> Result<(), CliError> {
        if self.args.filter == Filter::All || self.args.bare || self.args.no_checkout {
            return Ok(());
        }
        let repo = Repository::open(repo.layout().clone(), &self.cx.environment()?)?;
        let opened = Opened::whole(repo);
        let limit = self.args.transfer.limit_rate;
        Content { opened: &opened, cx: self.cx, limit, dry_run: false }.configured(false)?;
        Ok(())
    }
}

/// Whether anything came that a second try need not bring again.
fn has_something(repo: &Repository) -> bool {
    [&repo.store().content, &repo.store().meta].into_iter().any(|odb: &Odb| {
        let mut loose = false;
        let looked = odb.for_each_loose(|_, _| {
            loose = true;
            Ok::<_, StoreError>(())
        });
        // What cannot be looked at is kept.
        loose || looked.is_err() || odb.pack_ids().map_or(true, |packs| !packs.is_empty())
    })
}
