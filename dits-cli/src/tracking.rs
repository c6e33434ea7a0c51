//! What a branch follows, and how far the two have gone apart, in git's words.

use dits_core::config::{self, Edit, Layer, Value};
use dits_core::history::{Divergence, divergence};
use dits_core::object::CommitId;
use dits_core::refs::{RefName, RefStore};
use dits_core::remote::{Follow, HERE, Upstream};
use dits_core::repo::{RepoError, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;

/// A branch's upstream, and the distance to it.
pub struct Tracking {
    /// What the branch follows.
    pub upstream: Upstream,
    /// What that is called here: `origin/main`.
    pub name: String,
    /// How far apart the two are; `None` when the upstream is gone.
    pub distance: Option<Divergence>,
}

/// The same in JSON.
#[derive(Serialize)]
pub struct TrackingJson {
    name: String,
    remote: String,
    branch: String,
    gone: bool,
    ahead: Option<usize>,
    behind: Option<usize>,
}

impl From<&Tracking> for TrackingJson {
    fn from(tracking: &Tracking) -> Self {
        Self {
            name: tracking.name.clone(),
            remote: tracking.upstream.follow.remote.clone(),
            branch: tracking.upstream.follow.branch().to_owned(),
            gone: tracking.distance.is_none(),
            ahead: tracking.distance.map(|distance| distance.ahead),
            behind: tracking.distance.map(|distance| distance.behind),
        }
    }
}

impl Tracking {
    /// That of a branch; `None` when it follows nothing that could be here.
    ///
    /// # Errors
    /// When a setting makes no sense, or history cannot be read.
    pub fn of(repo: &Repository, branch: &RefName, tip: Option<CommitId>) -> Result<Option<Self>, RepoError> {
        let Some(upstream) = repo.upstream(branch)? else { return Ok(None) };
        let Some(tracking) = &upstream.tracking else { return Ok(None) };
        let theirs = repo.refs().resolve(tracking)?.map(|(_, digest)| CommitId::from_digest(digest));
        let distance = match (tip, theirs) {
            (Some(ours), Some(theirs)) => Some(divergence(repo.store(), ours, theirs)?),
            (None, Some(_)) => Some(Divergence::default()),
            (_, None) => None,
        };
        Ok(Some(Self { name: tracking.short().to_owned(), upstream, distance }))
    }

    /// `ahead 1, behind 2`, or `gone`; `None` where the two are at the same commit.
    #[must_use]
    pub fn short(&self) -> Option<String> {
        match self.distance {
            None => Some("gone".to_owned()),
            Some(Divergence { ahead: 0, behind: 0 }) => None,
            Some(Divergence { ahead, behind: 0 }) => Some(format!("ahead {ahead}")),
            Some(Divergence { ahead: 0, behind }) => Some(format!("behind {behind}")),
            Some(Divergence { ahead, behind }) => Some(format!("ahead {ahead}, behind {behind}")),
        }
    }

    /// The lines of `status`, each ended.
    #[must_use]
    pub fn report(&self, hints: bool) -> String {
        let name = &self.name;
        let commits = |count| if count == 1 { "commit" } else { "commits" };
        let (text, hint) = match self.distance {
            None => (
                format!("Your branch is based on '{name}', but the upstream is gone."),
                "use \"dits branch --unset-upstream\" to fixup",
            ),
            Some(Divergence { ahead: 0, behind: 0 }) => (format!("Your branch is up to date with '{name}'."), ""),
            Some(Divergence { ahead, behind: 0 }) => (
                format!("Your branch is ahead of '{name}' by {ahead} {}.", commits(ahead)),
                "use \"dits push\" to publish your local commits",
            ),
            Some(Divergence { ahead: 0, behind }) => (
                format!("Your branch is behind '{name}' by {behind} {}, and can be fast-forwarded.", commits(behind)),
                "use \"dits pull\" to update your local branch",
            ),
            Some(Divergence { ahead, behind }) => (
                format!(
                    "Your branch and '{name}' have diverged,\n\
                     and have {ahead} and {behind} different commits each, respectively."
                ),
                "use \"dits pull\" if you want to integrate the remote branch with yours",
            ),
        };
        match hint {
            _ if !hints => format!("{text}\n"),
            "" => format!("{text}\n"),
            hint => format!("{text}\n  ({hint})\n"),
        }
    }
}

/// Makes a branch follow another, and says so.
///
/// # Errors
/// When the settings cannot be written.
pub fn set(opened: &Opened, cx: &Context, branch: &RefName, follow: &Follow) -> Result<(), CliError> {
    if follow.remote == HERE && follow.merge == branch.as_str() {
        cx.warn(format!("not setting branch '{}' as its own upstream", branch.short()));
        return Ok(());
    }
    let edit =
        |name: &str, value: &str| Edit::Set(format!("{}.{name}", section(branch)), Value::Text(value.to_owned()));
    update(&opened.repo, &[edit("remote", &follow.remote), edit("merge", &follow.merge)])?;
    let upstream = match follow.remote.as_str() {
        HERE => follow.branch().to_owned(),
        remote => format!("{remote}/{}", follow.branch()),
    };
    if !cx.quiet() && !cx.json() {
        writeln!(cx.out(), "branch '{}' set up to track '{upstream}'.", branch.short())?;
    }
    Ok(())
}

/// The section with a branch's settings.
#[must_use]
pub fn section(branch: &RefName) -> String {
    format!("branch.{}", branch.short())
}

/// Changes the repository's settings, if it has any of these sections at all.
///
/// # Errors
/// When the file cannot be changed.
pub fn update(repo: &Repository, edits: &[Edit]) -> Result<(), CliError> {
    let named = |name: &str| repo.config().list().any(|setting| setting.key.starts_with(name));
    let needed = edits.iter().any(|edit| match edit {
        Edit::RemoveSection(name) | Edit::RenameSection(name, _) => named(name),
        Edit::Set(..) | Edit::Unset(_) => true,
    });
    if needed {
        config::update(Layer::Repository, &repo.layout().config(), edits)?;
    }
    Ok(())
}

/// Gives a branch the settings of another.
///
/// # Errors
/// When the file cannot be changed.
pub fn copy(opened: &Opened, from: &RefName, to: &RefName) -> Result<(), CliError> {
    let Some(Upstream { follow, .. }) = opened.repo.upstream(from)? else { return Ok(()) };
    let edit = |name: &str, value: String| Edit::Set(format!("{}.{name}", section(to)), Value::Text(value));
    update(&opened.repo, &[edit("remote", follow.remote), edit("merge", follow.merge)])
}

/// How a branch that is made is to follow where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Track {
    /// The branch it begins at
    #[default]
    Direct,
    /// What the branch that it begins at follows
    Inherit,
}

/// The options of commands that make branches.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct TrackArgs {
    /// Follow the branch that it begins at; that is the default for a remote's branch
    #[arg(short, long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "direct")]
    track: Option<Track>,
    /// Follow nothing
    #[arg(long, overrides_with = "track")]
    no_track: bool,
}

impl TrackArgs {
    /// Whether `--track` was given.
    #[must_use]
    pub fn asked(self) -> bool {
        self.track.is_some() && !self.no_track
    }

    /// What a branch that begins at `start` is to follow: what was asked for, or a remote's branch.
    ///
    /// # Errors
    /// When it was asked for and `start` is no branch.
    pub fn follow(self, repo: &Repository, start: &str) -> Result<Option<Follow>, CliError> {
        if self.no_track {
            return Ok(None);
        }
        let named = match repo.ref_named(start)? {
            Some(name) if name.as_str() == "HEAD" => repo.head()?.branch().cloned(),
            // A remote's HEAD stands for one of its branches.
            Some(name) => Some(repo.refs().follow(&name).map_err(RepoError::from)?.0),
            None => None,
        };
        let Some(named) = named else { return self.none(start) };
        match self.track {
            Some(Track::Inherit) => Ok(repo.upstream(&named)?.map(|upstream| upstream.follow)),
            None if named.as_branch().is_some() => Ok(None),
            _ => repo.to_follow(&named)?.map_or_else(|| self.none(start), |follow| Ok(Some(follow))),
        }
    }

    fn none(self, start: &str) -> Result<Option<Follow>, CliError> {
        match self.track {
            None => Ok(None),
            Some(_) => Err(CliError::usage(format!("cannot follow `{start}`: it is not a branch"))
                .hint("`dits branch -a` lists what can be followed")),
        }
    }
}

/// The branch of a remote that a new branch of this name would begin at and follow: the one that only one remote has.
///
/// # Errors
/// When several have it, or refs cannot be read.
pub fn guess(repo: &Repository, name: &str) -> Result<Option<(Follow, RefName)>, CliError> {
    if RefName::branch(name).is_err() {
        return Ok(None);
    }
    let mut found = repo.remote_branches(name)?;
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().map(|(_, tracking)| tracking.short()).collect();
        let first = names.first().copied().unwrap_or_default();
        return Err(CliError::new(
            Exit::Difference,
            format!("`{name}` is a branch of several remotes: {}", names.join(", ")),
        )
        .hint(format!("say which one: dits switch -c {name} --track {first}")));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(distance: Option<(usize, usize)>) -> Tracking {
        let follow = Follow { remote: "origin".to_owned(), merge: "refs/branches/main".to_owned() };
        let distance = distance.map(|(ahead, behind)| Divergence { ahead, behind });
        Tracking { upstream: Upstream { follow, tracking: None }, name: "origin/main".to_owned(), distance }
    }

    #[test]
    fn distances_are_said_as_git_does() {
        assert_eq!(at(None).short().as_deref(), Some("gone"));
        assert_eq!(at(Some((0, 0))).short(), None);
        assert_eq!(at(Some((3, 0))).short().as_deref(), Some("ahead 3"));
        assert_eq!(at(Some((3, 2))).short().as_deref(), Some("ahead 3, behind 2"));
        assert_eq!(at(Some((1, 0))).report(false), "Your branch is ahead of 'origin/main' by 1 commit.\n");
        assert!(at(Some((0, 2))).report(true).ends_with("  (use \"dits pull\" to update your local branch)\n"));
    }
}
