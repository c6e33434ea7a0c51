//! Remotes as users name them.

use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// The kinds of addresses that dits connects to.
const SCHEMES: [&str; 4] = ["dits", "https", "ssh", "file"];

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
    check_url(text)?;
    if !text.contains("://") {
        return Err(CliError::usage(format!("`{text}` is neither the address of a server nor a remote")));
    }
    Ok(text.to_owned())
}

/// Refuses what cannot be the address of a repository, before it is written down anywhere.
///
/// # Errors
/// When it cannot.
pub fn check_url(url: &str) -> Result<(), CliError> {
    let bad = |why: &str| CliError::usage(format!("`{}` is not the address of a repository: {why}", shown_url(url)));
    if url.is_empty() || url.starts_with('-') || url.contains(|c: char| c.is_control()) {
        return Err(bad("it is empty, begins with a dash or has a control character"));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return match url.split_once(':') {
            Some((host, path)) if !host.contains('/') => Err(bad("it has a host but no scheme")
                .hint(format!("ssh://{host}/{path}"))
                .hint(format!("if it is a folder: ./{url}"))),
            _ => Ok(()),
        };
    };
    if !SCHEMES.contains(&scheme) {
        return Err(bad(&format!("`{scheme}://` is not known")).hint("dits://, https://, ssh://, file:// or a path"));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if scheme != "file" && (authority.is_empty() || authority.starts_with('-') || authority.contains("@-")) {
        return Err(bad("the host is missing or begins with a dash"));
    }
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        return Err(bad("a password in an address is seen by everybody").hint("`dits login URL` keeps a token safely"));
    }
    Ok(())
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
    fn addresses_are_checked() {
        for good in ["dits://host/film", "https://host:8443/a/b", "ssh://me@host/x", "file:///x", "/x", "../x", "./a:b"]
        {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in
            ["", "-x", "ssh://-oProxyCommand=x/y", "ssh://a@-x/y", "http://x/y", "host:path", "dits:///x", "a\nb"]
        {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        let error = check_url("dits://me:secret@host/x").unwrap_err();
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}
