//! Remotes as users name them.

use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};
use dits_sync::url::{RemoteUrl, UrlError};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// The remote of this name.
///
/// # Errors
/// When there is none.
pub fn named(repo: &Repository, name: &str) -> Result<Remote, CliError> {
    let found = Remote::find(repo.config(), name).map_err(RepoError::from)?;
    found.ok_or_else(|| {
        CliError::new(Exit::Difference, format!("there is no remote `{name}`"))
            .hint("`dits remote -v` lists them; `dits remote add NAME URL` adds one")
    })
}

/// The address that a user means: that of a remote, or what was typed.
///
/// # Errors
/// When it is neither, or the remote has none.
pub fn address(cx: &Context, text: &str) -> Result<String, CliError> {
    if !text.contains("://")
        && let Ok(opened) = cx.open()
    {
        let no_url = || CliError::new(Exit::Difference, format!("no URLs configured for remote '{text}'"));
        return named(&opened.repo, text)?.url.ok_or_else(no_url);
    }
    if !text.contains("://") {
        return Err(CliError::usage(format!("`{text}` is neither the address of a server nor a remote")));
    }
    // A token may be for all of a server.
    parse(text).or_else(|error| parse(&format!("{}/any", text.trim_end_matches('/'))).map_err(|_| error))?;
    Ok(text.to_owned())
}

/// The address of a repository.
///
/// # Errors
/// When it is none.
pub fn parse(url: &str) -> Result<RemoteUrl, CliError> {
    RemoteUrl::parse(url).map_err(|error| {
        let message = format!("`{}` is not the address of a repository: {error}", shown_url(url));
        match error {
            UrlError::Password | UrlError::Userinfo => {
                CliError::usage(message).hint("`dits login URL` keeps a token where only you can read it")
            }
            _ => CliError::usage(message),
        }
    })
}

/// An address without a password, should one be in it.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://{host}/{path}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let error = parse("dits://me:secret@host/x").unwrap_err();
        assert!(!error.message.contains("secret"), "{}", error.message);
        assert!(error.hints[0].contains("dits login"));
        assert!(parse("http://host/x").is_err() && parse("dits://host/x").is_ok() && parse("../x").is_ok());
    }
}
