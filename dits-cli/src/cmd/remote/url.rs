//! `dits remote get-url` and `set-url`

use dits_core::config::{self, Edit, Layer, Value};

use super::tell;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::{named, parse};
use crate::repository::Opened;

/// Prints it.
pub fn get(opened: &Opened, cx: &Context, name: &str, push: bool) -> Result<Exit, CliError> {
    let remote = named(&opened.repo, name)?;
    if cx.json() {
        return tell(opened, cx, "listed", &[name]);
    }
    let url = if push { remote.push_url() } else { remote.url.as_deref() };
    let url = url.ok_or_else(|| {
        CliError::new(Exit::Difference, format!("no URLs configured for remote '{name}'"))
            .hint(format!("`dits remote set-url {name} URL` says where it is"))
    })?;
    writeln!(cx.out(), "{url}")?;
    Ok(Exit::Ok)
}

/// Changes it.
pub fn set(opened: &Opened, cx: &Context, name: &str, url: &str, push: bool) -> Result<Exit, CliError> {
    named(&opened.repo, name)?;
    parse(url)?;
    let key = if push { "pushUrl" } else { "url" };
    let edit = Edit::Set(format!("remote.{name}.{key}"), Value::Text(url.to_owned()));
    config::update(Layer::Repository, &opened.repo.layout().config(), &[edit])?;
    tell(opened, cx, "url-set", &[name])
}
