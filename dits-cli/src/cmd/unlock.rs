//! `dits unlock`

use std::ffi::OsString;

use dits_core::lock::{LockKey, Standing};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::worktree::Loosen;
use dits_sync::SyncError;
use dits_sync::client::{Client, MAX_LOCKS, UnlockOutcome, UnlockRequest};
use serde::Serialize;

use super::lock::list;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::desk::{Desk, refused};
use crate::locking::show::{self, LockJson};
use crate::locking::table::Keys;
use crate::locking::{changes, names};
use crate::output::json::Bytes;

/// Give locks back
///
/// The files are free for others then, and read-only here if they are lockable. A file with changes that are not pushed is
/// not given back by the way: whoever locks it next starts from the version on the server, and one of the two is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits unlock Maps/Level_01.umap
  dits unlock .                             all that you have below the current folder
  dits unlock --keep-changes intro.aep      although it is changed; the changes stay here
  dits unlock --force Maps/Level_01.umap    somebody else's, or yours in another clone")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Take locks away from others: your own in another clone, and anybody's if you may administrate
    #[arg(short, long)]
    force: bool,
    /// Also files with changes that are not pushed; the changes stay in this worktree
    #[arg(long)]
    keep_changes: bool,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    unlocked: Vec<Bytes>,
    /// Locks that were taken away from others.
    broken: Vec<LockJson>,
    not_locked: Vec<Bytes>,
    refused: Vec<RefusedJson>,
}

#[derive(Serialize)]
struct RefusedJson {
    path: Bytes,
    /// `held` by another, or `denied`: it may not be taken away.
    why: &'static str,
    lock: LockJson,
}

/// Gives locks back.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    let desk = Desk::open(&opened, cx)?;
    let (state, us) = (desk.state()?, desk.place.clone);
    let paths = names::to_unlock(&opened, &state, &args.paths, |lock| args.force || lock.holder.clone == us)?;
    let ours = |path: &&RepoPath| {
        let standing = state.standing(path, Some(us), None, None);
        matches!(standing, Standing::Ours(_)) || state.tokens.contains_key(&LockKey::of(path))
    };
    if !args.keep_changes {
        let own: Vec<RepoPath> = paths.iter().filter(ours).cloned().collect();
        let changed = changes::of(&opened.repo, &desk.remote, &own, cx, &cx.progress())?;
        if let Some((path, change)) = changed.first_key_value() {
            let more =
                if changed.len() > 1 { format!(" (and {} more like it)", changed.len() - 1) } else { String::new() };
            let message = format!("`{}` {}{more}, so nothing was unlocked", opened.show(path), change.words());
            return Err(refused(message)
                .hint("`dits commit` and `dits push` them, or `dits restore` the version of the server")
                .hint("`dits unlock --keep-changes` frees it all the same: the changes stay here, and whoever locks it next does not have them"));
        }
    }
    let mut outcomes = give_back(&desk, &paths, args.force, &cx.progress())?;
    for (path, outcome) in &mut outcomes {
        // What was only noted here is given back as well.
        if *outcome == UnlockOutcome::NotLocked && state.offline.contains_key(&LockKey::of(path)) {
            *outcome = UnlockOutcome::Unlocked(Vec::new());
        }
    }
    tell(&desk, &outcomes)
}

/// Unlocks, keeps in mind what is not ours any more, and makes files read-only that are lockable.
///
/// # Errors
/// When the server cannot be reached.
pub fn give_back(
    desk: &Desk<'_>,
    paths: &[RepoPath],
    force: bool,
    progress: &dyn Progress,
) -> Result<Vec<(RepoPath, UnlockOutcome)>, CliError> {
    let ask = |client: &mut Client<'_>, progress: &dyn Progress| -> Result<Vec<UnlockOutcome>, SyncError> {
        let mut outcomes = Vec::with_capacity(paths.len());
        for paths in paths.chunks(MAX_LOCKS) {
            let place = desk.place.clone();
            outcomes.extend(client.unlock(UnlockRequest { place, paths: paths.to_vec(), force }, progress)?);
        }
        Ok(outcomes)
    };
    let (outcomes, _) = desk.peer.talk(progress, ask)?;
    let outcomes: Vec<_> = paths.iter().cloned().zip(outcomes).collect();
    desk.change(|state| {
        for (path, outcome) in &outcomes {
            match outcome {
                UnlockOutcome::Unlocked(broken) => {
                    state.given_back(path, desk.place.clone);
                    broken.iter().for_each(|lock| state.given_back(path, lock.holder.clone));
                }
                // Whatever this clone had is gone.
                UnlockOutcome::NotLocked | UnlockOutcome::Held(_) => state.given_back(path, desk.place.clone),
                UnlockOutcome::Denied(_) => {}
            }
        }
    })?;
    desk.opened.repo.protect(&Keys::of(paths), Loosen::None)?;
    Ok(outcomes)
}

fn tell(desk: &Desk<'_>, outcomes: &[(RepoPath, UnlockOutcome)]) -> Result<Exit, CliError> {
    let (cx, us, now) = (desk.cx, Some(desk.place.clone), desk.cx.now()?);
    let (mut unlocked, mut broken, mut not_locked, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, outcome) in outcomes {
        match outcome {
            UnlockOutcome::Unlocked(locks) => {
                unlocked.push(path);
                broken.extend(locks.iter().filter(|lock| Some(lock.holder.clone) != us));
            }
            UnlockOutcome::NotLocked => not_locked.push(path),
            UnlockOutcome::Held(lock) => kept.push((path, lock, "held")),
            UnlockOutcome::Denied(lock) => kept.push((path, lock, "denied")),
        }
    }
    if cx.json() {
        let answer = Answer {
            remote: desk.remote.name.clone(),
            unlocked: unlocked.iter().map(|path| Bytes::from(*path)).collect(),
            broken: broken.iter().map(|lock| LockJson::new(lock, us)).collect(),
            not_locked: not_locked.iter().map(|path| Bytes::from(*path)).collect(),
            refused: kept
                .iter()
                .map(|(path, lock, why)| RefusedJson { path: Bytes::from(*path), why, lock: LockJson::new(lock, us) })
                .collect(),
        };
        cx.out().json("unlock", &answer)?;
        cx.out().flush()?;
    } else if !cx.quiet() {
        list(cx, desk.opened, "Unlocked", &unlocked)?;
    }
    for lock in broken {
        cx.note(format!("taken away: {} {}", desk.opened.show(&lock.path), show::held(lock, now)));
    }
    if let Some((path, lock, why)) = kept.first() {
        let more = if kept.len() > 1 { format!(" (and {} more like it)", kept.len() - 1) } else { String::new() };
        let error = refused(format!("`{}` {}{more}", desk.opened.show(path), show::held(lock, now)));
        return Err(match *why {
            "denied" => {
                error.hint(format!("ask {}; who may administrate the repository can take it away", lock.holder.name))
            }
            _ => error
                .hint(format!("ask {}", lock.holder.name))
                .hint("`dits unlock --force` takes it away: your own in another clone always, another's if you may"),
        });
    }
    match not_locked.first() {
        Some(path) if unlocked.is_empty() => {
            Err(CliError::new(Exit::Difference, format!("nobody has locked `{}`", desk.opened.show(path))))
        }
        _ => Ok(Exit::Ok),
    }
}
