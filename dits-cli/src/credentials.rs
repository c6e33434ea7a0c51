//! The tokens that show a server who we are. They are read, kept in a file that only the user can read, and never shown.
//!
//! `docs/config.md` says in which order they are looked for.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dits_core::config::{self, Config, Edit, Layer, Value};
use dits_core::durable::{self, IoContext};
use dits_core::repo::Repository;

use crate::context::Context;
use crate::env::Secret;
use crate::error::CliError;

/// The longest token, in bytes.
const MAX_TOKEN: u64 = 64 << 10;

/// Where tokens are kept, whether or not the file exists: beside the user's settings.
///
/// # Errors
/// When there is no home folder.
pub fn file(cx: &Context) -> Result<PathBuf, CliError> {
    let settings = cx.env.global_config().ok_or_else(|| {
        CliError::usage("there is no home folder to keep your tokens in")
            .hint("set HOME, or give the token in DITS_TOKEN for one command")
    })?;
    Ok(settings.with_file_name("credentials"))
}

/// What to show the remote at this address; `name` is what it is called here, where it has a name.
///
/// # Errors
/// When a file with a token cannot be read, or others can read it.
pub fn token(
    cx: &Context,
    config: &Config,
    name: Option<&str>,
    url: &str,
    repo: Option<&Repository>,
) -> Result<Option<Secret>, CliError> {
    if let Some(token) = &cx.env.token {
        return checked(&token.0, "DITS_TOKEN").map(Some);
    }
    if let Some(name) = name {
        if let Some(token) = config.get_str(&format!("remote.{name}.token"))? {
            return checked(&token, &format!("remote.{name}.token")).map(Some);
        }
        if let Some(path) = config.get_str(&format!("remote.{name}.tokenFile"))? {
            return from_file(cx, repo, &path).map(Some);
        }
    }
    let Ok(file) = file(cx) else { return Ok(None) };
    if !file.exists() {
        return Ok(None);
    }
    check_private(&file)?;
    let mut kept = Config::new();
    kept.add_file(Layer::User, &file)?;
    for address in addresses(url) {
        if let Some(token) = kept.get_str(&format!("server.{address}.token"))? {
            return checked(&token, "the token that is kept for it").map(Some);
        }
    }
    Ok(None)
}

/// Keeps a token for an address and all below it.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(cx: &Context, url: &str, token: Secret) -> Result<PathBuf, CliError> {
    let path = file(cx)?;
    if let Some(folder) = path.parent() {
        durable::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path).at("open", &path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).at("protect", &path)?;
    let edit = Edit::Set(format!("server.{}.token", normal(url)), Value::Text(token.0));
    config::update(Layer::User, &path, &[edit])?;
    Ok(path)
}

/// Forgets the token for an address; answers whether there was one.
///
/// # Errors
/// When the file cannot be written.
pub fn forget(cx: &Context, url: &str) -> Result<bool, CliError> {
    Ok(config::unset(&file(cx)?, &format!("server.{}.token", normal(url)))?)
}

/// Makes sure that a text can be a token, without showing it.
///
/// # Errors
/// When it cannot.
pub fn checked(text: &str, from: &str) -> Result<Secret, CliError> {
    let token = text.trim();
    if token.is_empty()
        || token.len() as u64 > MAX_TOKEN
        || token.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(CliError::usage(format!("{from} is not a token: it is empty, too long, or has spaces in it"))
            .hint("a token is one word, as `dits-server token create` prints it"));
    }
    Ok(Secret(token.to_owned()))
}

/// Whether it looks like what `dits-server token create` makes. Other servers may have other tokens.
pub fn is_of_dits_server(token: &Secret) -> bool {
    let digits = token.0.strip_prefix("dits_");
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn from_file(cx: &Context, repo: Option<&Repository>, path: &str) -> Result<Secret, CliError> {
    let path = match (path.strip_prefix("~/"), &cx.env.home) {
        (Some(rest), Some(home)) => home.join(rest),
        // Beside the settings that name it.
        _ => repo.map_or(Path::new(path).to_owned(), |repo| repo.layout().common.join(path)),
    };
    let bytes = durable::read_limited(&path, MAX_TOKEN)?;
    let missing = || CliError::usage(format!("the file with the token, {}, does not exist", path.display()));
    let bytes = bytes.ok_or_else(missing)?;
    check_private(&path)?;
    checked(&String::from_utf8_lossy(&bytes), &path.display().to_string())
}

fn check_private(path: &Path) -> Result<(), CliError> {
    let mode = fs::metadata(path).at("look at", path)?.permissions().mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(CliError::usage(format!("{} holds a token, and others can read it", path.display()))
            .hint(format!("chmod 600 {}", path.display()))),
    }
}

/// An address in the one form it is kept under.
fn normal(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let path = path.map_or_else(String::new, |path| format!("/{path}"));
            format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
        }
        None => url.to_owned(),
    }
}

/// The address and those above it, up to the server's.
fn addresses(url: &str) -> Vec<String> {
    let mut found = vec![normal(url)];
    while let Some(last) = found.last()
        && let Some((above, _)) = last.rsplit_once('/')
        && !above.ends_with('/')
        && !above.ends_with(':')
    {
        found.push(above.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_for_what_is_below_its_address() {
        assert_eq!(
            addresses("DITS://Studio.example:5557/films/One/"),
            ["dits://studio.example:5557/films/One", "dits://studio.example:5557/films", "dits://studio.example:5557"]
        );
        assert_eq!(addresses("https://h"), ["https://h"]);
    }

    #[test]
    fn tokens_are_one_word_and_not_shown() {
        assert_eq!(checked(" abc\n", "x").unwrap(), Secret("abc".to_owned()));
        for bad in ["", " ", "a b", "a\nb"] {
            assert!(checked(bad, "x").is_err());
        }
        assert_eq!(format!("{:?}", Secret("abc".to_owned())), "(not shown)");
    }
}
