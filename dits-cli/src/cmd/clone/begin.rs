//! What a clone begins with: the address, the folder's name, the branch to go to.

use std::path::PathBuf;

use dits_core::durable::IoContext;
use dits_core::object::Digest;
use dits_core::refs::{BRANCHES, RefName, TAGS};
use dits_core::repo::Repository;
use dits_core::store::Store;
use dits_sync::client::Listing;
use dits_sync::url::Target;

use super::Args;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes;
use crate::sharing::peer::local_layout;

/// Where HEAD of the clone will be.
#[derive(Debug, Clone)]
pub enum Start {
    /// On a branch that the remote has.
    Branch(RefName, Digest),
    /// On no branch, at a tag.
    Tag(RefName, Digest),
    /// On a branch without commits.
    Unborn(RefName),
}

/// The address as it is written down: a path on this machine from the root.
pub fn address(cx: &Context, given: &str) -> Result<String, CliError> {
    let parsed = remotes::parse(given)?;
    let Target::Local(path) = parsed.target() else { return Ok(given.to_owned()) };
    let path = cx.cwd.join(path);
    if !path.exists() {
        return Err(CliError::new(Exit::Network, format!("repository '{given}' does not exist"))
            .hint("name a folder that holds a repository, or an address such as dits://host/repo"));
    }
    let path = std::fs::canonicalize(&path).at("look at", &path)?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        CliError::usage(format!("{} cannot be written down as an address: it is not UTF-8", path.display()))
    })
}

/// The folder that an address names: `film` of `dits://host/films/film`, `x` of `/x/.dits`; `film.dits` for a bare one.
pub fn folder_of(url: &str, bare: bool) -> Result<PathBuf, CliError> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix("/.dits").unwrap_or(path).trim_end_matches('/');
    let name = path.rsplit(['/', ':']).next().unwrap_or_default();
    let name = name.strip_suffix(".dits").unwrap_or(name);
    match name {
        "" | "." | ".." => {
            Err(CliError::usage(format!("`{url}` names no folder")).hint("say which: dits clone URL FOLDER"))
        }
        name if bare => Ok(PathBuf::from(format!("{name}.dits"))),
        name => Ok(PathBuf::from(name)),
    }
}

/// Where HEAD will be.
///
/// # Errors
/// When the remote does not have what was asked for.
pub fn choose(args: &Args, listing: &Listing) -> Result<Start, CliError> {
    if let Some(name) = &args.branch {
        for (space, tag) in [(BRANCHES, false), (TAGS, true)] {
            let Ok(full) = RefName::parse(&format!("{space}{name}")) else { continue };
            match listing.get(&full) {
                Some(id) if tag => return Ok(Start::Tag(full, id)),
                Some(id) => return Ok(Start::Branch(full, id)),
                None => {}
            }
        }
        let message = format!("remote branch {name} not found in upstream {}", args.origin);
        return Err(
            CliError::new(Exit::Difference, message).hint(format!("`dits ls-remote {}` lists what there is", args.url))
        );
    }
    let main = || RefName::branch("main").map_err(dits_core::repo::RepoError::from);
    let head = listing.head.clone().map_or_else(main, Ok)?;
    Ok(match listing.get(&head) {
        Some(id) => Start::Branch(head, id),
        None => Start::Unborn(head),
    })
}

/// The stores of repositories on this machine.
pub fn alternates(cx: &Context, paths: &[PathBuf]) -> Result<Vec<Store>, CliError> {
    let open = |path: &PathBuf| {
        let layout = local_layout(&cx.cwd.join(path))?;
        Ok(Repository::open(layout, &cx.environment()?)?.store().clone())
    };
    paths.iter().map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_like_repositories() {
        for (url, folder) in [
            ("dits://host/films/one", "one"),
            ("dits://host:5557/film/", "film"),
            ("ssh://me@host/film.dits", "film"),
            ("me@host:film", "film"),
            ("/x/film/.dits", "film"),
            ("../film/", "film"),
        ] {
            assert_eq!(folder_of(url, false).unwrap(), PathBuf::from(folder), "{url}");
        }
        assert_eq!(folder_of("dits://host/film", true).unwrap(), PathBuf::from("film.dits"));
        assert!(folder_of("dits://host", false).is_err());
    }
}
