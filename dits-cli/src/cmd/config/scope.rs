//! Which file a command reads or changes.

use std::path::PathBuf;

use dits_core::config::{Config, Layer, Setting};

use super::Args;
use crate::context::Context;
use crate::error::CliError;

/// The file that a scope names; `None` when there is no scope.
fn scoped(args: &Args, cx: &Context) -> Result<Option<(Layer, PathBuf)>, CliError> {
    let no_home = || {
        CliError::usage("there is no home folder to keep your settings in")
            .hint("set HOME, or DITS_CONFIG_GLOBAL to a file")
    };
    Ok(if args.global {
        Some((Layer::User, cx.env.global_config().ok_or_else(no_home)?))
    } else if args.system {
        Some((Layer::System, cx.env.system_config()))
    } else if args.local {
        Some((Layer::Repository, cx.layout()?.config()))
    } else if args.worktree {
        Some((Layer::Worktree, cx.layout()?.worktree_config()))
    } else {
        args.file.as_ref().map(|file| (Layer::User, cx.cwd.join(file)))
    })
}

/// Where a change goes.
pub(super) fn target(args: &Args, cx: &Context) -> Result<(Layer, PathBuf), CliError> {
    match scoped(args, cx)? {
        Some(target) => Ok(target),
        None => {
            let layout =
                cx.layout().map_err(|error| error.hint("with --global it is set for all your repositories"))?;
            Ok((Layer::Repository, layout.config()))
        }
    }
}

/// The settings to read: of one scope, or all.
pub(super) fn settings(args: &Args, cx: &Context) -> Result<Config, CliError> {
    if let Some((layer, file)) = scoped(args, cx)? {
        let mut config = Config::new();
        config.add_file(layer, &file)?;
        return Ok(config);
    }
    // Outside of a repository there are fewer of them.
    let layout = cx.layout().ok();
    Ok(cx.environment()?.config(layout.as_ref())?)
}

/// The built-in value counts only where no scope was named.
pub(super) fn counts(args: &Args, setting: &Setting) -> bool {
    let scoped = args.global || args.system || args.local || args.worktree || args.file.is_some();
    setting.origin.layer != Layer::Default || !scoped || args.defaults
}
