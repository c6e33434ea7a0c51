//! `fetch.include`, `fetch.exclude`, `drop.keep`: paths by patterns, as `.ditsignore` has them.

use std::path::Path;

use dits_core::config::Config;
use dits_core::ignore::IgnoreRules;
use dits_core::path::RepoPath;
use dits_core::worktree::Selection;

use crate::error::CliError;

/// Files that some patterns name and others do not.
pub struct Patterns {
    include: Option<IgnoreRules>,
    exclude: Option<IgnoreRules>,
    /// What is meant where nothing is named.
    all: bool,
}

impl Patterns {
    /// What `fetch` is set up to bring.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn of_settings(config: &Config) -> Result<Self, CliError> {
        let (include, exclude) = (rules(config, "fetch.include")?, rules(config, "fetch.exclude")?);
        Ok(Self { include, exclude, all: false })
    }

    /// What `drop` leaves here.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn kept(config: &Config) -> Result<Self, CliError> {
        Ok(Self { include: rules(config, "drop.keep")?, exclude: None, all: false })
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_none()
    }

    /// The same, but where nothing is named everything is meant, if `all`.
    #[must_use]
    pub fn unless_empty(&self, all: bool) -> Self {
        Self { include: self.include.clone(), exclude: self.exclude.clone(), all }
    }
}

fn rules(config: &Config, key: &str) -> Result<Option<IgnoreRules>, CliError> {
    let lines = config.get_list(key)?.unwrap_or_default();
    let text = lines.join("\n");
    Ok((!lines.is_empty()).then(|| IgnoreRules::new(&[(Path::new(key), text.as_bytes())])))
}

/// A pattern that names a folder means all below it.
fn names(rules: &IgnoreRules, path: &RepoPath) -> bool {
    let mut named = rules.matched(path, false).is_some_and(|found| !found.negated);
    let mut at = path.parent();
    while let (false, Some(folder)) = (named, at) {
        named = rules.matched(&folder, true).is_some_and(|found| !found.negated);
        at = folder.parent();
    }
    named
}

impl Selection for Patterns {
    fn includes(&self, path: &RepoPath) -> bool {
        let included = self.include.as_ref().map_or(self.all, |rules| names(rules, path));
        included && !self.exclude.as_ref().is_some_and(|rules| names(rules, path))
    }

    fn enters(&self, _: &RepoPath) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_endings() {
        let mut config = Config::new();
        config.add_override("fetch.include=shots/").unwrap();
        config.add_override("fetch.exclude=*.exr").unwrap();
        let patterns = Patterns::of_settings(&config).unwrap();
        let includes = |path: &str| patterns.includes(&RepoPath::parse(path.as_bytes()).unwrap());
        assert!(includes("shots/010/a.mov") && !includes("shots/010/a.exr") && !includes("audio/a.wav"));
        let none = Patterns::of_settings(&Config::new()).unwrap();
        let path = RepoPath::parse(b"a").unwrap();
        assert!(!none.includes(&path) && none.unless_empty(true).includes(&path));
    }
}
