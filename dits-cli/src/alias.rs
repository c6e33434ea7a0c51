//! Commands that users make themselves: `alias.st = "status -s"`.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::env::Env;
use crate::settings::{self, Settings};

/// The arguments with the command that clap did not know replaced by what its alias stands for; `None` if it is no
/// alias, or one that leads back to itself. `seen` holds the aliases that were replaced already.
pub fn expand(arguments: &[OsString], error: &clap::Error, env: &Env, seen: &mut Vec<String>) -> Option<Vec<OsString>> {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    if seen.contains(name) {
        return None;
    }
    let at = arguments.iter().position(|arg| arg == OsStr::new(name))?;
    let words = split(&lookup(&arguments[..at], env, name)?)?;
    seen.push(name.clone());
    let before = arguments[..at].iter().cloned();
    Some(before.chain(words.into_iter().map(OsString::from)).chain(arguments[at + 1..].iter().cloned()).collect())
}

/// What to say when the command that clap did not know is an alias that was replaced already.
pub fn loops(error: &clap::Error, seen: &[String]) -> Option<clap::Error> {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let message = format!("the alias `{name}` leads back to itself: {} -> {name}\n", seen.join(" -> "));
    seen.contains(name).then(|| clap::Error::raw(ErrorKind::InvalidValue, message))
}

/// What the configuration says; `before` are the arguments in front of the command, where `-c` can be.
fn lookup(before: &[OsString], env: &Env, name: &str) -> Option<String> {
    let given = before.windows(2).filter(|pair| pair[0] == "-c").map(|pair| pair[1].to_string_lossy().into_owned());
    let config = settings::load(env, &given.collect::<Vec<_>>()).ok()?;
    Settings::get(&config, &format!("alias.{name}"))
}

/// Splits like a shell, as far as single and double quotes and backslashes go; `None` if a quote is left open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().push(chars.next()?),
            (_, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_a_shell() {
        assert_eq!(
            split(r#"log --format='%h %s'  -n "1 0" a\ b ''"#).unwrap(),
            ["log", "--format=%h %s", "-n", "1 0", "a b", ""]
        );
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("  "), None);
    }
}
