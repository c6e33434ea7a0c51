//! `dits checkout`

use std::ffi::OsString;

use dits_core::refs::RefName;
use dits_core::repo::RepoError;
use dits_core::worktree::{Destination, NewBranch, Restore, RestoreFrom};

use super::restore;
use super::switch::{name_of, new_branch};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::{self, Journey};
use crate::repository::Opened;
use crate::tracking::TrackArgs;

/// Go to a version, or bring files back from one
///
/// git's command of that name: `dits switch` and `dits restore` do the same with clearer names.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits checkout main               go to a branch
  dits checkout -b grading         make a branch and go to it
  dits checkout v1.0               look at a version, on no branch
  dits checkout -- shot.mov        throw away changes that are not staged
  dits checkout HEAD~2 -- audio/   a folder as it was two commits ago")]
pub struct Args {
    /// A branch or version, then paths
    #[arg(value_name = "REV|PATH")]
    words: Vec<OsString>,
    /// Paths, so that none is taken for a version
    #[arg(last = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Make a branch and go to it
    #[arg(short = 'b', value_name = "NEW", conflicts_with_all = ["force_create", "detach", "orphan"])]
    create: Option<String>,
    /// The same, moving the branch if it exists
    #[arg(short = 'B', value_name = "NEW", conflicts_with_all = ["detach", "orphan"])]
    force_create: Option<String>,
    /// Go to a commit, on no branch
    #[arg(short, long)]
    detach: bool,
    /// Make a branch without history; the files stay and are staged
    #[arg(long, value_name = "NEW", conflicts_with = "detach")]
    orphan: Option<String>,
    /// Throw away changes that are not committed
    #[arg(short, long)]
    force: bool,
    /// In a conflict, take our version
    #[arg(long, conflicts_with = "theirs")]
    ours: bool,
    /// In a conflict, take their version
    #[arg(long)]
    theirs: bool,
    /// What the new branch follows
    #[command(flatten)]
    track: TrackArgs,
}

/// Goes there or restores.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    if !args.paths.is_empty() || args.ours || args.theirs {
        return match &args.words[..] {
            [] => restore_paths(&opened, cx, &args, None, &args.paths),
            [source] if !args.paths.is_empty() => {
                restore_paths(&opened, cx, &args, Some(moves::text(source)?), &args.paths)
            }
            paths if args.paths.is_empty() => restore_paths(&opened, cx, &args, None, paths),
            _ => Err(CliError::usage("before `--` comes at most one version")),
        };
    }
    if let Some(name) = &args.orphan {
        return orphan(&opened, cx, name);
    }
    let name = args.create.as_ref().or(args.force_create.as_ref());
    if name.is_some() || args.track.asked() {
        return create(&opened, cx, &args, name);
    }
    let Some((first, rest)) = args.words.split_first() else {
        if args.detach || args.force {
            return go_to(&opened, cx, &args, "HEAD");
        }
        return Err(CliError::usage("name a branch or version to go to, or paths to restore"));
    };
    match (is_version(&opened, first)?, rest) {
        (Some(named), []) => go_to(&opened, cx, &args, &named),
        (Some(named), paths) => restore_paths(&opened, cx, &args, Some(&named), paths),
        (None, _) => restore_paths(&opened, cx, &args, None, &args.words).map_err(|error| {
            if error.exit != Exit::Difference || args.words.len() > 1 {
                return error;
            }
            let named = first.to_string_lossy();
            CliError::new(Exit::Difference, format!("`{named}` is neither a branch or version nor a file known here"))
                .hint("`dits branch` lists the branches, `dits log` the versions, `dits ls-files` the files")
        }),
    }
}

fn create(opened: &Opened, cx: &Context, args: &Args, name: Option<&String>) -> Result<Exit, CliError> {
    let start = match &args.words[..] {
        [] => None,
        [start] => Some(moves::text(start)?),
        _ => return Err(CliError::usage("a branch begins at one version")),
    };
    let repo = &opened.repo;
    let name = name.map_or_else(|| name_of(repo, start.unwrap_or("HEAD")), |name| Ok(name.clone()))?;
    let mut journey = new_branch(repo, &name, start, args.force_create.is_some(), args.track)?;
    journey.options.force = args.force;
    moves::go(opened, cx, "checkout", &journey)
}

/// The word with `-` written out, if it names a branch or version.
fn is_version(opened: &Opened, word: &OsString) -> Result<Option<String>, CliError> {
    let Some(text) = word.to_str() else { return Ok(None) };
    if text == "-" {
        return moves::expand(&opened.repo, text).map(Some);
    }
    let repo = &opened.repo;
    let known = repo.resolve_commit(text).is_ok() || Journey::guess(repo, text)?.is_some();
    Ok(if known { Some(moves::expand(repo, text)?) } else { None })
}

fn go_to(opened: &Opened, cx: &Context, args: &Args, named: &str) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let go = |mut journey: Journey| {
        journey.options.force = args.force;
        moves::go(opened, cx, "checkout", &journey)
    };
    if !args.detach {
        let branch = match named {
            "HEAD" => repo.head()?.branch().cloned(),
            _ => moves::branch_named(repo, named)?,
        };
        if let Some(branch) = branch {
            return go(Journey::to(Destination::Branch(branch)));
        }
        if repo.resolve_commit(named).is_err()
            && let Some(journey) = Journey::guess(repo, named)?
        {
            return go(journey);
        }
    }
    let mut journey = Journey::to(Destination::Commit(repo.resolve_commit(named)?));
    journey.options.named = Some(named.to_owned());
    go(journey)
}

/// HEAD names a branch that does not exist yet; what is staged becomes its first commit.
fn orphan(opened: &Opened, cx: &Context, name: &str) -> Result<Exit, CliError> {
    let branch = RefName::branch(name).map_err(RepoError::from)?;
    let new = NewBranch { commit: None, from: "HEAD".to_owned(), reset: false };
    opened.repo.begin_branch(&branch, &new, &opened.who(cx)?)?;
    if cx.json() {
        let answer =
            serde_json::json!({ "branch": name, "commit": null, "created": true, "files": moves::Files::default() });
        cx.out().json("checkout", &answer)?;
    } else {
        cx.note(format!("Switched to a new branch `{name}`; it has no commits yet"));
    }
    Ok(Exit::Ok)
}

fn restore_paths(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    source: Option<&str>,
    paths: &[OsString],
) -> Result<Exit, CliError> {
    let specs = opened.select(paths)?;
    let from = match source {
        Some(revision) => RestoreFrom::Tree(Some(opened.repo.resolve_tree(revision)?)),
        None => restore::side(args.ours, args.theirs).unwrap_or(RestoreFrom::Index),
    };
    let staged = source.is_some();
    let wanted = Restore { selection: &specs, from, staged, worktree: true, overlay: true };
    let report = restore::carry_out(opened, cx, &wanted, &specs)?;
    restore::tell(cx, "checkout", &report)?;
    Ok(Exit::Ok)
}
