//! The way to another repository: where it is, who we are there, and going on after a connection broke.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dits_core::config::Config;
use dits_core::progress::Progress;
use dits_core::remote::Remote;
use dits_core::repo::{DITS, Layout, RepoError, Repository};
use dits_core::signature::Signature;
use dits_sync::SyncError;
use dits_sync::client::{Client, Introduction, LiveChunks, converse, open_local};
use dits_sync::identity::{NewHost, Trust};
use dits_sync::link::{Carrier, Dial, DialOptions, Limited, Link, LinkError, Traffic, dialer};
use dits_sync::url::{RemoteUrl, Target};
use dits_sync::wire::ErrorCode;

use crate::context::Context;
use crate::credentials;
use crate::error::{CliError, GO_ON};
use crate::exit::Exit;
use crate::identity::{Identity, Role};
use crate::remotes;
use crate::repository::Opened;

/// Another repository.
pub struct Peer {
    /// The remote that it is, if it has a name here.
    pub remote: Option<Remote>,
    /// Its address, as the user knows it.
    pub url: String,
    introduction: Introduction,
    dial: Box<dyn Dial>,
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
    /// The most bytes a second, if not as the settings say.
    pub limit: Option<u64>,
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
        let parsed = remotes::parse(&url)?;
        let name = remote.as_ref().map(|remote| remote.name.as_str());
        let token = match parsed.target() {
            Target::Dits(_) | Target::Https(_) => {
                credentials::token(around.cx, around.config, name, &url, around.repo)?
            }
            Target::Ssh { .. } | Target::Local(_) => None,
        };
        let repository = parsed.repository().to_owned();
        let introduction = Introduction { repository, token: token.map(|token| token.0) };
        let dial = around.dial(&parsed, name)?;
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
        let begun = Instant::now();
        progress.stage("Connecting", None, None);
        let mut talk = |client: &mut Client<'_>| conversation(client, progress);
        match converse(&*self.dial, &self.introduction, progress, &mut talk) {
            Ok((answer, traffic)) => Ok((answer, Carried { traffic, time: begun.elapsed() })),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// A connection for reading chunks now and then.
    #[must_use]
    pub fn into_live(self) -> LiveChunks {
        let from = self.shown();
        LiveChunks::new(self.dial, self.introduction, from)
    }

    fn explain(&self, error: SyncError) -> CliError {
        let is_about_us = matches!(error, SyncError::Repo(_));
        let not_let_in = matches!(&error, SyncError::Peer(failure) if failure.code == ErrorCode::NotFound);
        let mut error = CliError::from(error);
        if not_let_in && self.introduction.token.is_some() {
            error.hints = vec![
                "check the address, and the token that is kept for it: it may have expired or been revoked, or be for others"
                    .into(),
                "`dits login URL` keeps another token".into(),
            ];
        }
        if error.exit == Exit::Interrupted {
            return error.hint(GO_ON);
        }
        if !is_about_us && error.exit == Exit::Network {
            error.message = format!("{}: {}", self.shown(), error.message);
        }
        error
    }
}

impl Surroundings<'_> {
    fn dial(&self, url: &RemoteUrl, remote: Option<&str>) -> Result<Box<dyn Dial>, CliError> {
        let mut options = DialOptions::new(self.trust(remote)?);
        options.carrier = match self.config.get_str("transfer.carrier")?.as_deref() {
            Some("quic") => Carrier::Quic,
            Some("tcp") => Carrier::Tcp,
            _ => Carrier::Auto,
        };
        let configured = self.config.get_str("core.sshCommand")?;
        options.ssh.command = self.cx.env.ssh_command.clone().or(configured);
        let open = open_local(self.cx.environment()?, self.who.name.clone(), self.who.email.clone());
        // As in git, a relative path begins at the top of the worktree, or at the bare repository.
        let top = self.repo.map(|repo| repo.layout().worktree.as_ref().unwrap_or(&repo.layout().common));
        let top = top.unwrap_or(&self.cx.cwd).clone();
        options.local = Some(Box::new(move |path| open(&top.join(path))));
        let dial = dialer(url, options).map_err(|error| CliError::usage(error.to_string()))?;
        let configured = self.config.get_size("transfer.limitRate")?.unwrap_or(0);
        Ok(match self.limit.unwrap_or(configured) {
            0 => dial,
            rate => Box::new(Slow { dial, rate }),
        })
    }

    /// Servers are known by their keys, or vouched for by an authority.
    fn trust(&self, remote: Option<&str>) -> Result<Trust, CliError> {
        if let Some(file) = self.config.get_str("transfer.caFile")? {
            return Ok(Trust::Authority(PathBuf::from(file)));
        }
        let settings = self.cx.env.global_config();
        let known_hosts = settings.map(|file| file.with_file_name("known_hosts")).unwrap_or_default();
        let expected = match remote {
            Some(name) => self.config.get_str(&format!("remote.{name}.hostKey"))?,
            None => None,
        };
        let new_host = match expected {
            _ if known_hosts.as_os_str().is_empty() => NewHost::Refuse,
            Some(key) => NewHost::Expect(key.parse().map_err(|error| {
                CliError::usage(format!("remote.{}.hostKey makes no sense: {error}", remote.unwrap_or_default()))
            })?),
            None => {
                let (quiet, json) = (self.cx.quiet(), self.cx.json());
                NewHost::Accept(Arc::new(move |host, fingerprint| {
                    if !quiet {
                        let text = format!("{host} is new here; its key {fingerprint} is remembered");
                        crate::error::print_warning(&text, json);
                    }
                }))
            }
        };
        Ok(Trust::Pinned { known_hosts, new_host })
    }
}

/// Links that carry no more than so many bytes a second.
struct Slow {
    dial: Box<dyn Dial>,
    rate: u64,
}

impl Dial for Slow {
    fn dial(&self) -> Result<Box<dyn Link>, LinkError> {
        Ok(Box::new(Limited::new(self.dial.dial()?, self.rate)))
    }

    fn describe(&self) -> String {
        self.dial.describe()
    }
}

/// Where a repository on this machine is: the folder itself, or the `.dits` in it.
///
/// # Errors
/// When there is none.
pub fn local_layout(path: &Path) -> Result<Layout, CliError> {
    let none = || CliError::usage(format!("{} is no dits repository", path.display()));
    let path = std::fs::canonicalize(path).map_err(|_| none())?;
    let layout = Layout::discover(&path).map_err(|_| none())?;
    let here = layout.worktree.as_deref() == Some(&path) || layout.common == path || layout.common == path.join(DITS);
    if here { Ok(layout) } else { Err(none()) }
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
        let error = CliError::usage(format!("no remote repository specified for `dits {what}`"));
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
        let around = Surroundings { cx: self.cx, config: &self.config, repo, who: self.who.clone(), limit: None };
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
