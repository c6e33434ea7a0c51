//! Which refs a push moves, and what can be refused without asking the remote.

use std::collections::HashMap;

use dits_core::history::is_ancestor;
use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::refs::{BRANCHES, RefName, RefStore, TAGS, Target};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Resolved;
use dits_sync::wire::Listing;

use super::lines::{Moved, Status};
use crate::error::CliError;
use crate::exit::Exit;

/// What the remote's ref must be for a push that may lose commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// What was last seen of it here, for every ref.
    AsSeen,
    /// What was last seen of this one.
    OneAsSeen(String),
    /// This, or nothing, for this one.
    One(String, Option<String>),
}

impl Lease {
    /// Reads the value of `--force-with-lease`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            None if text.is_empty() => Self::AsSeen,
            None => Self::OneAsSeen(text.to_owned()),
            Some((name, "")) => Self::One(name.to_owned(), None),
            Some((name, id)) => Self::One(name.to_owned(), Some(id.to_owned())),
        }
    }
}

/// What was asked for.
pub struct Request<'a> {
    /// The repository.
    pub repo: &'a Repository,
    /// Where to, if it has a name here.
    pub remote: Option<&'a Remote>,
    /// What the remote has.
    pub listing: &'a Listing,
    /// Which refs.
    pub specs: &'a [Refspec],
    /// Also where that loses commits.
    pub force: bool,
    /// Only if the remote is still as expected.
    pub leases: &'a [Lease],
}

/// A ref that is to be moved.
#[derive(Debug, Clone)]
pub struct Departure {
    /// What will be told of it.
    pub moved: Moved,
    /// The remote's ref.
    pub name: RefName,
    /// The branch here that it comes from.
    pub branch: Option<RefName>,
    /// Whether it may lose commits.
    pub force: bool,
}

impl Departure {
    /// Whether the remote is to be asked for it.
    #[must_use]
    pub fn goes(&self) -> bool {
        !self.moved.status.is_refused() && self.moved.status != Status::UpToDate
    }
}

/// Works it out.
///
/// # Errors
/// When a source or target makes no sense, or history cannot be read.
pub fn plan(request: &Request<'_>) -> Result<Vec<Departure>, CliError> {
    let mut plan: Vec<Departure> = Vec::new();
    let mut becomes: HashMap<RefName, Option<Digest>> = HashMap::new();
    for spec in request.specs {
        for departure in request.of_spec(spec)? {
            match becomes.insert(departure.name.clone(), departure.moved.new) {
                None => plan.push(departure),
                Some(other) if other == departure.moved.new => {}
                Some(_) => {
                    let name = departure.name.short();
                    return Err(CliError::usage(format!("`{name}` of the remote cannot become two things at once")));
                }
            }
        }
    }
    Ok(plan)
}

/// One side of a ref, found here.
struct Source {
    name: String,
    full: Option<RefName>,
    id: Digest,
}

impl Request<'_> {
    fn of_spec(&self, spec: &Refspec) -> Result<Vec<Departure>, CliError> {
        if spec.is_pattern() {
            return self.of_pattern(spec);
        }
        let force = self.force || spec.force;
        if spec.source.is_empty() {
            let target = spec.target.as_deref().unwrap_or_default();
            return Ok(vec![self.deletion(target, force)?]);
        }
        let source = self.source(&spec.source)?;
        let name = self.target(&source, spec.target.as_deref())?;
        Ok(vec![self.departure(source, name, force)?])
    }

    fn of_pattern(&self, spec: &Refspec) -> Result<Vec<Departure>, CliError> {
        let mut found = Vec::new();
        for (full, target) in self.repo.refs().list("refs/").map_err(RepoError::from)? {
            let (true, Target::Id(id)) = (spec.takes(full.as_str()), target) else { continue };
            let to = if spec.target.is_some() { spec.map(full.as_str()) } else { Some(full.to_string()) };
            let Some(to) = to else { continue };
            let name = shared(&to)?;
            let source = Source { name: full.to_string(), full: Some(full), id };
            found.push(self.departure(source, name, self.force || spec.force)?);
        }
        Ok(found)
    }

    /// What is to be pushed: a branch or tag, or what a revision names.
    fn source(&self, text: &str) -> Result<Source, CliError> {
        let full = match self.repo.ref_named(text)? {
            Some(name) if name.as_str() == "HEAD" => self.repo.head()?.branch().cloned(),
            named => named,
        };
        let id = match &full {
            Some(name) => self.repo.refs().resolve(name).map_err(RepoError::from)?.map(|(_, id)| id),
            None => None,
        };
        let id = match id {
            Some(id) => id,
            None => match self.repo.resolve(text).map_err(|_| no_source(text))? {
                Resolved::Object(ObjectKind::Commit | ObjectKind::Tag, id) => id,
                _ => return Err(no_source(text)),
            },
        };
        let name = if text == "@" { "HEAD".to_owned() } else { text.to_owned() };
        let name = full.as_ref().filter(|_| name != "HEAD").map_or(name, ToString::to_string);
        Ok(Source { name, full, id })
    }

    /// What it is called over there.
    fn target(&self, source: &Source, target: Option<&str>) -> Result<RefName, CliError> {
        let Some(target) = target else {
            let full = source.full.as_ref().filter(|name| name.as_branch().or(name.as_tag()).is_some());
            return full.cloned().ok_or_else(|| {
                CliError::usage(format!("`{}` is neither a branch nor a tag; what is it to become there?", source.name))
                    .hint(format!("say it behind a colon: dits push REMOTE {}:BRANCH", source.name))
            });
        };
        if target.starts_with("refs/") {
            return shared(target);
        }
        let known: Vec<&RefName> = self.known(target).collect();
        if let [one] = &known[..] {
            return Ok((*one).clone());
        }
        let space = match &source.full {
            Some(name) if name.as_tag().is_some() => TAGS,
            Some(name) if name.as_branch().is_some() => BRANCHES,
            _ if source.name == "HEAD" => BRANCHES,
            _ => {
                return Err(CliError::usage(format!("is `{target}` to be a branch or a tag there?"))
                    .hint(format!("dits push REMOTE {}:{BRANCHES}{target}", source.name)));
            }
        };
        shared(&format!("{space}{target}"))
    }

    /// The remote's refs that people call so.
    fn known<'a>(&'a self, short: &'a str) -> impl Iterator<Item = &'a RefName> {
        self.listing
            .refs
            .iter()
            .map(|(name, _)| name)
            .filter(move |name| name.short() == short || name.as_str() == short)
    }

    fn deletion(&self, target: &str, force: bool) -> Result<Departure, CliError> {
        let known = self.known(target).next().cloned();
        let name = known.ok_or_else(|| {
            let message = format!("unable to delete '{target}': remote ref does not exist");
            CliError::new(Exit::Difference, message).hint("`dits ls-remote` lists what the remote has")
        })?;
        let old = self.listing.get(&name);
        let mut moved =
            Moved { status: Status::Deleted, from: None, to: name.to_string(), old, new: None, reason: None };
        if let Some(reason) = self.breaks_lease(&name, old)? {
            (moved.status, moved.reason) = (Status::Rejected, Some(reason));
        }
        Ok(Departure { moved, name, branch: None, force: force || !self.leases.is_empty() })
    }

    fn departure(&self, source: Source, name: RefName, force: bool) -> Result<Departure, CliError> {
        let old = self.listing.get(&name);
        let leased = self.lease(&name).is_some();
        let stale = self.breaks_lease(&name, old)?;
        let (status, reason) = match old {
            Some(old) if old == source.id => (Status::UpToDate, None),
            _ if stale.is_some() => (Status::Rejected, stale),
            None => (Status::New, None),
            Some(_) if name.as_tag().is_some() => match force || leased {
                true => (Status::Forced, None),
                false => (Status::Rejected, Some("already exists".to_owned())),
            },
            Some(old) => match self.goes_forward(old, source.id)? {
                Ok(()) => (Status::FastForward, None),
                Err(_) if force || leased => (Status::Forced, None),
                Err(reason) => (Status::Rejected, Some(reason.to_owned())),
            },
        };
        let moved = Moved { status, from: Some(source.name), to: name.to_string(), old, new: Some(source.id), reason };
        let branch = source.full.filter(|name| name.as_branch().is_some());
        Ok(Departure { moved, name, branch, force: force || leased })
    }

    /// Whether the remote would only gain commits; the inner error is git's word for why not.
    fn goes_forward(&self, old: Digest, new: Digest) -> Result<Result<(), &'static str>, CliError> {
        let store = self.repo.store();
        let is_commit = |id| store.meta.info(&id).map(|info| info.is_some_and(|info| info.kind == ObjectKind::Commit));
        if !is_commit(old)? {
            return Ok(Err("fetch first"));
        }
        if !is_commit(new)? {
            return Ok(Err("non-fast-forward"));
        }
        let (old, new) = (CommitId::from_digest(old), CommitId::from_digest(new));
        Ok(if is_ancestor(store, old, new)? { Ok(()) } else { Err("non-fast-forward") })
    }

    /// The lease that is about this ref.
    fn lease(&self, name: &RefName) -> Option<&Lease> {
        let about = |text: &str| text == name.short() || text == name.as_str();
        let one = self.leases.iter().find(|lease| match lease {
            Lease::OneAsSeen(text) | Lease::One(text, _) => about(text),
            Lease::AsSeen => false,
        });
        one.or_else(|| self.leases.iter().find(|lease| matches!(lease, Lease::AsSeen)))
    }

    /// git's word for a remote that is not what was expected.
    fn breaks_lease(&self, name: &RefName, found: Option<Digest>) -> Result<Option<String>, CliError> {
        let stale = || Some("stale info".to_owned());
        let expected = match self.lease(name) {
            None => return Ok(None),
            Some(Lease::One(_, None)) => None,
            Some(Lease::One(_, Some(text))) => Some(*self.repo.resolve_commit(text)?.digest()),
            Some(Lease::AsSeen | Lease::OneAsSeen(_)) => {
                let Some(tracking) = self.remote.and_then(|remote| remote.tracking(name.as_str())) else {
                    return Ok(stale());
                };
                self.repo.refs().resolve(&tracking).map_err(RepoError::from)?.map(|(_, id)| id)
            }
        };
        Ok(if expected == found { None } else { stale() })
    }
}

/// A ref that repositories share.
fn shared(text: &str) -> Result<RefName, CliError> {
    let name = RefName::parse(text).map_err(RepoError::from)?;
    match name.as_branch().or(name.as_tag()) {
        Some(_) => Ok(name),
        None => Err(CliError::usage(format!("only branches and tags are shared, not `{name}`"))),
    }
}

fn no_source(text: &str) -> CliError {
    CliError::new(Exit::Difference, format!("src refspec {text} does not match any")).hint(
        "`dits branch` lists the branches, `dits tag` the tags; `dits status` tells whether there is a commit yet",
    )
}
