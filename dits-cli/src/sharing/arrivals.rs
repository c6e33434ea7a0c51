//! Which refs a fetch brings, and what they become here.

use std::collections::{BTreeSet, HashSet};

use dits_core::history::is_ancestor;
use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::refs::{BRANCHES, Expected, LogLine, RefEdit, RefName, RefStore, TAGS, Target};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::{RepoError, Repository};
use dits_core::signature::Signature;
use dits_sync::wire::Listing;

use super::lines::{Moved, Status};
use crate::error::CliError;
use crate::exit::Exit;

/// Which tags come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tags {
    /// Those that are new here, if all branches come.
    New,
    /// All.
    All,
    /// None.
    None,
}

/// A ref of the remote that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What the remote calls it.
    pub source: RefName,
    /// What it names.
    pub id: Digest,
    /// What it becomes here; `None` when it is only looked at, as `FETCH_HEAD`.
    pub local: Option<RefName>,
    /// Also if it loses commits here.
    pub force: bool,
    /// Whether it was asked for by name.
    pub named: bool,
}

/// What a fetch brings.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What comes.
    pub arrivals: Vec<Arrival>,
    /// What is here of the remote and gone there, if such refs are to be forgotten.
    pub gone: Vec<(RefName, Target)>,
    seen: HashSet<(RefName, Option<RefName>)>,
}

/// What was asked for.
pub struct Request<'a> {
    /// The repository.
    pub repo: &'a Repository,
    /// Where from, if it has a name here.
    pub remote: Option<&'a Remote>,
    /// What the remote has.
    pub listing: &'a Listing,
    /// What was named; without any, what the remote is set up to bring.
    pub specs: &'a [Refspec],
    /// Which tags.
    pub tags: Tags,
    /// Whether to forget what is gone.
    pub prune: bool,
    /// Also where that loses commits here.
    pub force: bool,
}

/// Works it out.
///
/// # Errors
/// When the remote does not have something that was named, or refs cannot be read.
pub fn plan(request: &Request<'_>) -> Result<Plan, CliError> {
    let mut plan = Plan::default();
    let configured = request.remote.map(|remote| remote.fetch.as_slice()).unwrap_or_default();
    let named = !request.specs.is_empty();
    for spec in if named { request.specs } else { configured } {
        let spec = Refspec { force: spec.force || request.force, ..spec.clone() };
        match spec.is_pattern() {
            true => request.pattern(&spec, &mut plan),
            false => request.single(&spec, named, &mut plan)?,
        }
    }
    if configured.is_empty() && !named {
        let head = request.listing.head.clone().ok_or_else(empty)?;
        let id = request.listing.get(&head).ok_or_else(empty)?;
        plan.add(Arrival { source: head, id, local: None, force: false, named: true });
    }
    request.add_tags(&mut plan)?;
    if request.prune {
        request.add_gone(if named { request.specs } else { configured }, &mut plan)?;
    }
    Ok(plan)
}

fn empty() -> CliError {
    CliError::new(Exit::Difference, "the remote has no commits yet").hint("push to it first: dits push URL BRANCH")
}

impl Request<'_> {
    fn pattern(&self, spec: &Refspec, plan: &mut Plan) {
        for (name, id) in self.listing.refs.iter().filter(|(name, _)| spec.takes(name.as_str())) {
            let local = spec.map(name.as_str()).and_then(|local| RefName::parse(&local).ok());
            let arrival = Arrival { source: name.clone(), id: *id, local, force: spec.force, named: false };
            plan.add(arrival);
        }
    }

    fn single(&self, spec: &Refspec, named: bool, plan: &mut Plan) -> Result<(), CliError> {
        let found = self.find(&spec.source);
        let Some((source, id)) = found else {
            return match named {
                true => Err(CliError::new(Exit::Difference, format!("couldn't find remote ref {}", spec.source))
                    .hint("`dits ls-remote` lists what the remote has")),
                // A branch that is followed and not there yet, or no more.
                false => Ok(()),
            };
        };
        let local = match spec.target.as_deref() {
            Some(target) if target.starts_with("refs/") => Some(RefName::parse(target).map_err(RepoError::from)?),
            Some(target) if source.as_tag().is_some() => {
                Some(RefName::parse(&format!("{TAGS}{target}")).map_err(RepoError::from)?)
            }
            Some(target) => Some(RefName::branch(target).map_err(RepoError::from)?),
            None => None,
        };
        let tracking = self.remote.and_then(|remote| remote.tracking(source.as_str()));
        let seen = tracking.filter(|tracking| local.as_ref() != Some(tracking));
        if local.is_some() || named {
            plan.add(Arrival { source: source.clone(), id, local, force: spec.force, named });
        }
        // What was last seen of it is kept up to date, whatever else becomes of it.
        if let Some(seen) = seen {
            plan.add(Arrival { source, id, local: Some(seen), force: true, named });
        }
        Ok(())
    }

    fn find(&self, text: &str) -> Option<(RefName, Digest)> {
        if text == "HEAD" {
            let head = self.listing.head.clone()?;
            let id = self.listing.get(&head)?;
            return Some((head, id));
        }
        let full = ["", BRANCHES, TAGS].into_iter().filter_map(|space| RefName::parse(&format!("{space}{text}")).ok());
        full.into_iter().find_map(|name| self.listing.get(&name).map(|id| (name, id)))
    }

    fn add_tags(&self, plan: &mut Plan) -> Result<(), CliError> {
        let whole = self.specs.is_empty()
            && self.remote.is_some_and(|remote| remote.fetch.iter().any(|spec| spec.takes("refs/branches/any")));
        if self.tags == Tags::None || self.tags == Tags::New && !whole {
            return Ok(());
        }
        for (name, id) in self.listing.refs.iter().filter(|(name, _)| name.as_tag().is_some()) {
            let here = self.repo.refs().read(name).map_err(RepoError::from)?;
            if here.is_none() || self.tags == Tags::All {
                let local = Some(name.clone());
                plan.add(Arrival { source: name.clone(), id: *id, local, force: self.force, named: false });
            }
        }
        Ok(())
    }

    /// Refs here that patterns would have brought, and whose sources are gone.
    fn add_gone(&self, specs: &[Refspec], plan: &mut Plan) -> Result<(), CliError> {
        for (name, target) in self.repo.refs().list("refs/").map_err(RepoError::from)? {
            let sources: Vec<String> = specs.iter().filter_map(|spec| spec.map_back(name.as_str())).collect();
            let is_there = |source: &String| RefName::parse(source).is_ok_and(|name| self.listing.get(&name).is_some());
            let symbolic = matches!(target, Target::Symbolic(_));
            if !sources.is_empty() && !symbolic && !sources.iter().any(is_there) {
                plan.gone.push((name, target));
            }
        }
        Ok(())
    }
}

impl Plan {
    fn add(&mut self, arrival: Arrival) {
        if self.seen.insert((arrival.source.clone(), arrival.local.clone())) {
            self.arrivals.push(arrival);
        }
    }

    /// The refs that are here and stay.
    fn names(&self, repo: &Repository) -> Result<BTreeSet<String>, CliError> {
        let gone: HashSet<&RefName> = self.gone.iter().map(|(name, _)| name).collect();
        let all = repo.refs().list("refs/").map_err(RepoError::from)?.into_iter().map(|(name, _)| name);
        Ok(all.filter(|name| !gone.contains(name)).map(|name| name.to_string()).collect())
    }

    /// Only what is to be forgotten.
    #[must_use]
    pub fn only_gone(self) -> Self {
        Self { gone: self.gone, ..Self::default() }
    }

    /// What is to be asked for: branches before tags, which mostly name what branches bring.
    #[must_use]
    pub fn wants(&self) -> Vec<Digest> {
        let mut seen = HashSet::new();
        let tags_last = [false, true]
            .into_iter()
            .flat_map(|tags| self.arrivals.iter().filter(move |arrival| arrival.source.as_tag().is_some() == tags));
        tags_last.map(|arrival| arrival.id).filter(|id| seen.insert(*id)).collect()
    }

    /// What becomes of each ref, once all objects are here; and what makes it so.
    ///
    /// # Errors
    /// When refs or history cannot be read.
    pub fn settle(
        &self,
        repo: &Repository,
        who: &Signature,
        log: &str,
    ) -> Result<(Vec<Moved>, Vec<RefEdit>), CliError> {
        let used = repo.branches_in_use()?;
        let mut names = self.names(repo)?;
        let (mut moves, mut edits) = (Vec::new(), Vec::new());
        for (name, target) in &self.gone {
            let old = repo.target_digest(target)?;
            moves.push(Moved {
                status: Status::Deleted,
                from: None,
                to: name.to_string(),
                old,
                new: None,
                reason: None,
            });
            edits.push(RefEdit::delete(name.clone(), Expected::Is(target.clone())));
        }
        for arrival in &self.arrivals {
            let Some(local) = &arrival.local else { continue };
            let here = repo.refs().read(local).map_err(RepoError::from)?;
            let old = here.as_ref().map(|target| repo.target_digest(target)).transpose()?.flatten();
            let (status, reason) = match used.get(local) {
                Some(folder) if old != Some(arrival.id) => {
                    let reason = format!("refusing to fetch into a branch checked out at {}", folder.display());
                    (Status::Rejected, Some(reason))
                }
                _ => match in_the_way(&names, local.as_str()).filter(|_| here.is_none()) {
                    Some(other) => {
                        let reason = format!("`{other}` is in the way; if it is gone there, `--prune` forgets it");
                        (Status::Rejected, Some(reason))
                    }
                    None => judge(repo, local, old, arrival)?,
                },
            };
            let (from, to) = (Some(arrival.source.to_string()), local.to_string());
            moves.push(Moved { status, from, to, old, new: Some(arrival.id), reason });
            if status.is_refused() || status == Status::UpToDate {
                continue;
            }
            let what = match status {
                Status::New => "storing head",
                Status::Forced | Status::TagUpdate => "forced-update",
                _ => "fast-forward",
            };
            let line = LogLine { old, new: Some(arrival.id), who: who.clone(), message: format!("{log}: {what}") };
            names.insert(local.to_string());
            let expected = here.map_or(Expected::Absent, Expected::Is);
            edits.push(RefEdit::set(local.clone(), expected, Target::Id(arrival.id)).with_log(line));
        }
        Ok((moves, edits))
    }
}

/// `a` and `a/b` cannot both be refs: the one of `names` that rules out `name`.
fn in_the_way<'a>(names: &'a BTreeSet<String>, name: &str) -> Option<&'a str> {
    let above = name.match_indices('/').find_map(|(at, _)| names.get(&name[..at]));
    let prefix = format!("{name}/");
    let below = || names.range(prefix.clone()..).next().filter(|other| other.starts_with(&prefix));
    above.or_else(below).map(String::as_str)
}

fn judge(
    repo: &Repository,
    local: &RefName,
    old: Option<Digest>,
    arrival: &Arrival,
) -> Result<(Status, Option<String>), CliError> {
    let Some(old) = old else { return Ok((Status::New, None)) };
    if old == arrival.id {
        return Ok((Status::UpToDate, None));
    }
    if local.as_tag().is_some() {
        return Ok(match arrival.force {
            true => (Status::TagUpdate, None),
            false => (Status::Rejected, Some("would clobber existing tag".to_owned())),
        });
    }
    let store = repo.store();
    let commit = |id: Digest| -> Result<Option<CommitId>, CliError> {
        let kind = store.meta.info(&id)?.map(|info| info.kind);
        Ok((kind == Some(ObjectKind::Commit)).then(|| CommitId::from_digest(id)))
    };
    let forward = match (commit(old)?, commit(arrival.id)?) {
        (Some(old), Some(new)) => is_ancestor(store, old, new)?,
        // In a dry run it did not come, and nobody can tell.
        (Some(_), None) => true,
        _ => false,
    };
    Ok(match forward {
        true => (Status::FastForward, None),
        false if arrival.force => (Status::Forced, None),
        false => (Status::Rejected, Some("non-fast-forward".to_owned())),
    })
}
