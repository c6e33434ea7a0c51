//! A drive that is not mounted but served, in the foreground: it stands where a mount would.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dits_fuse::drive::Drive;
use dits_fuse::overlay::Overlay;

use super::daemon::{LOOK_UP, Made, Upkeep, drive, save};
use super::settings::Settings;
use super::{Args, point, shown, standing};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::progress::signal;

/// Where the drive of a repository stands if no folder is named: nothing else is mounted there.
const PLACE: &str = "served-drive";

/// What is served.
pub struct Served {
    /// The repository's folder.
    pub repository: String,
    /// How the version was named.
    pub reference: String,
    /// The commit.
    pub commit: String,
    /// Whether every change is refused.
    pub read_only: bool,
}

impl Args {
    /// Those of a mount that shows the same. An empty folder stands for the repository's own place.
    #[must_use]
    pub fn of_a_served_drive(
        (source, at): (Option<PathBuf>, Option<PathBuf>),
        reference: Option<String>,
        read_only: bool,
        (cache_size, ram): (Option<u64>, Option<u64>),
        offline: bool,
    ) -> Self {
        let places = source.into_iter().chain([at.unwrap_or_default()]).collect();
        Self {
            places,
            reference,
            read_only,
            cache_size,
            ram,
            offline,
            foreground: true,
            daemon: false,
            allow_other: false,
        }
    }
}

/// Makes a drive, has `begin` serve it, and keeps it until Ctrl-C. What was written waits as that of a mount does.
///
/// # Errors
/// When there is no such version, the place is taken, or it cannot be served.
pub fn serve_until_stopped<S>(
    args: &Args,
    cx: &Context,
    begin: impl FnOnce(Arc<Drive>, &Served) -> Result<S, CliError>,
) -> Result<Exit, CliError> {
    let shown = shown::find(args, cx)?;
    let repository = shown.opened.repo.layout().common.clone();
    let place = match args.point() {
        empty if empty == Path::new("") => repository.join(PLACE),
        given => point::prepare(cx, given)?,
    };
    let standing = standing::find(args, cx, &shown, &place)?;
    let settings = Settings::new(&shown.opened.repo, cx, args.cache_size);
    let Made { drive, guard, locks } = match drive(args, cx, &shown, &standing, &settings) {
        Ok(made) => made,
        // What could not be opened may hold something, unless it is new.
        Err(error) => {
            let unchanged = standing.is_new();
            standing.end(unchanged);
            return Err(error);
        }
    };
    let served = Served {
        repository: repository.display().to_string(),
        reference: standing.reference.clone(),
        commit: standing.id.to_string(),
        read_only: args.read_only,
    };
    if let Some(locks) = &locks {
        locks.follow(None);
    }
    let ended = begin(Arc::clone(&drive), &served).and_then(|server| {
        wait(&drive, || settings.obey(cx, drive.chunks().disk(), &guard));
        drop(server);
        save(&drive)
    });
    standing.end(drive.overlay().is_none_or(Overlay::is_empty));
    ended.map(|()| Exit::Ok)
}

fn wait(drive: &Drive, obey: impl Fn()) {
    let mut upkeep = Upkeep::new();
    while !signal::interrupted() {
        std::thread::sleep(LOOK_UP);
        if upkeep.run(drive) {
            obey();
        }
    }
}
