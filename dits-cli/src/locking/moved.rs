//! A file that is locked and moves: the new place is locked as well, so that both are ours until the push.

use dits_core::lock::{LockView, Standing};
use dits_core::path::RepoPath;
use dits_core::worktree::Moved;

use super::desk::Desk;
use super::refusal::Teller;
use super::take::{self, Wish};
use crate::context::Context;
use crate::error::CliError;
use crate::repository::Opened;

/// The files about to be moved that this clone has locked, and how.
///
/// # Errors
/// When what is known of locks cannot be read.
pub fn held(opened: &Opened, cx: &Context, moves: &[(RepoPath, RepoPath)]) -> Result<Vec<(RepoPath, Wish)>, CliError> {
    let dirs = opened.repo.work_dirs()?;
    let view = LockView::new(&opened.repo, &dirs, Some(cx.now()?.seconds))?;
    let index = opened.repo.index()?;
    let mut held = Vec::new();
    for (from, _) in moves {
        let below = index.entries_in(Some(from)).map(|entry| entry.repo_path());
        for path in std::iter::once(from.clone()).chain(below) {
            let wish = match view.standing(&path).1 {
                Standing::Ours(Some(lock)) => Wish {
                    kind: lock.kind,
                    only: lock.branch.clone(),
                    reason: lock.reason.clone(),
                    lease: lock.expires.and_then(|expires| u32::try_from(expires - lock.since).ok()),
                    ..Wish::default()
                },
                Standing::Ours(None) | Standing::Offline => Wish::default(),
                _ => continue,
            };
            held.push((path, wish));
        }
    }
    Ok(held)
}

/// Locks the places that they were moved to, in one round trip. What cannot be locked now is a warning: the push will tell.
///
/// # Errors
/// When rules or history cannot be read.
pub fn lock(opened: &Opened, cx: &Context, held: &[(RepoPath, Wish)], moved: &Moved) -> Result<(), CliError> {
    let mut wish: Option<Wish> = None;
    for (path, terms) in held {
        let Some((from, to)) = moved.moved.iter().find(|(from, _)| path.is_within(from) || path == from) else {
            continue;
        };
        let rest = &path.as_bytes()[from.as_bytes().len()..];
        let to = RepoPath::parse(&[to.as_bytes(), rest].concat())?;
        wish.get_or_insert_with(|| Wish { partial: true, ..terms.clone() }).paths.push(to);
    }
    let Some(wish) = wish else { return Ok(()) };
    let desk = Desk::open(opened, cx)?;
    let progress = cx.progress();
    let taken = take::lock(&desk, &wish, &progress);
    drop(progress);
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) => {
            let files = opened.show(&wish.paths[0]);
            cx.warn(format!("{files} could not be locked at its new place: {}; the push will tell", error.message));
            return Ok(());
        }
    };
    let state = desk.state()?;
    let you = state.seen.as_ref().map_or("", |seen| &seen.you);
    let us = Some(desk.place.clone);
    let teller = Teller { opened, remote: &desk.remote.name, us, you, now: cx.now()?, push: false };
    for (path, _) in &taken.locked {
        cx.note(format!("{} is locked by you as well", opened.show(path)));
    }
    for (path, why) in &taken.refused {
        cx.warn(format!("{}; the push will tell", teller.message(path, why)));
    }
    opened.repo.protect_files(&wish.paths)?;
    Ok(())
}
