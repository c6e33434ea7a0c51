//! Tidying: what `dits-server gc` and the schedule do to a repository.

use std::fs;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use dits_core::maintain::{GcOptions, GcReport};
use dits_core::progress::Progress;
use dits_core::repo::{RepoError, Repository};

use crate::access::Services;
use crate::audit::Record;
use crate::env;
use crate::host::Hosted;
use crate::repo_name::RepoName;

/// How often the schedule looks what is due.
const LOOK: Duration = Duration::from_secs(60);
/// How long a removal waits for pushes.
const WAIT: Duration = Duration::from_secs(30);

/// How a repository is tidied by its settings.
///
/// # Errors
/// When a setting has no meaning.
pub fn options(repository: &Repository, grace: Option<Duration>, dry_run: bool) -> Result<GcOptions, RepoError> {
    let config = repository.config();
    let grace = match grace {
        Some(grace) => grace,
        None => config.get_duration("gc.pruneExpire")?.unwrap_or(Duration::MAX),
    };
    Ok(GcOptions {
        now: env::now(),
        grace,
        reflog_expire: config.get_duration("gc.reflogExpire")?.filter(|age| *age != Duration::MAX),
        dry_run,
        max_packs: 1,
        max_loose: 0,
        pack_limit: config.get_size("core.packSize")?.unwrap_or(1 << 30),
        wait: WAIT,
    })
}

/// What the audit log says of it.
#[must_use]
pub fn record(name: &RepoName, who: &str, report: &GcReport) -> Record {
    Record {
        event: "gc",
        repository: Some(name.to_string()),
        who: Some(who.to_owned()),
        objects: Some(report.removed),
        bytes: Some(report.removed_bytes),
        ..Record::default()
    }
}

/// Tidies each repository every `interval`, on a thread of its own, until the server stops.
///
/// # Errors
/// When the system gives no thread.
pub fn begin(hosted: Arc<Hosted>, interval: Duration) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("upkeep".to_owned()).spawn(move || {
        let look = (interval / 4).clamp(Duration::from_millis(200), LOOK);
        while sleep(&hosted.services, look) {
            let names = hosted.repositories.list().unwrap_or_else(|error| {
                tracing::error!(%error, "repositories cannot be listed");
                Vec::new()
            });
            names.iter().filter(|_| !hosted.services.is_stopping()).for_each(|name| look_at(&hosted, name, interval));
        }
    })
}

/// Whether the time went by without the server being asked to stop.
fn sleep(services: &Services, time: Duration) -> bool {
    let end = std::time::Instant::now() + time;
    while !services.is_stopping() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(200)));
    }
    false
}

fn look_at(hosted: &Hosted, name: &RepoName, interval: Duration) {
    let outcome =
        hosted.repositories.open(name).map_err(|error| error.to_string()).and_then(|repository| {
            match is_due(&repository, interval) {
                true => tidy(hosted, name, &repository).map_err(|error| error.to_string()),
                false => Ok(()),
            }
        });
    if let Err(error) = outcome
        && !hosted.services.is_stopping()
    {
        hosted.services.metrics.gc("failed");
        tracing::error!(repository = %name, error, "not tidied");
    }
}

fn tidy(hosted: &Hosted, name: &RepoName, repository: &Repository) -> Result<(), RepoError> {
    let report = repository.gc(&options(repository, None, false)?, &Stoppable(&hosted.services))?;
    hosted.services.metrics.gc("ok");
    tracing::info!(repository = %name, removed = report.removed, bytes = report.removed_bytes, waiting = report.waiting, "tidied");
    hosted.services.record(&record(name, "schedule", &report), true);
    Ok(())
}

/// Whether nobody has tidied for `interval`: every tidying writes the lock's file. A new repository has time too.
fn is_due(repository: &Repository, interval: Duration) -> bool {
    let layout = repository.layout();
    let last = fs::metadata(layout.common.join("gc.lock")).or_else(|_| fs::metadata(layout.format()));
    let last = last.and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    // A clock that was put back must not stop tidying for ever.
    SystemTime::now().duration_since(last).map_or(true, |age| age >= interval)
}

/// Ends tidying when the server is to stop.
struct Stoppable<'a>(&'a Services);

impl Progress for Stoppable<'_> {
    fn interrupted(&self) -> bool {
        self.0.is_stopping()
    }
}
