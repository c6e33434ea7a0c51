//! Other repositories by name: what the configuration says of them, and which of their branches ours follow.
//!
//! Nothing here connects to anything; `dits-sync` does.

mod refspec;
mod upstream;

use crate::config::{Config, ConfigError, Layer};
use crate::refs::{REMOTES, RefName};

pub use refspec::Refspec;
pub use upstream::{Follow, Upstream};

/// The remote that stands for this repository itself.
pub const HERE: &str = ".";

/// A remote that cannot be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A name that no remote can have.
    #[error("`{name}` cannot be the name of a remote: {why}")]
    BadName {
        /// What was given.
        name: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// A refspec that does not follow the grammar.
    #[error("`{text}` is not a refspec: {why}")]
    BadRefspec {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A setting of it.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A remote, as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What it is called here.
    pub name: String,
    /// Where it is; without one, nothing can be fetched.
    pub url: Option<String>,
    /// Where pushes go, if not there.
    pub push_url: Option<String>,
    /// Which of its refs are fetched, and what they are called here.
    pub fetch: Vec<Refspec>,
}

impl Remote {
    /// Whether a remote can have this name: it becomes a part of refs.
    ///
    /// # Errors
    /// [`RemoteError::BadName`].
    pub fn check_name(name: &str) -> Result<(), RemoteError> {
        let bad = |why| RemoteError::BadName { name: name.to_owned(), why };
        if name.is_empty() || name.contains(':') {
            return Err(bad("it is empty or has a colon"));
        }
        RefName::remote(name, "x").map(|_| ()).map_err(|error| bad(error.why))
    }

    /// The names of all remotes, sorted.
    #[must_use]
    pub fn names(config: &Config) -> Vec<String> {
        let named = |rest: &str| rest.rsplit_once('.').map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = config.section("remote").iter().filter_map(|(rest, _)| named(rest)).collect();
        names.sort();
        names.dedup();
        names.retain(|name| Self::check_name(name).is_ok());
        names
    }

    /// The remote of this name; `None` when nothing is set for it.
    ///
    /// # Errors
    /// When one of its settings makes no sense.
    pub fn find(config: &Config, name: &str) -> Result<Option<Self>, RemoteError> {
        if !Self::names(config).iter().any(|known| known == name) {
            return Ok(None);
        }
        let text = |key: &str| config.get_str(&format!("remote.{name}.{key}"));
        let fetch = match config.get_list(&format!("remote.{name}.fetch"))? {
            Some(specs) => specs.iter().map(|spec| Refspec::parse(spec)).collect::<Result<_, _>>()?,
            None => vec![Refspec::all_branches(name)],
        };
        Ok(Some(Self { name: name.to_owned(), url: text("url")?, push_url: text("pushUrl")?, fetch }))
    }

    /// All remotes, by name.
    ///
    /// # Errors
    /// When a setting of one makes no sense.
    pub fn all(config: &Config) -> Result<Vec<Self>, RemoteError> {
        let mut all = Vec::new();
        for name in Self::names(config) {
            all.extend(Self::find(config, &name)?);
        }
        Ok(all)
    }

    /// Where pushes go.
    #[must_use]
    pub fn push_url(&self) -> Option<&str> {
        self.push_url.as_deref().or(self.url.as_deref())
    }

    /// What one of its refs is called here, if it is fetched.
    #[must_use]
    pub fn tracking(&self, theirs: &str) -> Option<RefName> {
        self.fetch.iter().find_map(|spec| RefName::parse(&spec.map(theirs)?).ok())
    }

    /// The ref of it that one of ours stands for.
    #[must_use]
    pub fn source(&self, ours: &RefName) -> Option<String> {
        self.fetch.iter().find_map(|spec| spec.map_back(ours.as_str()))
    }

    /// Where its branches are kept here: `refs/remotes/NAME/`.
    #[must_use]
    pub fn space(name: &str) -> String {
        format!("{REMOTES}{name}/")
    }

    /// Whether this repository's own file says anything of it, so that it can be changed there.
    #[must_use]
    pub fn is_set_here(config: &Config, name: &str) -> bool {
        let start = format!("{name}.");
        let own = config.list().filter(|setting| setting.origin.layer == Layer::Repository);
        own.filter_map(|setting| setting.key.split_once('.'))
            .any(|(section, rest)| section.eq_ignore_ascii_case("remote") && rest.starts_with(&start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[&str]) -> Config {
        let mut config = Config::new();
        settings.iter().for_each(|setting| config.add_override(setting).unwrap());
        config
    }

    #[test]
    fn remotes_are_what_the_settings_say() {
        let config = config(&["remote.b.url=/x", "remote.a.b.url=y", "remote.a.b.pushUrl=z", "remote.pushDefault=b"]);
        assert_eq!(Remote::names(&config), ["a.b", "b"]);
        let found = Remote::find(&config, "a.b").unwrap().unwrap();
        assert_eq!((found.url.as_deref(), found.push_url()), (Some("y"), Some("z")));
        assert_eq!(Remote::find(&config, "a").unwrap(), None);
        let tracking = found.tracking("refs/branches/x/y").unwrap();
        assert_eq!(tracking.as_str(), "refs/remotes/a.b/x/y");
        assert_eq!(found.source(&tracking).as_deref(), Some("refs/branches/x/y"));
        assert_eq!(found.tracking("refs/tags/v1"), None);
    }

    #[test]
    fn names_that_refs_cannot_have_are_refused() {
        for bad in ["", ".", "..", "a/b", "-a", "a b", "a.lock", "x:y"] {
            assert!(Remote::check_name(bad).is_err(), "{bad}");
        }
        assert!(Remote::check_name("studio-2.lan").is_ok());
    }
}
