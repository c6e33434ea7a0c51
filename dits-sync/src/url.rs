//! Where a remote repository is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The port of `dits://`, for UDP and TCP.
pub const DEFAULT_PORT: u16 = 5557;

/// The port of `https://`.
pub const HTTPS_PORT: u16 = 443;

/// The longest URL, in bytes.
const MAX_URL: usize = 4096;

/// The longest name of a repository on a server, in bytes.
const MAX_REPOSITORY: usize = 1024;

/// Where a remote repository is. Nothing in it can be taken for an option by a program that it is given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteUrl(Target);

/// The parts of a [`RemoteUrl`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `dits://host[:port]/repository`: a server, over QUIC or TLS, whichever works.
    Dits(Server),
    /// `https://host[:port]/repository`: a server, over TLS.
    Https(Server),
    /// `ssh://[user@]host[:port]/path` or `[user@]host:path`: a repository that a program on another machine serves.
    Ssh {
        /// The user there.
        user: Option<String>,
        /// A name, an address (IPv6 without brackets), or what ssh's configuration makes of it.
        host: String,
        /// The port of ssh.
        port: Option<u16>,
        /// Where the repository is there; a relative path starts at the user's home folder.
        path: String,
    },
    /// `file:///path` or a path: a repository on this machine.
    Local(PathBuf),
}

/// A repository on a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// A name or an address (IPv6 without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The repository's name, with no slash around it.
    pub repository: String,
}

impl Server {
    /// `host:port`, with IPv6 addresses in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", Bracketed(&self.host), self.port)
    }
}

/// Why a text names no remote repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing there, or too much.
    #[error("a URL has 1 to {MAX_URL} bytes")]
    Length,
    /// Something that a terminal would act on.
    #[error("the URL {0:?} has a control character")]
    Control(String),
    /// A scheme that is not known.
    #[error("{0}:// is not supported; use dits://, https://, ssh://, file:// or a path")]
    Scheme(String),
    /// No host, or not one.
    #[error("{0:?} is not a host")]
    Host(String),
    /// Not a user's name.
    #[error("{0:?} is not a user's name")]
    User(String),
    /// A port that is no number from 1 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// A password.
    #[error("a URL is stored and shown, so no password may be in it; ssh:// wants a key")]
    Password,
    /// A user where there are none.
    #[error("there is no user in the URL of a server; `dits login URL` keeps a token for it")]
    Userinfo,
    /// No repository, or not the name of one.
    #[error("{0:?} is not the name of a repository on a server")]
    Repository(String),
    /// No path, or not one.
    #[error("{0:?} is not a path of a repository; write ./ before a name that begins with -")]
    Path(String),
}

impl RemoteUrl {
    /// Reads a URL or path.
    ///
    /// # Errors
    /// When it is neither, or a part of it could be taken for something else than it is.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() || text.len() > MAX_URL {
            return Err(UrlError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::Control(text.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "dits" => server(rest, DEFAULT_PORT).map(Target::Dits),
                "https" => server(rest, HTTPS_PORT).map(Target::Https),
                "ssh" => ssh(rest),
                "file" => file(rest),
                _ if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                    Err(UrlError::Scheme(scheme.to_owned()))
                }
                _ => local(text),
            }
            .map(Self);
        }
        match scp_like(text) {
            // `me:secret@host:x`: nobody means a host `me`, and the secret must not be shown as a part of a path.
            Some((_, path)) if path.split('/').next().is_some_and(|first| first.contains('@')) => {
                Err(UrlError::Password)
            }
            Some((authority, path)) => ssh_to(authority, remote_path(path, "~/"), false).map(Self),
            None => local(text).map(Self),
        }
    }

    /// Its parts.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0
    }

    /// The repository's name on its server; empty where the way there leads to one repository only.
    #[must_use]
    pub fn repository(&self) -> &str {
        match &self.0 {
            Target::Dits(server) | Target::Https(server) => &server.repository,
            Target::Ssh { .. } | Target::Local(_) => "",
        }
    }
}

/// Splits `[user@]host:path`; a slash before the colon makes it a path.
fn scp_like(text: &str) -> Option<(&str, &str)> {
    let colon = match text.find('[') {
        Some(open) if open == 0 || text.as_bytes()[open - 1] == b'@' => open + text[open..].find("]:")? + 1,
        _ => text.find(':')?,
    };
    (!text[..colon].contains('/')).then(|| (&text[..colon], &text[colon + 1..]))
}

/// A path as it is kept: what begins with `home` is relative, because relative paths start at home, and an absolute one
/// begins with one slash.
fn remote_path<'a>(path: &'a str, home: &str) -> &'a str {
    if let Some(below) = path.strip_prefix(home) {
        return below.trim_start_matches('/');
    }
    let slashes = path.len() - path.trim_start_matches('/').len();
    &path[slashes.saturating_sub(1)..]
}

fn server(rest: &str, default_port: u16) -> Result<Server, UrlError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(UrlError::Userinfo);
    }
    let (host, port) = host_and_port(authority)?;
    if host.contains(':') && host.parse::<Ipv6Addr>().is_err() {
        return Err(UrlError::Host(host.to_owned()));
    }
    let repository = path.strip_suffix('/').unwrap_or(path);
    if !is_repository(repository) {
        return Err(UrlError::Repository(repository.to_owned()));
    }
    Ok(Server { host: host.to_owned(), port: port.unwrap_or(default_port), repository: repository.to_owned() })
}

fn is_repository(name: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with('-');
    name.len() <= MAX_REPOSITORY && name.split('/').all(part) && !name.contains(['?', '#', '\\'])
}

fn ssh(rest: &str) -> Result<Target, UrlError> {
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    ssh_to(authority, remote_path(path, "/~/"), true)
}

fn ssh_to(authority: &str, path: &str, with_port: bool) -> Result<Target, UrlError> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(UrlError::Password);
    }
    if let Some(user) = user.filter(|user| !is_user(user)) {
        return Err(UrlError::User(user.to_owned()));
    }
    let (host, port) = host_and_port(host)?;
    if port.is_some() && !with_port {
        return Err(UrlError::Host(authority.to_owned()));
    }
    if path.is_empty() || path.starts_with(['-', ':']) {
        return Err(UrlError::Path(path.to_owned()));
    }
    Ok(Target::Ssh { user: user.map(str::to_owned), host: host.to_owned(), port, path: path.to_owned() })
}

fn is_user(user: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "._-+@\\".contains(c);
    !user.is_empty() && !user.starts_with('-') && user.chars().all(allowed)
}

/// Splits an authority without its user; the host loses its brackets.
fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let refuse = || UrlError::Host(authority.to_owned());
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(refuse)?;
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(refuse());
            }
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(refuse)?) };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if !is_host(host) {
        return Err(refuse());
    }
    let number = |port: &str| match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
        _ => Err(UrlError::Port(port.to_owned())),
    };
    Ok((host, port.map(number).transpose()?))
}

fn is_host(host: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "._-:%".contains(c);
    !host.is_empty() && host.len() <= 253 && !host.starts_with(['-', '%']) && host.chars().all(allowed)
}

fn file(rest: &str) -> Result<Target, UrlError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if path.starts_with('/') { local(path) } else { Err(UrlError::Path(rest.to_owned())) }
}

fn local(path: &str) -> Result<Target, UrlError> {
    if path.starts_with('-') {
        return Err(UrlError::Path(path.to_owned()));
    }
    Ok(Target::Local(Path::new(path).to_owned()))
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// A host as it stands in a URL.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// In the form that is stored: default ports are left out. What it prints is read as the same URL.
impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut server = |scheme: &str, server: &Server, default: u16| {
            write!(f, "{scheme}://{}", Bracketed(&server.host))?;
            if server.port != default {
                write!(f, ":{}", server.port)?;
            }
            write!(f, "/{}", server.repository)
        };
        match &self.0 {
            Target::Dits(at) => server("dits", at, DEFAULT_PORT),
            Target::Https(at) => server("https", at, HTTPS_PORT),
            Target::Ssh { user, host, port, path } => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let host = Bracketed(host);
                // An absolute path that begins like one below home has a slash more.
                let home = match path.starts_with('/') {
                    true if path.starts_with("/~/") => "/",
                    true => "",
                    false => "/~/",
                };
                match port {
                    Some(port) => write!(f, "ssh://{user}{host}:{port}{home}{path}"),
                    None => write!(f, "ssh://{user}{host}{home}{path}"),
                }
            }
            Target::Local(path) => match path.to_string_lossy() {
                // Such a path would be read as something else.
                text if text.starts_with('/') && text.contains("://") => write!(f, "file://{text}"),
                text => f.write_str(&text),
            },
        }
    }
}

/// The address in a host, if it is one.
pub(crate) fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let url = RemoteUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let again = url.to_string();
        assert_eq!(RemoteUrl::parse(&again).as_ref(), Ok(&url), "{text} is shown as {again}");
        format!("{:?}", url.target())
    }

    #[test]
    fn paths_below_home_and_absolute_ones_stay_apart() {
        for text in ["ssh://me@host:22/~//~//", "host:/~/x", "host:~//~/x", "ssh://host//~/x", "host:~/x"] {
            shown(text);
        }
        assert!(shown("ssh://host/~//x").contains("path: \"x\""));
        assert!(shown("ssh://host//x").contains("path: \"/x\""));
    }

    #[test]
    fn servers() {
        let dits = |host: &str, port, repository: &str| {
            format!("{:?}", Target::Dits(Server { host: host.into(), port, repository: repository.into() }))
        };
        assert_eq!(shown("dits://studio/game"), dits("studio", 5557, "game"));
        assert_eq!(shown("DITS://studio:5557/a/b.c/"), dits("studio", 5557, "a/b.c"));
        assert_eq!(shown("dits://[::1]:9/game"), dits("::1", 9, "game"));
        assert_eq!(shown("dits://127.0.0.1/game"), dits("127.0.0.1", 5557, "game"));
        let Ok(RemoteUrl(Target::Https(server))) = RemoteUrl::parse("https://[fe80::2]/x") else { panic!() };
        assert_eq!(server.authority(), "[fe80::2]:443");
        assert_eq!(RemoteUrl::parse("https://h:443/x").unwrap().to_string(), "https://h/x");
    }

    #[test]
    fn ssh_in_both_forms() {
        let ssh = |user: Option<&str>, host: &str, port, path: &str| {
            let user = user.map(str::to_owned);
            format!("{:?}", Target::Ssh { user, host: host.into(), port, path: path.into() })
        };
        assert_eq!(shown("ssh://me@host:22/srv/x"), ssh(Some("me"), "host", Some(22), "/srv/x"));
        assert_eq!(shown("ssh://host/~/x y"), ssh(None, "host", None, "x y"));
        assert_eq!(shown("ssh://host:7/~/x"), ssh(None, "host", Some(7), "x"));
        assert_eq!(shown("me@host:a/b:c"), ssh(Some("me"), "host", None, "a/b:c"));
        assert_eq!(shown("host:/abs"), ssh(None, "host", None, "/abs"));
        assert_eq!(shown("host:~/rel"), ssh(None, "host", None, "rel"));
        assert_eq!(shown("me@[::1]:rel"), ssh(Some("me"), "::1", None, "rel"));
        assert_eq!(shown("ssh://[fe80::1%eth0]/x"), ssh(None, "fe80::1%eth0", None, "/x"));
    }

    #[test]
    fn paths() {
        for (text, path) in [
            ("/srv/x", "/srv/x"),
            ("../x", "../x"),
            ("./a:b", "./a:b"),
            ("file:///a b", "/a b"),
            ("a/b://c", "a/b://c"),
        ] {
            assert_eq!(shown(text), format!("{:?}", Target::Local(path.into())));
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        use UrlError as E;
        let long = format!("dits://h/{}", "x".repeat(2000));
        for (text, fits) in [
            ("", (|e| matches!(e, E::Length)) as fn(&E) -> bool),
            ("dits://h/a\nb", |e| matches!(e, E::Control(_))),
            ("host:\x1b[2J", |e| matches!(e, E::Control(_))),
            ("ftp://h/x", |e| matches!(e, E::Scheme(_))),
            ("ext::sh -c x", |e| matches!(e, E::Path(_) | E::Host(_))),
            ("dits:///x", |e| matches!(e, E::Host(_))),
            ("dits://-oProxyCommand=x/x", |e| matches!(e, E::Host(_))),
            ("ssh://-oProxyCommand=x/x", |e| matches!(e, E::Host(_))),
            ("ssh://a@-x/x", |e| matches!(e, E::Host(_))),
            ("ssh://-l@h/x", |e| matches!(e, E::User(_))),
            ("-x:y", |e| matches!(e, E::Host(_))),
            ("-x", |e| matches!(e, E::Path(_))),
            ("host:-x", |e| matches!(e, E::Path(_))),
            ("host:", |e| matches!(e, E::Path(_))),
            ("ssh://host", |e| matches!(e, E::Path(_))),
            ("ssh://me:secret@host/x", |e| matches!(e, E::Password)),
            ("me:secret@host:x", |e| matches!(e, E::Password)),
            ("dits://me:secret@host/x", |e| matches!(e, E::Userinfo)),
            ("dits://h", |e| matches!(e, E::Repository(_))),
            ("dits://h/", |e| matches!(e, E::Repository(_))),
            ("dits://h/a/../b", |e| matches!(e, E::Repository(_))),
            ("dits://h//a", |e| matches!(e, E::Repository(_))),
            ("dits://h/-a", |e| matches!(e, E::Repository(_))),
            ("dits://h/a?b", |e| matches!(e, E::Repository(_))),
            (&long, |e| matches!(e, E::Repository(_))),
            ("dits://h:0/x", |e| matches!(e, E::Port(_))),
            ("dits://h:+5/x", |e| matches!(e, E::Port(_))),
            ("dits://h:99999/x", |e| matches!(e, E::Port(_))),
            ("dits://[::1/x", |e| matches!(e, E::Host(_))),
            ("dits://[evil]/x", |e| matches!(e, E::Host(_))),
            ("dits://a b/x", |e| matches!(e, E::Host(_))),
            ("file://host/x", |e| matches!(e, E::Path(_))),
        ] {
            match RemoteUrl::parse(text) {
                Err(error) => assert!(fits(&error), "{text:?}: {error}"),
                Ok(url) => panic!("{text:?} is read as {url:?}"),
            }
        }
    }
}
