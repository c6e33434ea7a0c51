//! What runs as long as the mount does.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dits_core::durable::IoContext;
use dits_core::overlay;
use dits_core::partial::ChunkSource;
use dits_core::repo::{Layout, MountRecord, RepoError};
use dits_core::store::ChunkCache;
use dits_fuse::chunks::Chunks;
use dits_fuse::details::{Details, Wish};
use dits_fuse::drive::{Drive, DriveOptions};
use dits_fuse::fuse::{self, MountOptions, Mounted};
use dits_fuse::locks::Locker;
use dits_fuse::overlay::Overlay;
use dits_fuse::policy::Guard;
use dits_fuse::stat::Defaults;

use super::locks::MountLocks;
use super::settings::Settings;
use super::shown::{self, Shown};
use super::standing::{self, Standing};
use super::{Answer, Args, heap, point};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::progress::signal;
use crate::sharing::disk;
use crate::sharing::live::Remotes;

/// How often it looks whether it should end.
pub(super) const LOOK_UP: Duration = Duration::from_millis(50);
/// When nothing has been written for so long, nothing more comes,
const QUIET: Duration = Duration::from_millis(300);
/// and so long is waited for it.
const LONGEST: Duration = Duration::from_secs(20);
/// How often it tidies up,
const TIDY: Duration = Duration::from_secs(2);
/// and how often it makes durable what was written.
const KEEP: Duration = Duration::from_secs(10);

/// Mounts, says so, and serves until somebody unmounts or a signal comes.
pub fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let hung_up = Arc::new(AtomicBool::new(false));
    // Without a handler the signal ends the process, and the mount is dead.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hung_up));
    if args.daemon {
        // Fails where the process leads a session already.
        let _ = rustix::process::setsid();
    }
    let shown = shown::find(args, cx)?;
    let point = point::prepare(cx, args.point())?;
    let standing = standing::find(args, cx, &shown, &point)?;
    let served = serve(args, cx, &shown, &standing, &point, &hung_up);
    let (unchanged, ended) = match served {
        Ok(drive) => (drive.overlay().is_none_or(Overlay::is_empty), Ok(Exit::Ok)),
        // What could not be opened may hold something, unless it is new.
        Err((None, error)) => (standing.is_new(), Err(error)),
        Err((Some(drive), error)) => (drive.overlay().is_none_or(Overlay::is_empty), Err(error)),
    };
    standing.end(unchanged);
    ended
}

type Failed = (Option<Arc<Drive>>, CliError);

/// Mounts and serves until it is over.
fn serve(
    args: &Args,
    cx: &Context,
    shown: &Shown,
    standing: &Standing,
    point: &Path,
    hung_up: &AtomicBool,
) -> Result<Arc<Drive>, Failed> {
    let settings = Settings::new(&shown.opened.repo, cx, args.cache_size);
    let Made { drive, guard, locks } = drive(args, cx, shown, standing, &settings).map_err(|error| (None, error))?;
    let failed = |error: CliError| (Some(Arc::clone(&drive)), error);
    let repository = shown.opened.repo.layout().common.clone();
    let options = MountOptions { source: repository.display().to_string(), others: args.allow_other };
    let mounted = fuse::mount(Arc::clone(&drive), point, options).map_err(|error| failed(refused(point, &error)))?;
    let answer = Answer {
        path: point.display().to_string(),
        repository: repository.display().to_string(),
        reference: standing.reference.clone(),
        commit: standing.id.to_string(),
        read_only: args.read_only,
        pid: std::process::id(),
    };
    announce(args, cx, &answer, &standing.record).map_err(failed)?;
    if let Some(locks) = &locks {
        locks.follow(Some(mounted.reminder()));
    }
    let mut upkeep = Upkeep::new();
    while !mounted.is_over() && !signal::interrupted() && !hung_up.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_UP);
        if upkeep.run(&drive) {
            settings.obey(cx, drive.chunks().disk(), &guard);
        }
    }
    end(mounted, &drive, point).map_err(failed)?;
    Ok(drive)
}

/// What is done now and then.
pub(super) struct Upkeep {
    tidied: Instant,
    kept: Instant,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self { tidied: Instant::now(), kept: Instant::now() }
    }

    /// Does what is due; whether anything was.
    pub(super) fn run(&mut self, drive: &Drive) -> bool {
        if self.tidied.elapsed() < TIDY {
            return false;
        }
        tidy(drive);
        if self.kept.elapsed() >= KEEP {
            // If it fails, whoever syncs next is told.
            let _ = drive.overlay().map(Overlay::sync_written);
            self.kept = Instant::now();
        }
        self.tidied = Instant::now();
        true
    }
}

/// Gives back what the overlay does not need any more. If that fails, it is tried again.
fn tidy(drive: &Drive) {
    if let Some(Err(error)) = drive.overlay().map(Overlay::tidy) {
        crate::error::print_warning(&error.to_string(), false);
    }
}

fn end(mounted: Mounted, drive: &Drive, point: &Path) -> Result<(), CliError> {
    if !mounted.is_over() {
        hand_over(drive, point);
    }
    let ended = mounted.end();
    let saved = save(drive);
    ended.at("unmount", point)?;
    saved
}

/// Has the kernel hand over what programs that are still at work wrote: it is lost with a mount that ends beneath them. The
/// kernel does not say when it is done, so this waits until nothing has come for a while.
fn hand_over(drive: &Drive, point: &Path) {
    let (Some(overlay), Ok(folder)) = (drive.overlay(), File::open(point)) else { return };
    if rustix::fs::syncfs(&folder).is_err() {
        return;
    }
    let (begin, mut quiet, mut last) = (Instant::now(), Instant::now(), overlay.writes());
    while quiet.elapsed() < QUIET && begin.elapsed() < LONGEST {
        std::thread::sleep(LOOK_UP);
        if overlay.writes() != last {
            (quiet, last) = (Instant::now(), overlay.writes());
        }
    }
}

/// Makes durable what was written.
pub(super) fn save(drive: &Drive) -> Result<(), CliError> {
    // What cannot be kept comes again.
    let _ = drive.chunks().flush();
    let saved = drive.overlay().map_or(Ok(()), Overlay::sync_all);
    tidy(drive);
    saved.map_err(|error| CliError::usage(format!("what was written last may not survive a power cut: {error}")))
}

fn refused(point: &Path, error: &std::io::Error) -> CliError {
    let refused = CliError::usage(format!("cannot mount on {}: {}", point.display(), error.to_string().trim()));
    match error.kind() {
        std::io::ErrorKind::NotFound => refused.hint(
            "FUSE is needed: /dev/fuse, and for ordinary users the program fusermount3 (Debian: apt install fuse3)",
        ),
        _ => refused,
    }
}

/// A drive, and what steers it.
pub(super) struct Made {
    pub(super) drive: Arc<Drive>,
    pub(super) guard: Arc<Guard>,
    /// `None` where nothing can be locked.
    pub(super) locks: Option<MountLocks>,
}

pub(super) fn drive(
    args: &Args,
    cx: &Context,
    shown: &Shown,
    standing: &Standing,
    settings: &Settings,
) -> Result<Made, CliError> {
    // Before there are threads that could have one of their own.
    heap::share();
    let private = standing.record.folder();
    let details = Details {
        commit: standing.id.to_string(),
        reference: standing.reference.clone(),
        read_only: args.read_only,
        pid: std::process::id(),
        ..Details::default()
    };
    details.write(private).at("write to", private)?;
    let repo = &shown.opened.repo;
    let config = repo.config();
    let partial = !repo.promises()?.is_empty();
    // What is here may be given back while it is mounted: then it comes from there.
    let remotes = if args.offline { None } else { Remotes::of(&shown.opened, cx)? };
    // Where all is here and stays, there are whole copies for the kernel to read, which a mount that is written to has not.
    let disk = match (partial || remotes.is_some() || args.read_only) && args.cache_size != Some(0) {
        true => Some(ChunkCache::open(disk::folder(repo), settings.quota(config)?).map_err(RepoError::from)?),
        false => None,
    };
    if let Some(remotes) = remotes.as_ref().filter(|_| partial) {
        remotes.warm_up();
    }
    let guard = Arc::new(Guard::new(Settings::rules(config)?, Some(private.to_owned())));
    let locks = match args.read_only {
        true => None,
        false => MountLocks::of(standing.record.layout(), cx, args.offline)?,
    };
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let options = DriveOptions {
        defaults: Defaults { uid, gid, time: (standing.commit.committer.time, 0), writable: !args.read_only },
        overlay: (!args.read_only).then(|| overlay::folder(standing.record.folder())),
        ram: args.ram.or(config.get_size("mount.ram")?).unwrap_or(256 << 20),
        threads: repo.threads(),
        timeout: config.get_duration("mount.timeout")?.unwrap_or(Duration::from_secs(30)),
        disk,
        locker: locks.clone().map(|locks| Arc::new(locks) as Arc<dyn Locker>),
        link: Some(Layout::link_text(private)),
        guard: Arc::clone(&guard),
        asked: answer_questions(private, details),
        remote: remotes.map(|remotes| Arc::new(remotes) as Arc<dyn ChunkSource>),
        report: Box::new(|error| crate::error::print_warning(&format!("a read failed: {error}"), false)),
    };
    let drive = Drive::new(repo.store().clone(), standing.commit.tree, options)?;
    if let Some(locks) = &locks {
        locks.learn(&drive);
    }
    Ok(Made { drive, guard, locks })
}

/// Does what somebody wishes, and brings what is said of the mount up to date; the folder is the mount's own.
fn answer_questions(private: &Path, details: Details) -> Box<dyn Fn(&Chunks) + Send + Sync> {
    let (private, last) = (private.to_owned(), Mutex::new(details));
    Box::new(move |chunks| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match (Wish::take(&private), chunks.disk()) {
            (Some(Wish::Settle), Some(disk)) => disk.settle(),
            (Some(Wish::Clear), Some(disk)) => disk.clear(),
            _ => Ok(()),
        };
        if let Err(error) = done {
            crate::error::print_warning(&format!("the disk cache: {error}"), false);
        }
        let received = chunks.received();
        if last.received != received {
            last.received = received;
            // It is for information only.
            let _ = last.write(&private);
        }
    })
}

/// Says that it is mounted; in the background, the last that is said to whoever started it.
fn announce(args: &Args, cx: &Context, answer: &Answer, record: &MountRecord) -> Result<(), CliError> {
    if !args.daemon {
        return super::tell(cx, answer);
    }
    let log: PathBuf = record.folder().join("log");
    let log = File::create(&log).at("create", &log)?;
    let line = serde_json::to_string(answer).map_err(|error| CliError::usage(error.to_string()))?;
    let stdout = Path::new("standard output");
    std::env::set_current_dir("/").at("change to", Path::new("/"))?;
    rustix::stdio::dup2_stderr(&log).at("redirect", Path::new("standard error"))?;
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).at("write to", stdout)?;
    rustix::stdio::dup2_stdout(&log).at("redirect", stdout)?;
    Ok(())
}
