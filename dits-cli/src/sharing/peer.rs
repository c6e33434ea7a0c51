//! The way to another repository: where it is, who we are there, and going on after a connection broke.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dits_core::config::Config;
use dits_core::progress::Progress;
use dits_core::remote::Remote;
use dits_core::repo::{Layout, RepoError, Repository};
use dits_core::signature::Signature;
use dits_sync::SyncError;
use dits_sync::client::{Client, Introduction};
use dits_sync::link::{self, Link, LinkError, Traffic};
use dits_sync::server::{self, LocalHost};

use crate::context::Context;
use crate::credentials;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::{Identity, Role};
use crate::remotes;
use crate::repository::Opened;

/// How often a broken connection is dialled again without getting any further.
const TRIES: u32 = 10;

/// How long to wait before that, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Another repository.
pub struct Peer {
    /// The remote that it is, if it has a name here.
    pub remote: Option<Remote>,
    /// Its address, as the user knows it.
    pub url: String,
    introduction: Introduction,
    dial: Box<dyn Fn() -> Result<Box<dyn Link>, LinkError>>,
}

/// What was carried, and how long that took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carried {
    /// Bytes through the socket.
    pub traffic: Traffic,
    /// From the first dialling to the last answer.
    pub time: Duration,
}

/// What the way to a peer depends on.
pub struct Surroundings<'a> {
    /// The run.
    pub cx: &'a Context,
    /// The settings.
    pub config: &'a Config,
    /// The repository, if there is one yet.
    pub repo: Option<&'a Repository>,
    /// Who is there, for the log of a repository on this machine.
    pub who: Signature,
}

impl Peer {
    /// A remote that has a name; for a push perhaps another place than for a fetch.
    ///
    /// # Errors
    /// When it has no address, or that makes no sense.
    pub fn named(around: &Surroundings<'_>, remote: Remote, push: bool) -> Result<Self, CliError> {
        let url = if push { remote.push_url() } else { remote.url.as_deref() };
        let url = url.map(str::to_owned).ok_or_else(|| {
            CliError::usage(format!("no URLs configured for remote '{}'", remote.name))
                .hint(format!("dits remote set-url {} URL", remote.name))
        })?;
        Self::at(around, url, Some(remote))
    }

    /// A repository at an address.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn at(around: &Surroundings<'_>, url: String, remote: Option<Remote>) -> Result<Self, CliError> {
        remotes::check_url(&url)?;
        let name = remote.as_ref().map(|remote| remote.name.as_str());
        let token = credentials::token(around.cx, around.config, name, &url, around.repo)?;
        let introduction = Introduction { repository: String::new(), token: token.map(|token| token.0) };
        let dial = dialer(around, &url)?;
        Ok(Self { remote, url, introduction, dial })
    }

    /// What it is called in messages.
    #[must_use]
    pub fn shown(&self) -> String {
        remotes::shown_url(&self.url)
    }

    /// Has a conversation. One that breaks off is begun again as long as it gets further each time.
    ///
    /// # Errors
    /// When there is no way there, or the conversation fails.
    pub fn talk<T>(
        &self,
        progress: &dyn Progress,
        mut conversation: impl FnMut(&mut Client<'_>, &dyn Progress) -> Result<T, SyncError>,
    ) -> Result<(T, Carried), CliError> {
        let (begun, counted) = (Instant::now(), Counted { inner: progress, bytes: AtomicU64::new(0) });
        let (mut carried, mut tries, mut met) = (Carried::default(), 0, false);
        loop {
            let before = counted.bytes.load(Ordering::Relaxed);
            let mut traffic = Traffic::default();
            let result = self.once(&counted, &mut conversation, &mut traffic, &mut met);
            carried.traffic.sent += traffic.sent;
            carried.traffic.received += traffic.received;
            carried.time = begun.elapsed();
            let error = match result {
                Ok(answer) => return Ok((answer, carried)),
                Err(error) => error,
            };
            tries = if counted.bytes.load(Ordering::Relaxed) > before { 0 } else { tries + 1 };
            if !error.is_transient() || !met || tries >= TRIES || progress.interrupted() {
                return Err(self.explain(error));
            }
            progress.stage("Connecting again", None, None);
            pause(tries, progress);
        }
    }

    fn once<T>(
        &self,
        progress: &dyn Progress,
        conversation: &mut impl FnMut(&mut Client<'_>, &dyn Progress) -> Result<T, SyncError>,
        traffic: &mut Traffic,
        met: &mut bool,
    ) -> Result<T, SyncError> {
        progress.stage("Connecting", None, None);
        let link = (self.dial)()?;
        let mut client = Client::new(&*link, &self.introduction)?;
        let result = client.welcome(progress).map(|_| *met = true).and_then(|()| conversation(&mut client, progress));
        if result.is_ok() {
            link.close();
        }
        *traffic = client.traffic();
        result
    }

    fn explain(&self, error: SyncError) -> CliError {
        let is_about_us = matches!(error, SyncError::Repo(_));
        let mut error = CliError::from(error);
        if !is_about_us && error.exit == Exit::Network {
            error.message = format!("{}: {}", self.shown(), error.message);
        }
        error
    }
}

/// Waits, longer each time, but not for a user who has had enough.
fn pause(tries: u32, progress: &dyn Progress) {
    let end = Instant::now() + (PAUSE.0 * 2_u32.saturating_pow(tries)).min(PAUSE.1);
    while Instant::now() < end && !progress.interrupted() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Passes progress on, and knows whether there was any.
struct Counted<'a> {
    inner: &'a dyn Progress,
    bytes: AtomicU64,
}

impl Progress for Counted<'_> {
    fn stage(&self, name: &'static str, bytes: Option<u64>, items: Option<u64>) {
        self.inner.stage(name, bytes, items);
    }

    fn advance(&self, bytes: u64, items: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inner.advance(bytes, items);
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }
}

type Dialer = Box<dyn Fn() -> Result<Box<dyn Link>, LinkError>>;

fn dialer(around: &Surroundings<'_>, url: &str) -> Result<Dialer, CliError> {
    let path = match url.split_once("://") {
        Some(("file", path)) => PathBuf::from(path),
        Some(_) => return Err(CliError::usage(format!("`{url}` cannot be reached by this version of dits yet"))),
        // As in git, a relative path begins at the top of the worktree, or at the bare repository.
        None => {
            let top = around.repo.map(|repo| repo.layout().worktree.as_ref().unwrap_or(&repo.layout().common));
            top.unwrap_or(&around.cx.cwd).join(url)
        }
    };
    let (environment, who) = (around.cx.environment()?, around.who.clone());
    local_layout(&path)?;
    Ok(Box::new(move || {
        let layout = local_layout(&path).map_err(|error| LinkError::Broken(error.message))?;
        let repository =
            Repository::open(layout, &environment).map_err(|error| LinkError::Broken(error.to_string()))?;
        let host = LocalHost::new(repository, who.name.clone(), who.email.clone());
        let (ours, theirs) = link::pair("this machine");
        std::thread::spawn(move || server::serve(&theirs, &host));
        Ok(Box::new(ours))
    }))
}

/// Where a repository on this machine is: the folder itself, or the `.dits` in it.
///
/// # Errors
/// When there is none.
pub fn local_layout(path: &Path) -> Result<Layout, CliError> {
    let missing = |_| {
        CliError::new(Exit::Network, format!("'{}' does not appear to be a dits repository", path.display()))
            .hint("check the address with `dits remote -v`; `dits init --bare FOLDER` makes a repository to share")
    };
    let inside = path.join(dits_core::repo::DITS);
    let linked = inside.is_file() || inside.join("format").is_file();
    if linked {
        let path = std::fs::canonicalize(path).map_err(missing)?;
        return Layout::discover(&path).map_err(CliError::from);
    }
    let path = std::fs::canonicalize(path).map_err(missing)?;
    if !path.join("format").is_file() {
        return Err(missing(std::io::ErrorKind::NotFound.into()));
    }
    Ok(Layout { worktree: None, ..Layout::main(&path) })
}

/// The remote that is meant: the one named, else the one the branch follows, else the only one, else `origin`.
///
/// # Errors
/// When there is none.
pub fn default_remote(repo: &Repository, what: &str) -> Result<Remote, CliError> {
    let config = repo.config();
    let followed = match repo.head()?.branch() {
        Some(branch) => config.get_str(&format!("branch.{}.remote", branch.short()))?,
        None => None,
    };
    let names = Remote::names(config);
    let name = match (followed, &names[..]) {
        (Some(name), _) if name != dits_core::remote::HERE => name,
        (_, [only]) => only.clone(),
        _ => "origin".to_owned(),
    };
    let found = Remote::find(config, &name).map_err(RepoError::from)?;
    found.ok_or_else(|| {
        let error = CliError::usage(format!("no remote repository specified to {what}"));
        match names.is_empty() {
            true => error.hint("dits remote add origin URL").hint(format!("or name an address: dits {what} URL …")),
            false => error.hint(format!("name one of {}: dits {what} REMOTE", names.join(", "))),
        }
    })
}

/// Where a command about other repositories is run: in a repository, or outside of any.
pub struct Place<'a> {
    cx: &'a Context,
    opened: Option<Opened>,
    config: Config,
    who: Signature,
}

impl<'a> Place<'a> {
    /// The repository the user is in, if any.
    ///
    /// # Errors
    /// When it cannot be opened, or the settings cannot be read.
    pub fn new(cx: &'a Context) -> Result<Self, CliError> {
        let opened = if cx.layout().is_ok() { Some(cx.open()?) } else { None };
        let config = match &opened {
            Some(opened) => opened.repo.config().clone(),
            None => cx.config.clone(),
        };
        let who = nobody(cx, &config)?;
        Ok(Self { cx, opened, config, who })
    }

    /// The peer that a remote's name or an address means; without one, the default remote.
    ///
    /// # Errors
    /// When there is none.
    pub fn peer(&self, given: Option<&str>, what: &str) -> Result<Peer, CliError> {
        let repo = self.opened.as_ref().map(|opened| &opened.repo);
        let around = Surroundings { cx: self.cx, config: &self.config, repo, who: self.who.clone() };
        match (given, repo) {
            (Some(given), _) => find(&around, given, false),
            (None, Some(repo)) => Peer::named(&around, default_remote(repo, what)?, false),
            (None, None) => Err(CliError::usage("outside of a repository, name the address of one")),
        }
    }
}

/// The peer that a remote's name or an address means.
///
/// # Errors
/// When it is neither.
pub fn find(around: &Surroundings<'_>, given: &str, push: bool) -> Result<Peer, CliError> {
    if Remote::check_name(given).is_ok()
        && let Some(remote) = Remote::find(around.config, given).map_err(RepoError::from)?
    {
        return Peer::named(around, remote, push);
    }
    Peer::at(around, given.to_owned(), None)
}

/// Who moves refs, where nobody has to have a name.
///
/// # Errors
/// When `DITS_NOW` is no date.
pub fn nobody(cx: &Context, config: &Config) -> Result<Signature, CliError> {
    let now = cx.now()?;
    let found = Identity::find(Role::Committer, &cx.env.committer, config, now).and_then(Identity::signature);
    let unknown = Signature { name: "unknown".into(), email: String::new(), time: now.seconds, offset: now.offset };
    Ok(found.unwrap_or(unknown))
}
