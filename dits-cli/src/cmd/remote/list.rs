//! Listing remotes.

use dits_core::remote::Remote;
use dits_core::repo::RepoError;

use super::{Answer, RemoteJson};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::shown_url;
use crate::repository::Opened;

/// Lists them.
pub fn run(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let remotes = Remote::all(opened.repo.config()).map_err(RepoError::from)?;
    if cx.json() {
        let remotes = remotes.into_iter().map(RemoteJson::from).collect();
        cx.out().json("remote", &Answer { action: "listed", remotes })?;
        return Ok(Exit::Ok);
    }
    for remote in &remotes {
        if cx.verbose() == 0 {
            writeln!(cx.out(), "{}", remote.name)?;
            continue;
        }
        let shown = |url: Option<&str>| url.map_or_else(String::new, shown_url);
        writeln!(cx.out(), "{}\t{} (fetch)", remote.name, shown(remote.url.as_deref()))?;
        writeln!(cx.out(), "{}\t{} (push)", remote.name, shown(remote.push_url()))?;
    }
    Ok(Exit::Ok)
}
