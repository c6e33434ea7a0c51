//! Telling versions from files on the command line: `dits log main shots/`, `dits diff v1 v2 -- a.mp4`.

use std::ffi::{OsStr, OsString};

use dits_core::repo::RepoError;
use dits_core::revision::{Range, RevisionError};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;

/// What was given: versions, then files.
#[derive(Debug, Default)]
pub struct Given {
    /// The versions, as typed.
    pub revisions: Vec<Range>,
    /// The files and patterns.
    pub paths: Vec<OsString>,
}

impl Opened {
    /// Splits arguments as git does: what is behind a `--` (`paths`) are files; without one, arguments are versions as
    /// long as they name any, and all that follow have to be files that exist.
    ///
    /// # Errors
    /// When an argument is neither, or both.
    pub fn split(&self, cx: &Context, arguments: &[OsString], paths: &[OsString]) -> Result<Given, CliError> {
        let mut given = Given { revisions: Vec::new(), paths: paths.to_vec() };
        let separated = !paths.is_empty() || crate::env::arguments().iter().any(|argument| argument == "--");
        for (number, argument) in arguments.iter().enumerate() {
            let found = self.range_of(argument)?;
            match found {
                Ok(range) => {
                    if !separated && given.paths.is_empty() && exists(cx, argument) && is_plain(argument) {
                        let text = argument.to_string_lossy();
                        let message = format!("`{text}` is both a version and a file");
                        return Err(CliError::usage(message)
                            .hint(format!("`{text} --` means the version, `-- {text}` the file")));
                    }
                    given.revisions.push(range);
                }
                Err(error) if separated => return Err(error.into()),
                Err(error) => {
                    let rest = &arguments[number..];
                    let stray = rest.iter().find(|path| !exists(cx, path) && !is_pattern(path));
                    if let Some(stray) = stray {
                        if stray != argument
                            || !matches!(
                                error,
                                RepoError::Revision(RevisionError::Unknown { .. } | RevisionError::Syntax { .. })
                            )
                        {
                            return Err(error.into());
                        }
                        let text = stray.to_string_lossy();
                        let message = format!("`{text}` is neither a version nor a file in the worktree");
                        return Err(CliError::new(Exit::Difference, message)
                            .hint("`--` separates versions from files that are gone: `dits log -- FILE`"));
                    }
                    given.paths.extend(rest.iter().cloned());
                    break;
                }
            }
        }
        Ok(given)
    }

    /// The range that an argument names; the inner error says why it names none.
    fn range_of(&self, argument: &OsStr) -> Result<Result<Range, RepoError>, CliError> {
        let Some(text) = argument.to_str() else {
            let text = argument.to_string_lossy().into_owned();
            return Ok(Err(RevisionError::Unknown { text }.into()));
        };
        let range = match Range::parse(text) {
            Ok(range) => range,
            Err(error) => return Ok(Err(error.into())),
        };
        let ends = match &range {
            Range::Single(one) | Range::Not(one) => vec![one],
            Range::Between(from, to) | Range::Symmetric(from, to) => vec![from, to],
        };
        for end in ends {
            match self.repo.resolve_parsed(end) {
                Ok(_) => {}
                Err(error @ (RepoError::Revision(_) | RepoError::Unborn { .. } | RepoError::Path(_))) => {
                    return Ok(Err(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Ok(range))
    }
}

fn exists(cx: &Context, argument: &OsStr) -> bool {
    cx.cwd.join(argument).symlink_metadata().is_ok()
}

fn is_plain(argument: &OsStr) -> bool {
    !argument.to_string_lossy().contains("..")
}

fn is_pattern(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    text.starts_with(':') || text.contains(['*', '?', '['])
}
